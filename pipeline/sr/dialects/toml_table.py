"""Tables of a dialect's TOML, read key by key: wrong values and unknown keys become errors, each under its key."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from pipeline.sr.dialects.concepts import Concept

_T = TypeVar("_T")
_Key = TypeVar("_Key", bound=StrEnum)


class Table:
    """One table; what is wrong in it, and in those below it, is added to ``errors``."""

    def __init__(self, data: Mapping[str, Any], path: str, errors: list[str]) -> None:
        self._left = dict(data)
        self._path = path
        self._errors = errors

    def wrong(self, key: str, what: str) -> None:
        """Add an error of a key."""
        self._errors.append(f"{self._path}{key}: {what}")

    def text(self, key: str, *, required: bool = True) -> str:
        """Return a text; empty where it is missing or wrong."""
        value = self._left.pop(key, "")
        if not isinstance(value, str):
            self.wrong(key, "must be a text")
            return ""
        if required and not value.strip():
            self.wrong(key, "is missing")
        return value

    def flag(self, key: str) -> bool:
        """Return whether a key is set to true."""
        value = self._left.pop(key, False)
        if not isinstance(value, bool):
            self.wrong(key, "must be true or false")
        return value is True

    def day(self, key: str) -> date | None:
        """Return a date without time."""
        value = self._left.pop(key, None)
        if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
            return value
        self.wrong(key, "must be a day, written as 2026-11-26")
        return None

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, none of them blank."""
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
            self.wrong(key, "must be a list of texts")
            return ()
        return tuple(value)

    def text_or_texts(self, key: str) -> tuple[str, ...]:
        """Return the texts of a key that may have one or a list."""
        if isinstance(self._left.get(key), list):
            return self.texts(key)
        text = self.text(key, required=False)
        return (text,) if text else ()

    def lists(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield every key that is left, with its list of texts."""
        for key in list(self._left):
            yield key, self.texts(key)

    def one_of(self, key: str, parse: Callable[[str], _T]) -> _T | None:
        """Return what ``parse`` makes of a text; ``None`` where it is absent, or ``parse`` raises ValueError."""
        text = self.text(key, required=False)
        if not text:
            return None
        try:
            return parse(text)
        except ValueError:
            self.wrong(key, f"{text!r} is none we know")
            return None

    def table(self, key: str) -> "Table":
        """Return the table below a key, for the caller to ``finish`` unless it takes all ``lists``."""
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            self.wrong(key, "must be a table")
            value = {}
        return Table(value, f"{self._path}{key}.", self._errors)

    def tables(self, key: str, *, required: bool = False) -> Iterator["Table"]:
        """Yield each of several tables, and finish it."""
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.wrong(key, f"must be tables, written as [[{key}]]")
            value = []
        elif required and not value:
            self.wrong(key, f"at least one [[{key}]] is needed")
        for number, entry in enumerate(value, start=1):
            table = Table(entry, f"{self._path}{key}[{number}].", self._errors)
            yield table
            table.finish()

    def listed(self, key: str, kind: type[_Key]) -> Iterator[tuple[Concept, _Key]]:
        """Yield the concepts listed in a table under each member of an enumeration."""
        table = self.table(key)
        for member in kind:
            for entry in table.tables(member.value):
                yield read_concept(entry), member
        table.finish()

    def concept(self, key: str) -> Concept | None:
        """Return a concept, or ``None`` when the key is absent."""
        if key not in self._left:
            return None
        table = self.table(key)
        concept = read_concept(table)
        table.finish()
        return concept

    def required_concept(self, key: str) -> Concept:
        """Return a concept that has to be there."""
        concept = self.concept(key)
        if concept is None:
            self.wrong(key, "is missing")
        return concept or Concept()

    def finish(self) -> None:
        """Add an error for every key that was not read."""
        for key in self._left:
            self.wrong(key, "is no key we know")
        self._left = {}


def read_concept(table: Table) -> Concept:
    """Return the concept that a table names: by its meanings, or by a value and its scheme."""
    concept = Concept(
        value=table.text("value", required=False),
        scheme=table.text("scheme", required=False),
        meanings=table.text_or_texts("meaning"),
    )
    named = bool(concept.meanings) and all(meaning.strip(" *") for meaning in concept.meanings)
    if bool(concept.value) != bool(concept.scheme) or not (concept.value or named):
        table.wrong("meaning", "needs a meaning, or a value and its scheme")
    return concept
