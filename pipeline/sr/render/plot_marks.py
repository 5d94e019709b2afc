"""The marks of a trend plot: BMD of a region over years and age, its LSC band, breaks, therapies and legend."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.clinical.clinical_context import Therapy
from pipeline.sr.render.page_marks import (
    AGE_AXIS,
    LEGEND_LINE,
    RULE_THICKNESS,
    SMALLEST,
    THERAPY_STRIP,
    Box,
    Chart,
    Disc,
    Line,
    Mark,
    Measure,
    Place,
    Polygon,
    Text,
    Tone,
)
from pipeline.sr.render.plot_geometry import (
    Axis,
    age_ticks,
    bmd_axis,
    labelled_breaks,
    time_axis,
    unbroken_stretches,
)
from pipeline.sr.render.plots import Plot, Point, ScanGroup

_TITLE_HEIGHT, _SCALE_WIDTH, _YEARS_HEIGHT = 15.0, 28.0, 13.0
"""Space above the axes for the title, on their left for numbers and below them for years, in points."""

_RIGHT_MARGIN = 34.0
"""Space on the right of the last scan for its BMD, in points."""

_YEAR_WIDTH, _AGE_WIDTH = 34.0, 22.0
"""Width of a year below the axes, and of an age above them, in points."""

_RULE_DISTANCE = 10.0
"""Least distance of two vertical rules, in points, that have a label each."""

_TICK, _PAD = 2.5, 2.0
"""Length of a tick, and its distance from its label, in points."""

_DIGIT_HEIGHT = 0.73
"""Height of a digit, as a share of the size of the letters."""

_AXIS_THICKNESS, _GRID_THICKNESS = RULE_THICKNESS, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    """The rectangle of a plot on the page, and its scales of days and of BMD in g/cm²."""

    left: float
    top: float
    width: float
    height: float
    time: Axis
    bmd: Axis

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def per_day(self) -> float:
        return self.width / (self.time.ends - self.time.begins)

    def x(self, day: float) -> float:
        return self.left + self.per_day * (day - self.time.begins)

    def y(self, bmd: float) -> float:
        return self.bottom - self.height * (bmd - self.bmd.begins) / (self.bmd.ends - self.bmd.begins)

    def place(self, point: Point) -> Place:
        return self.x(point.on.toordinal()), self.y(float(point.bmd))


def chart_marks(chart: Chart, measure: Measure) -> Iterator[Mark]:
    """Yield the marks of a plot with its title, axes, therapies and legend, in the order in which they are drawn."""
    plot, strip = chart.plot, THERAPY_STRIP if chart.plot.therapies else 0.0
    above = _TITLE_HEIGHT + (AGE_AXIS if plot.birth_date else 0.0)
    width = chart.width - _SCALE_WIDTH - 2
    height = chart.height - above - _YEARS_HEIGHT - strip - LEGEND_LINE * len(plot.legend) - 4
    time = time_axis(plot, width, right_margin=_RIGHT_MARGIN, year_width=_YEAR_WIDTH)
    labels = _labels_of_breaks(plot, time, width, height, measure)
    share = max((measure(text, SMALLEST, False) + 2 * _LABEL_GAP for _, text in labels), default=0.0) / height
    axes = _Axes(
        left=chart.x + _SCALE_WIDTH,
        top=chart.y + above,
        width=width,
        height=height,
        time=time,
        bmd=bmd_axis(plot, plot.band, above=(1 + share) / (1 - share)),  # the labels stand above the scans
    )
    yield Text(x=chart.x, y=chart.y + 10, text=plot.region, bold=True)
    yield from _background(axes, plot)
    yield from _scales(axes, measure)
    yield from _ages(axes, plot, measure)
    yield from _breaks(axes, plot, labels)
    yield from _scans(axes, plot)
    yield from _latest_bmd(axes, plot.series[-1])
    yield from _therapies(axes, plot, measure)
    yield from _legend(axes, plot, axes.bottom + _YEARS_HEIGHT + strip, measure)


def _background(axes: _Axes, plot: Plot) -> Iterator[Mark]:
    """Yield the lines of the grid, and the LSC band with its middle."""
    if plot.band:
        middle, lsc = float(plot.band.bmd), float(plot.band.lsc)
        top, bottom = axes.y(middle + lsc), axes.y(middle - lsc)
        yield Box(x=axes.left, y=top, width=axes.width, height=bottom - top, tone=Tone.BAND)
    for at, _ in axes.bmd.ticks:
        y = axes.y(at) - _GRID_THICKNESS / 2
        yield Box(x=axes.left, y=y, width=axes.width, height=_GRID_THICKNESS, tone=Tone.GRID)
    if plot.band:
        until = axes.x(plot.series[-1].on.toordinal())  # so that it does not cross the number beyond
        y = axes.y(float(plot.band.bmd))
        yield Line(places=((axes.left, y), (until, y)), thickness=0.7, tone=Tone.AXIS, dashes=(2.8, 2.1))


def _scales(axes: _Axes, measure: Measure) -> Iterator[Mark]:
    """Yield the vertical axis with its BMDs, and the horizontal one with its years."""
    half = _AXIS_THICKNESS / 2
    yield _axis_line(axes.left - half, axes.top, height=axes.height)
    yield _axis_line(axes.left, axes.bottom - half, width=axes.width)
    for at, text in axes.bmd.ticks:
        y = axes.y(at)
        yield _axis_line(axes.left - _TICK, y - half, width=_TICK)
        baseline = y + _DIGIT_HEIGHT * SMALLEST / 2
        x = axes.left - _TICK - _PAD
        yield Text(x=x, y=baseline, text=text, size=SMALLEST, tone=Tone.SOFT, end=True)
    for at, text in axes.time.ticks:
        x = axes.x(at)
        yield _axis_line(x - half, axes.bottom, height=_TICK)
        baseline = axes.bottom + _TICK + _PAD + _DIGIT_HEIGHT * SMALLEST
        yield _centred(x, baseline, text, measure)


def _ages(axes: _Axes, plot: Plot, measure: Measure) -> Iterator[Mark]:
    """Yield the axis of age above the plot: birthdays or, where none lies in it, the age at the last scan."""
    if not plot.birth_date:
        return
    half, baseline = _AXIS_THICKNESS / 2, axes.top - _TICK - _PAD
    yield _axis_line(axes.left, axes.top - half, width=axes.width)
    yield Text(x=axes.left - 4, y=baseline, text="age", size=SMALLEST, tone=Tone.SOFT, end=True)
    for at, age in age_ticks(plot, plot.birth_date, axes.time, most=int(axes.width / _AGE_WIDTH)):
        yield _axis_line(axes.x(at) - half, axes.top - _TICK, height=_TICK)
        yield _centred(axes.x(at), baseline, age, measure)


def _axis_line(x: float, y: float, *, width: float = _AXIS_THICKNESS, height: float = _AXIS_THICKNESS) -> Box:
    return Box(x=x, y=y, width=width, height=height, tone=Tone.AXIS)


def _centred(x: float, y: float, text: str, measure: Measure) -> Text:
    return Text(x=x - measure(text, SMALLEST, False) / 2, y=y, text=text, size=SMALLEST, tone=Tone.SOFT)


_Labels = Sequence[tuple[float, str]]
"""Labels of vertical rules, each with its day."""

_LABEL_GAP = 2.0
"""Space above and below the label of a rule, in points."""


def _labels_of_breaks(plot: Plot, time: Axis, width: float, height: float, measure: Measure) -> _Labels:
    """Return a label for each rule, at most half as long as the plot is high; rules near each other share one."""
    least_days = _RULE_DISTANCE * (time.ends - time.begins) / width
    return [(at, _shortened(label, height / 2, measure)) for at, label in labelled_breaks(plot.breaks, least_days)]


def _breaks(axes: _Axes, plot: Plot, labels: _Labels) -> Iterator[Mark]:
    """Yield a vertical rule for each break, and the labels along them, each on the side that has space."""
    rules = [axes.x(rule.on.toordinal()) for rule in plot.breaks]
    for x in rules:
        yield Line(places=((x, axes.bottom), (x, axes.top)), thickness=0.8, tone=Tone.SOFT, dashes=(0.8, 1.2))
    for at, text in labels:
        x = axes.x(at)
        is_crossed = any(x - _RULE_DISTANCE < rule < x for rule in rules) or x - axes.left < _RULE_DISTANCE
        has_space_on_the_right = not any(x < rule < x + 2 * _RULE_DISTANCE for rule in rules)
        baseline = x + 7.5 if is_crossed and has_space_on_the_right else x - 3
        y = axes.top + _LABEL_GAP
        yield Text(x=baseline, y=y, text=text, size=SMALLEST, tone=Tone.SOFT, upright=True, end=True)


def _scans(axes: _Axes, plot: Plot) -> Iterator[Mark]:
    """Yield the scans that are not comparable, excluded or held, and the line of the comparable ones."""
    for group, marker in _marked_not_comparable(plot):
        for point in group.points:
            yield from marker(axes.place(point))
    for group, marker in _marked_excluded(plot):
        for point in group.points:
            yield from marker(axes.place(point))
    for day in plot.held_days:
        yield from _cross((axes.x(day.toordinal()), axes.bottom - 0.04 * axes.height))
    for joined in unbroken_stretches(plot):
        if len(joined) > 1:
            yield Line(places=tuple(map(axes.place, joined)), thickness=1.4, tone=Tone.ACCENT)
    for point in plot.series:
        radius, inside = 3.5 if point is plot.series[-1] else 2.25, Tone.PAPER if point.recomputed else Tone.ACCENT
        yield Disc(place=axes.place(point), radius=radius, fill=inside, tone=Tone.ACCENT, edge=1.0)


def _latest_bmd(axes: _Axes, latest: Point) -> Iterator[Mark]:
    """Yield the BMD of this exam, in g/cm², beside its point."""
    (x, y), size = axes.place(latest), SMALLEST + 0.5
    yield Text(x=x + 5, y=y + _DIGIT_HEIGHT * size / 2, text=f"{latest.bmd:.3f}", size=size, bold=True)


_TONE_OF_THERAPY = {Therapy.ANTIRESORPTIVE: Tone.RULE, Therapy.ANABOLIC: Tone.DARK_FILL, Therapy.OTHER: Tone.FILL}


def _therapies(axes: _Axes, plot: Plot, measure: Measure) -> Iterator[Mark]:
    """Yield a bar for each therapy below the years, cut at the edges of the plot, with its name where that fits."""
    y, height = axes.bottom + _YEARS_HEIGHT + 1, THERAPY_STRIP - 3
    for course in plot.therapies:
        begins, ends = (
            min(max(axes.x(day.toordinal()), axes.left), axes.right) for day in (course.begins, course.ends)
        )
        if ends <= begins:
            continue
        width, name = ends - begins, str(course.therapy)
        yield Box(x=begins, y=y, width=max(width, 1.5), height=height, tone=_TONE_OF_THERAPY[course.therapy])
        if measure(name, SMALLEST, False) + 4 <= width:
            yield Text(x=begins + 2, y=y + height - 2, text=name, size=SMALLEST)


def _legend(axes: _Axes, plot: Plot, top: float, measure: Measure) -> Iterator[Mark]:
    """Yield a marker and its meaning on each line: scans not comparable, other sets of vertebrae, scans excluded."""
    markers = [
        *(marker for _, marker in _marked_not_comparable(plot)),
        *(_ring for _ in plot.sets),
        *(marker for _, marker in _marked_excluded(plot)),
    ]
    for number, (text, marker) in enumerate(zip(plot.legend, markers, strict=True), 1):
        y = top + number * LEGEND_LINE
        yield Text(x=axes.left + 9, y=y, text=_shortened(text, axes.width - 9, measure), size=SMALLEST)
        yield from marker((axes.left + 3, y - _DIGIT_HEIGHT * SMALLEST / 2))


_Marker = Callable[[Place], Iterator[Mark]]
"""Returns the marks of a scan at a place."""


def _marked_not_comparable(plot: Plot) -> Iterator[tuple[ScanGroup, _Marker]]:
    return zip(plot.not_comparable, (_square, _triangle, _diamond), strict=False)


def _marked_excluded(plot: Plot) -> Iterator[tuple[ScanGroup, _Marker]]:
    return zip(plot.excluded, (_cross, _plus), strict=False)


_REACH = 2.25
"""Half of the width of a marker, in points."""


def _outlined(place: Place, corners: Sequence[Place]) -> Iterator[Mark]:
    x, y = place
    places = tuple((x + across * _REACH, y + down * _REACH) for across, down in corners)
    yield Polygon(places=places, fill=Tone.PAPER, tone=Tone.MARKER, edge=0.9)


def _square(place: Place) -> Iterator[Mark]:
    yield from _outlined(place, ((-1, -1), (1, -1), (1, 1), (-1, 1)))


def _triangle(place: Place) -> Iterator[Mark]:
    yield from _outlined(place, ((0, -1), (1, 1), (-1, 1)))


def _diamond(place: Place) -> Iterator[Mark]:
    yield from _outlined(place, ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)))


def _ring(place: Place) -> Iterator[Mark]:
    yield Disc(place=place, radius=_REACH, fill=Tone.PAPER, tone=Tone.MARKER, edge=0.9)


def _cross(place: Place) -> Iterator[Mark]:
    yield from _strokes(place, ((1, 1), (1, -1)))


def _plus(place: Place) -> Iterator[Mark]:
    yield from _strokes(place, ((1.2, 0), (0, 1.2)))


def _strokes(place: Place, ends: Sequence[Place]) -> Iterator[Mark]:
    x, y = place
    for across, down in ends:
        reach = across * _REACH, down * _REACH
        places = (x - reach[0], y - reach[1]), (x + reach[0], y + reach[1])
        yield Line(places=places, thickness=1.1, tone=Tone.MARKER)


def _shortened(text: str, width: float, measure: Measure) -> str:
    """Return a text, cut at its end so that it fits on one line of this width."""
    if measure(text, SMALLEST, False) <= width:
        return text
    cuts = (f"{text[:length]}…" for length in range(len(text) - 1, 0, -1))
    return next((cut for cut in cuts if measure(cut, SMALLEST, False) <= width), "…")
