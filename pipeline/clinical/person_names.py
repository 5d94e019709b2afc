"""Comparison of person names (PN, PS3.5 6.2.1): whether the names of two reports contradict each other.

Order, letter case, diacritics, transcription and initials do not count, nor does the family name alone, as it changes
with marriage. Names in different scripts are not compared. Two names contradict if they share a script and, in every
shared script, no given name of one agrees with any name of the other.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W\d_]+")


def normal_name(text: str) -> str:
    """Return a person name in the form stored for comparison: family and given names, folded; groups by ``=``."""
    groups = (_normal_group(group) for group in text[:_LONGEST].split("=")[:3])
    return "=".join(group for group in groups if group.strip("^"))


def contradict(one: str, other: str) -> bool:
    """Whether two normalised names belong to different people."""
    comparable = [
        (first, second)
        for first in map(_read, _groups(one))
        for second in map(_read, _groups(other))
        if first.script == second.script
    ]
    return bool(comparable) and not any(_agree(first, second) for first, second in comparable)


_LONGEST = 200

_LETTERS = str.maketrans(
    {
        "\u00e6": "ae",
        "\u0153": "oe",
        "\u00f8": "o",
        "\u0142": "l",
        "\u0111": "d",
        "\u00f0": "d",
        "\u0131": "i",
        "\u00fe": "th",
    }
)
"""Letters that NFKD does not decompose into a base letter and a mark."""

_TRANSCRIBED = re.compile("(?<=[aou])e")
"""The ``e`` of a transcribed umlaut (Mueller): without it both spellings fold to the same text."""

_SHORTEST_BEGINNING = 3
"""The shortest beginning that counts as the same name: Alex for Alexandra, but not Al."""


@dataclass(frozen=True, slots=True)
class _Name:
    script: str
    family: frozenset[str]
    given: frozenset[str]


def _normal_group(group: str) -> str:
    parts = [_fold(part) for part in group.split("^")[:3]]  # family, given, middle; titles are ignored
    family, given = parts[0], " ".join(parts[1:]).strip()
    return f"{family}^{given}" if given else family


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).translate(_LETTERS)
    return " ".join(_WORD.findall(_TRANSCRIBED.sub("", unicodedata.normalize("NFC", bare))))


def _groups(name: str) -> Sequence[str]:
    return [group for group in name.split("=") if group]


def _read(group: str) -> _Name:
    family, _, given = group.partition("^")
    return _Name(_script(group), frozenset(family.split()), frozenset(given.split()))


def _script(text: str) -> str:
    """Return the script of a text, by its first letter."""
    letter = next((letter for letter in text if letter.isalpha()), "")
    return unicodedata.name(letter, "").split(" ")[0].split("-")[0] if letter else ""


def _agree(one: _Name, other: _Name) -> bool:
    if not (one.given and other.given):  # one component only: which part is the given name is unknown
        return _share(one.family | one.given, other.family | other.given)
    crossed = _share(one.given, other.family) or _share(one.family, other.given)
    return crossed or _share(one.given, other.given)


def _share(some: frozenset[str], others: frozenset[str]) -> bool:
    return any(_alike(one, other) for one in some for other in others)


def _alike(one: str, other: str) -> bool:
    """Whether two names are equal, or one is an initial or the beginning of the other."""
    shorter, longer = sorted((one, other), key=len)
    if shorter == longer:
        return True
    return longer.startswith(shorter) and (len(shorter) == 1 or len(shorter) >= _SHORTEST_BEGINNING)
