"""Move the dates that are printed in a text, in the notation in which they are printed."""

import re
from collections.abc import Callable, Collection, Iterator
from datetime import date

from pipeline.sr.dialects.model import DateOrder
from pipeline.sr.extract.ambiguous_dates import possible_days

_PRINTED = re.compile(
    r"(?<![0-9])(?:"
    r"[0-9]{8}(?=[0-9]{4}(?![0-9])|[0-9]{6}(?![0-9]))"  # a DT, of which the time stays
    r"|(?:[0-9]{4}([-/.]?)[0-9]{2}\1[0-9]{2}|[0-9]{1,2}([-/. ])[0-9]{1,2}\2[0-9]{4}"
    r"|[0-9]{1,2}[-/. ]{0,2}[^\W\d_]{3,10}[-/. ,]{0,2}[0-9]{4})(?![0-9])"
    r")|(?<![^\W_])[^\W\d_]{3,10}[. ]{1,2}[0-9]{1,2},? [0-9]{4}(?![0-9])"
)
"""Each notation that is read anywhere; what only looks like one is no date."""

_FIGURES = re.compile(r"([0-9]{1,2})([-/. ])([0-9]{1,2})\2([0-9]{4})")
_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.]?)([0-9]{2})\2([0-9]{2})")
_NAME = re.compile(r"[^\W\d_]+")
_FULL_NAME = 4
"""A name of a month with more letters is no abbreviation."""


class PrintedDates:
    """The dates of one report: by ``order``, or else by the days that are ``known``, one of two readings is taken."""

    def __init__(self, move: Callable[[date], date], known: Collection[date], order: DateOrder | None) -> None:
        self._move = move
        self._known = known
        self._order = order
        self.read: set[date] = set()

    def parts(self, text: str) -> Iterator[tuple[str, bool]]:
        """Yield the text in pieces: what is between dates as it is, and each date moved; and whether it is a date."""
        at = 0
        for match in _PRINTED.finditer(text):
            days = possible_days(match[0])
            if not days:
                continue
            yield text[at : match.start()], False
            yield self._moved(match[0], days), True
            at = match.end()
        yield text[at:], False

    def _moved(self, printed: str, days: tuple[date, ...]) -> str:
        in_order = possible_days(printed, self._order)
        readings = [day for day in days if day in self._known] or in_order or days
        self.read.add(readings[0])
        day = self._move(readings[0])
        written = _written(printed, readings[0], day)
        is_newly_ambiguous = len(days) == 1 and len(possible_days(written)) > 1
        return day.isoformat() if is_newly_ambiguous or day not in possible_days(written) else written


def printed_dates(text: str) -> Iterator[str]:
    """Yield what is printed as a date in a text."""
    return (match[0] for match in _PRINTED.finditer(text))


def notations(day: date) -> Iterator[str]:
    """Yield the ways in which people, scanners and DICOM write a day."""
    for separator in ("", "-", ".", "/", " "):
        for order in ("%Y{0}%m{0}%d", "%d{0}%m{0}%Y", "%m{0}%d{0}%Y"):
            yield day.strftime(order.format(separator))
    for separator in ".", "/", "-":
        for numbers in ((day.day, day.month), (day.month, day.day)):
            yield separator.join(map(str, (*numbers, day.year)))
    for name in ("%b", "%B"):
        for form in (f"%d-{name}-%Y", f"%d {name} %Y", f"%d. {name} %Y", f"{name} %d, %Y", f"{name} %d %Y"):
            yield day.strftime(form)


def _written(printed: str, original: date, day: date) -> str:
    """Write another day in the notation of a printed one."""
    if match := _YEAR_FIRST.fullmatch(printed) or _COMPACT.fullmatch(printed):
        return f"{day.year:04}{match[2]}{day.month:02}{match[2]}{day.day:02}"
    if match := _FIGURES.fullmatch(printed):
        is_day_first = (int(match[1]), int(match[3])) == (original.day, original.month)
        numbers = (day.day, day.month) if is_day_first else (day.month, day.day)
        first, second = (f"{number:0{len(match[at])}}" for number, at in zip(numbers, (1, 3), strict=True))
        return f"{first}{match[2]}{second}{match[2]}{day.year:04}"
    name = _NAME.search(printed)
    assert name is not None, "the other notations have the name of the month"
    month = day.strftime("%B" if len(name[0]) > _FULL_NAME else "%b")
    month = month.upper() if name[0].isupper() else month
    before, after = printed[: name.start()], printed[name.end() :]
    if before:
        return f"{_renumbered(before, day.day)}{month}{_renumbered(after, day.year)}"
    numbers_after = _YEAR_AT_END.sub(f"{day.year:04}", after)
    return month + _DAY_BEFORE_YEAR.sub(f"{day.day:02}", numbers_after)


def _renumbered(text: str, number: int) -> str:
    return _DIGITS.sub(lambda match: f"{number:0{len(match[0])}}", text)


_COMPACT = re.compile(r"([0-9]{4})()([0-9]{2})([0-9]{2})")
_YEAR_AT_END = re.compile(r"[0-9]{4}$")
_DAY_BEFORE_YEAR = re.compile(r"[0-9]{1,2}(?=,? [0-9]{4}$)")
_DIGITS = re.compile(r"[0-9]+")
