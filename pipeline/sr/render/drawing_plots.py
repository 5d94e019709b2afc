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
    for rule in plot.breaks:
        axes.axvline(rule.on.toordinal(), color="0.35", linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=2)
    for at, label in labelled_breaks(plot.breaks, _RULE_DISTANCE * (ends - begins) / width):
        text = _shortened(label, height - 6, fonts)
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
    shown = age_ticks(plot, birth_date, Axis(begins, ends, ()), most=int(width / _AGE_WIDTH))
    above = axes.twiny()
    above.set_xlim(begins, ends)
    above.set_xticks([at for at, _ in shown], [age for _, age in shown])
    _style_axes(above, fonts)
    above.spines["top"].set_visible(True)
    above.spines["top"].set_color("0.45")
    above.spines["top"].set_linewidth(0.6)


_AGE_WIDTH = 22.0
"""Width of an age above the axis, in points."""


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
    for joined in unbroken_stretches(plot):
        axes.plot(*_coordinates(joined), color=accent, linewidth=1.4, zorder=4)
    for point in plot.series:
        size, inside = (7.0 if point is plot.series[-1] else 4.5), ("white" if point.recomputed else accent)
        axes.plot(*_coordinates([point]), color=accent, marker="o", markersize=size, markerfacecolor=inside, zorder=5)


def _coordinates(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return the days (proleptic Gregorian ordinals) and the BMDs (g/cm²) of some scans."""
    return [float(point.on.toordinal()) for point in points], [float(point.bmd) for point in points]


def _set_bmd_scale(axes: Axes, plot: Plot) -> None:
    """Set limits and ticks of the vertical axis, in g/cm²: round numbers."""
    axis = bmd_axis(plot, plot.band, above=1.5 if plot.breaks else 1.0)  # space for the labels of the rules
    axes.set_ylim(axis.begins, axis.ends)
    axes.set_yticks([at for at, _ in axis.ticks], [text for _, text in axis.ticks])


def _set_time_scale(axes: Axes, plot: Plot, width: float) -> None:
    """Set limits and ticks of the horizontal axis, in days: beginnings of years, with space for the last BMD."""
    axis = time_axis(plot, width, right_margin=_RIGHT_MARGIN, year_width=_YEAR_WIDTH)
    axes.set_xlim(axis.begins, axis.ends)
    axes.set_xticks([at for at, _ in axis.ticks], [text for _, text in axis.ticks])


_YEAR_WIDTH = 34.0
"""Width of a year below the axis, in points."""


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
