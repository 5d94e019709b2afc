"""Draw trend plots with matplotlib: BMD of a region over years and age, its LSC band, breaks, therapies and legend."""

from collections.abc import Iterator, Sequence
from datetime import date

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.clinical.clinical_context import Therapy
from pipeline.sr.render.drawing_marks import draw_box, draw_text
from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.page_marks import (
    AGE_AXIS,
    HEIGHT,
    LEGEND_LINE,
    SMALLEST,
    THERAPY_STRIP,
    WIDTH,
    Box,
    Chart,
    Text,
    Tone,
)
from pipeline.sr.render.plots import Plot, Point, ScanGroup

_TITLE_HEIGHT, _SCALE_WIDTH, _YEARS_HEIGHT = 15.0, 28.0, 13.0
"""Space above the axes for the title, on their left for numbers and below them for years, in points."""

_RIGHT_MARGIN = 34.0
"""Space on the right of the last scan for its BMD, in points."""

_MARKERS = ("s", "^", "D")
"""matplotlib markers of groups of scans that may not be compared, one for each group."""


def draw_chart(figure: Figure, chart: Chart, fonts: Fonts, accent: str) -> None:
    """Draw a trend plot with title, axes, therapies and legend; ``accent`` is the colour of the comparable scans."""
    plot, strip = chart.plot, THERAPY_STRIP if chart.plot.therapies else 0.0
    above = _TITLE_HEIGHT + (AGE_AXIS if plot.birth_date else 0.0)
    width = chart.width - _SCALE_WIDTH - 2
    height = chart.height - above - _YEARS_HEIGHT - strip - LEGEND_LINE * len(plot.legend) - 4
    top, left = chart.y + above, chart.x + _SCALE_WIDTH
    axes = figure.add_axes((
        left / WIDTH,
        1 - (top + height) / HEIGHT,
        width / WIDTH,
        height / HEIGHT,
    ))  # fmt: skip
    _set_bmd_scale(axes, plot)
    _set_time_scale(axes, plot, width)
    _draw_breaks(axes, plot, fonts, width, height)
    _draw_scans(axes, plot, accent)
    _style_axes(axes, fonts)
    draw_text(figure, Text(x=chart.x, y=chart.y + 10, text=plot.region, bold=True), fonts)
    if plot.birth_date:
        draw_text(figure, Text(x=left - 4, y=top - 3.5, text="age", size=SMALLEST, tone=Tone.SOFT, end=True), fonts)
        _draw_ages(axes, plot, plot.birth_date, fonts, width)
    _draw_latest_bmd(axes, plot.series[-1], fonts)
    strip_box = Box(x=left, y=top + height + _YEARS_HEIGHT + 1, width=width, height=THERAPY_STRIP - 3)
    _draw_therapies(figure, axes, plot, fonts, strip_box)
    _draw_legend(figure, plot, fonts, left, top + height + _YEARS_HEIGHT + strip, width)


def _draw_latest_bmd(axes: Axes, latest: Point, fonts: Fonts) -> None:
    """Write the BMD of this exam, in g/cm², beside its point."""
    text = f"{latest.bmd:.3f}"
    axes.annotate(
        text,
        (latest.on.toordinal(), float(latest.bmd)),
        xytext=(5, 0),
        textcoords="offset points",
        va="center_baseline",
        fontproperties=fonts.properties(text, SMALLEST + 0.5, bold=True),
        parse_math=False,
    )


def _draw_legend(figure: Figure, plot: Plot, fonts: Fonts, left: float, top: float, width: float) -> None:
    """Draw a marker and its meaning on each line: scans not comparable, other sets of vertebrae, scans excluded."""
    markers = [
        *(_open_marker(marker) for _, marker in _marked_not_comparable(plot)),
        *(_open_marker("o") for _ in plot.sets),
        *(_cross_marker(marker) for _, marker in _marked_excluded(plot)),
    ]
    for number, (text, marker) in enumerate(zip(plot.legend, markers, strict=True), 1):
        y = top + number * LEGEND_LINE
        draw_text(figure, Text(x=left + 9, y=y, text=_shortened(text, width - 9, fonts), size=SMALLEST), fonts)
        sample = Line2D(
            [(left + 3) / WIDTH],
            [1 - (y - SMALLEST * 0.35) / HEIGHT],
            transform=figure.transFigure,
            **marker,  # type: ignore[arg-type] # the style of a marker
        )
        figure.add_artist(sample)


_TONE_OF_THERAPY = {Therapy.ANTIRESORPTIVE: Tone.RULE, Therapy.ANABOLIC: Tone.DARK_FILL, Therapy.OTHER: Tone.FILL}


def _draw_therapies(figure: Figure, axes: Axes, plot: Plot, fonts: Fonts, strip: Box) -> None:
    """Draw a bar for each therapy below the years, cut at the edges of the plot, with its name where that fits."""
    begins, ends = axes.get_xlim()
    for course in plot.therapies:
        first, last = (min(max(day.toordinal(), begins), ends) for day in (course.begins, course.ends))
        per_day = strip.width / (ends - begins)
        x, width = strip.x + per_day * (first - begins), per_day * (last - first)
        if width <= 0:
            continue
        tone, name = _TONE_OF_THERAPY[course.therapy], str(course.therapy)
        draw_box(figure, Box(x=x, y=strip.y, width=max(width, 1.5), height=strip.height, tone=tone))
        if fonts.width(name, SMALLEST, False) + 4 <= width:
            draw_text(figure, Text(x=x + 2, y=strip.y + strip.height - 2, text=name, size=SMALLEST), fonts)


