"""How does a structured report read, one line per content item, on a terminal or on a web page?

The report's header, and with it the patient, is not part of an outline.
"""

from collections.abc import Iterator
from html import escape

from pipeline.sr.dicom.content_item import Code, Item


def outline(root: Item) -> str:
    """The whole tree as text, each level two spaces further in."""
    return "\n".join(lines(root))


def lines(item: Item, depth: int = 0) -> Iterator[str]:
    """One line for an item and each below it, such as ``NUM  Bone Mineral Density = 0.912 g/cm2``."""
    yield "  " * depth + _line(item)
    for child in item.children:
        yield from lines(child, depth + 1)


def outline_html(root: Item) -> str:
    """The same lines as nested lists, to be put into a page; whatever a report says is text there and nothing else."""
    below = "".join(map(outline_html, root.children))
    return f"<ul><li>{escape(_line(root))}{below}</li></ul>"


def _line(item: Item) -> str:
    concept = str(item.concept) if item.concept else ""
    value = _value(item)
    told = " = ".join(part for part in (concept, value) if part)
    problems = "".join(f" [{problem}]" for problem in item.problems)
    return _printable(f"{item.value_type or 'ITEM':<4} {told}{problems}".rstrip())


def _value(item: Item) -> str:
    """What an item says, as a reader wants it."""
    if item.code is not None:
        return str(item.code)
    if item.references:
        return ", ".join(sop_instance_uid for _, sop_instance_uid in item.references)
    return " ".join(part for part in (item.value, _unit(item.unit)) if part)


def _unit(unit: Code | None) -> str:
    """A unit's UCUM code; what counts nothing, ``1`` and UCUM's ``{notes}``, is left out."""
    if unit is None or unit.value == "1" or unit.value.startswith("{"):
        return ""
    return unit.value or unit.meaning


def _printable(line: str) -> str:
    """A line that stays one line, and does nothing else to a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in line)
