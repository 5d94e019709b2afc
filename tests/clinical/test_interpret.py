"""Interpretation from match to conclusions."""

from typing import Any

import pytest

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import NO_DOUBTS, RULES_VERSION, HistoryDoubts, interpret
from pipeline.clinical.model import Exam, Flag, Interpretation, Overall, Result, Scanner
from tests.factories.exams import HOLOGIC, LSCS, REFERENCE, ROOM_1, ROOM_2, epoch, exam, lsc, measurement

BOTH = {"L1-L4": "0.900", "total hip left": "0.800"}


def follow_up(now: dict[str, str], then: dict[str, str], doubts: HistoryDoubts = NO_DOUBTS) -> Interpretation:
    """Two exams two years apart on one scanner."""
    now_and_then = exam("2020-01-01", regions=now), [exam("2018-01-01", regions=then)]
    return interpret(*now_and_then, REFERENCE, doubts=doubts)


def words(interpretation: Interpretation) -> str:
    return "\n".join(interpretation.conclusions)


@pytest.mark.parametrize(
    ("spine", "hip", "overall"),
    [
        ("0.930", "0.830", Overall.IMPROVED),
        ("0.930", "0.800", Overall.IMPROVED),
        ("0.900", "0.830", Overall.IMPROVED),
        ("0.900", "0.800", Overall.STABLE),
        ("0.870", "0.770", Overall.DECLINED),
        ("0.870", "0.800", Overall.DECLINED),
        ("0.900", "0.770", Overall.DECLINED),
        ("0.930", "0.770", Overall.DISCORDANT),
        ("0.870", "0.830", Overall.DISCORDANT),
    ],
)
def test_spine_and_hip_together(spine: str, hip: str, overall: Overall) -> None:
    """R3.9"""
    found = follow_up({"L1-L4": spine, "total hip left": hip}, BOTH)
    assert found.overall is overall
    assert Flag.PARTIAL not in [caution.flag for caution in found.cautions]


def test_a_site_that_cannot_be_judged_leaves_the_result_to_the_other() -> None:
    """R3.9: state of the other, and PARTIAL; the words say why."""
    for then, why in (
        ({"total hip left": "0.800"}, "the spine has no earlier exam"),
        ({"L2-L4": "0.900", "total hip left": "0.800"}, "the spine could not be compared"),
    ):
        found = follow_up(BOTH, then)
        assert found.overall is Overall.STABLE
        assert found.cautions[0].flag is Flag.PARTIAL
        assert why in words(found)
    spine_only = follow_up({"L1-L4": "0.930"}, BOTH)
    assert spine_only.overall is Overall.IMPROVED
    assert "the hip was not measured" in words(spine_only)


def test_that_an_archive_has_not_answered_is_flagged_beside_the_same_result() -> None:
    """F4: it may hold the exam that a reader has in mind."""
    complete, silent = (follow_up(BOTH, BOTH, HistoryDoubts(archive_silent=silent)) for silent in (False, True))
    assert [caution.flag for caution in silent.cautions if caution not in complete.cautions] == [Flag.ARCHIVE_SILENT]
    assert "has not answered" in words(silent)
    assert (silent.overall, silent.findings) == (complete.overall, complete.findings)


def test_nothing_to_judge_is_indeterminate_and_a_first_visit_is_a_first_visit() -> None:
    """R3.9, seed 001: a baseline is distinguished from a follow-up."""
    first = interpret(exam("2020-01-01", regions=BOTH), [], REFERENCE)
    assert first.overall is Overall.NO_PRIOR
    assert {finding.result for finding in first.findings} == {Result.NO_PRIOR}
    on_another_scanner = exam("2018-01-01", regions=BOTH, scanner=ROOM_2)
    second = interpret(exam("2020-01-01", regions=BOTH), [on_another_scanner], REFERENCE)
    assert second.overall is Overall.INDETERMINATE
    assert {finding.result for finding in second.findings} == {Result.NOT_COMPARABLE}
    assert interpret(exam("2020-01-01", regions={"L2": "0.9"}), [], REFERENCE).overall is Overall.INDETERMINATE


def test_without_an_lsc_the_overall_result_is_unknown() -> None:
    """R1.13"""
    found = interpret(exam("2020-01-01", regions=BOTH), [exam("2018-01-01", regions=BOTH)], ClinicalReference())
    assert found.overall is Overall.INDETERMINATE
    assert {finding.result for finding in found.findings} == {Result.NO_LSC}
    assert "Significance cannot be assessed: no facility LSC on file" in words(found)


def test_the_mean_of_both_hips_speaks_for_the_hip_if_it_has_its_own_lsc() -> None:
    """R1.16, R2.17: mean total hip preferred; without its own LSC the sides speak."""
    hips = {"total hip left": "0.770", "total hip right": "0.800", "total hip mean": "0.785"}
    then = {"total hip left": "0.800", "total hip right": "0.800", "total hip mean": "0.800"}
    assert follow_up(hips, then).overall is Overall.DECLINED
    both = interpret(
        exam("2020-01-01", regions=hips),
        [exam("2018-01-01", regions=then)],
        ClinicalReference(lscs=(*LSCS, lsc("total hip mean", "0.020"))),
    )
    assert both.overall is Overall.STABLE
    mean = {"total hip mean": "0.7"}
    assert follow_up(mean, mean).overall is Overall.INDETERMINATE


