"""Cautions about scans and comparisons (R1, R2, R7)."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pipeline.clinical.cautions import body_mass_index
from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Exam, Finding, Flag, Measurement, QcGap
from pipeline.clinical.regions import Side
from pipeline.clinical.rules import Rules
from tests.factories.exams import REFERENCE, ROOM_1, ROOM_2, day, epoch, exam, lsc, measurement

D = Decimal


def finding(now: Exam, then: Exam, **reference: Any) -> Finding:
    """The first finding of an exam beside one earlier exam."""
    return interpret(now, [then], replace(REFERENCE, **reference)).findings[0]


def flagged(now: Exam, then: Exam, flag: Flag, **reference: Any) -> str | None:
    """``review``, ``note``, or nothing for one flag."""
    found = [caution for caution in finding(now, then, **reference).cautions if caution.flag is flag]
    return None if not found else "review" if found[0].review else "note"


def pair(key: str, then: dict[str, str], now: dict[str, str], bmd: str = "0.900") -> tuple[Exam, Exam]:
    """One region two years apart."""
    return exam("2020-01-01", measurement(key, bmd, **now)), exam("2018-01-01", measurement(key, "0.900", **then))


def spine(on: str, *content: str, total: str = "0.900") -> Exam:
    """L1-L4 and its vertebrae of 10 cm2 each, with their content in g."""
    levels = [
        measurement(level, str(round(D(bmc) / 10, 3)), bmc=bmc, area="10")
        for level, bmc in zip(("L1", "L2", "L3", "L4"), content, strict=True)
    ]
    return exam(on, measurement("L1-L4", total), *levels)


@pytest.mark.parametrize(
    ("key", "then", "now", "expected"),
    [
        ("L1-L4", "40", "40.7", None),
        ("L1-L4", "40", "40.8", "note"),
        ("L1-L4", "60", "61", "note"),
        ("L1-L4", "60", "60.9", None),
        ("L1-L4", "40", "38", "review"),
        ("femoral neck left", "5.00", "5.09", None),
        ("femoral neck left", "5.00", "5.10", "note"),
        ("femoral neck left", "5.00", "5.25", "review"),
        ("total hip left", "30", "33", "note"),
        ("33% radius left", "3", "4", None),
    ],
)
def test_another_bone_area_is_flagged_and_never_blocks(key: str, then: str, now: str, expected: str | None) -> None:
    """R2.15: 2 % or 1 cm2 is a note, 5 % at spine and neck asks for a review, the total hip is a note only."""
    assert flagged(*pair(key, {"area": then}, {"area": now}), Flag.AREA_CHANGED) == expected


def test_a_common_caution_stays_out_of_the_words_unless_it_wants_a_look() -> None:
    """R2.15: every second scan pair breaches 2 %."""
    for area, stated in (("41", False), ("44", True)):
        now, then = pair("L1-L4", {"area": "40"}, {"area": area})
        text = "\n".join(interpret(now, [then], REFERENCE).conclusions)
        assert ("bone area differs" in text) is stated


@pytest.mark.parametrize(
    ("then", "now", "bmd", "expected"),
    [
        (("40", "40"), ("36.6", "38.6"), "0.900", "review"),
        (("40", "40"), ("38.1", "38.6"), "0.900", None),
        (("40", "40"), ("36.6", "38.9"), "0.900", None),
        (("40", "40"), ("36.6", "41.6"), "0.900", None),
        (("40", "40"), ("43.4", "41.4"), "0.900", "review"),
        (("40", "40"), ("36.6", "38.6"), "0.840", None),
    ],
)
def test_content_and_area_that_move_together_suggest_other_levels(
    then: tuple[str, str], now: tuple[str, str], bmd: str, expected: str | None
) -> None:
    """R2.14: content by 5 %, area by 3 %, the same way, and BMD much less."""
    exams = pair(
        "L1-L4", dict(zip(("bmc", "area"), then, strict=True)), dict(zip(("bmc", "area"), now, strict=True)), bmd
    )
    assert flagged(*exams, Flag.LEVEL_SHIFT_SUSPECTED) == expected


def test_vertebrae_that_hold_what_their_neighbours_held_suggest_other_levels() -> None:
    """R2.14: T12 called L1, then or now."""
    before = spine("2018-01-01", "8", "10", "12", "14")
    for today, expected in (
        (spine("2020-01-01", "8.1", "10.1", "12.1", "14.1"), None),
        (spine("2020-01-01", "6", "8", "10", "12"), "review"),
        (spine("2020-01-01", "10", "12", "14", "16"), "review"),
        (exam("2020-01-01", measurement("L1-L4", "0.900")), None),
    ):
        assert flagged(today, before, Flag.LEVEL_SHIFT_SUSPECTED) == expected


@pytest.mark.parametrize(("height", "expected"), [("164", None), ("164.1", "review"), ("155.9", "review")])
def test_a_height_that_changed_may_be_another_patient(height: str, expected: str | None) -> None:
    """R2.19: more than 4 cm."""
    now, then = (
        exam(on, regions={"L1-L4": "0.9"}, height_cm=D(cm))
        for on, cm in (("2020-01-01", height), ("2018-01-01", "160"))
    )
    assert flagged(now, then, Flag.HEIGHT_CHANGED) == expected


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [("60", "65", None), ("60", "65.1", "note"), ("60", "66.1", "review"), ("30", "33.1", "review")],
)
def test_a_weight_that_changed_is_flagged(then: str, now: str, expected: str | None) -> None:
    """R2.20: more than 5 kg, and a look above 10 %."""
    exams = [
        exam(on, regions={"L1-L4": "0.9"}, weight_kg=D(kg)) for on, kg in (("2020-01-01", now), ("2018-01-01", then))
    ]
    assert flagged(exams[0], exams[1], Flag.WEIGHT_CHANGED) == expected


def test_the_spine_of_a_large_patient_is_less_precise() -> None:
    """R1.17: BMI above 30."""
    then = exam("2018-01-01", regions={"L1-L4": "0.9", "total hip left": "0.8"})
    for weight, expected in (("76.8", None), ("76.9", "note")):
        now = exam("2020-01-01", regions={"L1-L4": "0.9"}, weight_kg=D(weight), height_cm=D(160))
        assert flagged(now, then, Flag.HIGH_BMI) == expected
    hip = exam("2020-01-01", regions={"total hip left": "0.8"}, weight_kg=D(90), height_cm=D(160))
    assert flagged(hip, then, Flag.HIGH_BMI) is None
    assert body_mass_index(exam("2020-01-01", weight_kg=D(90))) is None


@pytest.mark.parametrize(("on", "expected"), [("2018-12-31", "note"), ("2019-01-01", None)])
def test_a_short_interval_is_flagged(on: str, expected: str | None) -> None:
    """R2.21: less than 12 months."""
    assert (
        flagged(exam(on, regions={"L1-L4": "0.9"}), exam("2018-01-01", regions={"L1-L4": "0.9"}), Flag.INTERVAL_SHORT)
        == expected
    )


def test_another_scan_mode_wants_a_look() -> None:
    """R2.5"""
    for then, mode, expected in (("fast", "array", "review"), ("fast", "fast", None), ("", "fast", None)):
        assert flagged(*pair("L1-L4", {"scan_mode": then}, {"scan_mode": mode}), Flag.SCAN_MODE_CHANGED) == expected
    shared = exam("2018-01-01", measurement("L2-L4", "0.9", scan_mode="fast"))
    now = exam("2020-01-01", measurement("L1-L4", "0.9", scan_mode="array"), measurement("L2-L4", "0.9"))
    assert flagged(now, shared, Flag.SCAN_MODE_CHANGED) is None


def test_another_protocol_of_analysis_needs_review_and_is_flagged_beside_another_mode() -> None:
    """R2.5: a spine of low density is analysed by another protocol."""
    usual, low = "Spine", "Spine (auto low density)"
    for then, now, expected in ((usual, low, "review"), (low, low, None), ("", low, None), (low, "", None)):
        exams = pair("L1-L4", {"analysis_protocol": then}, {"analysis_protocol": now})
        assert flagged(*exams, Flag.SCAN_MODE_CHANGED) == expected
    then_texts = {"analysis_protocol": usual, "scan_mode": "array"}
    both = finding(*pair("L1-L4", then_texts, {"analysis_protocol": low, "scan_mode": "fast"}))
    assert [caution.text for caution in both.cautions if caution.flag is Flag.SCAN_MODE_CHANGED] == [
        "Spine L1-L4: scan mode was array on 2018-01-01 and is fast now.",
        "Spine L1-L4: analysis protocol was Spine on 2018-01-01 and is Spine (auto low density) now.",
    ]


def test_adjacent_vertebrae_with_distant_t_scores_are_flagged_and_kept() -> None:
    """R2.13: more than 1.0 from the adjacent vertebra, never from any other; nothing is excluded."""
    scores = {"L1": "-1.0", "L2": "-0.5", "L3": "0.0", "L4": "0.5"}
    levels = [measurement(level, "0.9", t_score=score) for level, score in scores.items()]
    then = exam("2018-01-01", regions={"L1-L4": "0.9"})
    assert flagged(exam("2020-01-01", measurement("L1-L4", "0.9"), *levels), then, Flag.VERTEBRA_OUTLIER) is None
    levels[3] = measurement("L4", "0.9", t_score="1.1")
    found = finding(exam("2020-01-01", measurement("L1-L4", "0.9"), *levels), then)
    (outlier,) = [caution for caution in found.cautions if caution.flag is Flag.VERTEBRA_OUTLIER]
    assert outlier.text.startswith("L3 and L4 differ by more than 1.0")
    assert str(found.measurement.region) == "L1-L4"
    distant = [measurement(level, "0.9", t_score=score) for level, score in (("L1", "-2"), ("L3", "0"), ("L4", "0"))]
    assert flagged(exam("2020-01-01", measurement("L1,L3-L4", "0.9"), *distant), then, Flag.VERTEBRA_OUTLIER) == "note"
    gap = [measurement("L1", "0.9", t_score="-2"), measurement("L2", "0.9"), measurement("L3", "0.9", t_score="0")]
    assert flagged(exam("2020-01-01", measurement("L1-L3", "0.9"), *gap), then, Flag.VERTEBRA_OUTLIER) is None


@pytest.mark.parametrize(
    ("noted", "flagged_regions"),
    [
        ({"calcium_tablet": True}, {"L1-L4"}),
        ({"contrast": True}, {"L1-L4", "total hip left", "total hip right"}),
        ({"spinal_hardware": True}, {"L1-L4"}),
        ({"spine_artefact": True}, {"L1-L4"}),
        ({"left_hip_prosthesis": True}, {"total hip left"}),
        ({"right_hip_prosthesis": True}, {"total hip right"}),
        ({"right_hip_prosthesis": False}, set()),
    ],
)
def test_what_invalidates_a_scan_is_flagged_at_its_site(noted: dict[str, bool], flagged_regions: set[str]) -> None:
    """R2.22"""
    context = ClinicalContext(recorded_on=date(2020, 1, 1), **noted)  # type: ignore[arg-type] # only flags
    regions = dict.fromkeys(("L1-L4", "total hip left", "total hip right", "33% radius left"), "0.9")
    findings = interpret(exam("2020-01-01", regions=regions), [], ClinicalReference(), contexts=[context]).findings
    assert {str(f.measurement.region) for f in findings if f.cautions} == flagged_regions
    assert all(caution.flag is Flag.INVALIDATED for f in findings for caution in f.cautions)
    assert {str(f.measurement.region) for f in findings if not f.valid} == flagged_regions


def test_the_mean_of_both_hips_needs_both_hips() -> None:
    """R2.22"""
    context = ClinicalContext(recorded_on=date(2020, 1, 1), left_hip_prosthesis=True)
    found = interpret(
        exam("2020-01-01", regions={"total hip mean": "0.9"}), [], ClinicalReference(), contexts=[context]
    )
    assert found.findings[0].cautions[0].flag is Flag.INVALIDATED


@pytest.mark.parametrize(
    ("begins", "ends", "scanner", "expected"),
    [
        ("2020-01-01", "2020-01-01", ROOM_1, True),
        ("2017-12-01", "2018-01-01", ROOM_1, True),
        ("2018-01-02", "2019-12-31", ROOM_1, False),
        ("2020-01-01", "2020-01-01", ROOM_2, False),
    ],
)
def test_an_exam_made_while_quality_control_failed_wants_a_look(
    begins: str, ends: str, scanner: Any, *, expected: bool
) -> None:
    """R7.6, R7.1: today's exam or the prior; BMD is never corrected."""
    gap = QcGap(scanner=scanner, begins=day(begins), ends=day(ends), reason="phantom out of limits")
    exams = [exam(on, regions={"L1-L4": "0.9"}) for on in ("2020-01-01", "2018-01-01")]
    found = finding(exams[0], exams[1], qc_gaps=(gap,))
    assert any(caution.review for caution in found.cautions) is expected
    assert found.since_prior is not None
    assert found.since_prior.difference == 0