_RULE_DISTANCE = 10.0
"""Least distance of two vertical rules, in points, that have a label each."""


def _draw_breaks(axes: Axes, plot: Plot, fonts: Fonts, width: float, height: float) -> None:
    """Draw a vertical rule for each break with its label along it; rules near each other share one label."""
    begins, ends = axes.get_xlim()
    groups: list[tuple[float, list[str]]] = []
    for rule in sorted(plot.breaks, key=lambda rule: rule.on):
        at = float(rule.on.toordinal())
        axes.axvline(at, color="0.35", linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=2)
        if groups and (at - groups[-1][0]) * width / (ends - begins) < _RULE_DISTANCE:
            groups[-1] = groups[-1][0], list(dict.fromkeys([*groups[-1][1], rule.label]))
        else:
            groups.append((at, [rule.label]))
    for at, labels in groups:
        text = _shortened(", ".join(labels), height - 6, fonts)
        axes.annotate(
            text,
            (at, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-1.5, -2),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            color=str(Tone.SOFT.value),
            fontproperties=fonts.properties(text, SMALLEST, bold=False),
            parse_math=False,
            zorder=2,
        )


def _draw_ages(axes: Axes, plot: Plot, birth_date: date, fonts: Fonts, width: float) -> None:
    """Draw the axis of age above the plot: birthdays or, where none lies in it, the age at the last scan."""
    begins, ends = axes.get_xlim()
    years = range(date.fromordinal(int(begins)).year, date.fromordinal(int(ends)).year + 1)
    birthdays = [(year - birth_date.year, _birthday(birth_date, year).toordinal()) for year in years]
    within = [(age, day) for age, day in birthdays if age >= 0 and begins <= day <= ends]
    step = max(1, -(-len(within) // max(1, int(width / _AGE_WIDTH))))
    shown = [(float(day), str(age)) for age, day in within if age % step == 0]
    if not shown:
        last = plot.series[-1].on
        age = last.year - birth_date.year - (last < _birthday(birth_date, last.year))
        shown = [(float(last.toordinal()), str(age))] if age >= 0 else []
    above = axes.twiny()
    above.set_xlim(begins, ends)
    above.set_xticks([at for at, _ in shown], [age for _, age in shown])
    _style_axes(above, fonts)
    above.spines["top"].set_visible(True)
    above.spines["top"].set_color("0.45")
    above.spines["top"].set_linewidth(0.6)


_AGE_WIDTH = 22.0
"""Width of an age above the axis, in points."""


def _birthday(birth_date: date, year: int) -> date:
    """Return the birthday in a year; of somebody born on 29 February it is 28 February where there is no other."""
    try:
        return birth_date.replace(year=year)
    except ValueError:  # 29 February
        return birth_date.replace(year=year, day=28)


_CROSSES = ("x", "+")
"""matplotlib markers of excluded scans, one for each reason."""


def _marked_not_comparable(plot: Plot) -> Iterator[tuple[ScanGroup, str]]:
    return zip(plot.not_comparable, _MARKERS, strict=False)


def _marked_excluded(plot: Plot) -> Iterator[tuple[ScanGroup, str]]:
    return zip(plot.excluded, _CROSSES, strict=False)


def _cross_marker(marker: str) -> dict[str, object]:
    return {"linestyle": "none", "marker": marker, "markersize": 5, "markeredgecolor": "0.15", "markeredgewidth": 1.1}


def _open_marker(marker: str) -> dict[str, object]:
    return {
        **{"linestyle": "none", "marker": marker, "markersize": 4.5},
        **{"markerfacecolor": "white", "markeredgecolor": "0.25", "markeredgewidth": 0.9},
    }


def _draw_scans(axes: Axes, plot: Plot, accent: str) -> None:
    """Draw the LSC band, scans that are not comparable, excluded or held, and the line of the comparable ones."""
    if plot.band:
        middle, lsc = float(plot.band.bmd), float(plot.band.lsc)
        axes.axhspan(middle - lsc, middle + lsc, facecolor="0.88", edgecolor="none", zorder=1)
        until = plot.series[-1].on.toordinal()  # so that it does not cross the number beyond
        axes.hlines(middle, axes.get_xlim()[0], until, color="0.45", linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)
    for group, marker in _marked_not_comparable(plot):
        axes.plot(*_coordinates(group.points), zorder=3, **_open_marker(marker))  # type: ignore[arg-type] # its style
    for group, marker in _marked_excluded(plot):
        axes.plot(*_coordinates(group.points), zorder=3, **_cross_marker(marker))  # type: ignore[arg-type] # its style
    if plot.held_days:
        days, low = [float(day.toordinal()) for day in plot.held_days], [0.04] * len(plot.held_days)
        on_axis = axes.get_xaxis_transform()
        axes.plot(days, low, transform=on_axis, zorder=3, **_cross_marker("x"))  # type: ignore[arg-type] # its style
    for joined in _unbroken_stretches(plot):
        axes.plot(*_coordinates(joined), color=accent, linewidth=1.4, zorder=4)
    for point in plot.series:
        size, inside = (7.0 if point is plot.series[-1] else 4.5), ("white" if point.recomputed else accent)
        axes.plot(*_coordinates([point]), color=accent, marker="o", markersize=size, markerfacecolor=inside, zorder=5)


def _unbroken_stretches(plot: Plot) -> Iterator[list[Point]]:
    """Yield the runs of comparable scans that are joined by a line: no break interrupts them."""
    stretch: list[Point] = []
    for point in plot.series:
        if stretch and any(b.interrupts and stretch[-1].on < b.on <= point.on for b in plot.breaks):
            yield stretch
            stretch = []
        stretch.append(point)
    yield stretch


def _coordinates(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return the days (proleptic Gregorian ordinals) and the BMDs (g/cm²) of some scans."""
    return [float(point.on.toordinal()) for point in points], [float(point.bmd) for point in points]


def _points(plot: Plot) -> list[Point]:
    return [*plot.series, *(point for group in (*plot.not_comparable, *plot.excluded) for point in group.points)]


_LEAST_SPAN = 0.18
"""Least span of the scale of BMD without an LSC, in g/cm²: three usual LSCs to each side."""

_LEAST_LSCS = 3
"""LSCs that the scale shows at least on each side of the BMD compared with, so that noise looks small."""


def _set_bmd_scale(axes: Axes, plot: Plot) -> None:
    """Set limits and ticks of the vertical axis, in g/cm²: round numbers."""
    _, bmds = _coordinates(_points(plot))
    if plot.band:
        reach = _LEAST_LSCS * plot.band.lsc
        bmds += [float(plot.band.bmd + reach), float(plot.band.bmd - reach)]
    low, high = min(bmds), max(bmds)
    middle, half = (low + high) / 2, max(high - low, 0.0 if plot.band else _LEAST_SPAN) * 0.6
    axes.set_ylim(middle - half, middle + half * (1.5 if plot.breaks else 1.0))  # space for the labels of the rules
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if 2.5 * half / step <= 7)
    first = int((middle - half) / step)
    ticks = [number * step for number in range(first, first + 10) if abs(number * step - middle) <= half]
    axes.set_yticks(ticks, [f"{tick:.2f}" for tick in ticks])


def _set_time_scale(axes: Axes, plot: Plot, width: float) -> None:
    """Set limits and ticks of the horizontal axis, in days: beginnings of years, with space for the last BMD."""
    days, _ = _coordinates(_points(plot))
    days += [float(day.toordinal()) for day in plot.held_days]
    span = max(max(days) - min(days), 200.0)
    per_point = span / (width - _RIGHT_MARGIN - 8)
    begins, ends = max(days) - span - 8 * per_point, max(days) + _RIGHT_MARGIN * per_point
    axes.set_xlim(begins, ends)
    axes.set_xticks(*_year_ticks(_points(plot), begins, ends, most=int(width / _YEAR_WIDTH)))


_YEAR_WIDTH = 34.0
"""Width of a year below the axis, in points."""


def _year_ticks(points: Sequence[Point], begins: float, ends: float, *, most: int) -> tuple[list[float], list[str]]:
    """Return positions and labels of at most ``most`` years, evenly spaced.

    Where fewer than two years begin within the limits, they are those of the first and the last scan, by month.
    """
    years = range(min(point.on.year for point in points), max(point.on.year for point in points) + 2)
    within = [year for year in years if begins <= date(year, 1, 1).toordinal() <= ends]
    if len(within) < 2:
        days = sorted({point.on for point in points})
        first_and_last = [days[0], days[-1]] if len(days) > 1 else days
        return [float(day.toordinal()) for day in first_and_last], [f"{day:%Y-%m}" for day in first_and_last]
    step = -(-len(within) // most)
    shown = within[::step]
    return [float(date(year, 1, 1).toordinal()) for year in shown], [str(year) for year in shown]


def _style_axes(axes: Axes, fonts: Fonts) -> None:
    """Set lines, grid and tick labels of the axes, with labels in our own fonts."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("0.45")
        axes.spines[side].set_linewidth(0.6)
    axes.tick_params(length=2.5, width=0.6, color="0.45", pad=2)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="0.9", linewidth=0.5)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(fonts.properties(label.get_text(), SMALLEST, bold=False))
        label.set_color(str(Tone.SOFT.value))
        label.set_parse_math(False)


def _shortened(text: str, width: float, fonts: Fonts) -> str:
    """Return a text, cut at its end so that it fits on one line of this width."""
    text = fonts.legible(text)
    if fonts.width(text, SMALLEST, False) <= width:
        return text
    return next(
        (cut for n in range(len(text) - 1, 0, -1) if fonts.width(cut := f"{text[:n]}…", SMALLEST, False) <= width), "…"
    )
