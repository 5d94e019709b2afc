"""Order a line of text whose letters run from right to left, as in Hebrew and Arabic (Unicode Standard Annex 9).

The rules are those of one line without explicit embeddings or isolates; HarfBuzz mirrors brackets. Names and short
texts need no more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from unicodedata import bidirectional


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a line that runs one way: ``text[begins:ends]`` in the order in which it is read."""

    begins: int
    ends: int
    leftwards: bool


def runs(text: str) -> list[Run]:
    """Return the parts of a line in the order in which they stand from left to right."""
    classes = [bidirectional(letter) or "L" for letter in text]
    if not {"R", "AL", "AN"} & set(classes):
        return [Run(0, len(text), False)] if text else []
    base = next((int(one != "L") for one in classes if one in ("L", "R", "AL")), 0)
    levels = _levels(text, classes, base)
    found: list[tuple[int, Run]] = []
    for level, group in groupby(range(len(text)), key=levels.__getitem__):
        places = list(group)
        found.append((level, Run(places[0], places[-1] + 1, bool(level % 2))))
    for level in range(max(levels), 0, -1):  # L2
        found = list(_reversed_from(level, found))
    return [run for _, run in found]


def _levels(text: str, classes: Sequence[str], base: int) -> list[int]:
    """Return the embedding level of each letter; odd levels run from right to left."""
    direction = "R" if base else "L"
    weak = _weak_resolved(classes, direction)
    strong = _neutral_resolved(_brackets_resolved(text, weak, direction), direction)
    levels = [base + _RAISES[base][one] for one in strong]
    for place in range(len(classes) - 1, -1, -1):  # L1
        if classes[place] not in ("WS", "S", "B", "BN"):
            break
        levels[place] = base
    return levels


_RAISES = ({"L": 0, "R": 1, "AN": 2, "EN": 2}, {"L": 1, "R": 0, "AN": 1, "EN": 1})
"""Added to an even and to an odd level (I1, I2)."""


def _weak_resolved(classes: Sequence[str], before: str) -> list[str]:
    """Return the classes after the rules for marks, numbers and what stands beside them (W1 to W7)."""
    found: list[str] = []
    for one in classes:
        found.append((found[-1] if found else before) if one in ("NSM", "BN") else one)  # W1
    last = before
    for place, one in enumerate(found):
        if one in ("L", "R", "AL"):
            last = one
        elif one == "EN" and last == "AL":
            found[place] = "AN"  # W2
    found = ["R" if one == "AL" else one for one in found]  # W3
    for place in range(1, len(found) - 1):  # W4
        left, one, right = found[place - 1 : place + 2]
        if left == right and ((one in ("ES", "CS") and left == "EN") or (one == "CS" and left == "AN")):
            found[place] = left
    for begins, ends in list(_stretches(found, {"ET"})):  # W5
        if "EN" in (found[begins - 1] if begins else "", found[ends] if ends < len(found) else ""):
            found[begins:ends] = ["EN"] * (ends - begins)
    found = ["ON" if one in ("ES", "ET", "CS") else one for one in found]  # W6
    last = before
    for place, one in enumerate(found):
        if one in ("L", "R"):
            last = one
        elif one == "EN" and last == "L":
            found[place] = "L"  # W7
    return found


_PAIRS = {"(": ")", "[": "]", "{": "}"}
"""Brackets, as names and texts have them."""


def _brackets_resolved(text: str, classes: list[str], direction: str) -> list[str]:
    """Return the classes with both brackets of a pair in one direction (N0)."""
    found = list(classes)
    for begins, ends in _pairs(text, classes):
        inside = {_side(one) for one in found[begins + 1 : ends] if one in ("L", "R", "EN", "AN")}
        if not inside:
            continue
        before = next((_side(one) for one in reversed(found[:begins]) if one in ("L", "R", "EN", "AN")), direction)
        found[begins] = found[ends] = direction if direction in inside else before
    return found


def _pairs(text: str, classes: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of the brackets that belong together, by those of the first (BD16)."""
    opened: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    for place, letter in enumerate(text):
        if letter in _PAIRS and classes[place] == "ON":
            opened.append((_PAIRS[letter], place))
        elif letter in _PAIRS.values() and classes[place] == "ON":
            matching = next((n for n in range(len(opened) - 1, -1, -1) if opened[n][0] == letter), None)
            if matching is not None:
                pairs.append((opened[matching][1], place))
                del opened[matching:]
    return sorted(pairs)


_NEUTRAL = frozenset(["B", "S", "WS", "ON", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"])


def _neutral_resolved(classes: list[str], direction: str) -> list[str]:
    """Return the classes with each neutral in the direction of both its sides, else in that of the line (N1, N2)."""
    found = list(classes)
    for begins, ends in _stretches(classes, _NEUTRAL):
        left = _side(classes[begins - 1]) if begins else direction
        right = _side(classes[ends]) if ends < len(classes) else direction
        found[begins:ends] = [left if left == right else direction] * (ends - begins)
    return found


def _side(one: str) -> str:
    return "L" if one == "L" else "R"  # numbers count as R


def _stretches(classes: Sequence[str], wanted: frozenset[str] | set[str]) -> Iterator[tuple[int, int]]:
    """Yield where each unbroken stretch of these classes begins and ends."""
    begins = 0
    for within, group in groupby(classes, key=wanted.__contains__):
        ends = begins + len(list(group))
        if within:
            yield begins, ends
        begins = ends


def _reversed_from(level: int, found: Sequence[tuple[int, Run]]) -> Iterator[tuple[int, Run]]:
    """Yield the runs with each unbroken stretch of at least this level reversed."""
    for within, group in groupby(found, key=lambda one: one[0] >= level):
        stretch = list(group)
        yield from reversed(stretch) if within else stretch