@pytest.mark.parametrize(
    ("now", "expected"), [("0.914", None), ("0.915", "note"), ("0.922", "note"), ("0.923", None), ("0.885", "note")]
)
def test_significance_at_80_percent_is_a_flag_only_where_switched_on(now: str, expected: str | None) -> None:
    """R1.7: 1.81 / 2.77 of the LSC, never the headline."""
    exams = pair("L1-L4", {}, {}, now)
    assert flagged(*exams, Flag.LSC_80_EXCEEDED, rules=Rules(flag_80_percent=True)) == expected
    assert flagged(*exams, Flag.LSC_80_EXCEEDED) is None
    assert flagged(*exams, Flag.LSC_80_EXCEEDED, rules=Rules(flag_80_percent=True), lscs=()) is None


@pytest.mark.parametrize(
    ("key", "now", "expected"),
    [("L1-L4", "0.853", None), ("L1-L4", "0.852", "note"), ("L1-L4", "0.948", "note"),
     ("total hip left", "0.856", None), ("total hip left", "0.855", "note"),
     ("femoral neck left", "0.838", None), ("femoral neck left", "0.837", "note"),
     ("33% radius left", "0.5", None)],
)  # fmt: skip
def test_without_an_lsc_a_difference_above_iscds_ceiling_is_flagged(key: str, now: str, expected: str | None) -> None:
    """R1.13: 5.3, 5.0, 6.9 %; it is no result, and never beside one."""
    exams = pair(key, {}, {}, now)
    assert flagged(*exams, Flag.CEILING_EXCEEDED, lscs=()) == expected
    assert flagged(*exams, Flag.CEILING_EXCEEDED) is None or key == "33% radius left"


