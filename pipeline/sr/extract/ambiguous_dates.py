"""Read printed dates whose order of day and month is ambiguous, as all days they can mean.

``04/06/2026`` is a day in April or in June: both are returned.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time

from pipeline.sr.dialects.model import DateOrder
from pipeline.sr.dicom.values import Clock, read_datetime, read_time


def possible_days(text: str, order: DateOrder | None = None) -> tuple[date, ...]:
    """Return the days that the date at the beginning of a text can mean.

    It is one where a number above 12, the name of a month or the dialect's ``date_order`` decides, and none where the
    text has no date.
    """
    return tuple(dict.fromkeys(_possible(text.strip()[:_LONGEST], order)))


def possible_moments(
    text: str,
    order: DateOrder | None = None,
    *,
    earliest: date = date.min,
    latest: date = date.max,
    clock: Clock | None = None,
) -> tuple[datetime, ...]:
    """Return the moments that a printed date and time can mean, at midnight where there is no time.

    Of two readings, one before ``earliest`` or after ``latest`` is left out.
    """
    moment = read_datetime(text, clock)
    if moment is not None:
        return (moment,)
    days = possible_days(text, order)
    possible = [day for day in days if earliest <= day <= latest] if len(days) > 1 else days
    return tuple(datetime.combine(day, _time_at_end(text) or time()) for day in possible)


def has_time(text: str) -> bool:
    """Whether a printed date is followed by a time."""
    printed = text.strip()[:_LONGEST]
    return _time_at_end(printed) is not None or (read_datetime(printed) is not None and len(printed) > _DAY_ALONE)


def order_of(texts: Iterable[str]) -> DateOrder | None:
    """Return the order of day and month that fits all these dates; ``None`` when both fit, or neither."""
    orders = set(DateOrder)
    for text in texts:
        orders -= {order for order in DateOrder if possible_days(text) and not possible_days(text, order)}
    return orders.pop() if len(orders) == 1 else None


_LONGEST = 64
_DAY_ALONE = len("20240301")

_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.]?)([0-9]{2})\2([0-9]{2})(?![0-9])")
_FIGURES = re.compile(r"([0-9]{1,2})([-/. ])([0-9]{1,2})\2([0-9]{4})(?![0-9])")
_DAY_AND_NAME = re.compile(r"([0-9]{1,2})[-/. ]{0,2}([^\W\d_]{3,10})[-/. ,]{0,2}([0-9]{4})(?![0-9])")
_NAME_AND_DAY = re.compile(r"([^\W\d_]{3,10})[. ]{1,2}([0-9]{1,2}),? ([0-9]{4})(?![0-9])")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?: ?([AaPp])[Mm])?$")

_MONTHS = (
    "jan ene",
    "feb fév fev",
    "mar mär mrz",
    "apr avr abr",
    "may mai",
    "jun juin",
    "jul juil",
    "aug aoû aou ago",
    "sep set",
    "oct okt",
    "nov",
    "dec dez déc dic",
)
"""Beginnings of the names of months in English, German, French and Spanish."""


def _possible(text: str, order: DateOrder | None) -> Iterator[date]:
    if match := _YEAR_FIRST.match(text):
        yield from _day(int(match[1]), int(match[3]), int(match[4]))
    elif match := _FIGURES.match(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if order is not DateOrder.MONTH_FIRST:
            yield from _day(year, second, first)
        if order is not DateOrder.DAY_FIRST and match[2] != ".":  # with dots nobody writes the month first
            yield from _day(year, first, second)
    elif match := _DAY_AND_NAME.match(text):
        yield from _day(int(match[3]), _month(match[2]), int(match[1]))
    elif match := _NAME_AND_DAY.match(text):
        yield from _day(int(match[3]), _month(match[1]), int(match[2]))


def _month(name: str) -> int:
    """Return the number of a month by the beginning of its name; 0 when it is none."""
    folded_name = name.casefold()
    fits = [
        (len(known), number)
        for number, names in enumerate(_MONTHS, start=1)
        for known in names.split()
        if folded_name.startswith(known)
    ]
    return max(fits)[1] if fits else 0


def _day(year: int, month: int, day: int) -> Iterator[date]:
    try:
        yield date(year, month, day)
    except ValueError:
        return


def _time_at_end(text: str) -> time | None:
    match = _TIME.search(text.strip()[:_LONGEST])
    if match is None:
        return None
    hours = int(match[1])
    if match[4]:
        hours = hours % 12 + (12 if match[4] in "Pp" else 0)
    return read_time(f"{hours:02}{match[2]}{match[3] or ''}")
