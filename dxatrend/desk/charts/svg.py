"""Marks of charts as SVG: axes, bands, rules, lines, shapes, and labels that do not overlap.

Lengths and positions are in units of the view box, ``y`` downwards. A text is escaped, and is drawn ``TEXT`` high.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

TEXT = 13.0
"""Height of the letters; the style sheet sets the same for ``.chart text``."""

LINE = 16.0
"""Distance of one line of text to the next."""

Ticks = Sequence[tuple[float, str]]
"""Values on an axis, each with its label."""


@dataclass(frozen=True, slots=True)
class Area:
    """The rectangle that the data are drawn in."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Converts values to positions: ``low`` is at ``start``, ``high`` at ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value, also of one outside the limits."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def within(self, value: float) -> float:
        """Return the position of a value, or the nearer end where it is outside the limits."""
        return self(min(max(value, self.low), self.high))


def chart(identity: str, *, size: tuple[float, float], title: str, description: str, marks: Iterable[Markup]) -> Markup:
    """Return a picture with its title and description for those who do not see it; ``identity`` is of this page only.

    Args:
        identity: Letters, digits and hyphens.
        size: Width and height of the view box.
        title: What the picture shows, in a few words.
        description: What is seen in it, in sentences.
        marks: What is drawn, the undermost first.
    """
    width, height = (_number(length) for length in size)
    return element(
        "svg",
        element("title", id=f"{identity}-title", text=title),
        element("desc", id=f"{identity}-desc", text=description),
        *marks,
        class_="chart",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
        focusable="false",
    )


def value_axis(area: Area, scale: Scale, ticks: Ticks, unit: str) -> Markup:
    """Return the axis on the left with a grid line at each tick, and its unit above it."""
    lines = [line([(area.left, scale(at)), (area.right, scale(at))], "chart-grid") for at, _ in ticks]
    labels = [label(area.left - 6, scale(at) + TEXT * 0.35, text, "chart-tick", anchor="end") for at, text in ticks]
    axis = line([(area.left, area.top), (area.left, area.bottom)], "chart-axis")
    return group("chart-values", *lines, axis, *labels, label(0, area.top - 8, unit, "chart-tick"))


def time_axis(area: Area, scale: Scale, ticks: Ticks) -> Markup:
    """Return the axis below."""
    return group(
        "chart-times",
        line([(area.left, area.bottom), (area.right, area.bottom)], "chart-axis"),
        *(line([(scale(at), area.bottom), (scale(at), area.bottom + 4)], "chart-axis") for at, _ in ticks),
        *(label(scale(at), area.bottom + LINE + 2, text, "chart-tick", anchor="middle") for at, text in ticks),
    )


def upper_axis(area: Area, scale: Scale, ticks: Ticks, name: str, *, y: float) -> Markup:
    """Return a second axis at the height ``y`` above the area, with its name on the left."""
    return group(
        "chart-upper",
        line([(area.left, y), (area.right, y)], "chart-axis"),
        *(line([(scale(at), y), (scale(at), y - 4)], "chart-axis") for at, _ in ticks),
        *(label(scale(at), y - 7, text, "chart-tick", anchor="middle") for at, text in ticks),
        label(area.left - 6, y - 4, name, "chart-tick", anchor="end"),
    )


def band(area: Area, scale: Scale, low: float, high: float, name: str) -> Markup:
    """Return a horizontal band between two values, cut at the edges of the area; ``name`` is its class."""
    top, bottom = scale.within(high), scale.within(low)
    return rectangle(area.left, top, area.right - area.left, bottom - top, name)


def rectangle(x: float, y: float, width: float, height: float, name: str, title: str = "") -> Markup:
    """Return a filled rectangle; ``title`` is shown under a mouse."""
    sides = {"x": x, "y": y, "width": width, "height": height}
    return element("rect", *_title(title), class_=name, **{side: _number(length) for side, length in sides.items()})


def line(places: Sequence[tuple[float, float]], name: str, title: str = "") -> Markup:
    """Return a line through some places."""
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in places)
    return element("polyline", *_title(title), class_=name, points=points)


def label(x: float, y: float, text: str, name: str, *, anchor: str = "start", title: str = "") -> Markup:
    """Return a text on the baseline ``y``; ``anchor`` is ``start``, ``middle`` or ``end``."""
    return element("text", *_title(title), class_=name, x=_number(x), y=_number(y), text_anchor=anchor, text=text)


def group(name: str, *marks: Markup) -> Markup:
    """Return marks that belong together."""
    return element("g", *marks, class_=name)


SHAPES = {
    "square": "M{l},{t}H{r}V{b}H{l}Z",
    "triangle": "M{x},{t}L{r},{b}H{l}Z",
    "diamond": "M{x},{t}L{r},{y}L{x},{b}L{l},{y}Z",
    "cross": "M{l},{t}L{r},{b}M{l},{b}L{r},{t}",
    "plus": "M{x},{t}V{b}M{l},{y}H{r}",
}
"""Paths of the shapes that are no circle."""


