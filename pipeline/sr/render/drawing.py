"""The pages drawn, as pixels and as PDF.

matplotlib draws under settings of our own: neither a ``matplotlibrc`` nor a locale of this machine changes a pixel.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from io import BytesIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from pipeline.clinical.clinical_context import Therapy
from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.page_layout import AGES, HEIGHT, LEGEND, SMALLEST, STRIP, WIDTH, Box, Chart, Sheet, Text, Tone
from pipeline.sr.render.plots import Apart, Plot, Point

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
    plot, strip = chart.plot, STRIP if chart.plot.courses else 0.0
    above = _TITLE + (AGES if plot.born else 0.0)
    width = chart.width - _SCALE - 2
    height = chart.height - above - _YEARS - strip - LEGEND * len(plot.legend) - 4
    top, left = chart.y + above, chart.x + _SCALE
    axes = figure.add_axes((
        left / WIDTH,
        1 - (top + height) / HEIGHT,
        width / WIDTH,
        height / HEIGHT,
    ))  # fmt: skip
    _scale(axes, plot, width)
    _draw_breaks(axes, plot, fonts, width, height)
    _draw_scans(axes, plot, accent)
    _label_axes(axes, fonts)
    _write(figure, Text(x=chart.x, y=chart.y + 10, text=plot.region, bold=True), fonts)
    if plot.born:
        _write(figure, Text(x=left - 4, y=top - 3.5, text="age", size=SMALLEST, tone=Tone.SOFT, end=True), fonts)
        _draw_ages(axes, plot, plot.born, fonts, width)
    last = plot.series[-1]
    axes.annotate(
        _three_decimals(last.bmd),
        (last.on.toordinal(), float(last.bmd)),
        xytext=(5, 0),
        textcoords="offset points",
        va="center_baseline",
        fontproperties=fonts.properties(_three_decimals(last.bmd), SMALLEST + 0.5, bold=True),
        parse_math=False,
    )
    _draw_courses(figure, axes, plot, fonts, Box(x=left, y=top + height + _YEARS + 1, width=width, height=STRIP - 3))
    _draw_legend(figure, plot, fonts, left, top + height + _YEARS + strip, width)


def _draw_legend(figure: Figure, plot: Plot, fonts: Fonts, left: float, top: float, width: float) -> None:
    """A mark and its meaning, a line each: scans apart, other sets of vertebrae, scans excluded."""
    apart = [_open(mark) for _, mark in zip(plot.apart, _MARKS, strict=False)]
    marks = [*apart, *(_open("o") for _ in plot.sets), *(_cross(mark) for _, mark in _excluded(plot))]
    for number, (text, mark) in enumerate(zip(plot.legend, marks, strict=True), 1):
        y = top + number * LEGEND
        _write(figure, Text(x=left + 9, y=y, text=_fit(text, width - 9, fonts), size=SMALLEST), fonts)
        spot = Line2D(
            [(left + 3) / WIDTH],
            [1 - (y - SMALLEST * 0.35) / HEIGHT],
            transform=figure.transFigure,
            **mark,  # type: ignore[arg-type] # the style of a mark
        )
        figure.add_artist(spot)


_COURSES = {Therapy.ANTIRESORPTIVE: Tone.RULE, Therapy.ANABOLIC: Tone.DARK_FILL, Therapy.OTHER: Tone.FILL}


def _draw_courses(figure: Figure, axes: Axes, plot: Plot, fonts: Fonts, strip: Box) -> None:
    """A bar for each therapy below the years, cut where the plot begins, with its name where that fits."""
    begins, ends = axes.get_xlim()
    for course in plot.courses:
        first, last = (min(max(day.toordinal(), begins), ends) for day in (course.begins, course.ends))
        per_day = strip.width / (ends - begins)
        x, width = strip.x + per_day * (first - begins), per_day * (last - first)
        if width <= 0:
            continue
        _fill(figure, Box(x=x, y=strip.y, width=max(width, 1.5), height=strip.height, tone=_COURSES[course.therapy]))
        if fonts.width(str(course.therapy), SMALLEST, False) + 4 <= width:
            _write(figure, Text(x=x + 2, y=strip.y + strip.height - 2, text=str(course.therapy), size=SMALLEST), fonts)


_APART_RULES = 10.0
"""How far apart two rules must lie, in points, for each to have its words."""


def _draw_breaks(axes: Axes, plot: Plot, fonts: Fonts, width: float, height: float) -> None:
    """A vertical rule for each break, its words along it; those of rules too near to each other stand together."""
    begins, ends = axes.get_xlim()
    groups: list[tuple[float, list[str]]] = []
    for one in sorted(plot.breaks, key=lambda one: one.on):
        at = float(one.on.toordinal())
        axes.axvline(at, color="0.35", linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=2)
        if groups and (at - groups[-1][0]) * width / (ends - begins) < _APART_RULES:
            groups[-1] = groups[-1][0], list(dict.fromkeys([*groups[-1][1], one.word]))
        else:
            groups.append((at, [one.word]))
    for at, words in groups:
        text = _fit(", ".join(words), height - 6, fonts)
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


def _draw_ages(axes: Axes, plot: Plot, born: date, fonts: Fonts, width: float) -> None:
    """The axis of age above the plot: birthdays; where none lies in it, the age at the last scan."""
    begins, ends = axes.get_xlim()
    years = range(date.fromordinal(int(begins)).year, date.fromordinal(int(ends)).year + 1)
    birthdays = [(year - born.year, _birthday(born, year).toordinal()) for year in years]
    within = [(age, day) for age, day in birthdays if age >= 0 and begins <= day <= ends]
    step = max(1, -(-len(within) // max(1, int(width / _AGE))))
    shown = [(float(day), str(age)) for age, day in within if age % step == 0]
    if not shown:
        last = plot.series[-1].on
        age = last.year - born.year - (last < _birthday(born, last.year))
        shown = [(float(last.toordinal()), str(age))] if age >= 0 else []
    above = axes.twiny()
    above.set_xlim(begins, ends)
    above.set_xticks([at for at, _ in shown], [age for _, age in shown])
    _label_axes(above, fonts)
    above.spines["top"].set_visible(True)
    above.spines["top"].set_color("0.45")
    above.spines["top"].set_linewidth(0.6)


_AGE = 22.0
"""What an age needs above the axis, in points."""


def _birthday(born: date, year: int) -> date:
    try:
        return born.replace(year=year)
    except ValueError:  # 29 February
        return born.replace(year=year, day=28)


def _three_decimals(bmd: Decimal) -> str:
    return f"{bmd:.3f}"


_CROSSES = ("x", "+")
"""The shapes of scans excluded, one for each reason that is named."""


def _excluded(plot: Plot) -> Iterator[tuple[Apart, str]]:
    return zip(plot.excluded, _CROSSES, strict=False)


def _cross(mark: str) -> dict[str, object]:
    return {"linestyle": "none", "marker": mark, "markersize": 5, "markeredgecolor": "0.15", "markeredgewidth": 1.1}


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
    for group, mark in _excluded(plot):
        axes.plot(*_at(group.points), zorder=3, **_cross(mark))  # type: ignore[arg-type] # the style of a mark
    if plot.held:
        days, low = [float(day.toordinal()) for day in plot.held], [0.04] * len(plot.held)
        axes.plot(days, low, transform=axes.get_xaxis_transform(), zorder=3, **_cross("x"))  # type: ignore[arg-type] # the style of a mark
    for joined in _joined(plot):
        axes.plot(*_at(joined), color=accent, linewidth=1.4, zorder=4)
    for point in plot.series:
        size, inside = (7.0 if point is plot.series[-1] else 4.5), ("white" if point.recomputed else accent)
        axes.plot(*_at([point]), color=accent, marker="o", markersize=size, markerfacecolor=inside, zorder=5)


def _joined(plot: Plot) -> Iterator[list[Point]]:
    """The stretches of comparable scans that no break interrupts."""
    stretch: list[Point] = []
    for point in plot.series:
        if stretch and any(one.interrupts and stretch[-1].on < one.on <= point.on for one in plot.breaks):
            yield stretch
            stretch = []
        stretch.append(point)
    yield stretch


def _at(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [float(point.on.toordinal()) for point in points], [float(point.bmd) for point in points]


def _points(plot: Plot) -> list[Point]:
    return [*plot.series, *(point for group in (*plot.apart, *plot.excluded) for point in group.points)]


_LEAST_SPAN = 0.18
"""The least that the scale of BMD spans without an LSC, in g/cm2: three of a usual one to each side."""

_LEAST_LSCS = 3
"""How many LSCs the scale shows to each side of what is compared with: so that noise does not look like a cliff."""


def _scale(axes: Axes, plot: Plot, width: float) -> None:
    """Set the limits and ticks: whole years, round numbers."""
    days, bmds = _at(_points(plot))
    days += [float(day.toordinal()) for day in plot.held]
    if plot.band:
        reach = _LEAST_LSCS * plot.band.lsc
        bmds += [float(plot.band.bmd + reach), float(plot.band.bmd - reach)]
    low, high = min(bmds), max(bmds)
    middle, half = (low + high) / 2, max(high - low, 0.0 if plot.band else _LEAST_SPAN) * 0.6
    axes.set_ylim(middle - half, middle + half * (1.5 if plot.breaks else 1.0))  # room for the words of the rules
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if 2.5 * half / step <= 7)
    first = int((middle - half) / step)
    ticks = [number * step for number in range(first, first + 10) if abs(number * step - middle) <= half]
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
