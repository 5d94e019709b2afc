"""Read the scanner's own trend: earlier exams and the change since, as the vendor printed them.

It serves to cross-check our result ("the scanner says -2.1 %, we say -2.8 %") and is never a measurement. What cannot
be read of it is ignored.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from pipeline.clinical.regions import Region, UnknownRegionError
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.sr.dialects.model import Dialect, NamedFor, Quantity, Since
from pipeline.sr.dialects.region_names import name_region
from pipeline.sr.dicom.content_item import Item
from pipeline.sr.dicom.values import BMD_DECIMALS, HIGHEST_BMD, LOWEST_BMD, NoNumberError, read_number, without_noise
from pipeline.sr.extract.ambiguous_dates import possible_days
from pipeline.sr.extract.containers import Containers, Trend

MOST_POINTS = 500
"""A lifetime of exams in every region; further points of a report are ignored."""


def read_trends(containers: Containers, dialect: Dialect) -> tuple[TrendPoint, ...]:
    """Return every point of every trend whose region the dialect can name, in the order of the report."""
    points: list[TrendPoint] = []
    for trend in containers.trends:
        for entry, name, printed in _entries(trend, dialect):
            try:
                region = name_region(dialect, name, site=trend.site, side=trend.side)
            except UnknownRegionError:
                continue
            point = _point(entry, region, printed, dialect)
            if len(points) < MOST_POINTS and point is not None:
                points.append(point)
    return tuple(dict.fromkeys(points))


def _entries(trend: Trend, dialect: Dialect) -> Iterator[tuple[Item, str, str]]:
    """Yield the containers of single exams, each with the name of its region and its printed date."""
    within = [item for item in trend.container.children if item.value_type == "CONTAINER" and item.concept is not None]
    if trend.rule.entries is NamedFor.DATE:
        title = trend.container.concept.meaning if trend.container.concept else ""
        name = trend.rule.container.rest(title)
        for item in within:
            if name is not None and item.concept is not None:
                yield item, name, item.concept.meaning
        return
    for item in within:
        dates = [child.value for child in item.children if trend.rule.date and trend.rule.date.matches(child.concept)]
        if dates and item.concept is not None:
            yield item, item.concept.meaning, dates[0]


def _point(entry: Item, region: Region, printed: str, dialect: Dialect) -> TrendPoint | None:
    bmd: Decimal | None = None
    changes: dict[Since, Decimal] = {}
    marks = ""
    for item in entry.children:
        since = dialect.changes.find(item.concept)
        if since is not None:
            for change, value, mark in _changes(item, since, dialect):
                changes.setdefault(change, value)
                marks += mark
        elif item.value_type in ("NUM", "TEXT") and dialect.quantities.find(item.concept) is Quantity.BMD:
            bmd = _density(item, dialect) if bmd is None else bmd
            marks += _marks(item.value)
    if bmd is None and not changes:
        return None
    return TrendPoint(
        region=region,
        printed_date=printed[:_LONGEST_DATE],
        days=possible_days(printed, dialect.date_order),
        bmd=bmd,
        since_previous=changes.get(Since.PREVIOUS),
        since_previous_percent=changes.get(Since.PREVIOUS_PERCENT),
        since_baseline=changes.get(Since.BASELINE),
        since_baseline_percent=changes.get(Since.BASELINE_PERCENT),
        marks="".join(sorted(set(marks))),
    )


_LONGEST_DATE = 32

_BOTH = re.compile(
    r"(?P<absolute>[^()]++)\(\s*+(?P<percent>[+-]?\d++(?:[.,]\d++)?)\s*+%\s*+\)\s*+(?P<marks>[*#]*+)", re.ASCII
)
"""A change printed both ways in one cell, as in ``0.012 (1.3%)*``."""

_PERCENT = {Since.PREVIOUS: Since.PREVIOUS_PERCENT, Since.BASELINE: Since.BASELINE_PERCENT}


def _changes(item: Item, since: Since, dialect: Dialect) -> Iterator[tuple[Since, Decimal, str]]:
    """Yield the changes in an item, or in the BMD items of a container: kind, value, and the scanner's marks."""
    items = (
        [item]
        if item.value_type in ("NUM", "TEXT")
        else [child for child in item.children if dialect.quantities.find(child.concept) is Quantity.BMD]
    )
    for child in items:
        both = _BOTH.fullmatch(child.value.replace("\u2212", "-").strip()) if len(child.value) < _LONGEST_CELL else None
        if both is not None and since in _PERCENT:
            yield from _change(both["absolute"], since, dialect)
            yield from _change(f"{both['percent']}{both['marks']}", _PERCENT[since], dialect)
        else:
            unit = "" if child.unit is None else child.unit.value or child.unit.meaning
            yield from _change(child.value, since, dialect, unit)


_LONGEST_CELL = 64


def _change(text: str, since: Since, dialect: Dialect, unit: str = "") -> Iterator[tuple[Since, Decimal, str]]:
    try:
        number = read_number(text)
    except NoNumberError:
        return
    spelling = number.unit or unit
    known = dialect.unit(spelling) if spelling else ""
    if known == "%" and since in _PERCENT:
        since = _PERCENT[since]
    elif known == "mg/cm2" and since in _PERCENT:
        number = read_number(str(number.value.scaleb(-3)))
    elif known not in ("", "g/cm2", "%"):
        return
    yield since, without_noise(number.value, 1 if since in _PERCENT.values() else BMD_DECIMALS), number.marks


def _marks(text: str) -> str:
    try:
        return read_number(text).marks
    except NoNumberError:
        return ""


def _density(item: Item, dialect: Dialect) -> Decimal | None:
    """Return a BMD in g/cm²; ``None`` when it has no unit, or no bone has such a density."""
    try:
        number = read_number(item.value)
    except NoNumberError:
        return None
    unit = "" if item.unit is None else item.unit.value or item.unit.meaning
    known = dialect.unit(number.unit or unit)
    value = without_noise(number.value.scaleb(-3) if known == "mg/cm2" else number.value, BMD_DECIMALS)
    return value if known in ("g/cm2", "mg/cm2") and LOWEST_BMD <= value <= HIGHEST_BMD else None
