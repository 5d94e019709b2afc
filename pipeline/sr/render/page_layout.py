"""Lay out the content of an addendum's pages: where each text, box and chart stands, and where a new page begins."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.clinical.clinical_context import Therapy
from pipeline.sr.render.page_content import PageContent, Row
from pipeline.sr.render.page_marks import (
    AGE_AXIS,
    BODY,
    BOTTOM,
    HEIGHT,
    LARGE,
    LEFT,
    LEGEND_LINE,
    LINE_HEIGHT,
    RIGHT,
    SMALLEST,
    THERAPY_STRIP,
    TITLE,
    TOP,
    Box,
    Chart,
    Measure,
    Page,
    Text,
    Tone,
    wrapped,
)
from pipeline.sr.render.plots import Plot, TherapyCourse


def lay_out(content: PageContent, name: str, measure: Measure) -> tuple[Page, ...]:
    """Lay the content out on as many pages as it needs; ``name`` is the patient's as it can be drawn."""
    flow = _Flow(measure=measure)
    _heading(flow, content, name)
    _facts(flow, content)
    _impression(flow, content)
    _table(flow, content)
    _plots(flow, content.plots)
    _sections(flow, content)
    count = len(flow.pages)
    return tuple(
        (*_running_head(content, name, measure, number), *marks, *_foot(content, number, count))
        for number, marks in enumerate(flow.pages, 1)
    )


@dataclass(slots=True, kw_only=True)
class _Flow:
    """The pages laid out so far, and how far down the last one is filled.

    ``y`` is the lower edge of what stands on the last page.
    """

    measure: Measure
    y: float = TOP
    pages: list[list[Text | Box | Chart]] = field(default_factory=lambda: [[]])

    def reserve(self, height: float) -> bool:
        """Begin a new page unless ``height`` points are left on this one, and return whether one was begun."""
        if self.y + height <= BOTTOM or not self.pages[-1]:
            return False
        self.pages.append([])
        self.y = TOP + 22
        return True

    def put(self, *marks: Text | Box | Chart) -> None:
        """Add marks to the last page."""
        self.pages[-1].extend(marks)

    def paragraph(
        self, text: str, *, size: float = BODY, bold: bool = False, tone: Tone = Tone.INK, hang: str = ""
    ) -> None:
        """Write lines of text from margin to margin; ``hang`` stands before the first, and the others are indented."""
        indent = self.measure(f"{hang} ", size, bold) if hang else 0.0
        for number, line in enumerate(wrapped(text, RIGHT - LEFT - indent, size, self.measure, bold=bold)):
            self.reserve(size * LINE_HEIGHT)
            self.y += size * LINE_HEIGHT
            if hang and number == 0:
                self.put(Text(x=LEFT, y=self.y, text=hang, size=size, bold=bold, tone=tone))
            self.put(Text(x=LEFT + indent, y=self.y, text=line, size=size, bold=bold, tone=tone))

    def title(self, text: str) -> None:
        """Write the title of a section, on a new page if nothing would fit below it."""
        self.reserve(40)
        self.y += 20
        self.put(
            Text(x=LEFT, y=self.y, text=text, size=LARGE, bold=True),
            Box(x=LEFT, y=self.y + 4, width=RIGHT - LEFT),
        )
        self.y += 6


def _heading(flow: _Flow, content: PageContent, name: str) -> None:
    flow.y += 12
    flow.put(
        Text(x=LEFT, y=flow.y, text="DXA follow-up", size=TITLE, bold=True),
        Text(x=RIGHT, y=flow.y, text=content.status, size=SMALLEST, tone=Tone.SOFT, end=True),
        Box(x=LEFT, y=flow.y + 6, width=RIGHT - LEFT, tone=Tone.INK),
    )
    flow.y += 10
    flow.paragraph(name, size=LARGE + 2, bold=True)
    flow.y += 3


_LABEL_WIDTH = 74.0


def _facts(flow: _Flow, content: PageContent) -> None:
    """Write labels and texts in two columns, left and right by turns."""
    half = (RIGHT - LEFT) / 2
    for start in range(0, len(content.facts), 2):
        _side_by_side(flow, content.facts[start : start + 2], half)


def _side_by_side(flow: _Flow, facts: Sequence[tuple[str, str]], width: float) -> None:
    columns = [wrapped(text, width - _LABEL_WIDTH - 6, BODY, flow.measure) for _, text in facts]
    for number, (label, _) in enumerate(facts):
        x, y = LEFT + number * width, flow.y
        flow.put(Text(x=x, y=y + BODY * LINE_HEIGHT, text=label, tone=Tone.SOFT))
        for line in columns[number]:
            y += BODY * LINE_HEIGHT
            flow.put(Text(x=x + _LABEL_WIDTH, y=y, text=line))
    flow.y += max((len(lines) for lines in columns), default=0) * BODY * LINE_HEIGHT


