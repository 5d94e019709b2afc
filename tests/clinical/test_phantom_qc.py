"""Phantom quality control (R2.6, R7)."""

from decimal import Decimal

import pytest

from pipeline.clinical.phantom_qc import (
    Baseline,
    QualityRule,
    baseline,
    breaks_range,
    broken_at,
    calibration_holds,
    cumulative_deviation,
    next_cusum,
    still_out,
)

D = Decimal
GOOD = Baseline(mean=D("1.000"), sd=D("0.005"))


def broken(*values: str, against: Baseline = GOOD) -> list[tuple[QualityRule, int]]:
    """Return each rule that a series breaks, and at which of its values."""
    series = [D(value) for value in values]
    return [(rule, position) for position in range(len(series)) for rule in broken_at(position, series, against)]


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        (["1.010"], []),
        (["1.011"], [(QualityRule.ONE_2S, 0)]),
        (["0.989"], [(QualityRule.ONE_2S, 0)]),
        (["1.0151"], [(QualityRule.ONE_2S, 0), (QualityRule.ONE_3S, 0), (QualityRule.LIMIT, 0)]),
        (["1.015"], [(QualityRule.ONE_2S, 0)]),
        (["0.984"], [(QualityRule.ONE_2S, 0), (QualityRule.ONE_3S, 0), (QualityRule.LIMIT, 0)]),
        (["1.011", "1.011"], [(QualityRule.ONE_2S, 0), (QualityRule.ONE_2S, 1), (QualityRule.TWO_2S, 1)]),
        (["0.989", "0.989"], [(QualityRule.ONE_2S, 0), (QualityRule.ONE_2S, 1), (QualityRule.TWO_2S, 1)]),
        (["1.011", "1.010"], [(QualityRule.ONE_2S, 0)]),
        (["1.010", "0.990"], []),
        (["1.010", "0.9899"], [(QualityRule.ONE_2S, 1)]),
        (["1.006", "1.006", "1.006", "1.006"], [(QualityRule.FOUR_1S, 3)]),
        (["0.994", "0.994", "0.994", "0.994"], [(QualityRule.FOUR_1S, 3)]),
        (["1.006", "1.006", "1.006", "1.005"], []),
        (["1.006", "1.006", "1.006"], []),
    ],
)
def test_the_control_rules(values: list[str], rules: list[tuple[QualityRule, int]]) -> None:
    """R7.3, R7.2: after Westgard (R7.5 names no other rule set), and the limit of 1.5 %."""
    assert broken(*values) == rules


@pytest.mark.parametrize(
    ("values", "breaks"),
    [
        (["1.005"] * 10, True),
        (["0.995"] * 10, True),
        (["1.0049"] * 10, False),
        (["1.005"] * 9 + ["1.000"], False),
        (["1.005"] * 9, False),
    ],
)
def test_ten_on_one_side_count_only_when_the_shift_is_more_than_trivial(values: list[str], *, breaks: bool) -> None:
    """R7.3: half a percent."""
    fine = Baseline(mean=D("1.000"), sd=D("0.010"))
    assert [rule for rule, _ in broken(*values, against=fine) if rule is QualityRule.TEN_X] == (
        [QualityRule.TEN_X] if breaks else []
    )


def test_four_beyond_a_standard_deviation_count_only_when_the_shift_is_more_than_trivial() -> None:
    """R7.3"""
    tight = Baseline(mean=D("1.000"), sd=D("0.001"))
    assert QualityRule.FOUR_1S not in [rule for rule, _ in broken(*["1.002"] * 4, against=tight)]


@pytest.mark.parametrize(("other", "breaks"), [("0.9899", True), ("0.990", False)])
def test_a_range_of_more_than_four_standard_deviations_breaks_a_rule(other: str, *, breaks: bool) -> None:
    """R7.3: test_phantom_chart holds that both are of one day."""
    assert breaks_range(D("1.010"), D(other), GOOD) is breaks