def test_the_neck_speaks_for_the_hip_only_where_the_total_hip_is_missing() -> None:
    """R3.9, R2.17"""
    neck = {"femoral neck left": "0.700"}
    assert follow_up({"femoral neck left": "0.650"}, neck).overall is Overall.DECLINED
    total = {"femoral neck left": "0.650", "total hip left": "0.800"}
    both = follow_up(total, neck | {"total hip left": "0.800"})
    assert both.overall is Overall.STABLE
    text = words(both)
    assert text.count("(not counted)") == text.count("Left femoral neck (not counted): BMD 0.650 g/cm2;") == 1
    assert "Not counted: significant loss since 2018-01-01 (left femoral neck -7.1 %)." in text


def test_the_radius_speaks_only_where_neither_spine_nor_hip_was_measured() -> None:
    """R2.17, seed 001: spine, hip, then forearm."""
    record = lsc("33% radius", "0.020")
    for more, overall in (({}, Overall.DECLINED), ({"L1-L4": "0.900"}, Overall.NO_PRIOR)):
        now = exam("2020-01-01", regions={"33% radius left": "0.600", **more})
        found = interpret(
            now, [exam("2018-01-01", regions={"33% radius left": "0.700"})], ClinicalReference(lscs=(record,))
        )
        assert found.overall is overall


def test_of_many_sets_of_vertebrae_one_speaks_for_the_spine() -> None:
    """R2.17, C5: the largest that could be judged; the words leave the others out, and single vertebrae."""
    now = {"L1-L4": "0.900", "L2-L3": "0.850", "L3-L4": "0.700", "L2": "0.8"}
    found = follow_up(now, {"L2-L3": "0.950", "L3-L4": "0.700", "L1-L3": "0.8"})
    assert found.overall is Overall.DECLINED
    text = words(found)
    assert "Spine L2-L3: BMD 0.850 g/cm2; significant loss since prior -0.100 g/cm2." in text
    assert "Spine L1-L4: BMD 0.900 g/cm2; not compared" in text
    assert "Spine L3-L4" not in text
    assert "Spine L2:" not in text


def test_a_change_that_is_not_significant_is_never_put_in_numbers() -> None:
    """N6: the number stays in the coded content."""
    found = follow_up({"L1-L4": "0.913"}, {"L1-L4": "0.900"})
    change = found.findings[0].since_prior
    assert change is not None
    assert (str(change.difference), str(change.percent)) == ("0.013", "1.4")
    text = words(found)
    assert "Spine L1-L4: BMD 0.913 g/cm2." in text
    assert "No significant change since 2018-01-01 (spine)" in text
    assert "LSC (g/cm2, 95 % confidence): spine 0.023 (in vivo study)." in text
    assert not any(number in text for number in ("0.013", "1.4", "0.900"))
    unknown = interpret(
        exam("2020-01-01", regions={"L1-L4": "0.5"}), [exam("2018-01-01", regions=BOTH)], ClinicalReference()
    )
    assert "0.900" not in words(unknown)


def test_a_significant_change_is_stated_in_grams_and_percent_with_lsc_and_exam() -> None:
    """F1, F2, F3, A5: the LSC is named by the study it comes from."""
    text = words(follow_up({"L1-L4": "0.864"}, {"L1-L4": "0.900"}))
    assert "Significant loss since 2018-01-01 (spine -4.0 %)" in text
    assert ("Spine L1-L4: BMD 0.864 g/cm2; significant loss since prior -0.036 g/cm2.") in text
    assert "LSC (g/cm2, 95 % confidence): spine 0.023 (in vivo study)." in text
    assert (
        "Compared with 2018-01-01 (prior) on the same scanner, "
        "GE Healthcare Lunar Prodigy (serial number DF+500475), software 16.0."
    ) in text


def test_prior_and_baseline_are_both_stated() -> None:
    """R3.2, R3.3: headline against the latest prior."""
    history = [exam("2018-01-01", regions={"L1-L4": "0.905"}), exam("2012-01-01", regions={"L1-L4": "0.990"})]
    found = interpret(exam("2020-01-01", regions={"L1-L4": "0.900"}), history, REFERENCE)
    assert found.overall is Overall.STABLE
    assert [earlier.performed_on.year for earlier in found.priors] == [2018, 2012]
    text = words(found)
    assert "No significant change since 2018-01-01; significant loss since 2012-01-01 (spine -9.1 %)" in text
    assert "Spine L1-L4: BMD 0.900 g/cm2; significant loss since baseline -0.090 g/cm2." in text
    assert "Compared with 2018-01-01 (prior) and 2012-01-01 (baseline) on the same scanner" in text