def _impression(flow: _Flow, content: PageContent) -> None:
    """Write the impression in one box, its first sentence (the overall result) in large letters."""
    inner = RIGHT - LEFT - 16
    head = [line for text in content.impression[:1] for line in wrapped(text, inner, LARGE, flow.measure, bold=True)]
    below = [line for text in content.impression[1:] for line in wrapped(text, inner, BODY, flow.measure)]
    height = 8 + len(head) * LARGE * LINE_HEIGHT + len(below) * BODY * LINE_HEIGHT
    flow.y += 8
    flow.put(Box(x=LEFT, y=flow.y, width=RIGHT - LEFT, height=height, tone=Tone.DARK_FILL))
    y = flow.y + 1
    for lines, size, bold in ((head, LARGE, True), (below, BODY, False)):
        for line in lines:
            y += size * LINE_HEIGHT
            flow.put(Text(x=LEFT + 8, y=y, text=line, size=size, bold=bold))
    flow.y += height + 2
    if content.replaced:
        flow.paragraph(content.replaced)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    head: str
    width: float
    right: bool = False

    @property
    def text_width(self) -> float:
        """Width that a text may have."""
        return self.width - (_GAP if self.right else _INDENT)


_COLUMNS = (
    _Column(head="Region", width=95),
    _Column(head="BMD g/cm\u00b2", width=43.25, right=True),
    _Column(head="T", width=30.5, right=True),
    _Column(head="Z", width=30.5, right=True),
    _Column(head="Compared with", width=58),
    _Column(head="BMD then", width=38.25, right=True),
    _Column(head="Change g/cm\u00b2", width=96.5, right=True),
    _Column(head="LSC", width=33, right=True),
    _Column(head="Result", width=110),
)
"""Wide enough, in bold, for 1.234, a score of -10.2, a date, a change of +0.435 (+116.3 %); in plain, "not valid"."""

_GAP, _INDENT = 6.0, 3.0
"""Space between a number and the column on its right, and before a text."""


def _table(flow: _Flow, content: PageContent) -> None:
    flow.y += 10
    if content.rows:
        _table_head(flow)
    shaded = True
    for row in content.rows:
        shaded = shaded if row.since_baseline else not shaded
        cells = _cells(row, flow.measure)
        height = max(len(lines) for lines in cells) * BODY * LINE_HEIGHT + 3
        if flow.reserve(height):
            _table_head(flow)
        if shaded:
            flow.put(Box(x=LEFT, y=flow.y, width=RIGHT - LEFT, height=height, tone=Tone.FILL))
        _row(flow, cells, bold=row.significant)
        flow.y += height
    flow.put(Box(x=LEFT, y=flow.y, width=RIGHT - LEFT))
    for number, note in enumerate(content.notes, 1):
        flow.paragraph(note, size=SMALLEST, hang=f"{number})")
    if content.not_monitored:
        flow.paragraph(f"Not used for monitoring, BMD in g/cm\u00b2: {content.not_monitored}.", size=SMALLEST)


def _table_head(flow: _Flow) -> None:
    heads = [wrapped(column.head, column.text_width, SMALLEST, flow.measure, bold=True) for column in _COLUMNS]
    depth = max(map(len, heads))
    for x, column, lines in zip(_positions(), _COLUMNS, heads, strict=True):
        for number, line in enumerate(lines, depth - len(lines) + 1):
            flow.put(_cell(x, flow.y + number * SMALLEST * LINE_HEIGHT, line, column, SMALLEST, bold=True))
    flow.y += depth * SMALLEST * LINE_HEIGHT + 4
    flow.put(Box(x=LEFT, y=flow.y, width=RIGHT - LEFT, tone=Tone.INK))


def _cells(row: Row, measure: Measure) -> list[list[str]]:
    notes = f" [{','.join(map(str, row.notes))}]" if row.notes else ""
    texts = (
        *(row.region, row.bmd, row.t_score, row.z_score, row.reference),
        *(row.bmd_then, row.change, row.lsc, row.verdict + notes),
    )
    return [
        wrapped(text, column.text_width, BODY, measure, bold=row.significant)
        for text, column in zip(texts, _COLUMNS, strict=True)
    ]


def _row(flow: _Flow, cells: Sequence[Sequence[str]], *, bold: bool) -> None:
    for x, column, lines in zip(_positions(), _COLUMNS, cells, strict=True):
        for number, line in enumerate(lines, 1):
            flow.put(_cell(x, flow.y + number * BODY * LINE_HEIGHT, line, column, BODY, bold=bold))


def _cell(x: float, y: float, text: str, column: _Column, size: float, *, bold: bool) -> Text:
    if column.right:
        return Text(x=x + column.width - _GAP, y=y, text=text, size=size, bold=bold, end=True)
    return Text(x=x + _INDENT, y=y, text=text, size=size, bold=bold)


