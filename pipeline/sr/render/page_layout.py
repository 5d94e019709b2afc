"""Where does everything stand on the pages?

A4 upright, in points (1/72 inch) from the upper left corner; a text stands on its ``y``. No text is smaller than
``SMALLEST``: on 1024 pixels across that is 13 pixels high.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from pipeline.clinical.clinical_context import Therapy
from pipeline.sr.render.page_content import Page, Row
from pipeline.sr.render.plots import Course, Plot

WIDTH, HEIGHT = 595.0, 842.0
LEFT, RIGHT, TOP, BOTTOM = 30.0, WIDTH - 30.0, 34.0, HEIGHT - 40.0

TITLE, LARGE, BODY, SMALLEST = 15.0, 11.0, 8.5, 7.5
LEADING = 1.32
"""From one line to the next, in sizes of their letters."""

Measure = Callable[[str, float, bool], float]
"""How wide a text is, in points, at a size in points, bold or not."""


class Tone(Enum):
    """How dark something is, as the share of white: greys alone, so that a grey display shows the same."""

    INK = 0.0
    SOFT = 0.32
    RULE = 0.72
    FILL = 0.93
    DARK_FILL = 0.86


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A line of text; ``end`` says that ``x`` is where it ends."""

    x: float
    y: float
    text: str
    size: float = BODY
    bold: bool = False
    tone: Tone = Tone.INK
    end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A filled rectangle; one of no height is a line half a point thick."""

    x: float
    y: float
    width: float
    height: float = 0.0
    tone: Tone = Tone.RULE


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The place of a plot, its title and its legend included."""

    x: float
    y: float
    width: float
    height: float
    plot: Plot


Sheet = tuple[Text | Box | Chart, ...]
"""One page: what is drawn on it, in this order."""


def lay_out(page: Page, name: str, measure: Measure) -> tuple[Sheet, ...]:
    """The sheets of a page model; ``name`` is the patient's as it can be drawn."""
    flow = _Flow(measure=measure)
    _heading(flow, page, name)
    _facts(flow, page)
    _impression(flow, page)
    _table(flow, page)
    _plots(flow, page.plots)
    _sections(flow, page)
    count = len(flow.sheets)
    return tuple(
        (*_running_head(page, name, measure, number), *marks, *_foot(page, number, count))
        for number, marks in enumerate(flow.sheets, 1)
    )


def wrapped(text: str, width: float, size: float, measure: Measure, *, bold: bool = False) -> list[str]:
    """A text in lines no wider than this; a number keeps its unit, and a word that is wider alone is cut."""
    lines, space = [""], measure("n n", size, bold) - measure("nn", size, bold)
    left = width
    for word in _words(text):
        needed = measure(word, size, bold)
        if lines[-1] and space + needed <= left:
            lines[-1], left = f"{lines[-1]} {word}", left - space - needed
            continue
        parts = list(_cut(word, width, size, measure, bold))
        lines, left = lines + parts, width - measure(parts[-1], size, bold)
    return lines[1:] or [""]


def _words(text: str) -> Iterator[str]:
    """The words of a text, a unit together with its number."""
    held = ""
    for word in text.split():
        if held[-1:].isdigit() and word.startswith(_UNITS):
            held = f"{held} {word}"
            continue
        if held:
            yield held
        held = word
    if held:
        yield held


_UNITS = ("%", "g/cm", "cm", "kg", "mg", "years", "months", "days")


def _cut(word: str, width: float, size: float, measure: Measure, bold: bool) -> Iterator[str]:
    while measure(word, size, bold) > width and len(word) > 1:
        fits = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or measure(word[:n], size, bold) <= width)
        yield word[:fits]
        word = word[fits:]
    yield word


