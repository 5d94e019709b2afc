"""What stands in a structured report, item by item, whatever state it is in?

A broken item loses itself and says so; its neighbours are read all the same. Values are taken as the bytes
hold them: pydicom's conversion of numbers, dates and names is never asked for, as one bad value would raise.
"""

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TypeVar

from pydicom.charset import (
    CODES_TO_ENCODINGS,
    STAND_ALONE_ENCODINGS,
    default_encoding,
    handled_encodings,
    python_encoding,
)
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr._snomed_dict import mapping as snomed_mapping
from pydicom.tag import Tag

from pipeline.sr.encoding import elements, inflate, transfer_syntax
from pipeline.sr.reasons import Reason, UnreadableReport

MAX_ITEMS = 10_000
"""A densitometer's report holds some hundreds of content items; so many take seconds."""

MAX_DEPTH = 32
"""A densitometer's report nests about five deep."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept. ``meaning`` is for people, and for vendors whose code values nobody publishes."""

    value: str
    scheme: str
    meaning: str

    @property
    def identity(self) -> tuple[str, str]:
        """Value and scheme, SNOMED RT identifiers translated to SNOMED CT where pydicom knows them."""
        if self.scheme in _SNOMED_RT and self.value in snomed_mapping["SRT"]:
            return snomed_mapping["SRT"][self.value], "SCT"
        return self.value, self.scheme

    def matches(self, other: "Code") -> bool:
        """Whether both name one concept: by value and scheme, or else by meaning in any letter case."""
        if all(self.identity) and self.identity == other.identity:
            return True
        return bool(self.meaning) and folded(self.meaning) == folded(other.meaning)

    def __str__(self) -> str:
        return self.meaning or f"({self.value}, {self.scheme})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One content item (PS3.3 C.17.3).

    ``value`` is the text as it was sent, without padding; ``code`` the value of a CODE; ``unit`` and ``value``
    that of a NUM. ``references`` are pairs of SOP Class and SOP Instance UID. ``problems`` name what of this
    item could not be read.
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

    def walk(self) -> Iterator["Item"]:
        """This item and everything below it, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()


def read_instance(data_set: bytes, transfer_syntax_uid: str) -> Dataset:
    """The data set in the bytes that came over DICOM, whole or not at all; no file meta information.

    Raises:
        UnreadableReport: the bytes are no data set in this transfer syntax, a part is missing, or they are
            more than any report needs.
    """
    syntax = transfer_syntax(transfer_syntax_uid)
    data = bytearray(inflate(data_set) if syntax.deflated else data_set)
    for element in elements(bytes(data), implicit=syntax.implicit, little_endian=syntax.little_endian):
        if element.tag == _SPECIFIC_CHARACTER_SET:
            span = slice(element.start, element.stop)
            data[span] = _known_character_sets(bytes(data[span]))
    try:
        return read_dataset(BytesIO(data), syntax.implicit, syntax.little_endian)
    except UNREADABLE as broken:  # its text may quote the patient
        raise UnreadableReport(Reason.NOT_DICOM, f"pydicom stops with {type(broken).__name__}") from None


def read_tree(report: Dataset) -> Item:
    """The content tree of a report, root first.

    Raises:
        UnreadableReport: there is no content tree, or it is larger or deeper than any densitometer's.
    """
    if _VALUE_TYPE not in report and _CONTENT not in report:
        raise UnreadableReport(Reason.NOT_A_REPORT)
    root = _Walk().item(report, (default_encoding,), depth=1)
    if _CONTENT_PROBLEM in root.problems:
        raise UnreadableReport(Reason.NOT_DICOM, _CONTENT_PROBLEM)
    return root


def header_text(report: Dataset, keyword: str) -> str:
    """A text attribute of the report's own header, without padding; empty when absent or unreadable."""
    try:
        return _text(report, Tag(keyword), _encodings(report, (default_encoding,)))
    except UNREADABLE:
        return ""


