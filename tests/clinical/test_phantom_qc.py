"""Phantom quality control (R2.6, R7)."""

from datetime import date
from decimal import Decimal

import pytest

from pipeline.clinical.phantom_qc import (
    Baseline,
    QualityRule,
    baseline,
    calibration_holds,
    check,
    cumulative_deviation,
    cusum,
    still_out,
)

D = Decimal
GOOD = Baseline(mean=D("1.000"), sd=D("0.005"))


def broken(*values: str) -> list[tuple[QualityRule, int]]:
    return [(violation.rule, violation.position) for violation in check([D(value) for value in values], GOOD)]


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


def test_ten_on_one_side_count_only_when_the_shift_is_more_than_trivial() -> None:
    """R7.3: half a percent."""
    fine = Baseline(mean=D("1.000"), sd=D("0.010"))
    for values, rules in (
        ([D("1.005")] * 10, [QualityRule.TEN_X]),
        ([D("0.995")] * 10, [QualityRule.TEN_X]),
        ([D("1.0049")] * 10, []),
        ([D("1.005")] * 9 + [D("1.000")], []),
        ([D("1.005")] * 9, []),
    ):
        assert [violation.rule for violation in check(values, fine) if violation.rule is QualityRule.TEN_X] == rules
    tight = Baseline(mean=D("1.000"), sd=D("0.001"))
    assert QualityRule.FOUR_1S not in [violation.rule for violation in check([D("1.002")] * 4, tight)]


@pytest.mark.parametrize(("days", "expected"), [((1, 1), True), ((1, 2), False), ((), False)])
def test_a_wide_range_counts_only_within_one_day(days: tuple[int, ...], *, expected: bool) -> None:
    """R7.3: between days a healthy scanner has such ranges several times a year."""
    found = check([D("1.010"), D("0.9899")], GOOD, [date(2020, 1, day) for day in days])
    assert (QualityRule.R_4S in [violation.rule for violation in found]) is expected
    found = check([D("1.010"), D("0.990")], GOOD, [date(2020, 1, 1)] * 2)
    assert QualityRule.R_4S not in [violation.rule for violation in found]


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


def test_cusum_raises_one_alarm_per_excursion_up_or_down() -> None:
    """R7.4: k 0.5, h 5."""
    drift = [D("1.0075")] * 7
    sums = cusum(drift, GOOD)
    assert [upper for upper, _ in sums] == [D(n) for n in range(1, 8)]
    assert {lower for _, lower in sums} == {D(0)}
    up = [violation.position for violation in check(drift, GOOD) if violation.rule is QualityRule.CUSUM]
    down = [v.position for v in check([D("0.9925")] * 7, GOOD) if v.rule is QualityRule.CUSUM]
    assert up == down == [5]
    exactly_five = [violation.rule for violation in check(drift[:5], GOOD)]
    assert QualityRule.CUSUM not in exactly_five


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