def test_a_total_that_is_not_its_vertebrae_wants_a_look_today_too() -> None:
    """R2.12"""
    whole = spine("2020-01-01", "9", "9", "9", "9", total="0.903")
    then = exam("2018-01-01", regions={"L1-L4": "0.9"})
    assert flagged(whole, then, Flag.TOTAL_DISAGREES) == "review"
    assert flagged(spine("2020-01-01", "9", "9", "9", "9", total="0.902"), then, Flag.TOTAL_DISAGREES) is None


def test_every_caution_appears_once_though_prior_and_baseline_share_it() -> None:
    history = [exam(on, regions={"L1-L4": "0.9"}, weight_kg=D(50)) for on in ("2018-01-01", "2016-01-01")]
    now = exam("2020-01-01", regions={"L1-L4": "0.9"}, weight_kg=D(80), height_cm=D(150))
    flags = [caution.flag for caution in interpret(now, history, REFERENCE).findings[0].cautions]
    assert flags.count(Flag.HIGH_BMI) == 1
    assert flags.count(Flag.WEIGHT_CHANGED) == 2


def full(on: str, **more: Any) -> Exam:
    """An exam with every input of the cautions."""
    level = {"bmc": "9", "area": "10", "t_score": "0", "scan_mode": "array"}
    spine_set: Measurement = measurement("L1-L4", "0.9", bmc="36", area="40", scan_mode="array")
    levels = [measurement(key, "0.9", **level) for key in ("L1", "L2", "L3", "L4")]
    return exam(on, spine_set, *levels, **({"weight_kg": D(60), "height_cm": D(160)} | more))


