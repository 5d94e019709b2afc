"""Geometry of trend plots for every renderer: limits and ticks of the axes, joined scans, rules that share a label.

Times are proleptic Gregorian ordinals (days), BMD is in g/cm². Widths are in the renderer's own unit of length.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.sr.render.plots import Band, Break, Plot, Point

Ticks = tuple[tuple[float, str], ...]
"""Positions on an axis, each with its label."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Limits of an axis, and its ticks."""

    begins: float
    ends: float
    ticks: Ticks


LEAST_SPAN = 0.18
"""Least span of the scale of BMD without an LSC, in g/cm²: three usual LSCs to each side."""

LEAST_LSCS = 3
"""LSCs that the scale shows at least on each side of the BMD compared with, so that noise looks small."""


def bmd_axis(plot: Plot, band: Band | None, *, above: float = 1.0) -> Axis:
    """Return the vertical axis, in g/cm²: all scans and three LSCs about the band, with ticks at round numbers.

    ``above`` times as much space as needed is left above the middle.
    """
    bmds = [float(point.bmd) for point in points(plot)]
    if band:
        reach = LEAST_LSCS * band.lsc
        bmds += [float(band.bmd + reach), float(band.bmd - reach)]
    low, high = min(bmds), max(bmds)
    middle, half = (low + high) / 2, max(high - low, 0.0 if band else LEAST_SPAN) * 0.6
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if 2.5 * half / step <= 7)
    first = int((middle - half) / step)
    ticks = [number * step for number in range(first, first + 10) if abs(number * step - middle) <= half]
    return Axis(middle - half, middle + half * above, tuple((tick, f"{tick:.2f}") for tick in ticks))


def time_axis(plot: Plot, width: float, *, right_margin: float, year_width: float) -> Axis:
    """Return the horizontal axis, in days: beginnings of years, with a margin on the right for the last BMD."""
    days = [float(point.on.toordinal()) for point in points(plot)]
    days += [float(day.toordinal()) for day in plot.held_days]
    span = max(max(days) - min(days), 200.0)
    per_unit = span / (width - right_margin - 8)
    begins, ends = max(days) - span - 8 * per_unit, max(days) + right_margin * per_unit
    return Axis(begins, ends, _year_ticks(points(plot), begins, ends, most=int(width / year_width)))


def age_ticks(plot: Plot, birth_date: date, axis: Axis, *, most: int) -> Ticks:
    """Return at most ``most`` birthdays on the axis of time or, where none lies on it, the age at the last scan."""
    years = range(date.fromordinal(int(axis.begins)).year, date.fromordinal(int(axis.ends)).year + 1)
    birthdays = [(year - birth_date.year, _birthday(birth_date, year).toordinal()) for year in years]
    within = [(age, day) for age, day in birthdays if age >= 0 and axis.begins <= day <= axis.ends]
    step = max(1, -(-len(within) // max(1, most)))
    shown = tuple((float(day), str(age)) for age, day in within if age % step == 0)
    if shown:
        return shown
    last = plot.series[-1].on
    age = age_on(birth_date, last)
    return ((float(last.toordinal()), str(age)),) if age >= 0 else ()


def age_on(birth_date: date, day: date) -> int:
    """Return the age in whole years on a day; below zero before the birth."""
    return day.year - birth_date.year - (day < _birthday(birth_date, day.year))


def points(plot: Plot) -> list[Point]:
    """Return every scan that a plot shows with its BMD."""
    return [*plot.series, *(point for group in (*plot.not_comparable, *plot.excluded) for point in group.points)]


def unbroken_stretches(plot: Plot) -> Iterator[list[Point]]:
    """Yield the runs of comparable scans that are joined by a line: no break interrupts them."""
    stretch: list[Point] = []
    for point in plot.series:
        if stretch and any(b.interrupts and stretch[-1].on < b.on <= point.on for b in plot.breaks):
            yield stretch
            stretch = []
        stretch.append(point)
    yield stretch


def labelled_breaks(breaks: Sequence[Break], least_days: float) -> list[tuple[float, str]]:
    """Return the days of the rules that get a label, with it; a rule nearer than ``least_days`` shares the label."""
    groups: list[tuple[float, list[str]]] = []
    for rule in sorted(breaks, key=lambda rule: rule.on):
        at = float(rule.on.toordinal())
        if groups and at - groups[-1][0] < least_days:
            groups[-1] = groups[-1][0], list(dict.fromkeys([*groups[-1][1], rule.label]))
        else:
            groups.append((at, [rule.label]))
    return [(at, ", ".join(labels)) for at, labels in groups]


def _birthday(birth_date: date, year: int) -> date:
    """Return the birthday in a year; of somebody born on 29 February it is 28 February where there is no other."""
    try:
        return birth_date.replace(year=year)
    except ValueError:  # 29 February
        return birth_date.replace(year=year, day=28)


def _year_ticks(scans: Sequence[Point], begins: float, ends: float, *, most: int) -> Ticks:
    """Return positions and labels of at most ``most`` years, evenly spaced.

    Where fewer than two years begin within the limits, they are those of the first and the last scan, by month.
    """
    years = range(min(point.on.year for point in scans), max(point.on.year for point in scans) + 2)
    within = [year for year in years if begins <= date(year, 1, 1).toordinal() <= ends]
    if len(within) < 2:
        days = sorted({point.on for point in scans})
        first_and_last = [days[0], days[-1]] if len(days) > 1 else days
        return tuple((float(day.toordinal()), f"{day:%Y-%m}") for day in first_and_last)
    step = -(-len(within) // most)
    return tuple((float(date(year, 1, 1).toordinal()), str(year)) for year in within[::step])
