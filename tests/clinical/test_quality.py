from decimal import Decimal

import pytest

from pipeline.clinical.quality import (
    Baseline,
    QualityRule,
    baseline,
    calibration_holds,
    check,
    cumulative_deviation,
    cusum,
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
        (["1.010", "0.9899"], [(QualityRule.ONE_2S, 1), (QualityRule.R_4S, 1)]),
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


def test_only_the_first_warning_lets_patients_through() -> None:
    """R7.3"""
    assert [rule for rule in QualityRule if not rule.stops] == [QualityRule.ONE_2S]


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


def test_a_baseline_has_ten_scans_that_differ() -> None:
    """R7.2"""
    found = baseline([D("1.000"), D("1.002")] * 5)
    assert found.mean == D("1.001")
    assert found.sd.quantize(D("0.000001")) == D("0.001054")
    for values in ([D("1.000"), D("1.002")] * 4, [D("1.000")] * 10):
        with pytest.raises(ValueError, match="baseline needs 10 scans"):
            baseline(values)
    for mean, sd in (("0", "1"), ("1", "0")):
        with pytest.raises(ValueError, match="above zero"):
            Baseline(mean=D(mean), sd=D(sd))


@pytest.mark.parametrize(("after", "holds"), [("1.010", True), ("1.0101", False), ("0.990", True), ("0.9899", False)])
def test_new_hardware_continues_a_series_when_the_phantom_moved_one_percent_at_most(after: str, *, holds: bool) -> None:
    """R2.6: ten scans before and after."""
    assert calibration_holds([D("1.000")] * 10, [D(after)] * 10) is holds
    with pytest.raises(ValueError, match="10 scans before and after"):
        calibration_holds([D("1.000")] * 10, [D(after)] * 9)