def test_a_caution_not_evaluated_is_listed_with_its_missing_inputs() -> None:
    """A7: R2.4, R2.5, R2.13, R2.14, R2.15, R2.19, R2.20, R2.22 each name their input."""
    asked = {"R2.4", "R2.5", "R2.13", "R2.14", "R2.15", "R2.19", "R2.20", "R2.22"}
    bare = interpret(
        exam("2020-01-01", regions={"L1-L4": "0.9"}, software=""),
        [exam("2018-01-01", regions={"L1-L4": "0.9"})],
        REFERENCE,
    )
    assert asked <= {rule.rule for rule in bare.not_evaluated}
    assert "level shift (R2.14: bone mineral content, bone area not supplied)" in bare.narrative.small_print[-1]
    assert bare.conclusions[-1].startswith("Not supplied: software version, scan details, height, weight,")
    context = ClinicalContext(recorded_on=date(2020, 1, 1), calcium_tablet=False, contrast=False)
    whole = interpret(full("2020-01-01"), [full("2018-01-01")], REFERENCE, contexts=[context])
    assert asked.isdisjoint({rule.rule for rule in whole.not_evaluated})
    first = interpret(exam("2020-01-01", regions={"L1-L4": "0.9"}), [], REFERENCE)
    assert asked.isdisjoint({rule.rule for rule in first.not_evaluated})
    hip = {"total hip left": "0.8"}
    other = interpret(exam("2020-01-01", regions=hip), [exam("2018-01-01", regions=hip)], REFERENCE)
    assert {"R2.13", "R2.14"}.isdisjoint({rule.rule for rule in other.not_evaluated})


