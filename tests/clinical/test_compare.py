"""Difference, percent, significance and rate of a change (R1.8, R3.1, R3.4)."""

from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.clinical.compare import (
    borderline,
    compare,
    detectable_on,
    judge,
    months_between,
    percent,
    rate,
    within_months,
)
from pipeline.clinical.model import Change, Result
from tests.factories.exams import day, exam, lsc


def change(now: str, then: str, limit: str | None, *, on: str = "2020-01-01", since: str = "2018-01-01") -> Change:
    """L1-L4 on two days, judged by an LSC."""
    current, prior = exam(on, regions={"L1-L4": now}), exam(since, regions={"L1-L4": then})
    return compare(Decimal(now), Decimal(then), current, prior, lsc("L1-L4", limit) if limit else None)


@pytest.mark.parametrize(
    ("now", "then", "result"),
    [("0.601", "0.560", Result.GAIN), ("0.560", "0.601", Result.LOSS), ("0.600", "0.560", Result.NO_SIGNIFICANT_CHANGE),
     ("0.560", "0.600", Result.NO_SIGNIFICANT_CHANGE), ("0.560", "0.560", Result.NO_SIGNIFICANT_CHANGE)],
)  # fmt: skip
def test_a_change_that_equals_the_lsc_is_significant(now: str, then: str, result: Result) -> None:
    """R1.8, ISCD: a change must equal or exceed the LSC. In floats 0.601 - 0.560 falls short of 0.041."""
    assert change(now, then, "0.041").result is result


def test_a_change_keeps_the_scanners_decimals() -> None:
    """R3.1"""
    found = change("0.864", "0.871", "0.0223")
    assert (str(found.difference), str(found.percent), found.reference_bmd) == ("-0.007", "-0.8", Decimal("0.871"))
    assert (found.region, found.bmd) == (None, None)


def test_without_an_lsc_nothing_is_significant_and_nothing_is_stable() -> None:
    """R1.13"""
    found = change("0.500", "0.900", None)
    assert (found.result, found.lsc, found.rate) == (Result.NO_LSC, None, None)
    assert judge(Decimal(0), None) is Result.NO_LSC


@pytest.mark.parametrize(
    ("difference", "printed"),
    [
        ("0.0005", "0.1"),
        ("-0.0005", "-0.1"),
        ("0.0004", "0.0"),
        ("-0.0004", "0.0"),
        ("-0.0015", "-0.2"),
        ("-1", "-100.0"),
    ],
)
def test_percent_has_one_decimal_and_halves_go_away_from_zero(difference: str, printed: str) -> None:
    """R3.1: of the earlier BMD, as scanners print it; never -0.0."""
    assert str(percent(Decimal(difference), Decimal(1))) == printed


def test_only_a_significant_change_over_twelve_months_is_annualised() -> None:
    """R3.4, R2.21"""
    assert change("0.799", "0.846", "0.0267", on="2012-10-24", since="2010-10-26").rate == Decimal("-0.0235")
    assert change("0.845", "0.846", "0.0267").rate is None
    assert change("0.799", "0.846", "0.0267", on="2019-01-01").rate == Decimal("-0.0470")
    assert change("0.799", "0.846", "0.0267", on="2018-12-31").rate is None


@pytest.mark.parametrize(
    ("begun", "ended", "months"),
    [("2018-01-01", "2019-01-01", 12), ("2018-01-02", "2019-01-01", 11), ("2020-02-29", "2021-02-28", 11),
     ("2020-02-29", "2021-03-01", 12), ("2018-12-31", "2019-01-31", 1), ("2018-12-31", "2019-01-30", 0)],
)  # fmt: skip
def test_months_are_calendar_months(begun: str, ended: str, months: int) -> None:
    assert months_between(day(begun), day(ended)) == months


def test_a_rate_is_per_year_of_365_25_days() -> None:
    assert rate(Decimal("0.01461"), day("2016-01-01"), day("2020-01-01")) == Decimal("0.0037")
    assert str(rate(Decimal("-0.0001"), day("2016-01-01"), day("2020-01-01"))) == "0.0000"
    assert rate(Decimal("0.0002"), day("2016-01-01"), day("2020-01-01")) == Decimal("0.0001")


@pytest.mark.parametrize(
    ("now", "expected"),
    [("0.929", False), ("0.930", True), ("0.938", True), ("0.939", False), ("0.862", True), ("0.861", False)],
)
def test_a_change_between_one_lsc_and_1_3_lsc_is_borderline(now: str, *, expected: bool) -> None:
    """R1.17"""
    assert borderline(change(now, "0.900", "0.030"), Decimal("1.3")) is expected


def test_what_cannot_be_judged_is_not_borderline() -> None:
    assert not borderline(change("0.5", "0.9", None), Decimal("1.3"))


@pytest.mark.parametrize(
    ("ended", "within"),
    [("2020-09-30", False), ("2020-10-01", True), ("2021-07-01", True), ("2021-07-02", False)],
)
def test_a_span_of_months_holds_both_its_ends_and_no_day_more(ended: str, *, within: bool) -> None:
    """R5.4"""
    assert within_months(day("2020-01-01"), day(ended), 9, 18) is within


@pytest.mark.parametrize(
    ("since", "now", "limit", "days"),
    [
        ("2018-01-01", "0.869", "0.0223", 526),  # 730 x 0.0223 / 0.031 = 525.1, upwards
        ("2017-04-06", "0.910", "0.03653", 3653),  # 1000 x 0.03653 / 0.010: ten years
        ("2017-04-06", "0.910", "0.03654", None),
        ("2018-01-01", "0.900", "0.0223", None),
    ],
)
def test_the_day_of_a_further_change_is_rounded_up_and_lies_within_ten_years(
    since: str, now: str, limit: str, days: int | None
) -> None:
    """R2.21"""
    found = detectable_on(change(now, "0.900", limit, since=since), day("2020-01-01"))
    assert found == (None if days is None else day("2020-01-01") + timedelta(days=days))
