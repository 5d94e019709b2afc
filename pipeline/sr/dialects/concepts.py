"""Concepts by which a dialect names things: codes, meanings, and patterns of meanings.

Letter case and spacing do not matter; in a meaning ``*`` stands for any text. A code value with its scheme counts
before any meaning.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from pipeline.sr.dicom.content_item import Code, folded

LONGEST_NAME = 256
"""In characters; a code meaning has up to 64 (PS3.5 6.2 LO), and a longer text than this matches nothing."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A meaning with ``*``, as the texts around each ``*``; matching takes one pass over a name."""

    first: str
    between: tuple[str, ...]
    last: str

    @classmethod
    def of(cls, name: str) -> "Pattern":
        """Make the pattern of a name with ``*``."""
        first, *between, last = folded(name).split("*")
        return cls(first, tuple(between), last)

    def fits(self, name: str) -> bool:
        """Whether a folded name matches."""
        return self.rest(name) is not None

    def rest(self, name: str) -> str | None:
        """Return the longest text for the first ``*``; ``None`` where the name does not match."""
        begin, end = len(self.first), len(name) - len(self.last)
        if end < begin or not (name.startswith(self.first) and name.endswith(self.last)):
            return None
        for part in reversed(self.between):
            end = name.rfind(part, begin, end)
            if end < 0:
                return None
        return name[begin:end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """A vendor's name for something: a code value with its scheme, meanings, or both; any of them matches."""

    value: str = ""
    scheme: str = ""
    meanings: tuple[str, ...] = ()
    identity: tuple[str, str] = field(init=False, repr=False, compare=False)
    _plain: frozenset[str] = field(init=False, repr=False, compare=False)
    _patterns: tuple["Pattern", ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", Code(self.value, self.scheme, "").identity)
        object.__setattr__(self, "_plain", frozenset(folded(name) for name in self.meanings if "*" not in name))
        object.__setattr__(self, "_patterns", tuple(Pattern.of(name) for name in self.meanings if "*" in name))

    @property
    def plain(self) -> frozenset[str]:
        """The meanings without ``*``, folded."""
        return self._plain

    @property
    def patterns(self) -> tuple["Pattern", ...]:
        """The meanings with ``*``."""
        return self._patterns

    def matches(self, code: Code | None) -> bool:
        """Whether a code in a report names this concept."""
        if code is None:
            return False
        if self.value and code.identity == self.identity:
            return True
        return self.names_it(code.meaning)

    def names_it(self, text: str) -> bool:
        """Whether a text is one of the meanings."""
        name = folded_name(text)
        return name in self._plain or any([pattern.fits(name) for pattern in self._patterns])

    def rest(self, text: str) -> str | None:
        """Return the text for the ``*`` of a meaning that a text matches; ``None`` when it matches none."""
        name = folded_name(text)
        rests = (pattern.rest(name) for pattern in self._patterns)
        return next((rest.strip() for rest in rests if rest is not None), None)


_T = TypeVar("_T")

_MOST_FOUND = 4096


class Lookup(Generic[_T]):
    """Finds what a code stands for among concepts: by the first equal code, else by the first equal meaning."""

    def __init__(self, listed: Iterable[tuple[Concept, _T]]) -> None:
        listed = tuple(listed)
        self.concepts = tuple(concept for concept, _ in listed)
        self._codes: dict[tuple[str, str], _T] = {}
        self._names: dict[str, _T] = {}
        self._patterns: list[tuple[Pattern, _T]] = []
        self._found: dict[Code, _T | None] = {}
        for concept, value in listed:
            if concept.value:
                self._codes.setdefault(concept.identity, value)
            for name in concept.plain:
                self._names.setdefault(name, value)
            self._patterns += [(pattern, value) for pattern in concept.patterns]

    def find(self, code: Code | None) -> _T | None:
        """Return what a code stands for; ``None`` when it is unknown."""
        if code is None:
            return None
        if code not in self._found:
            if len(self._found) >= _MOST_FOUND:  # scanners use a few codes again and again; others may use any
                self._found.clear()
            self._found[code] = self._find(code)
        return self._found[code]

    def _find(self, code: Code) -> _T | None:
        if code.identity in self._codes:
            return self._codes[code.identity]
        name = folded_name(code.meaning)
        if name in self._names:
            return self._names[name]
        return next((value for pattern, value in self._patterns if pattern.fits(name)), None)


@lru_cache(maxsize=8192)
def _folded_name(text: str) -> str:
    return folded(text)


def folded_name(text: str) -> str:
    """Return a name as it is compared; empty when it is longer than any name."""
    return _folded_name(text) if len(text) <= LONGEST_NAME else ""