@dataclass(slots=True, kw_only=True)
class _Flow:
    """Where the next thing goes; a new sheet begins where it has no room."""

    measure: Measure
    y: float = TOP
    sheets: list[list[Text | Box | Chart]] = field(default_factory=lambda: [[]])

    def room(self, height: float) -> bool:
        """Make room for something that must not be torn; whether that took a new sheet."""
        if self.y + height <= BOTTOM or not self.sheets[-1]:
            return False
        self.sheets.append([])
        self.y = TOP + 22
        return True

    def put(self, *marks: Text | Box | Chart) -> None:
        """Put something down on the sheet."""
        self.sheets[-1].extend(marks)

    def paragraph(
        self, text: str, *, size: float = BODY, bold: bool = False, tone: Tone = Tone.INK, hang: str = ""
    ) -> None:
        """Lines of text from margin to margin, after what hangs out on their left."""
        indent = self.measure(f"{hang} ", size, bold) if hang else 0.0
        for number, line in enumerate(wrapped(text, RIGHT - LEFT - indent, size, self.measure, bold=bold)):
            self.room(size * LEADING)
            self.y += size * LEADING
            if hang and number == 0:
                self.put(Text(x=LEFT, y=self.y, text=hang, size=size, bold=bold, tone=tone))
            self.put(Text(x=LEFT + indent, y=self.y, text=line, size=size, bold=bold, tone=tone))

    def title(self, text: str) -> None:
        """The title of a part, with room for something below it."""
        self.room(40)
        self.y += 20
        self.put(
            Text(x=LEFT, y=self.y, text=text, size=LARGE, bold=True),
            Box(x=LEFT, y=self.y + 4, width=RIGHT - LEFT),
        )
        self.y += 6


def _heading(flow: _Flow, page: Page, name: str) -> None:
    flow.y += 12
    flow.put(
        Text(x=LEFT, y=flow.y, text="DXA follow-up", size=TITLE, bold=True),
        Text(x=RIGHT, y=flow.y, text=page.status, size=SMALLEST, tone=Tone.SOFT, end=True),
        Box(x=LEFT, y=flow.y + 6, width=RIGHT - LEFT, tone=Tone.INK),
    )
    flow.y += 10
    flow.paragraph(name, size=LARGE + 2, bold=True)
    flow.y += 3


_LABEL = 74.0
"""How wide the label of a fact is."""


def _facts(flow: _Flow, page: Page) -> None:
    """Two beside each other, left and right by turns."""
    half = (RIGHT - LEFT) / 2
    for start in range(0, len(page.facts), 2):
        _side_by_side(flow, page.facts[start : start + 2], half)


def _side_by_side(flow: _Flow, facts: Sequence[tuple[str, str]], width: float) -> None:
    columns = [wrapped(text, width - _LABEL - 6, BODY, flow.measure) for _, text in facts]
    for number, (label, _) in enumerate(facts):
        x, y = LEFT + number * width, flow.y
        flow.put(Text(x=x, y=y + BODY * LEADING, text=label, tone=Tone.SOFT))
        for line in columns[number]:
            y += BODY * LEADING
            flow.put(Text(x=x + _LABEL, y=y, text=line))
    flow.y += max((len(lines) for lines in columns), default=0) * BODY * LEADING


def _impression(flow: _Flow, page: Page) -> None:
    """The overall result in large letters, and the rest of the impression below it, in one box."""
    inner = RIGHT - LEFT - 16
    head = [line for text in page.impression[:1] for line in wrapped(text, inner, LARGE, flow.measure, bold=True)]
    below = [line for text in page.impression[1:] for line in wrapped(text, inner, BODY, flow.measure)]
    height = 8 + len(head) * LARGE * LEADING + len(below) * BODY * LEADING
    flow.y += 8
    flow.put(Box(x=LEFT, y=flow.y, width=RIGHT - LEFT, height=height, tone=Tone.DARK_FILL))
    y = flow.y + 1
    for lines, size, bold in ((head, LARGE, True), (below, BODY, False)):
        for line in lines:
            y += size * LEADING
            flow.put(Text(x=LEFT + 8, y=y, text=line, size=size, bold=bold))
    flow.y += height + 2
    if page.replaced:
        flow.paragraph(page.replaced)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    head: str
    width: float
    right: bool = False

    @property
    def room(self) -> float:
        """What a text in it may take."""
        return self.width - (_GAP if self.right else _INDENT)


