"""Remarks on how a report was read: what was left out or ignored, and why."""

from dataclasses import dataclass, field

from pipeline.sr.dicom.content_item import Item

MOST_REMARKS = 200
"""The most remarks kept of one report; a report with more is broken throughout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """A value that was not used: what it is, its text as it was sent, and the reason.

    The text may be any patient data: show it only to those who may see the report.
    """

    what: str
    text: str
    reason: str


@dataclass(slots=True)
class Remarks:
    """The remarks collected while one report is read; they name regions and fields, never a patient's data."""

    _texts: list[str] = field(default_factory=list)
    _unused: list[Unused] = field(default_factory=list)
    _ignored: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Add a remark on how the report was read."""
        self._texts.append(text)

    def add_unused(self, what: str, text: str, reason: str) -> None:
        """Keep a value that is not used, and add a remark on it."""
        self._unused.append(Unused(what=what, text=text[:_LONGEST_TEXT], reason=reason))
        self.add(f"{what} {reason} and was not used")

    def add_ignored(self, item: Item, because: str) -> None:
        """Note an item that is valid but no measurement of this exam."""
        self._ignored.append(f"{quoted(item)} was ignored: {because}")

    def texts(self) -> tuple[str, ...]:
        """Return the remarks, each once."""
        return tuple(dict.fromkeys(self._texts))[:MOST_REMARKS]

    def ignored(self) -> tuple[str, ...]:
        """Return what was ignored and why, each once."""
        return tuple(dict.fromkeys(self._ignored))[:MOST_REMARKS]

    def unused(self) -> tuple[Unused, ...]:
        """Return the values that were not used, each once."""
        return tuple(dict.fromkeys(self._unused))[:MOST_REMARKS]


def quoted(item: Item) -> str:
    """Name an item by its value type and concept name, never by its value, which may be a patient's."""
    kind = item.value_type or "item"
    return f"{kind} {str(item.concept)[:_LONGEST_QUOTE]!r}" if item.concept else f"{kind} without a name"


_LONGEST_QUOTE = 64
_LONGEST_TEXT = 256
