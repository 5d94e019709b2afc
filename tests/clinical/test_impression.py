"""An addendum opens with the impression a radiologist would sign, and is short enough to be read."""

import re
from decimal import Decimal
from statistics import median

import pytest

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Flag, Interpretation, Obstacle, Overall, Result
from pipeline.clinical.regions import Side
from pipeline.clinical.wording import impression
from tests.factories import sample_exams
from tests.factories.adults import adult
from tests.factories.exams import HOLOGIC, REFERENCE, exam, lsc, measurement

ADULTS = [adult(number) for number in range(500)]
SAMPLES = [case.interpretation for case in sample_exams.cases().values()]
EVERYBODY = [*ADULTS, *SAMPLES]

OPENS_WITH = {
    Overall.IMPROVED: "significant gain since",
    Overall.STABLE: "no significant change since",
    Overall.DECLINED: "significant loss since",
    Overall.DISCORDANT: "discordant: significant loss since",
    Overall.INDETERMINATE: "no statement on change is possible",
    Overall.NO_PRIOR: "no earlier exam of",
}


def words(interpretation: Interpretation) -> int:
    return sum(len(sentence.split()) for sentence in interpretation.conclusions)


def test_an_addendum_is_short_enough_to_be_read() -> None:
    """E17: over samples and generated adults with spine and two hips."""
    lengths = [words(interpretation) for interpretation in EVERYBODY]
    assert median(lengths) <= 140
    assert max(lengths) <= 350


@pytest.mark.parametrize("interpretation", EVERYBODY)
def test_the_overall_result_stands_in_the_first_sentence_after_the_preliminary_mark(
    interpretation: Interpretation,
) -> None:
    """E17"""
    mark, first, *_ = interpretation.conclusions
    assert mark == impression.PRELIMINARY
    assert first.lower().startswith((OPENS_WITH[interpretation.overall], "significance cannot be assessed"))
    assert first.startswith("Significance") <= (interpretation.overall is Overall.INDETERMINATE)
    assert interpretation.narrative.impression[0] == first
    assert 1 <= len(interpretation.narrative.impression) <= 3


@pytest.mark.parametrize("interpretation", EVERYBODY)
def test_a_significant_change_is_always_in_the_impression_with_site_percent_and_day(
    interpretation: Interpretation,
) -> None:
    """E4, E13: since the prior and since the baseline; of two sides beside a mean that says the same, the mean."""
    text = " ".join(interpretation.narrative.impression)
    means = {
        (f.measurement.region.part, f.result) for f in interpretation.counted if f.measurement.region.side is Side.MEAN
    }
    for finding in interpretation.findings:
        if finding.measurement.region.monitorable and finding.plausible:
            beside_a_mean = (finding.measurement.region.part, finding.result) in means
            for change in (finding.since_prior, finding.since_baseline):
                if change and change.result in (Result.GAIN, Result.LOSS) and not beside_a_mean:
                    assert f"{change.percent:+f} %" in text
                    assert f"since {change.reference.performed_on}" in text


@pytest.mark.parametrize("interpretation", EVERYBODY)
def test_no_loss_and_no_response_is_claimed_that_was_not_found(interpretation: Interpretation) -> None:
    """E4, E5, N1"""
    text = " ".join(interpretation.conclusions)
    changes = [c for f in interpretation.findings for c in (f.since_prior, f.since_baseline) if c is not None]
    assert ("significant loss" in text) == any(change.result is Result.LOSS for change in changes)
    assert ("significant gain" in text) == any(change.result is Result.GAIN for change in changes)
    assert ("response" in text) == interpretation.response


@pytest.mark.parametrize("interpretation", EVERYBODY)
def test_nothing_is_stated_twice_and_no_rule_by_its_number(interpretation: Interpretation) -> None:
    """E16, E17: sources are professional bodies and papers; rules are coded only."""
    assert len(interpretation.conclusions) == len(set(interpretation.conclusions))
    text = " ".join(interpretation.conclusions)
    assert not re.search(r"\b(?:R\d+\.\d+|C12|source text)\b", text)
    assert len(interpretation.narrative.not_supplied) <= 1


