"""How do the pages look, as pixels and as PDF?

matplotlib draws under settings of our own: neither a ``matplotlibrc`` nor a locale of this machine changes a pixel.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from io import BytesIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from pipeline.sr.faces.fonts import Fonts
from pipeline.sr.faces.layout import HEIGHT, LEGEND, SMALLEST, WIDTH, Box, Chart, Sheet, Text, Tone
from pipeline.sr.faces.plots import Plot, Point

COLUMNS = 1024
"""How many pixels a picture is wide."""

ROWS = round(COLUMNS * HEIGHT / WIDTH)

matplotlib.rcdefaults()  # whatever a matplotlibrc said
matplotlib.rcParams.update({
    "text.hinting": "no_hinting",  # a text is as wide on the page as it was measured
    "pdf.fonttype": 42,  # TrueType: a text can be selected
})  # fmt: skip


def pictures(sheets: Sequence[Sheet], fonts: Fonts) -> Iterator[bytes]:
    """Each sheet as grey pixels of one byte, ``ROWS`` times ``COLUMNS`` of them, white 255."""
    for sheet in sheets:
        figure = _figure(sheet, fonts, accent="0.15", dpi=COLUMNS * 72 / WIDTH)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        yield bytes(canvas.buffer_rgba())[::4]  # red, green and blue are equal


def pdf(sheets: Sequence[Sheet], fonts: Fonts, *, title: str) -> bytes:
    """All sheets as one PDF; its text can be selected, and it holds no date."""
    stream = BytesIO()
    about = {"Title": title, "Creator": "dxatrend", "CreationDate": None}
    with PdfPages(stream, metadata=about) as document:
        for sheet in sheets:
            document.savefig(_figure(sheet, fonts, accent="#12426e", dpi=72))
    return stream.getvalue()


def _figure(sheet: Sheet, fonts: Fonts, *, accent: str, dpi: float) -> Figure:
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=dpi, facecolor="white")
    for mark in sheet:
        match mark:
            case Text():
                _write(figure, mark, fonts)
            case Box():
                _fill(figure, mark)
            case Chart():
                _chart(figure, mark, fonts, accent)
    return figure


def _write(figure: Figure, text: Text, fonts: Fonts) -> None:
    legible = fonts.legible(text.text)
    figure.text(
        text.x / WIDTH,
        1 - text.y / HEIGHT,
        legible,
        fontproperties=fonts.properties(legible, text.size, bold=text.bold),
        color=str(text.tone.value),
        ha="right" if text.end else "left",
        va="baseline",
        parse_math=False,  # a dollar sign is a dollar sign
    )


def _fill(figure: Figure, box: Box) -> None:
    height = box.height or 0.5
    corner = box.x / WIDTH, 1 - (box.y + height) / HEIGHT
    figure.add_artist(
        Rectangle(
            corner,
            box.width / WIDTH,
            height / HEIGHT,
            transform=figure.transFigure,
            facecolor=str(box.tone.value),
            edgecolor="none",
            zorder=0,
        )
    )


_TITLE, _SCALE, _YEARS = 15.0, 28.0, 13.0
"""What a chart leaves above, on the left and below its axes for title, numbers and years, in points."""

_LAST = 34.0
"""What it leaves on the right of the last scan, for its number."""

_MARKS = ("s", "^", "D")
"""The shapes of scans apart, one for each that may be named."""


def _chart(figure: Figure, chart: Chart, fonts: Fonts, accent: str) -> None:
    plot, legend = chart.plot, LEGEND * len(chart.plot.apart)
    width, height = chart.width - _SCALE - 2, chart.height - _TITLE - _YEARS - legend - 4
    top = chart.y + _TITLE
    axes = figure.add_axes((
        (chart.x + _SCALE) / WIDTH,
        1 - (top + height) / HEIGHT,
        width / WIDTH,
        height / HEIGHT,
    ))  # fmt: skip
    _scale(axes, plot, width)
    _draw_scans(axes, plot, accent)
    _label_axes(axes, fonts)
    _write(figure, Text(x=chart.x, y=chart.y + 10, text=plot.region, bold=True), fonts)
    last = plot.series[-1]
    axes.annotate(
        f"{last.bmd:f}",
        (last.on.toordinal(), float(last.bmd)),
        xytext=(5, 0),
        textcoords="offset points",
        va="center_baseline",
        fontproperties=fonts.properties(f"{last.bmd:f}", SMALLEST + 0.5, bold=True),
        parse_math=False,
    )
    for number, (group, mark) in enumerate(zip(plot.apart, _MARKS, strict=False), 1):
        y = top + height + _YEARS + number * LEGEND
        _write(figure, Text(x=chart.x + _SCALE + 9, y=y, text=_fit(group.why, width - 9, fonts), size=SMALLEST), fonts)
        spot = Line2D(
            [(chart.x + _SCALE + 3) / WIDTH],
            [1 - (y - SMALLEST * 0.35) / HEIGHT],
            transform=figure.transFigure,
            **_open(mark),  # type: ignore[arg-type] # the style of a mark
        )
        figure.add_artist(spot)


def _open(mark: str) -> dict[str, object]:
    return {
        **{"linestyle": "none", "marker": mark, "markersize": 4.5},
        **{"markerfacecolor": "white", "markeredgecolor": "0.25", "markeredgewidth": 0.9},
    }


def _draw_scans(axes: Axes, plot: Plot, accent: str) -> None:
    if plot.band:
        middle, lsc = float(plot.band.bmd), float(plot.band.lsc)
        axes.axhspan(middle - lsc, middle + lsc, facecolor="0.88", edgecolor="none", zorder=1)
        until = plot.series[-1].on.toordinal()  # so that it does not strike out the number beyond
        axes.hlines(middle, axes.get_xlim()[0], until, color="0.45", linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)
    for group, mark in zip(plot.apart, _MARKS, strict=False):
        axes.plot(*_at(group.points), zorder=3, **_open(mark))  # type: ignore[arg-type] # the style of a mark
    axes.plot(*_at(plot.series), color=accent, linewidth=1.4, marker="o", markersize=4.5, zorder=4)
    axes.plot(*_at(plot.series[-1:]), color=accent, linestyle="none", marker="o", markersize=7, zorder=5)


def _at(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [float(point.on.toordinal()) for point in points], [float(point.bmd) for point in points]


def _points(plot: Plot) -> list[Point]:
    return [*plot.series, *(point for group in plot.apart for point in group.points)]


_LEAST_SPAN = 0.12
"""The least that the scale of BMD spans, in g/cm2: so that noise does not look like change."""


def _scale(axes: Axes, plot: Plot, width: float) -> None:
    """Set the limits and ticks: whole years, round numbers."""
    days, bmds = _at(_points(plot))
    if plot.band:
        bmds += [float(plot.band.bmd + plot.band.lsc), float(plot.band.bmd - plot.band.lsc)]
    low, high = min(bmds), max(bmds)
    middle, reach = (low + high) / 2, max(high - low, _LEAST_SPAN) * 0.6
    axes.set_ylim(middle - reach, middle + reach)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if 2 * reach / step <= 7)
    first = int((middle - reach) / step)
    ticks = [number * step for number in range(first, first + 10) if abs(number * step - middle) <= reach]
    axes.set_yticks(ticks, [f"{tick:.2f}" for tick in ticks])
    span = max(max(days) - min(days), 200.0)
    per_point = span / (width - _LAST - 8)
    begins, ends = max(days) - span - 8 * per_point, max(days) + _LAST * per_point
    axes.set_xlim(begins, ends)
    at, called = _years(_points(plot), begins, ends, most=int(width / _YEAR))
    axes.set_xticks(at, called)


_YEAR = 34.0
"""What the name of a year needs below the axis, in points."""


def _years(points: Sequence[Point], begins: float, ends: float, *, most: int) -> tuple[list[float], list[str]]:
    """Some years at most, evenly apart; the month of each scan where no year begins among them."""
    years = range(min(point.on.year for point in points), max(point.on.year for point in points) + 2)
    within = [year for year in years if begins <= date(year, 1, 1).toordinal() <= ends]
    if len(within) < 2:
        days = sorted({point.on for point in points})
        ends_of_all = [days[0], days[-1]] if len(days) > 1 else days
        return [float(day.toordinal()) for day in ends_of_all], [f"{day:%Y-%m}" for day in ends_of_all]
    step = -(-len(within) // most)
    shown = within[::step]
    return [float(date(year, 1, 1).toordinal()) for year in shown], [str(year) for year in shown]


def _label_axes(axes: Axes, fonts: Fonts) -> None:
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


def _fit(text: str, width: float, fonts: Fonts) -> str:
    """As much of a text as fits on one line."""
    text = fonts.legible(text)
    if fonts.width(text, SMALLEST, False) <= width:
        return text
    return next(
        (cut for n in range(len(text) - 1, 0, -1) if fonts.width(cut := f"{text[:n]}…", SMALLEST, False) <= width), "…"
    )
