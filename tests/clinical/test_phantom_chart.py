"""Control charts of simulated and of hand-made phantom scans (R7, E24)."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from pipeline.clinical.model import QcGap
from pipeline.clinical.phantom_chart import ControlChart, ControlScan, Outcome, ServiceMark, judge
from pipeline.clinical.phantom_qc import QualityRule
from tests.factories.exams import ROOM_1
from tests.factories.phantoms import IN_CONTROL, SimulatedScanner, drift, step

D = Decimal
BEGIN = datetime(2024, 1, 1, 7)


def scans(
    *values: str, first: int = 0, phantom: str = "Spine", software: str = "", a_day: int = 1
) -> list[ControlScan]:
    """Scans of a phantom, so many a day."""
    return [
        ControlScan(
            number=first * a_day + position + 1,
            performed_at=BEGIN + timedelta(days=first + position // a_day, minutes=10 * (position % a_day)),
            phantom=phantom,
            bmd=D(value),
            software=software,
        )
        for position, value in enumerate(values)
    ]


def in_control(
    days: int, *, first: int = 0, shift: str = "0", phantom: str = "Spine", software: str = ""
) -> list[ControlScan]:
    """Scans of a phantom in control, one a day."""
    values = [str(D(IN_CONTROL[day % len(IN_CONTROL)]) + D(shift)) for day in range(days)]
    return scans(*values, first=first, phantom=phantom, software=software)


def outcomes(chart: ControlChart) -> list[Outcome]:
    return [one.outcome for one in chart.scans]


def test_the_first_fifteen_days_have_no_limits_and_twenty_five_make_the_baseline() -> None:
    """R7.2, E24"""
    chart = judge(in_control(30))
    assert outcomes(chart) == [Outcome.NO_LIMITS] * 15 + [Outcome.FIT] * 15
    (segment,) = chart.segments
    assert len(segment.days) == 25
    assert segment.baseline is not None
    assert chart.scans[15].limits != chart.scans[20].limits, "it grows until it is complete"
    assert chart.scans[-1].limits is segment.baseline
    assert judge(in_control(14)).segments[0].missing_days == 1


def test_scans_that_are_all_equal_have_no_limits_and_do_no_harm() -> None:
    assert set(outcomes(judge(scans(*["1.177"] * 30)))) == {Outcome.NO_LIMITS}


@pytest.mark.parametrize(
    ("repeats", "outcome"),
    [
        ((), Outcome.REPEAT),
        (("1.2010",), Outcome.REPEAT),
        (("1.2010", "1.2020"), Outcome.CONFIRMED),
        (("1.1770", "1.1780"), Outcome.REFUTED),
        (("1.1500", "1.1500"), Outcome.REFUTED),
    ],
)
def test_two_repeats_say_whether_a_scan_outside_its_limits_was_right(repeats: Sequence[str], outcome: Outcome) -> None:
    """R7.3, E24: on the other side they say that something else is wrong, and ask for the phantom again."""
    chart = judge([*in_control(20), *scans("1.2030", *repeats, first=20, a_day=3)])
    failed = chart.scans[20]
    assert failed.outcome is outcome
    assert QualityRule.LIMIT in failed.rules
    assert (chart.awaiting is failed) is (outcome is Outcome.REPEAT)
    confirmed = [failure for failure in chart.failures if failure.confirmed_at]
    assert bool(confirmed) is (outcome is Outcome.CONFIRMED)
    if confirmed:
        assert confirmed[0].last_good_at == chart.scans[19].scan.performed_at
        assert confirmed[0].confirmed_at == chart.scans[22].scan.performed_at


def test_a_day_counts_once_in_the_baseline_however_often_the_phantom_was_scanned() -> None:
    """R7.2, E24: the second scan of the last day was outside, and its repeats were not."""
    chart = judge([*in_control(16), *scans("1.177", "1.2030", "1.1770", "1.1780", first=16, a_day=4)])
    assert chart.scans[17].outcome is Outcome.REFUTED
    (segment,) = chart.segments
    assert len(segment.days) == len(set(segment.days)) == 17
    assert segment.values[-1] == D("1.177")


def test_scans_of_a_later_day_stand_in_for_repeats_that_nobody_made() -> None:
    chart = judge([*in_control(20), *scans("1.2030", "1.2020", "1.2010", first=20)])
    assert [failure.confirmed_at for failure in chart.failures] == [BEGIN + timedelta(days=22)]


def test_a_rule_that_looks_at_several_scans_puts_all_of_them_in_doubt() -> None:
    """R7.6: the last good scan is the one before them."""
    wide = scans(*["1.177", "1.183", "1.171", "1.180", "1.174"] * 5)
    shifted = ("1.1835", "1.1840", "1.1838", "1.1835")
    chart = judge([*wide, *scans(*shifted, first=25), *scans("1.1845", "1.1845", first=29)])
    (failure,) = chart.failures
    assert failure.scan.rules == (QualityRule.FOUR_1S,)
    assert failure.last_good_at == chart.scans[24].scan.performed_at


WIDE = ("1.177", "1.183", "1.171", "1.180", "1.174")
"""Scans in control, again and again: a standard deviation of 0.0043 g/cm2."""


@pytest.mark.parametrize(("a_day", "expected"), [(2, True), (1, False)])
def test_a_wide_range_counts_only_within_one_day(a_day: int, *, expected: bool) -> None:
    """R7.3, E24: between days a healthy scanner has such ranges several times a year."""
    later = scans("1.1855", "1.1675", first=26, a_day=a_day)
    last = judge([*scans(*WIDE * 5), *later]).scans[-1]
    assert (QualityRule.R_4S in last.rules) is expected


@pytest.mark.parametrize("shifted", ["1.1810", "1.1730"])
def test_cusum_raises_one_alarm_per_excursion_up_or_down(shifted: str) -> None:
    """R7.4: h 5, and a shift that breaks no other rule; it begins anew once it has come back."""
    chart = judge([*scans(*WIDE * 5), *scans(*[shifted] * 20, *WIDE * 6, *[shifted] * 20, first=25)])
    alarms = [one.scan.number - 25 for one in chart.scans if QualityRule.CUSUM in one.rules]
    first, second = alarms
    assert first == 12
    assert second > 50
    assert not chart.failures


@pytest.mark.parametrize(
    ("marks", "later", "reason"),
    [
        ([ServiceMark(day=date(2024, 1, 26), what="tube replaced", is_epoch=True)], {}, "tube replaced"),
        ([], {"phantom": "New"}, "phantom Spine replaced by New"),
        ([], {"software": "18.2"}, "software 17.1 → 18.2"),
    ],
)
def test_an_epoch_another_phantom_and_major_software_begin_a_new_baseline(
    marks: list[ServiceMark], later: dict[str, str], reason: str
) -> None:
    """R2.4, R2.6"""
    chart = judge([*in_control(25, software="17.1"), *in_control(20, first=25, shift="0.050", **later)], marks)
    assert [segment.reason for segment in chart.segments] == ["first scan", reason]
    assert outcomes(chart)[25:40] == [Outcome.NO_LIMITS] * 15
    assert not chart.failures


def test_service_and_minor_software_go_on_with_the_baseline() -> None:
    mark = ServiceMark(day=date(2024, 1, 26), what="inspected")
    chart = judge([*in_control(25, software="17.1"), *in_control(5, first=25, software="17.2")], [mark])
    assert len(chart.segments) == 1


@pytest.mark.parametrize(("shift", "holds"), [("0.005", True), ("0.020", False)])
def test_ten_scans_before_and_after_work_on_the_scanner_say_whether_its_calibration_held(
    shift: str, *, holds: bool
) -> None:
    """R2.6: within 1 %."""
    mark = ServiceMark(day=date(2024, 1, 26), what="tube replaced", is_epoch=True)
    (bridge,) = judge([*in_control(25), *in_control(9, first=25, shift=shift)], [mark]).bridges
    assert (bridge.holds, bridge.after) == (None, 9)
    (bridge,) = judge([*in_control(25), *in_control(10, first=25, shift=shift)], [mark]).bridges
    assert bridge.holds is holds


def stopped(*later: ControlScan, marks: Sequence[ServiceMark] = ()) -> tuple[ControlChart, datetime]:
    """A chart with a confirmed failure on day 25, and when it was confirmed."""
    chart = judge([*in_control(25), *scans("1.2030", "1.2020", "1.2010", first=25, a_day=3), *later], marks)
    confirmed_at = chart.failures[0].confirmed_at
    assert confirmed_at is not None
    return chart, confirmed_at


def test_the_first_good_scan_after_the_remedy_shows_the_scanner_fit() -> None:
    """R7.6"""
    chart, shown_at = stopped(*scans("1.1770", "1.2020", "1.1780", first=26))
    assert chart.fit_again_at(shown_at, date(2024, 1, 27)) == BEGIN + timedelta(days=26)
    assert chart.fit_again_at(shown_at, date(2024, 1, 28)) is None, "its only good scan repeats one that is out"
    assert chart.fit_again_at(shown_at, date(2024, 1, 29)) == BEGIN + timedelta(days=28)
    still_out, shown_at = stopped(*scans("1.2020", "1.2010", "1.2020", first=26))
    assert still_out.fit_again_at(shown_at, date(2024, 1, 27)) is None


@pytest.mark.parametrize(
    ("shift", "bridged", "fit"), [("0.005", True, True), ("0.020", True, False), ("0.020", False, True)]
)
def test_after_a_new_epoch_the_tenth_scan_shows_it_if_the_phantom_held_or_nothing_is_compared(
    shift: str, *, bridged: bool, fit: bool
) -> None:
    """R2.6, R7.6"""
    mark = ServiceMark(day=date(2024, 1, 28), what="tube replaced", is_epoch=True, is_bridged=bridged)
    ten = in_control(10, first=27, shift=shift)
    chart, shown_at = stopped(*ten[:9], marks=[mark])
    assert chart.fit_again_at(shown_at, mark.day) is None
    chart, shown_at = stopped(*ten, marks=[mark])
    assert chart.fit_again_at(shown_at, mark.day) == (ten[-1].performed_at if fit else None)
    longer, shown_at = stopped(*in_control(20, first=27, shift=shift), marks=[mark])
    assert (longer.fit_again_at(shown_at, mark.day) is not None) is fit


def test_the_ten_scans_before_work_are_good_ones_and_those_of_its_day_are_told_apart() -> None:
    """R2.6: the scanner failed, and was repaired the same day: it is compared with what it was before it failed."""
    failed = scans("1.2030", "1.2020", "1.2010", first=25, a_day=3)
    repaired = scans(*IN_CONTROL, *IN_CONTROL, first=26)
    mark = ServiceMark(day=date(2024, 1, 26), what="repaired", is_epoch=True, after=failed[-1].performed_at)
    chart = judge([*in_control(25), *failed, *repaired], [mark])
    assert [segment.begins for segment in chart.segments] == [BEGIN, repaired[0].performed_at]
    (failure,) = chart.failures
    assert failure.confirmed_at == failed[-1].performed_at
    (bridge,) = chart.bridges
    assert bridge.holds is True
    assert bridge.percent is not None
    assert abs(bridge.percent) < D("0.1")
    assert chart.fit_again_at(failed[-1].performed_at, mark.day) == repaired[-1].performed_at


# Simulated scanners: docs/safety.md has the table


@pytest.mark.parametrize("sd_percent", [0.3, 0.5])
def test_a_scanner_in_control_is_stopped_less_than_once_in_three_years(sd_percent: float) -> None:
    """E24: below 0.3 false stops a year, over forty scanners of four years each."""
    stops = 0
    for seed in range(40):
        scanner = SimulatedScanner(seed, sd_percent=sd_percent)
        scanner.run(1000)
        stops += len(scanner.judging.chart().failures)
    assert stops / 160 < 0.3


@pytest.mark.parametrize(
    ("sd_percent", "size", "median", "p90"),
    [(0.3, 1.0, 2, 4), (0.3, 1.5, 1, 2), (0.5, 1.0, 4, 10), (0.5, 1.5, 2, 4)],
)
def test_a_step_is_found_within_days(sd_percent: float, size: float, median: int, p90: int) -> None:
    delays = sorted(_delay(seed, sd_percent, size) for seed in range(40))
    assert delays[20] <= median
    assert delays[36] <= p90


def test_a_drift_is_noticed_by_cusum_before_it_stops_the_scanner() -> None:
    """R7.4: half a percent a year is found within the year."""
    noticed = []
    for seed in range(20):
        scanner = SimulatedScanner(seed, sd_percent=0.3, shift=drift(0.5, since=30))
        scanner.run(30 + 250)
        found = [
            one for one in scanner.judging.chart().scans if QualityRule.CUSUM in one.rules and one.scan.number > 30
        ]
        noticed.append(bool(found))
    assert sum(noticed) >= 18


def _delay(seed: int, sd_percent: float, size: float) -> int:
    """Return on which day after a step the scanner is stopped."""
    scanner = SimulatedScanner(1000 + seed, sd_percent=sd_percent, shift=step(size, on=30))
    scanner.run(30)
    before = len(scanner.judging.chart().failures)
    for day in range(30, 230):
        scanner.run(1, first=day)
        if len(scanner.judging.chart().failures) > before:
            return day - 29
    return 200


@pytest.mark.parametrize(
    ("at", "covered"),
    [
        ("2026-03-02T06:59", False),
        ("2026-03-02T07:00", False),
        ("2026-03-02T07:01", True),
        ("2026-03-02T00:00", True),
        ("2026-03-03T12:00", True),
        ("2026-03-04T10:59", True),
        ("2026-03-04T11:00", False),
        ("2026-03-04T00:00", True),
        ("2026-03-01T23:00", False),
        ("2026-03-05T00:00", False),
    ],
)
def test_a_stop_concerns_exams_between_two_good_scans_and_days_as_a_whole_where_no_time_is_known(
    at: str, *, covered: bool
) -> None:
    """R7.6"""
    after, before = datetime(2026, 3, 2, 7), datetime(2026, 3, 4, 11)
    gap = QcGap(scanner=ROOM_1, begins=after.date(), ends=before.date(), reason="out", after=after, before=before)
    assert gap.covers(datetime.fromisoformat(at)) is covered
    whole_days = QcGap(scanner=ROOM_1, begins=after.date(), ends=before.date(), reason="service")
    assert whole_days.covers(datetime.fromisoformat(at)) is (
        date(2026, 3, 2) <= date.fromisoformat(at[:10]) <= before.date()
    )