def _positions() -> Iterable[float]:
    x = LEFT
    for column in _COLUMNS:
        yield x
        x += column.width


_TWO_IN_A_ROW = {1, 2, 4}
"""Numbers of plots that are set two in a row; others are set three in a row."""


def _plots(flow: _Flow, plots: Sequence[Plot]) -> None:
    if not plots:
        return
    across, height = (2, 158.0) if len(plots) in _TWO_IN_A_ROW else (3, 136.0)
    rows = [plots[start : start + across] for start in range(0, len(plots), across)]
    heights = [height + max(map(_extra_height, row)) for row in rows]
    flow.reserve(40 + heights[0])
    flow.title("BMD over the years, g/cm\u00b2")
    flow.y += 4
    for text in _explanations(plots):
        flow.paragraph(text, size=SMALLEST, tone=Tone.SOFT)
    flow.y += 4
    width = (RIGHT - LEFT - 10 * (across - 1)) / across
    for row, row_height in zip(rows, heights, strict=True):
        flow.reserve(row_height)
        for number, plot in enumerate(row):
            flow.put(Chart(x=LEFT + number * (width + 10), y=flow.y, width=width, height=row_height, plot=plot))
        flow.y += row_height + 4


def _extra_height(plot: Plot) -> float:
    """Return the height of a plot's legend, axis of age and strip of therapies."""
    ages, therapies = AGE_AXIS if plot.birth_date else 0, THERAPY_STRIP if plot.therapies else 0
    return LEGEND_LINE * len(plot.legend) + ages + therapies


def _explanations(plots: Sequence[Plot]) -> Iterator[str]:
    """Yield sentences that explain the marks in these plots."""
    marks = [
        "Grey band: LSC about the exam compared with; a change beyond it is significant.",
        "Filled, joined: scans that may be compared; the largest is this exam.",
    ]
    if any(point.recomputed for plot in plots for point in plot.series):
        marks.append("Open circle: recomputed for the vertebrae drawn.")
    if any(plot.not_comparable for plot in plots):
        marks.append("Open, not joined: scans that may not.")
    excluded = {
        f"{', '.join(dict.fromkeys(str(point.on) for point in group.points))} {group.reason}": None
        for plot in plots
        for group in plot.excluded
    }
    if excluded:
        marks.append(f"Cross: scans that are excluded ({'; '.join(excluded)}).")
    yield " ".join(marks)
    if breaks := dict.fromkeys(one.reason for plot in plots for one in sorted(plot.breaks, key=lambda one: one.on)):
        yield f"Vertical rules: {'; '.join(breaks)}."
    if held := dict.fromkeys(str(day) for plot in plots for day in plot.held_days):
        yield f"Cross on the axis: an exam that is held for a person, its numbers not known: {', '.join(held)}."
    if therapies := dict.fromkeys(_therapy_in_words(course) for plot in plots for course in plot.therapies):
        yield f"Bars below the years: therapy on record: {'; '.join(therapies)}."


def _therapy_in_words(course: TherapyCourse) -> str:
    begins = f"since {course.begins}" if course.start_on_record else f"on record since {course.begins}"
    name = "other therapy" if course.therapy is Therapy.OTHER else str(course.therapy)
    return f"{name} {begins}" + (f" until {course.ends}" if course.ended else "")


def _sections(flow: _Flow, content: PageContent) -> None:
    for title, texts in content.sections:
        flow.title(title)
        flow.y += 2
        for text in texts:
            flow.paragraph(text, hang="\N{BULLET}")
            flow.y += 1.5
    flow.y += 6
    for text in content.small_print:
        flow.paragraph(text, size=SMALLEST, tone=Tone.SOFT)


def _running_head(content: PageContent, name: str, measure: Measure, number: int) -> Iterator[Text | Box]:
    """Yield name, patient ID and date at the top of each page but the first."""
    if number == 1:
        return
    identity = f"ID {content.patient_id}, exam of {content.exam_on}"
    available = RIGHT - LEFT - measure(identity, BODY, False) - 12
    yield Text(x=LEFT, y=TOP + 8, text=wrapped(name, max(available, 80), BODY, measure, bold=True)[0], bold=True)
    yield Text(x=RIGHT, y=TOP + 8, text=identity, end=True)
    yield Box(x=LEFT, y=TOP + 13, width=RIGHT - LEFT)


def _foot(content: PageContent, number: int, count: int) -> Iterator[Text | Box]:
    """Yield what made the page, and its number, at its lower edge."""
    y = HEIGHT - 22
    yield Box(x=LEFT, y=y - 10, width=RIGHT - LEFT)
    yield Text(x=LEFT, y=y, text=content.made_by, size=SMALLEST, tone=Tone.SOFT)
    yield Text(x=RIGHT, y=y, text=f"page {number} of {count}", size=SMALLEST, tone=Tone.SOFT, end=True)
