"""Marks that make up a laid-out page (texts, boxes, lines, shapes), the measures of a page, and wrapping of text.

A page is A4 upright. Lengths are in points (1/72 inch), positions from its upper left corner, ``y`` downwards. No text
is smaller than ``SMALLEST``, which is 13 pixels high on an image 1024 pixels wide.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from pipeline.sr.render.plots import Plot

WIDTH, HEIGHT = 595.0, 842.0
LEFT, RIGHT, TOP, BOTTOM = 30.0, WIDTH - 30.0, 34.0, HEIGHT - 40.0

TITLE, LARGE, BODY, SMALLEST = 15.0, 11.0, 8.5, 7.5
LINE_HEIGHT = 1.32
"""Distance from one baseline to the next, as a multiple of the size of the letters."""

LEGEND_LINE = SMALLEST * LINE_HEIGHT
"""Height of a line of a chart's legend."""

RULE_THICKNESS = 0.55
"""Just less than a pixel of an image: PDFium fills whole pixels, and would fill two with a thicker rule."""

AGE_AXIS, THERAPY_STRIP = 11.0, 12.0
"""Height of the axis of age above a plot, and of the strip of therapies below its years."""

Measure = Callable[[str, float, bool], float]
"""Returns the width of a text at a size, bold or not; both in points."""


class Tone(Enum):
    """Grey of a mark, as its share of white; ``ACCENT`` alone is a colour in the PDF, as dark as this grey."""

    INK = 0.0
    ACCENT = 0.22
    MARKER = 0.2
    SOFT = 0.32
    AXIS = 0.45
    RULE = 0.72
    DARK_FILL = 0.86
    BAND = 0.88
    GRID = 0.9
    FILL = 0.93
    PAPER = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A line of text on the baseline ``y``; it begins at ``x``, or ends there if ``end`` is set.

    An ``upright`` text runs upwards along ``x`` instead, and begins or ends at ``y``.
    """

    x: float
    y: float
    text: str
    size: float = BODY
    bold: bool = False
    tone: Tone = Tone.INK
    end: bool = False
    upright: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A filled rectangle; without a height it is a rule, ``RULE_THICKNESS`` thick."""

    x: float
    y: float
    width: float
    height: float = 0.0
    tone: Tone = Tone.RULE


Place = tuple[float, float]
"""``x`` and ``y`` on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through some places; ``dashes`` are the lengths of its strokes and of the gaps between them, by turns."""

    places: tuple[Place, ...]
    thickness: float
    tone: Tone
    dashes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Polygon:
    """A closed outline ``edge`` thick, and what it encloses."""

    places: tuple[Place, ...]
    fill: Tone
    tone: Tone
    edge: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disc:
    """A circle with an outline ``edge`` thick, and what it encloses; the outline's middle is ``radius`` away."""

    place: Place
    radius: float
    fill: Tone
    tone: Tone
    edge: float


Mark = Text | Box | Line | Polygon | Disc
"""What is drawn as it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A plot and the rectangle that it fills with its title and its legend."""

    x: float
    y: float
    width: float
    height: float
    plot: Plot


Page = tuple[Text | Box | Chart, ...]
"""One laid-out page: its marks in the order in which they are drawn."""


def wrapped(text: str, width: float, size: float, measure: Measure, *, bold: bool = False) -> list[str]:
    """Return a text in lines of at most ``width``; a number keeps its unit, and a word wider than a line is cut."""
    lines, space = [""], measure("n n", size, bold) - measure("nn", size, bold)
    remaining = width
    for word in _words(text):
        needed = measure(word, size, bold)
        if lines[-1] and space + needed <= remaining:
            lines[-1], remaining = f"{lines[-1]} {word}", remaining - space - needed
            continue
        parts = list(_cut(word, width, size, measure, bold))
        lines, remaining = lines + parts, width - measure(parts[-1], size, bold)
    return lines[1:] or [""]


def _words(text: str) -> Iterator[str]:
    """Yield the words of a text; a number and its unit are one word."""
    pending = ""
    for word in text.split():
        if pending[-1:].isdigit() and word.startswith(_UNITS):
            pending = f"{pending} {word}"
            continue
        if pending:
            yield pending
        pending = word
    if pending:
        yield pending


_UNITS = ("%", "g/cm", "cm", "kg", "mg", "years", "months", "days")


def _cut(word: str, width: float, size: float, measure: Measure, bold: bool) -> Iterator[str]:
    """Yield a word in pieces no wider than a line."""
    while measure(word, size, bold) > width and len(word) > 1:
        fits = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or measure(word[:n], size, bold) <= width)
        yield word[:fits]
        word = word[fits:]
    yield word
