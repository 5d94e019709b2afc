"""The overall result of spine and hip, and its cautions (R3)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pipeline.clinical.age import age_on
from pipeline.clinical.clinical_context import ClinicalContext, Therapy
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Exam, Flag, Interpretation, Overall, Patient
from pipeline.clinical.rules import Rules
from tests.factories.exams import PATIENT, REFERENCE, exam, measurement

D = Decimal
YOUNG = Patient(patient_id="P1", issuer="HOSPITAL", birth_date=date(1960, 1, 1), sex=PATIENT.sex)
THEN = {"L1-L4": "0.900", "total hip left": "0.800"}
SPINE_GAIN = {"L1-L4": "0.930", "total hip left": "0.800"}


def interpreted(now: Exam, then: Exam, contexts: Sequence[ClinicalContext] = (), **reference: Any) -> Interpretation:
    return interpret(now, [then], replace(REFERENCE, **reference), contexts=contexts)


def flags(interpretation: Interpretation) -> list[Flag]:
    return [caution.flag for caution in interpretation.cautions]


def suspicion(interpretation: Interpretation) -> str:
    """The text that makes the spine suspect, or nothing."""
    return next((c.text for c in interpretation.cautions if c.flag is Flag.SPINE_SUSPECT), "")


def test_age_is_counted_in_whole_years_or_taken_from_the_scanner() -> None:
    assert age_on(exam("2020-05-04")) == 69
    assert age_on(exam("2020-05-05")) == 70
    ageless = Patient(patient_id="P1")
    assert age_on(exam("2020-05-05", patient=ageless, age=D("64.4"))) == D("64.4")
    assert age_on(exam("2020-05-05", patient=ageless)) is None
    unborn = Patient(patient_id="P1", birth_date=date(2030, 1, 1))
    assert age_on(exam("2020-05-05", patient=unborn)) is None


def test_one_sign_is_not_enough_to_doubt_the_spine() -> None:
    """R3.11: two are."""
    then = exam("2018-01-01", regions=THEN, patient=YOUNG)
    young = interpreted(exam("2020-01-01", regions=SPINE_GAIN, patient=YOUNG), then)
    assert (young.overall, suspicion(young)) == (Overall.IMPROVED, "")
    assert interpreted(
        exam("2020-01-01", regions=SPINE_GAIN, patient=YOUNG), then, rules=Rules(degenerative_signs=1)
    ).overall


def test_at_65_the_hip_is_preferred_and_a_spine_that_gains_alone_is_not_yet_doubted() -> None:
    """R3.10, R3.11: without a sign seen in the scans age and an isolated gain are not enough to doubt it."""
    old = interpreted(exam("2020-01-01", regions=SPINE_GAIN), exam("2018-01-01", regions=THEN))
    assert old.overall is Overall.IMPROVED
    assert suspicion(old) == ""
    assert Flag.HIP_PREFERRED in flags(old)
    assert Flag.SPINE_SUSPECT not in flags(old)
    both = interpreted(
        exam("2020-01-01", regions={"L1-L4": "0.930", "total hip left": "0.830"}), exam("2018-01-01", regions=THEN)
    )
    assert Flag.HIP_PREFERRED not in flags(both)
    alone = interpreted(exam("2020-01-01", regions={"L1-L4": "0.930"}), exam("2018-01-01", regions=THEN))
    assert suspicion(alone) == ""
    assert Flag.HIP_PREFERRED not in flags(alone)


@pytest.mark.parametrize(
    ("now", "then", "sign"),
    [
        (
            [measurement("L1-L4", "0.930", area="42.0")],
            [measurement("L1-L4", "0.900", area="40.0")],
            "bone area changed by much",
        ),
        (
            [
                measurement("L1-L4", "0.930"),
                measurement("L1", "1.0", t_score="-2"),
                measurement("L2", "1", t_score="0"),
            ],
            [measurement("L1-L4", "0.900")],
            "adjacent vertebrae more than 1.0 apart in T-score",
        ),
        (
            [measurement("L1-L4", "0.930", t_score="0.0"), measurement("femoral neck left", "0.7", t_score="-2.0")],
            [measurement("L1-L4", "0.900")],
            "spine T-score at least 2.0 above that of the neck",
        ),
        (
            [
                measurement("L1-L4", "0.930"),
                *(measurement(k, v) for k, v in zip(("L1", "L2", "L3"), ("0.9", "0.8", "0.8"), strict=True)),
            ],
            [measurement("L1-L4", "0.900"), *(measurement(k, "0.85") for k in ("L1", "L2", "L3"))],
            "one vertebra rising while the others fall",
        ),
    ],
)
@pytest.mark.parametrize(
    ("hip_now", "overall"),
    [
        ("0.800", Overall.STABLE),
        ("0.770", Overall.DECLINED),
        ("0.830", Overall.IMPROVED),
        (None, Overall.INDETERMINATE),
    ],
)
def test_the_gain_of_a_suspect_spine_is_left_out_and_the_hip_speaks(
    now: list[Any], then: list[Any], sign: str, hip_now: str | None, overall: Overall
) -> None:
    """R3.9, R3.11: partial, with the suspicion of an artefact; discordant only where another site lost."""
    hip = [measurement("total hip left", hip_now)] if hip_now else []
    before = [measurement("total hip left", "0.800")]
    found = interpreted(exam("2020-01-01", *now, *hip), exam("2018-01-01", *then, *before))
    assert (found.overall, found.overall_since_baseline) == (overall, overall)
    assert sign in suspicion(found)
    assert {Flag.SUSPECT_ARTEFACT} <= set(flags(found))
    assert (Flag.PARTIAL in flags(found)) is bool(hip)
    assert "gain at the spine is not counted" in " ".join(c.text for c in found.cautions)
    assert all(f.measurement.region.part != "spine" for f in found.counted)


def test_a_single_vertebra_that_rises_is_a_sign_only_by_an_lsc_and_alone() -> None:
    """R3.11: after a published L1 compression fracture."""
    for levels, seen in (
        (("0.872", "0.84", "0.84"), False),
        (("0.873", "0.84", "0.84"), True),
        (("0.9", "0.85", "0.84"), False),
        (("0.9", "0.84"), False),
    ):
        now = [measurement(key, bmd) for key, bmd in zip(("L1", "L2", "L3"), levels, strict=False)]
        then = [measurement(key, "0.85") for key in ("L1", "L2", "L3")]
        exams = exam("2020-01-01", *now, regions=THEN), exam("2018-01-01", *then, regions=THEN)
        assert ("one vertebra rising" in suspicion(interpreted(*exams))) is seen
        assert "one vertebra rising" not in suspicion(interpreted(*exams, lscs=()))


def test_the_only_borderline_one_of_many_comparisons_may_be_chance() -> None:
    """R3.6: 9.75 % for two sites, 14.3 % for three."""
    then = exam("2018-01-01", regions=THEN)
    assert Flag.ONE_OF_MANY in flags(interpreted(exam("2020-01-01", regions={**THEN, "L1-L4": "0.875"}), then))
    assert Flag.ONE_OF_MANY not in flags(interpreted(exam("2020-01-01", regions={**THEN, "L1-L4": "0.870"}), then))
    assert Flag.ONE_OF_MANY not in flags(interpreted(exam("2020-01-01", regions={"L1-L4": "0.875"}), then))
    two = {"L1-L4": "0.875", "total hip left": "0.830"}
    assert Flag.ONE_OF_MANY not in flags(interpreted(exam("2020-01-01", regions=two), then))
    history = [exam("2018-01-01", regions={"L1-L4": "0.880"}), exam("2016-01-01", regions={"L1-L4": "0.900"})]
    both = interpret(exam("2020-01-01", regions={"L1-L4": "0.875"}), history, REFERENCE)
    assert Flag.ONE_OF_MANY in flags(both)


@pytest.mark.parametrize(
    ("therapy", "since", "told_so"),
    [
        (Therapy.ANTIRESORPTIVE, date(2018, 3, 1), True),
        (Therapy.ANTIRESORPTIVE, date(2017, 10, 1), True),
        (Therapy.ANTIRESORPTIVE, date(2017, 9, 30), False),
        (Therapy.ANTIRESORPTIVE, date(2019, 7, 1), True),
        (Therapy.ANTIRESORPTIVE, date(2019, 7, 2), False),
        (Therapy.NONE, date(2018, 3, 1), False),
        (Therapy.ANABOLIC, None, False),
        (None, None, False),
    ],
)
def test_a_first_loss_on_therapy_wants_confirmation(
    therapy: Therapy | None, since: date | None, *, told_so: bool
) -> None:
    """R3.7: regression to the mean (Cummings 2000)."""
    context = ClinicalContext(recorded_on=date(2019, 1, 1), therapy=therapy, therapy_since=since)
    now, then = exam("2020-01-01", regions={**THEN, "L1-L4": "0.800"}), exam("2018-01-01", regions=THEN)
    found = interpreted(now, then, contexts=[context])
    assert (Flag.REGRESSION_TO_THE_MEAN in flags(found)) is told_so
    stable = interpreted(exam("2020-01-01", regions=THEN), then, contexts=[context])
    assert Flag.REGRESSION_TO_THE_MEAN not in flags(stable)


ON_THERAPY: dict[str, Any] = {
    "therapy": Therapy.ANTIRESORPTIVE,
    "therapy_since": date(2015, 1, 1),
    "fracture_on_therapy": False,
}


@pytest.mark.parametrize(
    ("now", "then", "known", "claimed"),
    [
        (THEN, THEN, {}, True),
        ({"L1-L4": "0.930", "total hip left": "0.830"}, THEN, {}, True),
        (THEN, THEN, {"therapy_since": date(2018, 1, 1)}, True),
        (THEN, THEN, {"therapy_since": date(2018, 1, 2)}, False),
        (THEN, THEN, {"therapy_since": date(2019, 1, 2)}, False),
        (THEN, THEN, {"therapy_since": None}, False),
        (THEN, THEN, {"therapy": Therapy.NONE}, False),
        (THEN, THEN, {"therapy": None}, False),
        (THEN, THEN, {"fracture_on_therapy": True}, False),
        (THEN, THEN, {"fracture_on_therapy": None}, False),
        (THEN, THEN, {"fracture_on_therapy": None, "fragility_fracture": False}, True),
        ({**THEN, "L1-L4": "0.800"}, THEN, {}, False),
        ({"L1-L4": "0.900"}, THEN, {}, False),
        ({"total hip left": "0.800"}, THEN, {}, False),
        ({**THEN, "femoral neck left": "0.600"}, {**THEN, "femoral neck left": "0.700"}, {}, False),
    ],
)
def test_response_is_claimed_only_where_nothing_speaks_against_it(
    now: dict[str, str], then: dict[str, str], known: dict[str, Any], *, claimed: bool
) -> None:
    """R3.9: a year of therapy, there at the prior; both sites judged, no loss, and no fracture by the record."""
    context = ClinicalContext(recorded_on=date(2019, 12, 1), **(ON_THERAPY | known))
    found = interpreted(exam("2020-01-01", regions=now), exam("2018-01-01", regions=then), contexts=[context])
    assert found.response is claimed
    assert ("response" in "\n".join(found.conclusions)) is claimed
    unknown = known.get("fracture_on_therapy", False) is None and "fragility_fracture" not in known
    assert ("R3.9" in [rule.rule for rule in found.not_evaluated]) is unknown


def test_a_loss_since_baseline_or_since_the_start_of_therapy_forbids_response() -> None:
    """R3.3, R3.9: stable since the prior is no response where bone was lost before."""
    context = ClinicalContext(recorded_on=date(2019, 12, 1), **(ON_THERAPY | {"therapy_since": date(2016, 1, 1)}))
    start, prior, now = ("0.950", "0.925", "0.910")
    visits = [
        exam(on, regions={"L1-L4": bmd, "total hip left": "0.800"})
        for on, bmd in (("2012-01-01", "0.905"), ("2016-01-01", start), ("2018-01-01", prior))
    ]
    today = exam("2020-01-01", regions={"L1-L4": now, "total hip left": "0.800"})
    found = interpret(today, visits, REFERENCE, contexts=[context])
    assert (found.overall, found.overall_since_baseline) == (Overall.STABLE, Overall.STABLE)
    assert found.response is False
    without = interpret(today, [visits[0], visits[2]], REFERENCE, contexts=[context])
    assert without.response is True
    slow = interpret(today, visits[1:], REFERENCE, contexts=[context])
    assert (slow.overall, slow.overall_since_baseline, slow.response) == (Overall.STABLE, Overall.DECLINED, False)


def test_a_line_through_three_exams_is_secondary_information() -> None:
    """R3.5: with the facility's precision error; never with two exams, without an LSC, or a result of its own."""
    history = [exam("2018-01-01", regions={"L1-L4": "0.835"}), exam("2016-01-01", regions={"L1-L4": "0.850"})]
    found = interpret(exam("2020-01-01", regions={"L1-L4": "0.815"}), history, REFERENCE)
    (fitted,) = found.trends
    assert (fitted.exams, fitted.since, fitted.significant) == (3, date(2016, 1, 1), True)
    assert abs(fitted.slope - D("-0.00875")) < D("0.00001")
    sentence = (
        "Spine L1-L4: over 3 exams since 2016-01-01 the fitted trend is -0.0088 g/cm2 per year (secondary information)."
    )
    assert found.narrative.small_print[0] == sentence
    assert "fitted trend" not in "\n".join(found.conclusions)
    flat = interpret(exam("2020-01-01", regions={"L1-L4": "0.840"}), history, REFERENCE)
    assert [line.agrees for line in (*found.trends, *flat.trends)] == [True, False]
    assert "fitted trend" not in "\n".join(flat.narrative.small_print)
    assert interpret(exam("2020-01-01", regions={"L1-L4": "0.815"}), history[:1], REFERENCE).trends == ()
    assert interpret(exam("2020-01-01", regions={"L1-L4": "0.815"}), history, ClinicalReference()).trends == ()
