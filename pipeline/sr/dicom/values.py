"""Read the numbers, dates and times that scanners print, exactly as printed and no further than they can be trusted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from pipeline.clinical.model import MOST_DECIMALS
from pipeline.errors import DxatrendError

LOWEST_BMD, HIGHEST_BMD = Decimal("0.1"), Decimal("3.0")
"""g/cm2; no living bone lies outside, a number in mg/cm2 does."""

BMD_DECIMALS = 3
"""What densitometers print of a BMD in g/cm2."""


class NoNumberError(DxatrendError, ValueError):
    """The text holds no number."""


class Number(NamedTuple):
    """A printed number, the unit text that followed it if any, and what had to be read past.

    ``marks`` are the scanner's ``*`` and ``#`` after it: in a change, significant and dissimilar.
    """

    value: Decimal
    unit: str = ""
    marks: str = ""
    remarks: tuple[str, ...] = ()


def read_number(text: str) -> Number:
    """The number in a text such as ``0.912``, ``0,912``, ``-1.0*`` or ``82 %``.

    Raises:
        NoNumberError: the text holds none, or more than one.
    """
    if _PLAIN.fullmatch(text):
        return Number(value=Decimal(text))
    match = _NUMBER.fullmatch(text.replace("\u2212", "-").strip()) if len(text) <= _LONGEST else None
    if match is None:
        raise NoNumberError("the text holds no single number")
    value = Decimal(match["number"].replace(",", "."))
    if _exponent(value) < -_LONGEST or value.adjusted() > _MOST_DIGITS:
        raise NoNumberError("the number has more digits than any measurement")
    return Number(
        value=value if _exponent(value) <= 0 else value.quantize(Decimal(1)),  # 1E+2 is 100
        unit=(match["unit"] or "").strip(),
        marks=match["marks"],
        remarks=tuple(_remarks_on(match)),
    )


def is_blank(text: str) -> bool:
    """Whether the scanner printed no value: nothing, or the dashes that stand for it."""
    return not text.strip(" -\u2013\u2014")


def without_noise(value: Decimal, decimals: int) -> Decimal:
    """A number as the machine knew it that then went through floating point: ``0.91200000047684`` is 0.912.

    A binary float of 32 bits holds seven digits. So a number with more decimals than any machine measures that lies
    within a few of its steps of one with fewer is that one, with ``decimals`` at least. Any other keeps its digits, up
    to the twentieth: beyond, no text of a float tells anything.
    """
    told = -_exponent(value)
    for shorter in range(decimals, min(_FEW_DECIMALS + 1, told - 1)) if told > _FEW_DECIMALS else ():
        rounded = round(value, shorter)
        if abs(value - rounded) <= abs(value) * _FLOAT_STEPS:
            return rounded
    return value if told <= MOST_DECIMALS else round(value, MOST_DECIMALS)


def decimals_of(value: Decimal) -> int:
    """How many digits stand behind the point."""
    return max(0, -_exponent(value))


def agrees(bmd: Decimal, bmc: Decimal, area: Decimal) -> bool:
    """Whether BMC over area is the BMD, each being anywhere within its last printed digit."""
    of_bmd, of_bmc, of_area = map(_half_digit, (bmd, bmc, area))
    if area <= of_area:
        return False
    return (bmc - of_bmc) / (area + of_area) <= bmd + of_bmd and (bmc + of_bmc) / (area - of_area) >= bmd - of_bmd


def read_date(text: str) -> date | None:
    """A DICOM DA, or the dotted form before 1993 (PS3.5 section 6.2); ``None`` when it is no date."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def read_time(text: str) -> time | None:
    """A DICOM TM: hours, with minutes, seconds and a fraction as far as known; ``None`` when it is no time."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    try:
        # a leap second, 60, is legal in DICOM and unknown to Python
        return time(hours, minutes, min(seconds, 59) if seconds == 60 else seconds, int((match[4] or "").ljust(6, "0")))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Clock:
    """By which clock a report tells its times, and in which zone the department lives.

    ``offset`` is the report's Timezone Offset From UTC (0008,0201), if it tells one; without ``zone`` the department
    lives in this machine's.
    """

    offset: timezone | None = None
    zone: tzinfo | None = None

    def local(self, moment: datetime, offset: timezone | None = None) -> datetime:
        """A moment as the department's clocks showed it; the one told where no offset says what clock it is by."""
        by = offset or self.offset
        if by is None:
            return moment
        try:
            return moment.replace(tzinfo=by).astimezone(self.zone).replace(tzinfo=None)
        except (OverflowError, ValueError, OSError):  # at the ends of the calendar
            return moment


def read_offset(text: str) -> timezone | None:
    """An offset from UTC such as ``+0100`` (PS3.5 6.2 DT); ``None`` when it is none."""
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset) if offset <= _FARTHEST else None


def read_datetime(text: str, clock: Clock | None = None) -> datetime | None:
    """A DICOM DT with at least a day, in the department's own local time; ``None`` when it is none.

    Without a clock it is the time that is told, by whatever clock.
    """
    told = text.strip()
    offset = read_offset(told[-5:]) if _WITH_OFFSET.fullmatch(told) else None
    local = told[:-5] if _WITH_OFFSET.fullmatch(told) else told
    day, moment = read_date(local[:8]), read_time(local[8:]) if local[8:] else time()
    if day is None or moment is None:
        return None
    read = datetime.combine(day, moment)
    return clock.local(read, offset) if clock is not None and local[8:] else read


_OFFSET = re.compile(r"([+-])(\d{2})([0-5]\d)", re.ASCII)
_WITH_OFFSET = re.compile(r".{8,}[+-]\d{4}", re.ASCII)
_FARTHEST = timedelta(hours=14)
_DATE = re.compile(r"(\d{4})(\.?)(\d{2})\2(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?", re.ASCII)

_LONGEST = 64
"""A DICOM decimal string has sixteen characters; whoever prints a float of 64 bits in full overruns it."""

_MOST_DIGITS = 15
"""No measurement has more before the point."""

_FEW_DECIMALS = 5
"""More than any densitometer prints."""

_FLOAT_STEPS = Decimal(2) ** -21
"""Some steps of a float of 32 bits, in parts of the number: what calculating with it may cost."""

_PLAIN = re.compile(r"-?\d{1,6}(?:\.\d{1,6})?", re.ASCII)
"""What nearly every value is, and needs no second look."""

_NUMBER = re.compile(
    r"(?P<number>[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,2})?)"
    r"\s*(?P<marks>[*#]*)"
    r"(?P<unit>\s*%|\s+[^\s\d.,+-].*)?",
    re.ASCII,
)


def _remarks_on(match: re.Match[str]) -> Iterator[str]:
    if "," in match["number"]:
        yield "a decimal comma was read as a decimal point"
    if match["marks"]:
        yield f"the scanner's mark {match['marks']} was left out"


def _half_digit(number: Decimal) -> Decimal:
    return _half_of(_exponent(number))


@lru_cache(maxsize=64)
def _half_of(exponent: int) -> Decimal:
    return Decimal(5).scaleb(exponent - 1)


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "no infinity and no NaN is ever read"
    return exponent
