"""Read numbers, dates and times as scanners print them: numbers as ``Decimal``, never float."""

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
"""In g/cm²: no living bone has less or more; a number in mg/cm² has."""

BMD_DECIMALS = 3
"""The decimals that densitometers print of a BMD in g/cm²."""


class NoNumberError(DxatrendError, ValueError):
    """The text holds no number."""


class Number(NamedTuple):
    """A printed number, the text of the unit after it, and remarks on how it was read.

    ``marks`` are the scanner's ``*`` and ``#`` after it: in a change, significant and dissimilar.
    """

    value: Decimal
    unit: str = ""
    marks: str = ""
    remarks: tuple[str, ...] = ()


def read_number(text: str) -> Number:
    """Read the number in a text such as ``0.912``, ``0,912``, ``-1.0*`` or ``82 %``.

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
    """Whether the scanner printed no value: an empty text or dashes."""
    return not text.strip(" -\u2013\u2014")


def without_noise(value: Decimal, decimals: int) -> Decimal:
    """Remove the digits that floating point has added to a number: ``0.91200000047684`` is 0.912.

    A binary float of 32 bits holds seven digits. So a number with more decimals than any scanner measures is rounded to
    fewer, at least to ``decimals``, if that changes it by a few float steps only. Any other keeps its digits up to the
    twentieth decimal, beyond which the text of a float holds no information.
    """
    stated = -_exponent(value)
    for shorter in range(decimals, min(_FEW_DECIMALS + 1, stated - 1)) if stated > _FEW_DECIMALS else ():
        rounded = round(value, shorter)
        if abs(value - rounded) <= abs(value) * _FLOAT_STEPS:
            return rounded
    return value if stated <= MOST_DECIMALS else round(value, MOST_DECIMALS)


def decimals_of(value: Decimal) -> int:
    """Return the number of decimals."""
    return max(0, -_exponent(value))


def agrees(bmd: Decimal, bmc: Decimal, area: Decimal) -> bool:
    """Whether BMC divided by area is the BMD, within half a unit of the last printed digit of each."""
    of_bmd, of_bmc, of_area = map(_half_digit, (bmd, bmc, area))
    if area <= of_area:
        return False
    return (bmc - of_bmc) / (area + of_area) <= bmd + of_bmd and (bmc + of_bmc) / (area - of_area) >= bmd - of_bmd


def read_date(text: str) -> date | None:
    """Read a DICOM DA, or its dotted form before 1993 (PS3.5 6.2); ``None`` when it is no date."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def read_time(text: str) -> time | None:
    """Read a DICOM TM: hours, with minutes, seconds and a fraction as far as given; ``None`` when it is no time."""
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
    """The time zone of a report's times, and that of the department.

    ``offset`` is the report's Timezone Offset From UTC (0008,0201), if it has one; without ``zone`` the department's
    time zone is that of this computer.
    """

    offset: timezone | None = None
    zone: tzinfo | None = None

    def local(self, moment: datetime, offset: timezone | None = None) -> datetime:
        """Convert a moment to the department's local time; without an offset it is taken to be local already."""
        known_offset = offset or self.offset
        if known_offset is None:
            return moment
        try:
            return moment.replace(tzinfo=known_offset).astimezone(self.zone).replace(tzinfo=None)
        except (OverflowError, ValueError, OSError):  # at the ends of the calendar
            return moment


def read_offset(text: str) -> timezone | None:
    """Read an offset from UTC such as ``+0100`` (PS3.5 6.2 DT); ``None`` when it is none."""
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset) if offset <= _FARTHEST else None


def read_datetime(text: str, clock: Clock | None = None) -> datetime | None:
    """Read a DICOM DT with at least a day, in the department's local time; ``None`` when it is none.

    Without a clock it is the time as stated, in whatever zone.
    """
    stripped = text.strip()
    offset = read_offset(stripped[-5:]) if _WITH_OFFSET.fullmatch(stripped) else None
    local = stripped[:-5] if _WITH_OFFSET.fullmatch(stripped) else stripped
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
"""In characters; a DICOM decimal string has sixteen, and a float of 64 bits printed in full exceeds that."""

_MOST_DIGITS = 15
"""No measurement has more digits before the point."""

_FEW_DECIMALS = 5
"""More than any densitometer prints."""

_FLOAT_STEPS = Decimal(2) ** -21
"""A few steps of a float of 32 bits, relative to the number: the error of calculating with it."""

_PLAIN = re.compile(r"-?\d{1,6}(?:\.\d{1,6})?", re.ASCII)
"""The form of nearly every value, which is read directly."""

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
