"""Every sentence of an addendum is true, stated once, and about something known."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pipeline.clinical.clinical_context import ClinicalContext, FractureSite, Therapy
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import HistoryDoubts, interpret
from pipeline.clinical.model import Exam, Flag, Interpretation, Overall, Patient, QcGap, Sex
from pipeline.sr.author.content import document
from pipeline.sr.author.readback import read_back
from tests.factories.exams import HOLOGIC, LSCS, REFERENCE, ROOM_1, ROOM_2, day, exam, lsc, measurement

SPINE_AND_HIP = {"L1-L4": "0.900", "total hip left": "0.800"}
FOREARM = lsc("33% radius", "0.025")
WITH_FOREARM = ClinicalReference(lscs=(*LSCS, FOREARM))


def on(recorded: str, **known: Any) -> ClinicalContext:
    """A record of one day."""
    return ClinicalContext(recorded_on=day(recorded), **known)


def born(year: int, sex: Sex = Sex.FEMALE) -> Patient:
    """A patient born on the first of January."""
    return Patient(patient_id="P1", birth_date=date(year, 1, 1), sex=sex)


def text(interpretation: Interpretation) -> str:
    """All that is read, the small print included."""
    return " ".join((*interpretation.conclusions, *interpretation.narrative.small_print))


# T-scores


@pytest.mark.parametrize(("who", "told_so"), [(born(1975, Sex.MALE), True), (born(1974, Sex.MALE), False),
                                              (born(1985), True), (born(1950), False)])  # fmt: skip
def test_for_a_patient_classified_by_z_scores_no_t_score_is_written_or_coded(who: Patient, *, told_so: bool) -> None:
    """R4.1: nor doubted, nor given as the reason of a suggestion; the suggestion stands."""
    spine = measurement("L1-L4", "0.950", t_score="-3.6", z_score="-2.4", percent_young_adult="61")
    now = exam("2024-06-01", spine, measurement("L1", "0.950", t_score="-3.6"), patient=who)
    known = on("2024-05-01", glucocorticoid_mg=Decimal(10), glucocorticoid_months=Decimal(6))
    interpretation = interpret(now, [], REFERENCE, contexts=[known])
    coded = read_back(document(interpretation)).regions
    assert ("T-score" not in text(interpretation)) is told_so
    assert ("T_SCORE" not in coded["L1-L4"] and "T_SCORE" not in coded["L1"]) is told_so
    assert ("PYA" not in coded["L1-L4"]) is told_so
    assert "vertebral fracture assessment" in text(interpretation)
    assert coded["L1-L4"]["Z_SCORE"] == ("-2.4",)


def test_a_spine_far_above_the_neck_is_a_sign_in_patients_classified_by_z_scores_too() -> None:
    """R3.11: by the scores the scanner printed."""
    measured = [measurement("L1-L4", "1.2", t_score="0.5", z_score="0.9"), measurement("total hip left", "0.8"),
                measurement("femoral neck left", "0.7", t_score="-2.0", z_score="-1.5")]  # fmt: skip
    then = exam("2022-06-01", regions={"L1-L4": "1.1", "total hip left": "0.8"}, patient=born(1980, Sex.MALE))
    interpretation = interpret(exam("2024-06-01", *measured, patient=born(1980, Sex.MALE)), [then], REFERENCE)
    assert Flag.SUSPECT_ARTEFACT in {caution.flag for caution in interpretation.cautions}


def test_a_reference_is_doubted_only_of_a_t_score_there_is() -> None:
    """R4.5"""
    hip = measurement("total hip left", "0.8", reference_population="male")
    interpretation = interpret(exam("2024-06-01", hip, patient=born(1950, Sex.MALE)), [], REFERENCE)
    assert Flag.MALE_REFERENCE not in {caution.flag for caution in interpretation.cautions}


# Children


@pytest.mark.parametrize("region", ["L1-L4", "total hip left", "total body", "trochanter left"])
def test_a_childs_addendum_states_growth_once_and_bmd_and_z_score(region: str) -> None:
    """R4.1: the total body is a site of children (ISCD paediatric positions)."""
    now = exam("2024-06-01", measurement(region, "0.8504", z_score="-2.1"), patient=born(2010))
    interpretation = interpret(now, [exam("2022-06-01", regions={region: "0.8"}, patient=born(2010))], REFERENCE)
    assert text(interpretation).count("growth must be taken into account") == 1
    assert interpretation.narrative.impression == (
        "No statement on change is possible: below 20 years growth must be taken into account.",
    )
    assert ("BMD 0.850 g/cm2; Z-score -2.1" in text(interpretation)) is (region != "trochanter left")


# What was not supplied


@pytest.mark.parametrize(
    ("known", "missing"),
    [
        ({}, ("therapy", "fractures", "risk factors", "height in youth")),
        ({"fragility_fracture": True, "fracture_site": FractureSite.OTHER}, ("other fractures",)),
        ({"fragility_fracture": False}, ("other fractures",)),
        ({"fragility_fracture": True}, ("other fractures", "fracture site")),
        ({"cancer_therapy": True}, ("other risk factors",)),
        ({"therapy": Therapy.ANABOLIC}, ("start of therapy",)),
    ],
)
def test_nothing_is_called_missing_of_which_a_part_is_on_record(
    known: dict[str, Any], missing: tuple[str, ...]
) -> None:
    """A7: nor is the site of a fracture left unasked for (R4.2)."""
    spine = measurement("L1-L4", "0.98", t_score="-1.6")
    now = exam("2024-06-01", spine, height_cm=Decimal(160), patient=born(1960))
    interpretation = interpret(
        now, [exam("2022-06-01", spine, patient=born(1960))], REFERENCE, contexts=[on("2024-01-01", **known)]
    )
    (line,) = interpretation.narrative.not_supplied
    names = line.removeprefix("Not supplied: ").removesuffix(".").split(", ")
    assert set(missing) <= set(names)
    assert {name.removeprefix("other ") for name in names if name.startswith("other ")}.isdisjoint(names)
    assert ("fracture site" in names) is ("fracture site" in missing)


def test_a_therapy_on_an_old_record_leaves_the_present_one_unknown() -> None:
    """A7, section 5.1"""
    known = on("2015-01-01", therapy=Therapy.ANABOLIC, therapy_since=day("2015-01-01"))
    interpretation = interpret(exam("2024-06-01", regions=SPINE_AND_HIP), [], REFERENCE, contexts=[known])
    assert "present therapy" in interpretation.narrative.not_supplied[0]


@pytest.mark.parametrize(
    ("who", "first"),
    [
        (Patient(patient_id="P1", sex=Sex.FEMALE), "age"),
        (born(1970, Sex.OTHER), "sex as female or male"),
        (born(1970, Sex.UNKNOWN), "sex"),
    ],
)
def test_what_stands_where_the_category_would_is_not_called_missing_again(who: Patient, first: str) -> None:
    """E15: and a T-score that was supplied is never called missing."""
    now = exam("2024-06-01", measurement("L1-L4", "0.98", t_score="-1.6", z_score="-1"), patient=who)
    interpretation = interpret(now, [], REFERENCE)
    assert interpretation.narrative.impression[1] == f"No diagnostic category: {first} not supplied."
    names = interpretation.narrative.not_supplied[0].removeprefix("Not supplied: ").removesuffix(".").split(", ")
    assert {first, "T-score"}.isdisjoint(names)


def test_a_height_that_was_supplied_is_not_called_missing() -> None:
    """A7: what is missing is that of youth."""
    measured = [measurement("L1-L4", "0.98", t_score="-1.6")]
    with_height = interpret(exam("2024-06-01", *measured, height_cm=Decimal(160), patient=born(1960)), [], REFERENCE)
    without = interpret(exam("2024-06-01", *measured, patient=born(1960)), [], REFERENCE)
    assert "height in youth" in with_height.narrative.not_supplied[0]
    assert "height in youth" not in without.narrative.not_supplied[0]
    assert "height" in without.narrative.not_supplied[0]


# Other sites


@pytest.mark.parametrize(
    ("known", "hips", "sentence"),
    [
        ({"left_hip_prosthesis": True}, ("left",), "measure the other hip, else the one-third radius"),
        ({"left_hip_prosthesis": True}, ("left", "right"), "rely on the other hip, else the one-third radius"),
        ({"right_hip_prosthesis": True}, ("right",), "measure the other hip, else the one-third radius"),
        ({"left_hip_prosthesis": True, "right_hip_prosthesis": True}, ("left", "right"), "follow the one-third radius"),
        ({"left_hip_prosthesis": True, "right_hip_prosthesis": True}, ("left",), "follow the one-third radius"),
        ({"left_hip_prosthesis": True, "right_hip_prosthesis": True}, ("mean",), "follow the one-third radius"),
    ],
)
def test_the_other_hip_is_suggested_only_where_there_is_a_valid_one(
    known: dict[str, bool], hips: tuple[str, ...], sentence: str
) -> None:
    """R5.5: then the forearm."""
    regions = {"L1-L4": "0.9", **{f"total hip {side}": "0.8" for side in hips}}
    interpretation = interpret(exam("2024-06-01", regions=regions), [], REFERENCE, contexts=[on("2023-01-01", **known)])
    (suggested,) = [s for s in interpretation.suggestions if s.rule == "R5.5"]
    assert suggested.text.startswith(sentence)
    assert suggested.facts == tuple(
        f"{side} hip not valid" for side in ("left", "right") if known.get(f"{side}_hip_prosthesis")
    )


def test_no_hip_is_relied_upon_where_none_is_valid() -> None:
    """R5.5: and the same is not suggested twice."""
    known = on("2023-01-01", left_hip_prosthesis=True, right_hip_prosthesis=True, spinal_hardware=True)
    interpretation = interpret(exam("2024-06-01", regions=SPINE_AND_HIP), [], REFERENCE, contexts=[known])
    assert [s.text for s in interpretation.suggestions if s.rule == "R5.5"] == [
        "rely on the one-third radius, else QCT."
    ]
    other = interpret(
        exam("2024-06-01", regions=SPINE_AND_HIP), [], REFERENCE, contexts=[on("2023-01-01", spinal_hardware=True)]
    )
    assert [s.text for s in other.suggestions if s.rule == "R5.5"] == [
        "rely on the hip, else the one-third radius, else QCT."
    ]


def test_a_therapy_that_was_ended_within_a_year_is_a_change_of_therapy() -> None:
    """R5.1"""
    now = exam("2024-06-01", regions=SPINE_AND_HIP)
    for ended, year in (("2023-06-01", True), ("2022-06-01", False)):
        interpretation = interpret(
            now, [], REFERENCE, contexts=[on(ended, therapy=Therapy.NONE, therapy_since=day(ended))]
        )
        assert ("therapy begun or changed within a year" in text(interpretation).partition("Not evaluated")[0]) is year


# The first sentence


def three(
    now: dict[str, str], prior: dict[str, str], first: dict[str, str], *, last: str = "2024-05-01"
) -> Interpretation:
    """An exam of June 2024 beside one of May (or another day) and one of 2022."""
    return interpret(
        exam("2024-06-01", regions=now),
        [exam(last, regions=prior), exam("2022-06-01", regions=first)],
        WITH_FOREARM,
    )


@pytest.mark.parametrize(("spine", "since"), [("0.850", "significant loss"), ("0.950", "significant gain"),
                                              ("0.900", "no significant change")])  # fmt: skip
def test_a_result_since_the_baseline_is_stated_where_there_is_none_since_the_prior(spine: str, since: str) -> None:
    """R3.3: and no sentence calls impossible what it states."""
    interpretation = three({"L1-L4": spine, "total hip left": "0.800"}, SPINE_AND_HIP, SPINE_AND_HIP)
    assert interpretation.overall is Overall.INDETERMINATE
    first = interpretation.narrative.impression[0]
    assert first.startswith("No statement on change since 2024-05-01 is possible: too little time has passed; ")
    assert f"{since} since 2022-06-01" in first
    assert "not counted" not in " ".join(interpretation.narrative.findings)


def test_a_region_without_a_part_in_the_result_since_the_baseline_makes_that_partial() -> None:
    """R3.9: the hip fell too fast since the baseline, not since the prior."""
    interpretation = three(
        {"L1-L4": "0.900", "total hip left": "0.500"}, {"L1-L4": "0.900", "total hip left": "0.510"}, SPINE_AND_HIP,
        last="2023-05-01",
    )  # fmt: skip
    assert (interpretation.overall, interpretation.overall_since_baseline) == (Overall.STABLE, Overall.STABLE)
    first = interpretation.narrative.impression[0]
    assert "the result since the baseline is partial: the hip has a change that must not be counted" in first
    assert "the overall result is partial" not in first
    assert first.endswith("subject to review: implausible change.")
    assert "fitted trend" not in text(interpretation)
    both = three(
        {"L1-L4": "0.900", "total hip left": "0.300"}, {"L1-L4": "0.900", "total hip left": "0.510"}, SPINE_AND_HIP,
        last="2023-05-01",
    )  # fmt: skip
    assert both.narrative.impression[0].count("partial") == 1


def test_a_category_that_rests_on_a_doubted_scan_is_marked() -> None:
    """R3.1"""
    hip = {"t_score": "-3.2"}
    now = exam("2024-06-01", measurement("L1-L4", "0.9", t_score="-2.3"), measurement("total hip left", "0.6", **hip))
    interpretation = interpret(now, [exam("2023-05-01", regions={"L1-L4": "0.9", "total hip left": "0.9"})], REFERENCE)
    assert interpretation.narrative.impression[1].endswith("(left total hip); subject to review: implausible change.")


def test_each_reason_is_stated_once_for_all_regions_and_days() -> None:
    """E17"""
    soon = three(SPINE_AND_HIP, SPINE_AND_HIP, SPINE_AND_HIP)
    assert soon.narrative.impression[-1].startswith("Spine L1-L4, left total hip: less than 3 months since 2024-05-01;")
    visits = [exam("2020-06-01", regions=SPINE_AND_HIP, scanner=ROOM_2),
              exam("2022-06-01", regions=SPINE_AND_HIP, scanner=HOLOGIC)]  # fmt: skip
    interpretation = interpret(exam("2024-06-01", regions=SPINE_AND_HIP), visits, REFERENCE)
    assert interpretation.narrative.impression[0] == (
        "No statement on change is possible: each earlier exam was made on another scanner (2022-06-01, 2020-06-01)."
    )


def test_a_percent_is_named_with_the_vertebrae_it_was_found_on() -> None:
    """R2.12, E23"""
    now = exam("2024-06-01", regions={"L1-L4": "0.860", "L2-L4": "0.880"})
    interpretation = interpret(now, [exam("2022-06-01", regions={"L2-L4": "0.930"})], REFERENCE)
    assert "significant loss since 2022-06-01 (spine L2-L4 -5.4 %)" in interpretation.narrative.impression[
        0
    ].lower().replace("l2-l4", "L2-L4")


def test_bmd_is_printed_with_three_decimals() -> None:
    """Section 6: whatever the scanner wrote."""
    interpretation = interpret(
        exam("2024-06-01", regions={"L1-L4": "0.9"}), [exam("2022-06-01", regions={"L1-L4": "1"})], REFERENCE
    )
    assert "BMD 0.900 g/cm2; significant loss since prior -0.100 g/cm2" in text(interpretation)


# Doubts


def doubtful(region: str) -> list[tuple[str, Exam, Exam, dict[str, Any]]]:
    """One doubt after the other: its words, an exam, its prior, and what is known beside."""

    def pair(now: dict[str, Any], then: dict[str, Any]) -> tuple[Exam, Exam]:
        on_region = {"scan_mode", "analysis_protocol", "area", "bmc"}
        made = []
        for year, given in (("2024", now), ("2022", then)):
            of_exam = {key: value for key, value in given.items() if key not in on_region}
            of_region = {key: value for key, value in given.items() if key in on_region}
            made.append(exam(f"{year}-06-01", measurement(region, "0.800", **of_region), **of_exam))
        return made[0], made[1]

    plain = pair({}, {})
    gap = QcGap(scanner=ROOM_1, begins=day("2024-05-01"), ends=day("2024-07-01"), reason="phantom")
    quality = replace(WITH_FOREARM, qc_gaps=(gap,))
    uids = [plain[0].study_instance_uid]
    return [
        ("software changed", *pair({"software": "17.0"}, {"software": "16.0"}), {}),
        ("scan mode or analysis changed", *pair({"scan_mode": "fast"}, {"scan_mode": "array"}), {}),
        ("scan mode or analysis changed", *pair({"analysis_protocol": "a"}, {"analysis_protocol": "b"}), {}),
        ("height changed", *pair({"height_cm": Decimal(155)}, {"height_cm": Decimal(160)}), {}),
        ("weight changed", *pair({"weight_kg": Decimal(80)}, {"weight_kg": Decimal(60)}), {}),
        ("quality control of the scanner not verified", *plain, {"reference": quality}),
        ("sent by a system new to this scanner", *plain, {"doubts": HistoryDoubts(unconfirmed=uids)}),
        ("date of an exam not confirmed", *plain, {"doubts": HistoryDoubts(late=uids)}),
    ]


@pytest.mark.parametrize("region", ["L1-L4", "total hip right", "femoral neck left", "33% radius left"])
@pytest.mark.parametrize("number", range(8))
def test_every_doubt_about_a_counted_region_is_in_the_first_sentence(region: str, number: int) -> None:
    """E22: whatever the site; and none where there is none."""
    words, now, then, more = doubtful(region)[number]
    interpretation = interpret(now, [then], **({"reference": WITH_FOREARM} | more))
    assert interpretation.narrative.impression[0].endswith(f"subject to review: {words}.")
    plain = interpret(
        exam("2024-06-01", regions={region: "0.8"}),
        [exam("2022-06-01", regions={region: "0.8"})],
        WITH_FOREARM,
    )
    assert "subject to review" not in plain.narrative.impression[0]


def test_a_doubt_about_a_region_that_counts_since_the_baseline_alone_is_in_the_first_sentence() -> None:
    """E22"""
    visits = [exam("2024-05-01", regions=SPINE_AND_HIP, software="17.0"), exam("2022-06-01", regions=SPINE_AND_HIP)]
    interpretation = interpret(exam("2024-06-01", regions=SPINE_AND_HIP, software="17.0"), visits, REFERENCE)
    assert interpretation.narrative.impression[0].endswith("; subject to review: software changed.")


def test_who_sent_an_exam_and_its_day_are_doubted_by_name() -> None:
    """R2.1, R2.21: of the exam and of those it was compared with."""
    now, then = exam("2024-06-01", regions=SPINE_AND_HIP), exam("2022-06-01", regions=SPINE_AND_HIP)
    uids = [now.study_instance_uid, then.study_instance_uid]
    interpretation = interpret(now, [then], REFERENCE, doubts=HistoryDoubts(unconfirmed=uids, late=uids[1:]))
    assert {Flag.NEW_CALLER, Flag.DATE_LATE} <= {caution.flag for caution in interpretation.cautions if caution.review}
    assert "The exam of 2024-06-01, 2022-06-01 was sent by a system" in text(interpretation)
    assert "The exam of 2022-06-01 was received long after its date" in text(interpretation)


# Reference population


def test_the_reference_population_is_named_where_the_scanner_states_it() -> None:
    """R4.5: race-based or not; not stated for an invalid site."""
    spine = measurement("L1-L4", "0.9", t_score="-2", reference_population="USA  (Black female)")
    hip = measurement("total hip left", "0.8", t_score="-2", reference_population="NHANES III")
    interpretation = interpret(exam("2024-06-01", spine, hip), [exam("2022-06-01", spine, hip)], REFERENCE)
    assert (
        "Reference population: USA (Black female) (spine L1-L4); NHANES III (left total hip)."
        in interpretation.narrative.basis
    )
    one = interpret(exam("2024-06-01", spine), [], REFERENCE)
    assert "Reference population: USA (Black female)." in one.narrative.basis
    invalid = interpret(
        exam("2024-06-01", spine, hip), [], REFERENCE, contexts=[on("2024-01-01", spinal_hardware=True)]
    )
    assert "Black" not in text(invalid)
    other = replace(spine, reference_population="USA (White female)")
    changed = interpret(exam("2024-06-01", spine), [exam("2022-06-01", other)], REFERENCE)
    assert text(changed).count("Black female") == 1


@pytest.mark.parametrize(("then", "doubted"), [("White", True), ("", False), ("BLACK", False)])
def test_a_change_of_category_by_another_reference_population_is_marked(then: str, *, doubted: bool) -> None:
    """R4.5: as the scores of the two exams do not compare; on whichever scanner."""
    spine = measurement("L1-L4", "0.9", t_score="-2.6", reference_population="Black")
    before = measurement("L1-L4", "0.9", t_score="-2.2", reference_population=then)
    for scanner in (ROOM_1, ROOM_2):
        interpretation = interpret(exam("2024-06-01", spine), [exam("2022-06-01", before, scanner=scanner)], REFERENCE)
        sentence = interpretation.narrative.impression[1]
        assert sentence.startswith("Diagnostic category changed")
        assert sentence.endswith("; subject to review: reference population changed.") is doubted


# The rest


def test_each_record_of_risk_factors_is_listed_with_its_day_and_source() -> None:
    """C10: an empty source leaves no trace."""
    known = [on("2023-01-01", hyperparathyroidism=True, source="order"), on("2024-01-01", cancer_therapy=True)]
    interpretation = interpret(exam("2024-06-01", regions=SPINE_AND_HIP), [], REFERENCE, contexts=known)
    assert "Risk factors on record (2024-01-01): cancer therapy; (2023-01-01, order): hyperparathyroidism." in text(
        interpretation
    )