def folded(text: str) -> str:
    """A text as we compare it: letter case and the amount of white space do not matter."""
    return " ".join(text.casefold().split())


UNREADABLE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
)
"""What pydicom is known to raise on bytes it does not like."""

_SNOMED_RT = {"SRT", "SNM3", "99SDM"}

_SPECIFIC_CHARACTER_SET = 0x00080005
_CODE_VALUES = (0x00080100, 0x00080119, 0x00080120)  # Code Value, Long Code Value, URN Code Value
_SCHEME = 0x00080102
_MEANING = 0x00080104
_REFERENCED_SOPS = 0x00081199
_REFERENCED_SOP_CLASS = 0x00081150
_REFERENCED_SOP_INSTANCE = 0x00081155
_RELATIONSHIP = 0x0040A010
_VALUE_TYPE = 0x0040A040
_CONCEPT_NAME = 0x0040A043
_MEASURED_VALUES = 0x0040A300
_NUMERIC_VALUE = 0x0040A30A
_UNITS = 0x004008EA
_CONCEPT_CODE = 0x0040A168
_CONTENT = 0x0040A730
_BY_REFERENCE = 0x0040DB73
_VALUES = {
    "TEXT": 0x0040A160,
    "DATETIME": 0x0040A120,
    "DATE": 0x0040A121,
    "TIME": 0x0040A122,
    "PNAME": 0x0040A123,
    "UIDREF": 0x0040A124,
    "SCOORD": 0x00700023,
    "SCOORD3D": 0x00700023,
    "TCOORD": 0x0040A130,
}
"""Where each value type keeps the text of its value."""

_CONTENT_PROBLEM = "the Content Sequence (0040,A730) is unreadable"

_T = TypeVar("_T")


class _Walk:
    """One pass over one report, with its budget."""

    def __init__(self) -> None:
        self._items_left = MAX_ITEMS

    def item(self, data_set: Dataset, inherited: Sequence[str], *, depth: int) -> Item:
        self._items_left -= 1
        if self._items_left < 0 or depth > MAX_DEPTH:
            raise UnreadableReport(Reason.TOO_LARGE, f"more than {MAX_ITEMS} content items, or {MAX_DEPTH} levels")
        problems: list[str] = []

        def attempt(read: Callable[[], _T], problem: str) -> _T | None:
            try:
                return read()
            except UNREADABLE:
                problems.append(problem)
                return None

        encodings = attempt(lambda: _encodings(data_set, inherited), "its character set is unreadable") or inherited
        value_type = attempt(lambda: _text(data_set, _VALUE_TYPE, encodings), "its value type is unreadable") or ""
        if not value_type and not problems and _BY_REFERENCE not in data_set:
            problems.append("it has no Value Type (0040,A040)")
        relationship = attempt(lambda: _text(data_set, _RELATIONSHIP, encodings), "its relationship is unreadable")
        value, unit = attempt(lambda: _value(data_set, value_type, encodings), "its value is unreadable") or ("", None)
        content = attempt(lambda: _items(data_set, _CONTENT), _CONTENT_PROBLEM) or ()
        return Item(
            value_type=value_type,
            relationship=relationship or "",
            concept=attempt(lambda: _code(data_set, _CONCEPT_NAME, encodings), "its concept name is unreadable"),
            value=value,
            code=attempt(lambda: _code(data_set, _CONCEPT_CODE, encodings), "its code is unreadable"),
            unit=unit,
            references=attempt(lambda: _references(data_set, encodings), "its references are unreadable") or (),
            children=tuple(self.item(child, encodings, depth=depth + 1) for child in content),
            problems=tuple(problems),
        )


def _value(data_set: Dataset, value_type: str, encodings: Sequence[str]) -> tuple[str, Code | None]:
    """The text of an item's value, and its unit when it is a number."""
    if value_type == "NUM":
        measured = next(iter(_items(data_set, _MEASURED_VALUES)), None)
        if measured is None:  # legal: a Numeric Value Qualifier says why nothing was measured
            return "", None
        return _text(measured, _NUMERIC_VALUE, encodings), _code(measured, _UNITS, encodings)
    tag = _VALUES.get(value_type)
    return ("", None) if tag is None else (_text(data_set, tag, encodings), None)


