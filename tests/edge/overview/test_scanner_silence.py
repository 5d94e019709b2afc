"""A scanner is silent when its gap is longer than nearly all of its own, in days of work."""

from datetime import UTC, date, timedelta

import pytest

from pipeline.edge.alarms.calendar import Calendar
from pipeline.edge.overview.scanner_silence import LEARNED_FROM, Silence, silence, usual_gap

DAY = timedelta(days=1)
CALENDAR = Calendar(zone=UTC, holidays=(date(2026, 4, 3),))
MONDAY = date(2026, 3, 2)


def working_days(count: int, *, every: int = 1) -> list[date]:
    """So many days of work from Monday 2 March 2026 on, or every second, third ... of them."""
    days = [MONDAY + n * DAY for n in range(count * every * 2) if CALENDAR.is_working_day(MONDAY + n * DAY)]
    return days[::every][:count]


def after(days: list[date], last: date, today: date, *, is_today_over: bool = True) -> Silence | None:
    return silence(days, last, today, CALENDAR.working_days_between, is_today_over=is_today_over)


def test_nothing_is_learned_from_fewer_than_twenty_days():
    assert usual_gap(working_days(LEARNED_FROM - 1), CALENDAR.working_days_between) is None
    assert after(working_days(LEARNED_FROM - 1), MONDAY, MONDAY + 300 * DAY) is None


@pytest.mark.parametrize(("every", "gap"), [(1, 1), (2, 2), (5, 5)])
def test_the_usual_gap_is_counted_in_days_of_work(every: int, gap: int):
    """A weekend between two exams is no gap, and neither is Good Friday where it is named."""
    assert usual_gap(working_days(40, every=every), CALENDAR.working_days_between) == gap


def test_one_holiday_that_nobody_has_named_is_no_alarm_for_a_daily_scanner_and_a_second_day_is():
    days = working_days(23)
    last = days[-1]
    assert last == date(2026, 4, 1)
    thursday = last + DAY
    assert after(days, last, thursday) == Silence(1, 1)
    tuesday = date(2026, 4, 7)
    assert after(days, last, tuesday, is_today_over=False) == Silence(2, 1)


def test_today_counts_once_its_hours_of_work_are_over():
    days = working_days(23)
    today = days[-1] + DAY
    assert after(days, days[-1], today, is_today_over=False) == Silence(0, 1)
    assert after(days, days[-1], today, is_today_over=True) == Silence(1, 1)


def test_a_scanner_with_long_gaps_may_be_silent_for_as_long():
    days = [*working_days(30), MONDAY + 70 * DAY]
    usual = usual_gap(days, CALENDAR.working_days_between)
    assert usual is not None
    assert usual > 15