@pytest.mark.parametrize("interpretation", EVERYBODY)
def test_numbers_have_the_decimals_that_are_printed(interpretation: Interpretation) -> None:
    """E23: scores with one decimal, LSCs with three."""
    for sentence in interpretation.narrative.findings + interpretation.narrative.impression:
        for scores in re.findall(r"[TZ]-score ((?:-?[\d.]+(?:, )?)+\d)", sentence):
            assert all(re.fullmatch(r"-?\d+\.\d", score) for score in scores.split(", "))
    for sentence in interpretation.narrative.basis:
        if sentence.startswith("LSC"):
            values = re.findall(r" (\d+\.\d+)", sentence.partition(": ")[2].partition(" (")[0])
            assert values
            assert all(re.fullmatch(r"\d\.\d{3}", value) for value in values)


SLOW_LOSS = (
    {"L1-L4": "0.900", "total hip left": "0.800"},
    {"L1-L4": "0.915", "total hip left": "0.815"},
    {"L1-L4": "0.990", "total hip left": "0.880"},
)


def followed_up(*visits: dict[str, str]) -> Interpretation:
    """Visits two years apart, the latest first."""
    exams = [exam(f"{2024 - 2 * number}-03-01", regions=regions) for number, regions in enumerate(visits)]
    return interpret(exams[0], exams[1:], REFERENCE)


def test_both_results_are_in_the_first_sentence_where_they_differ() -> None:
    """E4"""
    assert followed_up(*SLOW_LOSS).narrative.impression[0] == (
        "No significant change since 2022-03-01; "
        "significant loss since 2020-03-01 (spine -9.1 %, left total hip -9.1 %)."
    )


def test_a_doubt_about_a_counted_region_marks_the_overall_sentence() -> None:
    """E22: any review flag, with its reason; no doubt, no mark."""
    now = exam("2024-03-01", measurement("L1-L4", "0.850", scan_mode="fast"), software="17.0")
    then = exam("2022-03-01", measurement("L1-L4", "0.900", scan_mode="array"), software="16.0")
    first, *_ = interpret(now, [then], REFERENCE).narrative.impression
    assert first.startswith("Significant loss since 2022-03-01 (spine -5.6 %)")
    assert first.endswith("; subject to review: software changed, scan mode or analysis changed.")
    undoubted, *_ = followed_up(*SLOW_LOSS).narrative.impression
    assert "subject to review" not in undoubted


def test_a_doubt_about_a_region_that_does_not_count_leaves_the_overall_sentence_alone() -> None:
    """E22"""
    now = exam("2024-03-01", measurement("total hip left", "0.800"), measurement("femoral neck left", "0.7", area="6"))
    then = exam("2022-03-01", measurement("total hip left", "0.800"), measurement("femoral neck left", "0.7", area="5"))
    interpretation = interpret(now, [then], REFERENCE)
    assert "subject to review" not in interpretation.narrative.impression[0]
    assert any("bone area differs" in text for text in interpretation.narrative.cautions)


def test_a_total_body_scan_alone_is_no_baseline() -> None:
    """E23, R2.17"""
    interpretation = interpret(exam("2024-03-01", regions={"total body": "1.100"}), [], ClinicalReference())
    assert interpretation.narrative.impression[0] == impression.NOTHING_TO_FOLLOW
    assert "baseline" not in " ".join(interpretation.conclusions).replace("no baseline", "")


def test_the_forearm_alone_is_named() -> None:
    """E23"""
    interpretation = interpret(
        exam("2024-03-01", regions={"33% radius left": "0.500"}),
        [exam("2022-03-01", regions={"33% radius left": "0.560"})],
        ClinicalReference(lscs=(lsc("33% radius", "0.020"),)),
    )
    assert interpretation.narrative.impression[0].startswith(
        "Significant loss since 2022-03-01 (left 33% radius -10.7 %)"
    )


def test_left_and_right_that_differ_are_not_reported_as_spine_and_hip() -> None:
    """E23"""
    now = {"L1-L4": "0.900", "total hip left": "0.750", "total hip right": "0.850"}
    interpretation = followed_up(now, {"L1-L4": "0.900", "total hip left": "0.800", "total hip right": "0.800"})
    assert interpretation.overall is Overall.DISCORDANT
    assert "Spine and hip differ" not in " ".join(interpretation.conclusions)
    first = interpretation.narrative.impression[0]
    assert "significant loss since 2022-03-01 (left total hip -6.3 %)" in first
    assert "significant gain since 2022-03-01 (right total hip +6.3 %)" in first


def test_a_vertebra_that_was_left_out_is_named() -> None:
    """E23"""
    interpretation = followed_up({"L1,L3-L4": "0.900"})
    assert interpretation.narrative.findings[0].startswith("Spine L1,L3-L4 (without L2): BMD 0.900 g/cm2")