def mark(shape: str, x: float, y: float, name: str, title: str = "", *, radius: float = 4.5) -> Markup:
    """Return a mark: a ``circle``, a ``ring`` (a circle in another one) or one of ``SHAPES``."""
    if shape == "ring":
        outer = mark("circle", x, y, f"{name} chart-ring", radius=radius + 4)
        return element("g", *_title(title), outer, mark("circle", x, y, name, radius=radius))
    if shape == "circle":
        return element("circle", *_title(title), class_=name, cx=_number(x), cy=_number(y), r=_number(radius))
    places = {"l": x - radius, "r": x + radius, "t": y - radius, "b": y + radius, "x": x, "y": y}
    path = SHAPES[shape].format(**{key: _number(place) for key, place in places.items()})
    return element("path", *_title(title), class_=f"{name} chart-{shape}", d=path)


def text_width(text: str) -> float:
    """Return the width of a text, rather too large than too small, as nobody knows here which font is drawn."""
    return TEXT * sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.6 for letter in text)


def shortened(text: str, width: float) -> str:
    """Return a text, cut at its end so that it is no wider than this."""
    if text_width(text) <= width:
        return text
    return next((cut for n in range(len(text) - 1, 0, -1) if text_width(cut := f"{text[:n].rstrip()}…") <= width), "…")


@dataclass(frozen=True, slots=True)
class Placed:
    """A label with its place: the lane it is in, counted from 0, and where it begins."""

    text: str
    at: float
    begins: float
    lane: int


def in_lanes(labels: Sequence[tuple[float, str]], area: Area, *, gap: float = 8.0) -> list[Placed]:
    """Place labels of vertical rules in as few lanes as keep them apart, each beside its rule and within the area.

    ``labels`` are the positions of the rules with their texts. A label stands on the right of its rule, or ends at the
    right edge of the area.
    """
    ends: list[float] = []
    placed = []
    for at, text in sorted(labels):
        text = shortened(text, area.right - area.left)
        width = text_width(text)
        begins = max(area.left, min(at + 3, area.right - width))
        lane = next((lane for lane, end in enumerate(ends) if end + gap <= begins), len(ends))
        ends[lane : lane + 1] = [begins + width]
        placed.append(Placed(text, at, begins, lane))
    return placed


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle that is taken."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Return whether two rectangles share a place."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


SIDES = ("right", "above", "below", "left")
"""Where a label may stand beside its mark."""


def beside(
    x: float,
    y: float,
    text: str,
    taken: list[Box],
    area: Area,
    *,
    distance: float = 8.0,
    sides: Sequence[str] = SIDES,
) -> tuple[float, float]:
    """Return where a text begins, and its baseline, so that it covers nothing that is taken, and take that place.

    The sides of the mark are tried in their order; where none is free, the text stands on the first one.
    """
    width, half = text_width(text), TEXT / 2
    centred = max(area.left + 2, min(x - width / 2, area.right - width))
    places = {
        "right": (x + distance, y),
        "above": (centred, y - distance - half),
        "below": (centred, y + distance + half),
        "left": (x - distance - width, y),
    }
    boxes = [Box(left, middle - half, left + width, middle + half) for left, middle in map(places.__getitem__, sides)]
    inside = Box(area.left, area.top, area.right, area.bottom)
    free = (box for box in boxes if _is_within(box, inside) and not any(box.overlaps(other) for other in taken))
    box = next(free, boxes[0])
    taken.append(box)
    return box.left, box.bottom - TEXT * 0.15


def along(places: Sequence[tuple[float, float]], *, step: float = 6.0) -> list[Box]:
    """Return the rectangles that a line takes, so that no label covers it."""
    boxes = []
    for (x1, y1), (x2, y2) in pairwise(places):
        count = max(1, int(max(abs(x2 - x1), abs(y2 - y1)) / step))
        for n in range(count):
            one, other = n / count, (n + 1) / count
            xs = sorted((x1 + (x2 - x1) * one, x1 + (x2 - x1) * other))
            ys = sorted((y1 + (y2 - y1) * one, y1 + (y2 - y1) * other))
            boxes.append(Box(xs[0], ys[0] - 2, xs[1], ys[1] + 2))
    return boxes


def element(name: str, *children: Markup, text: str = "", **attributes: str) -> Markup:
    """Return one element; an attribute's underscores are hyphens, and one at its end is dropped."""
    given = Markup("").join(
        Markup(' {}="{}"').format(key.removesuffix("_").replace("_", "-"), value) for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}{3}</{0}>").format(name, given, escape(_printable(text)), Markup("").join(children))


def _is_within(box: Box, area: Box) -> bool:
    return area.left <= box.left and box.right <= area.right and area.top <= box.top and box.bottom <= area.bottom


def _title(text: str) -> tuple[Markup, ...]:
    return (element("title", text=text),) if text else ()


def _printable(text: str) -> str:
    """Replace controls, among them those that change the direction of what follows."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _number(length: float) -> str:
    return f"{length:.1f}".removesuffix(".0")