_COLUMNS = (
    _Column(head="Region", width=96),
    _Column(head="BMD g/cm\u00b2", width=44, right=True),
    _Column(head="T", width=31, right=True),
    _Column(head="Z", width=31, right=True),
    _Column(head="Compared with", width=58),
    _Column(head="BMD then", width=34, right=True),
    _Column(head="Change g/cm\u00b2", width=97, right=True),
    _Column(head="LSC", width=34, right=True),
    _Column(head="Result", width=110),
)
"""Wide enough, in bold, for 1.234, a score of -10.2, a date, a change of +0.435 (+116.3 %); in plain, "not valid"."""

_GAP, _INDENT = 6.0, 3.0
"""Between a number and the column on its right, and before a text."""


def _table(flow: _Flow, page: Page) -> None:
    flow.y += 10
    if page.rows:
        _table_head(flow)
    shaded = True
    for row in page.rows:
        shaded = shaded if row.since_baseline else not shaded
        cells = _cells(row, flow.measure)
        height = max(len(lines) for lines in cells) * BODY * LEADING + 3
        if flow.room(height):
            _table_head(flow)
        if shaded:
            flow.put(Box(x=LEFT, y=flow.y, width=RIGHT - LEFT, height=height, tone=Tone.FILL))
        _row(flow, cells, bold=row.significant)
        flow.y += height
    flow.put(Box(x=LEFT, y=flow.y, width=RIGHT - LEFT))
    for number, note in enumerate(page.notes, 1):
        flow.paragraph(note, size=SMALLEST, hang=f"{number})")
    if page.not_monitored:
        flow.paragraph(f"Not used for monitoring, BMD in g/cm\u00b2: {page.not_monitored}.", size=SMALLEST)


def _table_head(flow: _Flow) -> None:
    heads = [wrapped(column.head, column.room, SMALLEST, flow.measure, bold=True) for column in _COLUMNS]
    depth = max(map(len, heads))
    for x, column, lines in zip(_positions(), _COLUMNS, heads, strict=True):
        for number, line in enumerate(lines, depth - len(lines) + 1):
            flow.put(_cell(x, flow.y + number * SMALLEST * LEADING, line, column, SMALLEST, bold=True))
    flow.y += depth * SMALLEST * LEADING + 4
    flow.put(Box(x=LEFT, y=flow.y, width=RIGHT - LEFT, tone=Tone.INK))


def _cells(row: Row, measure: Measure) -> list[list[str]]:
    notes = f" [{','.join(map(str, row.notes))}]" if row.notes else ""
    texts = (
        *(row.region, row.bmd, row.t_score, row.z_score, row.reference),
        *(row.bmd_then, row.change, row.lsc, row.verdict + notes),
    )
    return [
        wrapped(text, column.room, BODY, measure, bold=row.significant)
        for text, column in zip(texts, _COLUMNS, strict=True)
    ]


def _row(flow: _Flow, cells: Sequence[Sequence[str]], *, bold: bool) -> None:
    for x, column, lines in zip(_positions(), _COLUMNS, cells, strict=True):
        for number, line in enumerate(lines, 1):
            flow.put(_cell(x, flow.y + number * BODY * LEADING, line, column, BODY, bold=bold))


def _cell(x: float, y: float, text: str, column: _Column, size: float, *, bold: bool) -> Text:
    if column.right:
        return Text(x=x + column.width - _GAP, y=y, text=text, size=size, bold=bold, end=True)
    return Text(x=x + _INDENT, y=y, text=text, size=size, bold=bold)


def _positions() -> Iterable[float]:
    x = LEFT
    for column in _COLUMNS:
        yield x
        x += column.width


_TWO_BESIDE = {1, 2, 4}
"""So many plots stand two beside each other, others three."""

LEGEND = SMALLEST * LEADING
"""What a line of a plot's legend takes."""

AGES, STRIP = 11.0, 12.0
"""What the axis of age takes above a plot, and the strip of therapies below its years."""