def test_a_refusal_names_both_scanners_and_the_reason() -> None:
    """R2.8, F4, A4"""
    found = interpret(
        exam("2020-01-01", regions=BOTH),
        [exam("2018-01-01", regions=BOTH, scanner=HOLOGIC)],
        ClinicalReference(lscs=LSCS, epochs=(epoch("2019-01-01"),)),
    )
    assert (
        "The exam of 2018-01-01 was made on Hologic Horizon A (serial number 302081M), "
        "this one on GE Healthcare Lunar Prodigy (serial number DF+500475)."
    ) in words(found)


@pytest.mark.parametrize(
    ("then", "now", "reviews"),
    [("16.0", "16.0", []), ("16.0", "16.1", [False]), ("15.9", "16.0", [True]), ("", "16.0", []),
     ("alpha", "beta", [True])],
)  # fmt: skip
def test_other_software_is_flagged_and_another_major_version_needs_review(
    then: str, now: str, reviews: list[bool]
) -> None:
    """R2.4"""
    earlier = exam("2018-01-01", regions=BOTH, software=then)
    found = interpret(exam("2020-01-01", regions=BOTH, software=now), [earlier], REFERENCE)
    cautions = [(caution.flag, caution.review) for caution in found.findings[0].cautions]
    assert cautions == [(Flag.SOFTWARE_CHANGED, review) for review in reviews]


def levels(*names: str) -> list:  # type: ignore[type-arg] # of measurements
    return [measurement(name, "0.9", bmc="9", area="10") for name in names]


def test_shared_vertebrae_are_compared_and_named() -> None:
    """R2.12, R1.15"""
    now = exam("2020-01-01", measurement("L2-L4", "0.850"))
    then = exam("2018-01-01", *levels("L1", "L2", "L3", "L4"), measurement("L1-L4", "0.950"))
    (finding,) = interpret(now, [then], REFERENCE).findings
    assert finding.result is Result.LOSS
    assert [caution.flag for caution in finding.cautions] == [
        Flag.SUBSET_RECOMPUTED,
        Flag.TOTAL_DISAGREES,
        Flag.LSC_APPROXIMATED,
    ]
    change = finding.since_prior
    assert change is not None
    assert (str(change.region), str(change.bmd), str(change.reference_bmd)) == ("L2-L4", "0.850", "0.900")
    assert "significant loss since prior on L2-L4 -0.050 g/cm2" in words(interpret(now, [then], REFERENCE))


def test_a_borderline_change_says_so() -> None:
    """R1.17, A6: a flag in the coded content, and its sentence in the words."""
    (finding,) = follow_up({"L1-L4": "0.875"}, {"L1-L4": "0.900"}).findings
    assert [caution.flag for caution in finding.cautions] == [Flag.BORDERLINE]
    assert finding.cautions[0].text in follow_up({"L1-L4": "0.875"}, {"L1-L4": "0.900"}).conclusions


def test_every_addendum_says_what_it_is() -> None:
    """A1, A2"""
    found = follow_up(BOTH, BOTH)
    assert found.rules_version == RULES_VERSION
    assert found.conclusions[0] == "Computer-generated; preliminary until verified by a radiologist."


def test_an_exam_tells_its_own_regions() -> None:
    visit: Exam = exam("2020-01-01", regions=BOTH, software="")
    assert visit.measurement_of(visit.measurements[1].region) == visit.measurements[1]
    assert "software" not in words(interpret(visit, [], REFERENCE))


@pytest.mark.parametrize(
    ("now", "lscs", "history", "result"),
    [
        ("0.900", LSCS, [], Result.NO_PRIOR),
        ("0.900", LSCS, [ROOM_2], Result.NOT_COMPARABLE),
        ("0.900", (), [ROOM_1], Result.NO_LSC),
        ("0.900", LSCS, [ROOM_1], Result.NO_SIGNIFICANT_CHANGE),
        ("0.930", LSCS, [ROOM_1], Result.GAIN),
        ("0.870", LSCS, [ROOM_1, ROOM_2], Result.LOSS),
    ],
)
def test_each_region_has_exactly_one_state(now: str, lscs: Any, history: list[Scanner], result: Result) -> None:
    """R3.8"""
    before = [
        exam("2018-01-01", regions={"L1-L4": "0.900"}, scanner=scanner, uid=str(n)) for n, scanner in enumerate(history)
    ]
    (finding,) = interpret(exam("2020-01-01", regions={"L1-L4": now}), before, ClinicalReference(lscs=lscs)).findings
    assert finding.result is result


def test_each_lsc_that_judged_is_stated() -> None:
    """F2: prior and baseline may have been compared on other vertebrae, and so by other LSCs."""
    now = exam("2020-01-01", *levels("L1", "L2", "L3", "L4"), measurement("L1-L4", "0.900"))
    prior = exam("2018-01-01", measurement("L2-L4", "0.900"))
    baseline = exam("2014-01-01", regions={"L1-L4": "0.900"})
    full, part = lsc("L1-L4", "0.0223"), lsc("L2-L4", "0.025", source="second study")
    text = words(interpret(now, [prior, baseline], ClinicalReference(lscs=(full, part))))
    assert "LSC (g/cm2, 95 % confidence): spine L2-L4 0.025 (second study)." in text
    assert "LSC (g/cm2, 95 % confidence): spine 0.023 (in vivo study)." in text