def test_every_rule_but_a_warning_and_cusum_calls_for_two_repeats() -> None:
    """R7.3, R7.4, E24: patients wait only once the repeats have confirmed it."""
    notices = [rule for rule in QualityRule if not rule.fails]
    assert notices == [QualityRule.ONE_2S, QualityRule.CUSUM]


@pytest.mark.parametrize(
    ("value", "repeats", "out"),
    [
        ("1.016", ("1.008", "1.0062"), True),  # 2 SD of a mean of two are 0.00707
        ("1.016", ("1.008", "1.0061"), False),
        ("1.016", ("0.980", "0.980"), False),
        ("0.984", ("0.992", "0.9938"), True),
        ("0.984", ("0.992", "0.9939"), False),
        ("0.984", ("1.020", "1.020"), False),
    ],
)
def test_patients_wait_only_where_two_repeats_are_out_on_the_same_side(
    value: str, repeats: tuple[str, str], *, out: bool
) -> None:
    """R7.3, E24"""
    assert still_out(D(value), [D(repeat) for repeat in repeats], GOOD) is out
    with pytest.raises(ValueError, match="repeated 2 times"):
        still_out(D(value), [D(repeats[0])], GOOD)


def test_what_is_clinically_trivial_stops_no_patient_however_small_the_standard_deviation() -> None:
    """R7.3: half a percent."""
    tight = Baseline(mean=D("1.000"), sd=D("0.001"))
    assert not still_out(D("1.007"), [D("1.005"), D("1.005")], tight)
    assert still_out(D("1.007"), [D("1.005"), D("1.0051")], tight)


def test_cusum_adds_up_what_exceeds_half_a_standard_deviation_on_either_side() -> None:
    """R7.4: k 0.5."""
    up = down = (D(0), D(0))
    for days in range(1, 8):
        up, down = next_cusum(up, D("1.0075"), GOOD), next_cusum(down, D("0.9925"), GOOD)
        assert up == (D(days), D(0))
        assert down == (D(0), D(days))


def test_the_plot_of_anzbms_sums_deviations_from_the_first_ten() -> None:
    """R7.4"""
    values = [D("1.000"), D("1.002")] * 5 + [D("1.011")]
    sums = cumulative_deviation(values)
    assert sums[9] == 0
    assert sums[0] == D("-0.001")
    assert sums[10] == D("0.010")
    assert cumulative_deviation([]) == ()


def test_a_baseline_has_fifteen_to_twenty_five_days_that_differ() -> None:
    """R7.2: with fewer there are no limits yet."""
    pairs = [D("1.000"), D("1.002")]
    assert baseline((pairs * 8)[:14]) is None
    found = baseline(pairs * 8)
    assert found is not None
    assert found.mean == D("1.001")
    assert found.sd.quantize(D("0.000001")) == D("0.001033")
    assert baseline((pairs * 8)[:15]) is not None
    assert baseline((pairs * 13)[:25] + [D("2")] * 5) == baseline((pairs * 13)[:25])
    with pytest.raises(ValueError, match="must not all be equal"):
        baseline([D("1.000")] * 15)
    for mean, sd in (("0", "1"), ("1", "0")):
        with pytest.raises(ValueError, match="above zero"):
            Baseline(mean=D(mean), sd=D(sd))


@pytest.mark.parametrize(("after", "holds"), [("1.010", True), ("1.0101", False), ("0.990", True), ("0.9899", False)])
def test_new_hardware_continues_a_series_when_the_phantom_moved_one_percent_at_most(after: str, *, holds: bool) -> None:
    """R2.6: ten scans before and after."""
    assert calibration_holds([D("1.000")] * 10, [D(after)] * 10) is holds
    with pytest.raises(ValueError, match="10 scans before and after"):
        calibration_holds([D("1.000")] * 10, [D(after)] * 9)
