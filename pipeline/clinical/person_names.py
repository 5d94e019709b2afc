"""Compare the names of two reports, as tolerantly as names are written: they may only contradict each other.

Order, letter case, diacritics, transcription and initials do not count, nor does a family name alone, as it changes
with marriage; names in different scripts cannot be compared. So two names contradict where they have a script in common
and in none of these do a given name of the one and any name of the other agree.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W\d_]+")


def normal_name(text: str) -> str:
    """A Person Name (PS3.5 6.2.1) as it is kept for comparison: family and given names, folded; groups by ``=``."""
    groups = (_normal_group(group) for group in text[:_LONGEST].split("=")[:3])
    return "=".join(group for group in groups if group.strip("^"))


def contradict(one: str, other: str) -> bool:
    """Whether two normal names are those of different people."""
    comparable = [
        (mine, theirs)
        for mine in map(_read, _groups(one))
        for theirs in map(_read, _groups(other))
        if mine.script == theirs.script
    ]
    return bool(comparable) and not any(_agree(mine, theirs) for mine, theirs in comparable)


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
"""Letters that are no base letter with a mark on it."""

_TRANSCRIBED = re.compile("(?<=[aou])e")
"""``ue`` stands for the letter that loses its mark here, as in Mueller; of both the same remains."""

_SHORTEST_BEGINNING = 3
"""Alex is Alexandra, and Al may be anybody."""


@dataclass(frozen=True, slots=True)
class _Name:
    script: str
    family: frozenset[str]
    given: frozenset[str]


def _normal_group(group: str) -> str:
    parts = [_fold(part) for part in group.split("^")[:3]]  # family, given, middle; titles tell nothing
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
    """The script of a text, by its first letter."""
    letter = next((letter for letter in text if letter.isalpha()), "")
    return unicodedata.name(letter, "").split(" ")[0].split("-")[0] if letter else ""


def _agree(one: _Name, other: _Name) -> bool:
    if not (one.given and other.given):  # all of it in one component: which part is the given name is not told
        return _share(one.family | one.given, other.family | other.given)
    crossed = _share(one.given, other.family) or _share(one.family, other.given)
    return crossed or _share(one.given, other.given)


def _share(some: frozenset[str], others: frozenset[str]) -> bool:
    return any(_alike(one, other) for one in some for other in others)


def _alike(one: str, other: str) -> bool:
    """Whether two names are one, or one is an initial or the beginning of the other."""
    shorter, longer = sorted((one, other), key=len)
    if shorter == longer:
        return True
    return longer.startswith(shorter) and (len(shorter) == 1 or len(shorter) >= _SHORTEST_BEGINNING)