def _plots(flow: _Flow, plots: Sequence[Plot]) -> None:
    if not plots:
        return
    across, height = (2, 158.0) if len(plots) in _TWO_BESIDE else (3, 136.0)
    rows = [plots[start : start + across] for start in range(0, len(plots), across)]
    heights = [height + max(map(_beside, row)) for row in rows]
    flow.room(40 + heights[0])
    flow.title("BMD over the years, g/cm\u00b2")
    flow.y += 4
    for text in _key(plots):
        flow.paragraph(text, size=SMALLEST, tone=Tone.SOFT)
    flow.y += 4
    width = (RIGHT - LEFT - 10 * (across - 1)) / across
    for row, deep in zip(rows, heights, strict=True):
        flow.room(deep)
        for number, plot in enumerate(row):
            flow.put(Chart(x=LEFT + number * (width + 10), y=flow.y, width=width, height=deep, plot=plot))
        flow.y += deep + 4


def _beside(plot: Plot) -> float:
    """What a plot takes beside its axes and years."""
    return LEGEND * len(plot.legend) + (AGES if plot.born else 0) + (STRIP if plot.courses else 0)


def _key(plots: Sequence[Plot]) -> Iterator[str]:
    """What the marks of the plots mean, as far as they are drawn."""
    marks = [
        "Grey band: LSC about the exam compared with; a change beyond it is significant.",
        "Filled, joined: scans that may be compared; the largest is this exam.",
    ]
    if any(point.recomputed for plot in plots for point in plot.series):
        marks.append("Open circle: recomputed for the vertebrae drawn.")
    if any(plot.apart for plot in plots):
        marks.append("Open, not joined: scans that may not.")
    excluded = {
        f"{', '.join(dict.fromkeys(str(point.on) for point in group.points))} {group.why}": None
        for plot in plots
        for group in plot.excluded
    }
    if excluded:
        marks.append(f"Cross: scans that are excluded ({'; '.join(excluded)}).")
    yield " ".join(marks)
    if breaks := dict.fromkeys(one.why for plot in plots for one in sorted(plot.breaks, key=lambda one: one.on)):
        yield f"Vertical rules: {'; '.join(breaks)}."
    if held := dict.fromkeys(str(day) for plot in plots for day in plot.held):
        yield f"Cross on the axis: an exam that is held for a person, its numbers not known: {', '.join(held)}."
    if told := dict.fromkeys(_told(course) for plot in plots for course in plot.courses):
        yield f"Bars below the years: therapy on record: {'; '.join(told)}."


def _told(course: Course) -> str:
    begins = f"since {course.begins}" if course.since_told else f"on record since {course.begins}"
    name = "other therapy" if course.therapy is Therapy.OTHER else str(course.therapy)
    return f"{name} {begins}" + (f" until {course.ends}" if course.ended else "")


def _sections(flow: _Flow, page: Page) -> None:
    for title, texts in page.sections:
        flow.title(title)
        flow.y += 2
        for text in texts:
            flow.paragraph(text, hang="\N{BULLET}")
            flow.y += 1.5
    flow.y += 6
    for text in page.small_print:
        flow.paragraph(text, size=SMALLEST, tone=Tone.SOFT)


def _running_head(page: Page, name: str, measure: Measure, number: int) -> Iterator[Text | Box]:
    """Whose sheet it is, on every sheet but the first."""
    if number == 1:
        return
    known_by = f"ID {page.patient_id}, exam of {page.exam_on}"
    room = RIGHT - LEFT - measure(known_by, BODY, False) - 12
    yield Text(x=LEFT, y=TOP + 8, text=wrapped(name, max(room, 80), BODY, measure, bold=True)[0], bold=True)
    yield Text(x=RIGHT, y=TOP + 8, text=known_by, end=True)
    yield Box(x=LEFT, y=TOP + 13, width=RIGHT - LEFT)


def _foot(page: Page, number: int, count: int) -> Iterator[Text | Box]:
    y = HEIGHT - 22
    yield Box(x=LEFT, y=y - 10, width=RIGHT - LEFT)
    yield Text(x=LEFT, y=y, text=page.made_by, size=SMALLEST, tone=Tone.SOFT)
    yield Text(x=RIGHT, y=y, text=f"page {number} of {count}", size=SMALLEST, tone=Tone.SOFT, end=True)