def test_a_first_exam_knows_of_no_second_one() -> None:
    """E23, R2.13: nothing is to be left out of both exams where there is one."""
    levels = [measurement(level, "0.9", t_score=score) for level, score in (("L1", "-2.0"), ("L2", "0.5"))]
    now = exam("2024-03-01", measurement("L1-L2", "0.9"), *levels)
    assert "L1 and L2 differ by more than 1.0 in T-score; if one is abnormal, exclude it." in " ".join(
        interpret(now, [], REFERENCE).conclusions
    )
    again = " ".join(interpret(now, [exam("2022-03-01", regions={"L1-L2": "0.9"})], REFERENCE).conclusions)
    assert "exclude it from both exams." in again


def test_weight_and_height_are_stated_with_their_numbers() -> None:
    """E23"""
    now = exam("2024-03-01", regions={"L1-L4": "0.9"}, weight_kg=Decimal(80), height_cm=Decimal(158))
    then = exam("2022-03-01", regions={"L1-L4": "0.9"}, weight_kg=Decimal("64.5"), height_cm=Decimal(165))
    text = " ".join(interpret(now, [then], REFERENCE).conclusions)
    assert "Weight is 80 kg and was 64.5 kg on 2022-03-01" in text
    assert "Height is 158 cm and was 165 cm on 2022-03-01" in text


def test_an_lsc_is_rounded_up_and_a_score_as_it_is_classified() -> None:
    """E23: no change looks significant that is not, and -2.46 is osteoporosis as -2.5 is."""
    interpretation = interpret(
        exam("2024-03-01", measurement("L1-L4", "0.900", t_score="-2.46")),
        [exam("2022-03-01", regions={"L1-L4": "0.900"})],
        ClinicalReference(lscs=(lsc("L1-L4", "0.03074"),)),
    )
    text = " ".join(interpretation.conclusions)
    assert "spine 0.031 (in vivo study)" in text
    assert "Diagnostic category: osteoporosis, lowest T-score -2.5 (spine L1-L4)." in text
    assert "2.46" not in text


@pytest.mark.parametrize("obstacle", Obstacle)
def test_every_reason_not_to_compare_has_a_few_words(obstacle: Obstacle) -> None:
    """F4"""
    assert impression.NOT_COMPARED[obstacle]


def test_where_nothing_could_be_compared_the_first_sentence_says_why() -> None:
    """F4, R1.13"""
    now, then = {"L1-L4": "0.900"}, exam("2022-03-01", regions={"L1-L4": "0.950"}, scanner=HOLOGIC)
    on_another_scanner = interpret(exam("2024-03-01", regions=now), [then], REFERENCE)
    assert on_another_scanner.narrative.impression[0] == (
        "No statement on change is possible: the earlier exam was made on another scanner (2022-03-01)."
    )
    unjudged = interpret(exam("2024-03-01", regions=now), [exam("2022-03-01", regions=now)], ClinicalReference())
    assert unjudged.narrative.impression[0] == (
        "Significance cannot be assessed: no facility LSC on file for this scanner and region on this date (spine)."
    )


def test_a_caution_that_several_regions_share_is_stated_once() -> None:
    """E17"""
    regions = {"L1-L4": "0.870", "total hip left": "0.770", "total hip right": "0.770"}
    interpretation = followed_up(regions, {"L1-L4": "0.900", "total hip left": "0.800", "total hip right": "0.800"})
    borderline = [f for f in interpretation.findings if Flag.BORDERLINE in {caution.flag for caution in f.cautions}]
    assert len(borderline) == 2
    assert [text for text in interpretation.narrative.cautions if "small margin" in text] == [
        "Left total hip, right total hip: significant by a small margin since 2022-03-01; wants confirmation."
    ]


def test_a_remark_hides_no_later_caution_that_asks_for_a_review() -> None:
    """E22: the area differs a little from the prior's, and by much from the baseline's."""
    visits = [
        exam(f"{year}-03-01", measurement("L1-L4", "0.900", area=area))
        for year, area in ((2024, "50.0"), (2022, "51.5"), (2020, "60.0"))
    ]
    interpretation = interpret(visits[0], visits[1:], REFERENCE)
    assert "subject to review: bone area changed" in interpretation.narrative.impression[0]
    assert any(
        "bone area differs from that of 2020-03-01 by much" in text for text in interpretation.narrative.cautions
    )
