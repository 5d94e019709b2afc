"""Recommendations and cautions about timing (R5)."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pipeline.clinical.clinical_context import VISIT_FACTS, ClinicalContext, Menopause, Therapy
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Exam, Flag, Interpretation, Overall, Patient, Sex, Suggestion
from pipeline.clinical.recommendations import on_glucocorticoids
from pipeline.clinical.rules import Rules
from tests.factories.exams import HOLOGIC, LSCS, PATIENT, REFERENCE, ROOM_2, exam, measurement

D = Decimal
THEN = {"L1-L4": "0.900", "total hip left": "0.800"}
NOTHING: dict[str, Any] = {
    "menopause": Menopause.AFTER,
    "therapy": Therapy.NONE,
    "glucocorticoid_mg": D(0),
    "cancer_therapy": False,
    "rapid_loss_risk": False,
    "fragility_fracture": False,
    "reported_vertebral_fracture": False,
    "fracture_on_therapy": False,
    "peak_height_cm": D(160),
    "hyperparathyroidism": False,
    "stress_fracture_suspected": False,
    "frax_hip_percent": D(1),
    "frax_major_percent": D(10),
    "calcium_tablet": False,
    "contrast": False,
}
"""A patient of whom everything is known, without any risk."""


def advise(now: dict[str, str] | Exam, then: dict[str, str] | None = None, **more: Any) -> Interpretation:
    """The interpretation of an exam in 2020, after one in 2018, when ``more`` is known."""
    rules = more.pop("rules", Rules())
    before = more.pop("before", "2018-01-01")
    today = now if isinstance(now, Exam) else exam("2020-01-01", regions=now, height_cm=D(160))
    known = NOTHING | more
    of_the_visit = {name: known.pop(name) for name in VISIT_FACTS if name in known}
    contexts = [
        ClinicalContext(recorded_on=date(2019, 6, 1), **known),
        ClinicalContext(recorded_on=today.performed_on, **of_the_visit),
    ]
    history = [exam(before, regions=then)] if then else []
    return interpret(today, history, ClinicalReference(lscs=LSCS, rules=rules), contexts=contexts)


def suggestion(interpretation: Interpretation, rule: str) -> Suggestion | None:
    found = [s for s in interpretation.suggestions if s.rule == rule]
    assert len(found) < 2
    return found[0] if found else None


def lacking(interpretation: Interpretation) -> dict[str, tuple[str, ...]]:
    return {item.rule: item.missing for item in interpretation.not_evaluated}


def scored(**scores: str) -> Exam:
    """L1-L4, neck and hip with T-scores."""
    keys = {"spine": "L1-L4", "neck": "femoral neck left", "hip": "total hip left"}
    return exam("2020-01-01", *(measurement(keys[k], "0.9", t_score=t) for k, t in scores.items()), height_cm=D(160))


@pytest.mark.parametrize(
    ("known", "years", "reason"),
    [
        ({}, "about 2 years", ""),
        ({"therapy": Therapy.ANTIRESORPTIVE, "therapy_since": date(2019, 1, 1)}, "about 1 year", "therapy begun"),
        ({"therapy": Therapy.ANTIRESORPTIVE, "therapy_since": date(2018, 11, 1)}, "about 2 years", ""),
        ({"glucocorticoid_mg": D(5), "glucocorticoid_months": D(3)}, "about 1 year", "glucocorticoids"),
        ({"glucocorticoid_mg": D("4.9"), "glucocorticoid_months": D(9)}, "about 2 years", ""),
        ({"glucocorticoid_mg": D(5), "glucocorticoid_months": D("2.9")}, "about 2 years", ""),
        ({"cancer_therapy": True}, "about 1 year", "cancer therapy"),
        ({"rapid_loss_risk": True}, "about 1 year", "risk of rapid bone loss"),
    ],
)
def test_the_next_exam_is_in_two_years_or_in_one_with_a_reason(known: dict[str, Any], years: str, reason: str) -> None:
    """R5.1, C13, F5: the timing of the next exam is always stated."""
    interpretation = advise(THEN, THEN, **known)
    found = suggestion(interpretation, "R5.1")
    assert found is not None
    assert years in found.text
    assert any(reason in fact for fact in found.facts) is bool(reason)
    assert "R5.1" not in lacking(interpretation)


def test_what_might_have_shortened_the_interval_is_listed_as_unknown() -> None:
    """R5.1, section 5.1: unknown is never "not indicated"."""
    unknown = {"therapy": None, "glucocorticoid_mg": None, "cancer_therapy": None, "rapid_loss_risk": None}
    interpretation = advise(THEN, THEN, **unknown)
    assert len(lacking(interpretation)["R5.1"]) == 4
    vague = advise(THEN, THEN, therapy=Therapy.OTHER, glucocorticoid_mg=D(9))
    assert lacking(vague)["R5.1"] == ("therapy begun or changed within a year", "glucocorticoids")
    interval = suggestion(advise(THEN, THEN, rules=Rules(usual_interval_months=30)), "R5.1")
    assert interval is not None
    assert "about 2.5 years" in interval.text


def test_a_significant_loss_and_a_discordant_result_shorten_the_interval() -> None:
    """R5.1, R5.7"""
    loss = suggestion(advise({**THEN, "L1-L4": "0.850"}, THEN), "R5.1")
    assert loss is not None
    assert loss.facts == ("significant loss",)
    interpretation = advise({"L1-L4": "0.950", "total hip left": "0.750"}, THEN)
    assert interpretation.overall is Overall.DISCORDANT
    discordant = suggestion(interpretation, "R5.1")
    assert discordant is not None
    assert "1 to 2 years" in discordant.text
    path = suggestion(interpretation, "R5.7")
    assert path is not None
    assert path.text.index("positioning") < path.text.index("adherence") < path.text.index("falls")
    assert suggestion(advise(THEN, THEN), "R5.7") is None


@pytest.mark.parametrize(
    ("who", "t_score", "known", "missing"),
    [
        ({}, "-1.1", {"reported_vertebral_fracture": True}, None),
        ({}, "-1.1", {"reported_vertebral_fracture": None}, ("reported vertebral fracture",)),
        ({}, "-1.1", {"peak_height_cm": None}, ("height in youth",)),
        ({}, "-1.1", {"glucocorticoid_mg": None}, ("glucocorticoids",)),
        ({"sex": Sex.UNKNOWN, "birth_date": date(1955, 1, 1)}, "-1.1", {}, ("sex",)),
        ({"sex": Sex.OTHER, "birth_date": date(1955, 1, 1)}, "-1.1", {}, ("sex as female or male",)),
        ({"sex": Sex.OTHER, "birth_date": date(1965, 1, 1)}, "-1.1", {}, ("sex as female or male",)),
        ({"birth_date": None}, "-1.1", {}, ("age",)),
        ({}, "-1.0", {"reported_vertebral_fracture": None}, None),
        ({}, None, {}, ("T-score",)),
    ],
)
def test_fracture_assessment_says_what_it_would_need(
    who: dict[str, Any], t_score: str | None, known: dict[str, Any], missing: tuple[str, ...] | None
) -> None:
    """R5.2, section 5.1"""
    given: dict[str, Any] = {"patient_id": "P1", "birth_date": date(1960, 1, 1), "sex": Sex.FEMALE}
    patient = Patient(**(given | who))
    scores = {} if t_score is None else {"t_score": t_score}
    interpretation = advise(
        exam("2020-01-01", measurement("L1-L4", "0.9", **scores), patient=patient, height_cm=D(160)), **known
    )
    assert lacking(interpretation).get("R5.2") == missing
    asked = suggestion(interpretation, "R5.2")
    assert (asked is not None) is (known.get("reported_vertebral_fracture") is True)


def test_glucocorticoids_count_by_dose_and_duration_and_unknown_is_unknown() -> None:
    """R5.9"""

    def dose(mg: str | None, months: str | None) -> bool | None:
        values = [None if text is None else D(text) for text in (mg, months)]
        record = ClinicalContext(
            recorded_on=date(2020, 1, 1), glucocorticoid_mg=values[0], glucocorticoid_months=values[1]
        )
        return on_glucocorticoids(record, Rules())

    assert [dose("5", "3"), dose("4.9", None), dose("5", None), dose(None, "3"), dose("5", "2")] == [
        True,
        False,
        None,
        None,
        False,
    ]


@pytest.mark.parametrize(
    ("before", "known", "flag", "info"),
    [
        ("2019-01-02", {}, True, False),
        ("2019-01-01", {}, False, True),
        ("2018-01-02", {}, False, True),
        ("2018-01-01", {}, False, False),
        ("2019-06-01", {"cancer_therapy": True}, False, False),
    ],
)
def test_an_exam_too_soon_is_flagged(before: str, known: dict[str, Any], *, flag: bool, info: bool) -> None:
    """R5.3: below 12 months without a reason; below 24 for information."""
    interpretation = advise(THEN, THEN, before=before, **known)
    assert (Flag.TOO_SOON in [caution.flag for caution in interpretation.cautions]) is flag
    assert (suggestion(interpretation, "R5.3") is not None) is info


def test_too_soon_counts_from_the_last_exam_on_any_scanner() -> None:
    """R5.3"""
    on_another_scanner = exam("2019-06-01", regions=THEN, scanner=ROOM_2)
    interpretation = interpret(exam("2020-01-01", regions=THEN), [on_another_scanner], REFERENCE)
    assert Flag.TOO_SOON in [caution.flag for caution in interpretation.cautions]
    alone = interpret(exam("2020-01-01", regions=THEN), [], REFERENCE)
    assert Flag.TOO_SOON not in [caution.flag for caution in alone.cautions]


def test_an_interval_that_cannot_show_what_is_expected_is_too_short() -> None:
    """R2.21, R5.3: expected change below the LSC; off until a department says what it expects."""
    for expected, soon in ((None, False), (D(0), False), (D(1), True), (D("1.25"), False)):
        interpretation = advise({"L1-L4": "0.9"}, {"L1-L4": "0.9"}, rules=Rules(expected_percent_per_year=expected))
        assert (Flag.TOO_SOON in [caution.flag for caution in interpretation.cautions]) is soon
    without = interpret(
        exam("2020-01-01", regions=THEN),
        [exam("2018-01-01", regions=THEN)],
        ClinicalReference(rules=Rules(expected_percent_per_year=D(1))),
    )
    assert Flag.TOO_SOON not in [caution.flag for caution in without.cautions]


def test_a_loss_asks_for_technique_first_and_then_for_causes() -> None:
    """R5.4: never a drug."""
    interpretation = advise({**THEN, "L1-L4": "0.850"}, THEN)
    found = suggestion(interpretation, "R5.4")
    assert found is not None
    assert found.facts == ("significant loss (spine L1-L4)",)
    assert found.text.index("positioning") < found.text.index("adherence") < found.text.index("referral")
    assert suggestion(advise(THEN, THEN), "R5.4") is None


@pytest.mark.parametrize(
    ("key", "then", "now", "before", "severe"),
    [
        ("L1-L4", "1.000", "0.960", "2019-01-01", False),
        ("L1-L4", "1.000", "0.9599", "2019-01-01", True),
        ("L1-L4", "1.000", "0.900", "2019-04-01", True),
        ("L1-L4", "1.000", "0.900", "2019-04-02", False),
        ("L1-L4", "1.000", "0.900", "2018-07-01", True),
        ("L1-L4", "1.000", "0.900", "2018-06-30", False),
        ("L1-L4", "1.000", "0.900", "2008-01-01", False),
        ("total hip left", "1.000", "0.930", "2019-01-01", False),
        ("total hip left", "1.000", "0.9299", "2019-01-01", True),
    ],
)
def test_a_drop_that_was_published_as_unexpected_is_labelled(
    key: str, then: str, now: str, before: str, *, severe: bool
) -> None:
    """R5.4: 4 % spine, 7 % hip over about a year (S62), 9 to 18 months; how it was measured comes first."""
    interpretation = advise({key: now}, {key: then}, before=before)
    (drop,) = [caution for caution in interpretation.cautions if caution.flag is Flag.UNEXPECTED_DROP]
    check, _, published = drop.text.partition("please check how it was measured first.")
    assert check
    assert ("published as unexpected" in published) is severe
    assert drop.review


def test_a_fracture_on_therapy_asks_for_referral() -> None:
    """R5.4, source text 002."""
    found = suggestion(advise(THEN, THEN, fracture_on_therapy=True), "R5.4")
    assert found is not None
    assert found.text == "consider referral to a specialist."
    both = advise({**THEN, "L1-L4": "0.850"}, THEN, fracture_on_therapy=True)
    assert [s.rule for s in both.suggestions].count("R5.4") == 2
    unknown = advise({**THEN, "L1-L4": "0.850"}, THEN, fracture_on_therapy=None, therapy=None)
    assert {"R5.4", "R3.7"} <= set(lacking(unknown))
    undated = advise({**THEN, "L1-L4": "0.850"}, THEN, therapy=Therapy.ANABOLIC)
    assert "R3.7" in lacking(undated)
    assert "R3.7" not in lacking(advise({**THEN, "L1-L4": "0.850"}, THEN))


def test_where_the_spine_cannot_be_used_other_sites_are_named_in_order() -> None:
    """R5.5: hip, one-third radius, QCT."""
    degenerative = scored(spine="-0.5", neck="-2.6")
    found = suggestion(advise(degenerative), "R5.5")
    assert found is not None
    assert found.text.index("hip") < found.text.index("one-third radius") < found.text.index("QCT")
    for key, hardware in (("L2", False), ("L1-L4", True)):
        few = suggestion(advise({key: "0.9"}, spinal_hardware=hardware), "R5.5")
        assert few is not None
        assert few.facts == ("fewer than two usable vertebrae",)
    assert suggestion(advise({"total hip left": "0.9"}), "R5.5") is None
    assert suggestion(advise({"L1-L4": "0.9"}), "R5.5") is None


def test_hyperparathyroidism_asks_for_the_forearm() -> None:
    """R5.5, R2.17"""
    found = suggestion(advise(THEN, hyperparathyroidism=True), "R5.5")
    assert found is not None
    assert "non-dominant arm" in found.text
    assert lacking(advise(THEN, hyperparathyroidism=None))["R5.5"] == ("hyperparathyroidism",)


@pytest.mark.parametrize(
    ("suspected", "asked", "unknown"), [(True, True, False), (False, False, False), (None, False, True)]
)
def test_the_stress_fracture_path_opens_on_suspicion_only(
    suspected: bool | None, *, asked: bool, unknown: bool
) -> None:
    """R5.6: a radiograph first, then MRI without contrast."""
    interpretation = advise(THEN, stress_fracture_suspected=suspected)
    assert (suggestion(interpretation, "R5.6") is not None) is asked
    assert ("R5.6" in lacking(interpretation)) is unknown


@pytest.mark.parametrize(
    ("hip", "major", "reached"), [("3", "19.9", True), ("2.9", "20", True), ("2.9", "19.9", False)]
)
def test_frax_is_set_beside_the_us_thresholds_and_never_computed(hip: str, major: str, *, reached: bool) -> None:
    """R5.8, C11"""
    interpretation = advise(
        scored(hip="-1.5"), frax_hip_percent=D(hip), frax_major_percent=D(major), frax_source="FRAX US 3.1"
    )
    found = suggestion(interpretation, "R5.8")
    assert found is not None
    assert ("reaches the US thresholds" in found.text) is reached
    assert "FRAX US 3.1" in found.text


@pytest.mark.parametrize(
    ("t_score", "age", "known", "missing"),
    [
        ("-1.5", 60, {"frax_hip_percent": None}, ("FRAX hip",)),
        ("-1.5", 60, {"frax_major_percent": None, "therapy": None}, ("therapy", "FRAX major")),
        ("-1.5", 60, {"therapy": None}, ("therapy",)),
        ("-1.5", 60, {"therapy": Therapy.ANABOLIC, "therapy_since": date(2019, 1, 1)}, None),
        ("-0.5", 60, {"frax_hip_percent": None}, None),
        ("-2.5", 60, {"frax_hip_percent": None}, None),
        ("-1.5", 39, {"frax_hip_percent": None}, None),
        ("-1.5", 91, {"frax_hip_percent": None}, None),
        ("-1.5", None, {"frax_hip_percent": None}, None),
    ],
)
def test_frax_is_asked_for_where_it_applies(
    t_score: str, age: int | None, known: dict[str, Any], missing: tuple[str, ...] | None
) -> None:
    """R5.8: low bone mass, 40 to 90 years, untreated."""
    who = Patient(patient_id="P1", sex=Sex.FEMALE, birth_date=None if age is None else date(2020 - age, 1, 1))
    interpretation = advise(
        exam("2020-01-01", measurement("total hip left", "0.9", t_score=t_score), patient=who), **known
    )
    assert lacking(interpretation).get("R5.8") == missing
    assert suggestion(interpretation, "R5.8") is None


def test_the_offset_for_the_spine_is_added_only_where_switched_on() -> None:
    """R3.12"""
    both = scored(spine="-2.4", neck="-1.2")
    on = suggestion(advise(both, rules=Rules(frax_offset=True), frax_major_percent=D(15)), "R5.8")
    assert on is not None
    assert "major adjusted for the spine 16.5 %" in on.facts
    off = suggestion(advise(both), "R5.8")
    assert off is not None
    assert "adjusted" not in " ".join(off.facts)
    for single in (scored(spine="-2.4"), scored(neck="-1.2")):
        alone = suggestion(advise(single, rules=Rules(frax_offset=True)), "R5.8")
        assert alone is not None
        assert "adjusted" not in " ".join(alone.facts)


def test_risk_factors_on_record_are_listed() -> None:
    """C10, R5.9: body weight below 57.6 kg from the report, the rest from the record."""
    light = exam("2020-01-01", regions=THEN, weight_kg=D("57.5"))
    interpretation = advise(
        light, source="questionnaire", fragility_fracture=True, glucocorticoid_mg=D("2.5"), hyperparathyroidism=True
    )
    assert (
        "Risk factors on record (2019-06-01, questionnaire): fragility fracture, glucocorticoids, hyperparathyroidism, "
        "body weight below 57.6 kg." in interpretation.conclusions
    )
    heavier = advise(exam("2020-01-01", regions=THEN, weight_kg=D("57.6")))
    assert "Risk factors" not in "\n".join(heavier.conclusions)


def test_the_last_record_up_to_the_day_counts() -> None:
    """Section 5.1: a dated record; what was written later was not known, what is written twice is written last."""
    records = [
        ClinicalContext(recorded_on=date(2018, 1, 1), cancer_therapy=True),
        ClinicalContext(recorded_on=date(2019, 1, 1), cancer_therapy=True),
        ClinicalContext(recorded_on=date(2019, 1, 1), cancer_therapy=False),
        ClinicalContext(recorded_on=date(2020, 1, 2), cancer_therapy=True),
    ]
    interpretation = interpret(exam("2020-01-01", regions=THEN), [], ClinicalReference(), contexts=records)
    found = suggestion(interpretation, "R5.1")
    assert found is not None
    assert "2 years" in found.text
    assert "cancer therapy" not in lacking(interpretation)["R5.1"]


def test_every_suggestion_carries_its_source_into_the_words_and_no_rule() -> None:
    """R5: a suggestion for the radiologist to accept; none names a drug."""
    interpretation = advise(
        {"L1-L4": "0.950", "total hip left": "0.750"}, THEN, hyperparathyroidism=True, stress_fracture_suspected=True
    )
    text = "\n".join(interpretation.conclusions)
    for found in interpretation.suggestions:
        assert f"Suggestion: {found.text[0].lower()}{found.text[1:-1]} ({found.source})." in text
        assert found.rule not in text
        assert "source text" not in found.source
    drugs = ("alendron", "zoledron", "denosumab", "teriparatid", "bisphosphonate", "estrogen", "romosozumab")
    assert not any(drug in text.casefold() for drug in drugs)


def test_the_patient_is_never_named() -> None:
    """C1 belongs to the header; a sentence may be logged or shown anywhere."""
    interpretation = advise({"L1-L4": "0.950", "total hip left": "0.750"}, THEN)
    assert PATIENT.patient_id not in " ".join(interpretation.conclusions).replace("HP1", "")
    other = interpret(exam("2020-01-01", regions=THEN), [exam("2018-01-01", regions=THEN, scanner=HOLOGIC)], REFERENCE)
    assert "1950" not in " ".join(other.conclusions)
