"""What in a report was not read as it stands, and why?"""

from dataclasses import dataclass, field

from pipeline.sr.dicom.content_item import Item

MOST_NOTES = 200
"""A report with more is broken throughout, and nobody reads on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """A value that was told and not used: what it is, its text as it was sent, and the reason.

    The text may be anything that stood there, and is for nobody's eyes but those who may see the report.
    """

    what: str
    text: str
    reason: str


@dataclass(slots=True)
class Notes:
    """What is noted while one report is read; remarks name regions and fields, never a patient's data."""

    remarks: list[str] = field(default_factory=list)
    unused: list[Unused] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)

    def remark(self, text: str) -> None:
        """Tell something about how the report was read."""
        self.remarks.append(text)

    def leave_out(self, what: str, text: str, reason: str) -> None:
        """Keep a value that is not used, and tell."""
        self.unused.append(Unused(what=what, text=text[:_LONGEST_TEXT], reason=reason))
        self.remark(f"{what} {reason} and was not used")

    def ignored(self, item: Item, because: str) -> None:
        """Tell of something that is as it should be, and no measurement."""
        self.aside.append(f"{quoted(item)} was put aside: {because}")

    def told(self) -> tuple[str, ...]:
        """The remarks, each once."""
        return tuple(dict.fromkeys(self.remarks))[:MOST_NOTES]

    def apart(self) -> tuple[str, ...]:
        """What was put aside, each once."""
        return tuple(dict.fromkeys(self.aside))[:MOST_NOTES]

    def left_out(self) -> tuple[Unused, ...]:
        """The values, each once."""
        return tuple(dict.fromkeys(self.unused))[:MOST_NOTES]


def quoted(item: Item) -> str:
    """How an item is called, never what it says: concept names are vocabulary, values may be a patient's."""
    kind = item.value_type or "item"
    return f"{kind} {str(item.concept)[:_LONGEST_QUOTE]!r}" if item.concept else f"{kind} without a name"


_LONGEST_QUOTE = 64
_LONGEST_TEXT = 256