def _code(data_set: Dataset, tag: int, encodings: Sequence[str]) -> Code | None:
    coded = next(iter(_items(data_set, tag)), None)
    if coded is None:
        return None
    values = (_text(coded, value, encodings).strip() for value in _CODE_VALUES)
    return Code(
        value=next((value for value in values if value), ""),
        scheme=_text(coded, _SCHEME, encodings).strip(),
        meaning=_text(coded, _MEANING, encodings).strip(),
    )


def _references(data_set: Dataset, encodings: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_text(sop, _REFERENCED_SOP_CLASS, encodings), _text(sop, _REFERENCED_SOP_INSTANCE, encodings))
        for sop in _items(data_set, _REFERENCED_SOPS)
    )


def _items(data_set: Dataset, tag: int) -> tuple[Dataset, ...]:
    """The items of a sequence.

    Raises:
        TypeError: there is something, and it is no sequence.
    """
    if tag not in data_set:
        return ()
    value = data_set[tag].value
    if not isinstance(value, DicomSequence):
        raise TypeError("not a sequence")
    return tuple(value)


def _text(data_set: Dataset, tag: int, encodings: Sequence[str]) -> str:
    """A value as text, as it was sent but for the padding, without pydicom's conversion to its type."""
    value = data_set.get_item(tag).value if tag in data_set else None
    if value is None:
        return ""
    if isinstance(value, bytes):
        text = _decoded(value, encodings)
    elif isinstance(value, MultiValue | list | tuple):
        text = "\\".join(str(part) for part in value)
    else:
        text = str(value)
    return text.rstrip(" \0")


def _encodings(data_set: Dataset, inherited: Sequence[str]) -> Sequence[str]:
    """The Python names of a data set's character sets (0008,0005), or those of what it stands in."""
    names = _text(data_set, _SPECIFIC_CHARACTER_SET, (default_encoding,))
    if not names:
        return inherited
    return tuple(python_encoding.get(name.strip(), default_encoding) for name in names.split("\\"))


def _known_character_sets(value: bytes) -> bytes:
    """Specific Character Set in the same bytes, with only such names as pydicom reads without a warning.

    A misspelt name is mended and an unknown one left empty: ids, codes and numbers are ASCII in any character set.
    """
    names = [_known_name(name) for name in value.decode(default_encoding).rstrip(" \0").split("\\")]
    first, others = names[0], [name for name in names[1:] if name not in STAND_ALONE_ENCODINGS]
    known = [first] if first in STAND_ALONE_ENCODINGS else [first, *others]
    return "\\".join(known).encode(default_encoding).ljust(len(value))


def _known_name(name: str) -> str:
    spelt = re.sub(r"^ISO.2022.IR.", "ISO 2022 IR ", re.sub(r"^ISO.IR.", "ISO_IR ", name.strip()))
    return spelt if spelt in python_encoding else ""


def _decoded(value: bytes, encodings: Sequence[str]) -> str:
    """Text in the declared character sets (PS3.5 section 6.1); what does not fit becomes a replacement mark."""
    if b"\x1b" not in value:
        return value.decode(encodings[0], "replace")
    return "".join(_decoded_run(run, encodings[0]) for run in re.findall(rb"^[^\x1b]+|\x1b[^\x1b]*", value))


def _decoded_run(run: bytes, first: str) -> str:
    """One run of text that begins with the escape sequence of its character set, if with any."""
    length = 4 if run.startswith((b"\x1b$(", b"\x1b$)")) else 3
    encoding = CODES_TO_ENCODINGS.get(run[:length])
    if encoding is None:
        return run.decode(first, "replace")
    if encoding in handled_encodings:  # the codec reads the escape sequence itself
        return run.decode(encoding, "replace")
    return run[length:].decode(encoding, "replace")
