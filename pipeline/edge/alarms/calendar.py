"""The department's calendar: its days and hours of work, by which alarms are held off and learned."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Days and hours of work; ``days`` are numbers of weekdays, Monday is 0. A ``zone`` of ``None`` is this machine's.

    ``morning`` is the time of day at which what is still open is told, and work ``ends`` in the evening.
    """

    days: Collection[int] = (0, 1, 2, 3, 4)
    ends: time = time(18)
    holidays: Collection[date] = ()
    morning: time = time(6, 30)
    zone: tzinfo | None = None

    def local(self, moment: datetime) -> datetime:
        """Return a moment in the department's time zone."""
        return moment.astimezone(self.zone)

    def is_working_day(self, day: date) -> bool:
        """Return whether the department works on a day."""
        return day.weekday() in self.days and day not in self.holidays

    def is_read(self, moment: datetime) -> bool:
        """Return whether somebody reads messages: on days of work, from the morning's until work ends."""
        local = self.local(moment)
        return self.is_working_day(local.date()) and self.morning <= local.time() < self.ends

    def working_days_between(self, first: date, last: date) -> int:
        """Return the days of work after the first day, up to and including the last."""
        return sum(self.is_working_day(first + n * DAY) for n in range(1, (last - first).days + 1))

    def after_working_days(self, moment: datetime, count: int) -> datetime:
        """Return the same time of day so many days of work later."""
        local = self.local(moment)
        day = local.date()
        limit = day + timedelta(days=366)  # a calendar without a day of work
        while count and day < limit:
            day += DAY
            count -= self.is_working_day(day)
        return datetime.combine(day, local.timetz())
