"""The LSC that judges a region on a day (R1)."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from pipeline.clinical.model import LeastSignificantChange
from pipeline.clinical.precision import (
    degrees_of_freedom,
    doubts,
    in_force,
    least_significant_change,
    lsc_for,
    only_at_80_percent,
    overlaps,
    running_out,
)
from pipeline.clinical.regions import parse_region
from tests.factories.exams import HOLOGIC, ROOM_1, ROOM_2, day, lsc

TODAY = date(2020, 1, 1)


def find(region: str, *records: LeastSignificantChange, on: date = TODAY) -> LeastSignificantChange | None:
    return lsc_for(in_force(records, ROOM_1, on), parse_region(region))


def test_the_lsc_is_2_77_precision_errors() -> None:
    """R1.7"""
    assert least_significant_change(Decimal("0.010")) == Decimal("0.02770")
    averaged = least_significant_change(Decimal("0.010"), scans=(1, 2))
    assert round(averaged, 6) == Decimal("0.024005")
    assert round(least_significant_change(Decimal("0.010"), confidence=80, scans=(1, 3)), 6) == Decimal("0.014799")


def test_significant_at_80_percent_only_is_from_1_81_to_2_77_precision_errors() -> None:
    """R1.7"""
    record = lsc("L1-L4", "0.0277")
    found = {text: only_at_80_percent(Decimal(text), record) for text in ("0.0180", "0.0181", "-0.0276", "0.0277")}
    assert found == {"0.0180": False, "0.0181": True, "-0.0276": True, "0.0277": False}


def test_a_record_without_a_side_serves_left_and_right_but_never_their_mean() -> None:
    """R1.16: the LSC of a mean comes from a dual-hip study."""
    both = lsc("total hip", "0.027")
    assert find("total hip left", both) is both
    assert find("total hip right", both) is both
    assert find("total hip", both) is both
    assert find("total hip mean", both) is None
    mean = lsc("total hip mean", "0.020")
    assert find("total hip mean", both, mean) is mean
    assert find("total hip left", mean) is None


def test_a_record_with_a_side_goes_before_one_without() -> None:
    left = lsc("total hip left", "0.030")
    assert find("total hip left", lsc("total hip", "0.027"), left) is left


def test_an_lsc_belongs_to_one_scanner() -> None:
    """R1.9, R1.12: never another scanner's, never a default."""
    assert find("L1-L4", lsc("L1-L4", "0.02", scanner=ROOM_2)) is None
    assert find("L1-L4") is None


def test_an_lsc_holds_from_its_first_to_its_last_day() -> None:
    """R1.12: valid on the day of the current exam, or not at all."""
    record = lsc("L1-L4", "0.02", valid_from=day("2019-01-01"), valid_until=day("2020-12-31"))
    assert find("L1-L4", record, on=day("2018-12-31")) is None
    assert find("L1-L4", record, on=day("2019-01-01")) is record
    assert find("L1-L4", record, on=day("2020-12-31")) is record
    assert find("L1-L4", record, on=day("2021-01-01")) is None


def test_a_study_below_30_degrees_of_freedom_is_not_for_clinical_use() -> None:
    """R1.1, R1.2: 15 x 3 and 30 x 2 both give 30."""
    assert degrees_of_freedom(15, 3) == degrees_of_freedom(30, 2) == 30
    small = lsc("L1-L4", "0.02", patients=29)
    assert find("L1-L4", small) is None
    assert find("L1-L4", lsc("L1-L4", "0.02", patients=15, repeats=3)) is not None
    unstated = lsc("L1-L4", "0.02", patients=None)
    assert find("L1-L4", unstated) is unstated
    assert doubts(unstated) == ("does not state the patients and repeats of its study (R1.2)",)


def test_of_two_records_that_overlap_the_newer_holds_and_the_configuration_reports_it() -> None:
    old = lsc("L1-L4", "0.030", valid_from=day("2010-01-01"), valid_until=day("2020-01-01"))
    new = lsc("L1-L4", "0.020", valid_from=day("2020-01-01"))
    assert find("L1-L4", new, old) is new
    assert find("L1-L4", old, new, on=day("2019-12-31")) is old
    assert overlaps((new, lsc("L2-L4", "0.02"), old)) == ((0, 2),)
    assert overlaps((old, new)) == ((0, 1),)
    later = lsc("L1-L4", "0.020", valid_from=day("2020-01-02"))
    assert overlaps((old, later)) == overlaps((later, old)) == ()
    assert overlaps((old, lsc("L1-L4", "0.03", scanner=HOLOGIC))) == ()


