"""Content items and codes of a structured report (PS3.3 C.17.3), as values without pydicom."""

from collections.abc import Iterator
from typing import NamedTuple

_SNOMED_RT = {"SRT", "SNM3", "99SDM"}


class Code(NamedTuple):
    """A coded concept; ``meaning`` is for people, and for vendors whose code values are not published."""

    value: str
    scheme: str
    meaning: str

    @property
    def identity(self) -> tuple[str, str]:
        """Value and scheme, SNOMED RT identifiers translated to SNOMED CT where pydicom knows them."""
        if self.scheme in _SNOMED_RT:
            from pydicom.sr._snomed_dict import mapping  # noqa: PLC0415 - slow to import, and seldom needed

            if self.value in mapping["SRT"]:
                return mapping["SRT"][self.value], "SCT"
        return self.value, self.scheme

    def matches(self, other: "Code") -> bool:
        """Whether both name one concept: by value and scheme, or else by meaning in any letter case."""
        if all(self.identity) and self.identity == other.identity:
            return True
        return bool(self.meaning) and folded(self.meaning) == folded(other.meaning)

    def __str__(self) -> str:
        return self.meaning or f"({self.value}, {self.scheme})"


class Item(NamedTuple):
    """One content item (PS3.3 C.17.3); a tuple, which is fastest to make, as a report has hundreds of them.

    ``value`` is the text as it was sent, without padding; ``code`` the value of a CODE; ``unit`` and ``value``
    that of a NUM. ``references`` are pairs of SOP Class and SOP Instance UID. ``problems`` name what of this
    item could not be read. ``template`` is the number of the TID (PS3.16) that a container says it follows.
    """

    value_type: str
    relationship: str = ""
    concept: Code | None = None
    value: str = ""
    code: Code | None = None
    unit: Code | None = None
    references: tuple[tuple[str, str], ...] = ()
    children: tuple["Item", ...] = ()
    problems: tuple[str, ...] = ()
    template: str = ""

    def has_concept(self, concept: Code) -> bool:
        """Return whether its concept name is this one by value and scheme, whatever meaning was sent."""
        return self.concept is not None and self.concept.identity == concept.identity

    def walk(self) -> Iterator["Item"]:
        """Yield this item and everything below it, depth first."""
        waiting = [self]
        while waiting:
            item = waiting.pop()
            yield item
            waiting.extend(reversed(item.children))


def folded(text: str) -> str:
    """Fold a text for comparison: letter case and the amount of white space do not matter."""
    return " ".join(text.casefold().split())