def test_an_lsc_from_before_the_last_epoch_wants_a_look() -> None:
    """R1.11: a scanner that was moved or repaired has its precision study redone."""
    now, then = pair("L1-L4", {}, {})
    before, after = lsc("L1-L4", "0.03"), lsc("L1-L4", "0.03", valid_from=day("2017-01-01"))
    broken = [epoch("2017-01-01")]
    assert flagged(now, then, Flag.LSC_BEFORE_EPOCH, lscs=(before,), epochs=broken) == "review"
    assert flagged(now, then, Flag.LSC_BEFORE_EPOCH, lscs=(after,), epochs=broken) is None
    assert (
        flagged(now, then, Flag.LSC_BEFORE_EPOCH, lscs=(before,), epochs=(epoch("2017-01-01", cross_calibrated=True),))
        is None
    )
    assert flagged(now, then, Flag.LSC_BEFORE_EPOCH, lscs=(), epochs=broken) is None


@pytest.mark.parametrize(("arm", "expected"), [(Side.LEFT, False), (Side.RIGHT, True), (None, False)])
def test_the_forearm_is_followed_on_the_non_dominant_side(arm: Side | None, *, expected: bool) -> None:
    """R2.17"""
    context = ClinicalContext(recorded_on=date(2020, 1, 1), non_dominant_arm=arm)
    forearm = exam("2020-01-01", regions={"33% radius left": "0.6", "total hip right": "0.8"})
    found = interpret(forearm, [], ClinicalReference(), contexts=[context]).findings
    assert [Flag.DOMINANT_ARM in [caution.flag for caution in f.cautions] for f in found] == [expected, False]