def test_of_two_records_from_one_day_the_more_cautious_holds() -> None:
    assert find("L1-L4", lsc("L1-L4", "0.030"), lsc("L1-L4", "0.020")) == lsc("L1-L4", "0.030")


def test_fewer_vertebrae_have_a_larger_lsc_of_their_own_or_approximated() -> None:
    """R1.15: the site's own study for the combination, else L1-L4 inflated and labelled (Rosen 2024)."""
    full, own = lsc("L1-L4", "0.030"), lsc("L2-L4", "0.031")
    assert find("L2-L4", full, own) is own
    approximated = find("L1,L3-L4", full, own)
    assert approximated is not None
    assert approximated.approximated
    assert approximated.region == parse_region("L1,L3-L4")
    assert approximated.source == "approximated from L1-L4 x 1.07 (Rosen 2024); in vivo study"
    assert find("L1-L2", own) is None


def test_no_lsc_serves_a_region_that_is_not_monitored() -> None:
    """R2.17, R1.15: never a single vertebra, Ward's triangle or the trochanter."""
    assert find("L2", lsc("L2", "0.03"), lsc("L1-L4", "0.03")) is None
    assert find("trochanter left", lsc("trochanter", "0.03")) is None


@pytest.mark.parametrize(("value", "doubted"), [("0.009", True), ("0.010", False), ("0.060", False), ("0.061", True)])
def test_an_unusual_lsc_is_doubted(value: str, *, doubted: bool) -> None:
    """R1.14: published LSCs lie between 0.010 and 0.060 g/cm2."""
    text = f"{value} g/cm2 lies outside the usual 0.010 to 0.060 g/cm2 (R1.14)"
    assert doubts(lsc("L1-L4", value)) == ((text,) if doubted else ())


@pytest.mark.parametrize(
    ("days", "reminded"), [(91, False), (90, True), (0, True), (-1, True), (-365, True), (-366, False)]
)
def test_an_lsc_is_reminded_of_before_it_runs_out_and_for_a_year_after(days: int, *, reminded: bool) -> None:
    """E8: one year in silence would end in no result for any change."""
    record = lsc("L1-L4", "0.03", valid_until=TODAY + timedelta(days=days))
    assert running_out([record], TODAY) == ((record,) if reminded else ())


def test_an_lsc_that_another_follows_is_not_reminded_of() -> None:
    old, new = lsc("L1-L4", "0.03", valid_until=TODAY), lsc("L1-L4", "0.02", valid_from=TODAY + timedelta(days=1))
    on_another_scanner = (lsc("L1-L4", "0.02", scanner=ROOM_2), lsc("total hip", "0.02"))
    for records in ([old, new], [new, old]):
        assert running_out(records, TODAY) == ()
    assert running_out([old, *on_another_scanner], TODAY) == (old,)
    assert running_out([], TODAY) == ()


def test_an_lsc_is_reminded_of_until_the_next_one_has_begun_where_days_lie_between() -> None:
    """R1.12: on those days nothing is judged."""
    old = lsc("L1-L4", "0.03", valid_until=TODAY - timedelta(days=1))
    begins = TODAY + timedelta(days=30)
    new = lsc("L1-L4", "0.02", valid_from=begins, valid_until=begins + timedelta(days=1000))
    assert running_out([old, new], TODAY) == (old,)
    assert running_out([old, new], begins - timedelta(days=1)) == (old,)
    assert running_out([old, new], begins) == ()


@pytest.mark.parametrize(
    ("same_day", "three", "two"), [(True, "1.39", "1.60"), (False, "1.07", "1.24"), (None, "1.07", "1.24")]
)
def test_a_study_of_one_day_inflates_the_lsc_of_fewer_vertebrae_more(
    same_day: bool | None,
    three: str,
    two: str,
) -> None:
    """E8, R1.15: whichever the vertebrae, and never that of all four."""
    full = lsc("L1-L4", "0.030", same_day=same_day)
    for region, factor in (("L1-L3", three), ("L1,L3-L4", three), ("L2-L3", two), ("L1,L4", two), ("L1-L4", "1")):
        found = find(region, full)
        assert found is not None
        assert found.lsc == Decimal("0.030") * Decimal(factor), region
