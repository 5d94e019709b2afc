"""Outline of a structured report: one line per content item, as text or as HTML.

The report's header, and with it the patient, is not part of the outline.
"""

from collections.abc import Iterator
from html import escape

from pipeline.sr.dicom.content_item import Code, Item


def outline(root: Item) -> str:
    """Return the whole tree as text, each level indented by two more spaces."""
    return "\n".join(lines(root))


def lines(item: Item, depth: int = 0) -> Iterator[str]:
    """Yield a line for an item and each below it, such as ``NUM  Bone Mineral Density = 0.912 g/cm2``."""
    yield "  " * depth + _line(item)
    for child in item.children:
        yield from lines(child, depth + 1)


def outline_html(root: Item) -> str:
    """Return the same lines as nested HTML lists; all text of the report is escaped."""
    below = "".join(map(outline_html, root.children))
    return f"<ul><li>{escape(_line(root))}{below}</li></ul>"


def _line(item: Item) -> str:
    concept = str(item.concept) if item.concept else ""
    value = _value(item)
    text = " = ".join(part for part in (concept, value) if part)
    problems = "".join(f" [{problem}]" for problem in item.problems)
    return _printable(f"{item.value_type or 'ITEM':<4} {text}{problems}".rstrip())


def _value(item: Item) -> str:
    """Return the value of an item for a reader."""
    if item.code is not None:
        return str(item.code)
    if item.references:
        return ", ".join(sop_instance_uid for _, sop_instance_uid in item.references)
    return " ".join(part for part in (item.value, _unit(item.unit)) if part)


def _unit(unit: Code | None) -> str:
    """Return a unit's UCUM code; empty for ``1`` and for annotations in braces, which are no unit."""
    if unit is None or unit.value == "1" or unit.value.startswith("{"):
        return ""
    return unit.value or unit.meaning


def _printable(line: str) -> str:
    """Replace control characters by spaces, so that a terminal shows one line."""
    return "".join(letter if letter.isprintable() else " " for letter in line)
