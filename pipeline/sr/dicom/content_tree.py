"""Read the content tree of a structured report from its elements, item by item (PS3.3 C.17.3).

A broken item is left out with its problem named; its neighbours are read all the same. Values stay the texts that were
sent: numbers, dates and names are not converted here, as one bad value would raise.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from io import BytesIO

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from pipeline.sr.dicom.character_sets import DEFAULT, corrected, declared, decoded
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.reader import Elements, follow, transfer_syntax
from pipeline.sr.dicom.tags import (
    CODE_MEANING,
    CODE_SCHEME,
    CODE_VALUE,
    CONCEPT_CODE,
    CONCEPT_NAME,
    CONTENT,
    LONG_CODE_VALUE,
    MEASURED_VALUES,
    NUMERIC_VALUE,
    REFERENCED_SOP_CLASS,
    REFERENCED_SOP_INSTANCE,
    REFERENCED_SOPS,
    RELATIONSHIP,
    SPECIFIC_CHARACTER_SET,
    TEMPLATE,
    UNITS,
    URN_CODE_VALUE,
    VALUE_OF_TYPE,
    VALUE_TYPE,
)
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError

MAX_ITEMS = 10_000
"""A densitometer's report holds some hundreds of content items."""

MAX_DEPTH = 32
"""A densitometer's report nests about five deep."""


def read_instance(data_set: bytes, transfer_syntax_uid: str) -> Dataset:
    """Read a whole data set, without file meta information, as one of pydicom's, for handing over to pynetdicom.

    Raises:
        UnreadableReportError: the bytes are no data set in this transfer syntax, a part is missing, or they are
            more than any report needs.
    """
    syntax = transfer_syntax(transfer_syntax_uid)
    data, _, character_sets = follow(data_set, transfer_syntax_uid)
    if character_sets:
        corrected_data = bytearray(data)
        for span in character_sets:
            corrected_data[span] = corrected(data[span])
        data = bytes(corrected_data)
    try:
        return read_dataset(BytesIO(data), syntax.implicit, syntax.little_endian)
    except UNREADABLE as broken:  # its text may quote the patient
        raise UnreadableReportError(Reason.NOT_DICOM, f"pydicom stops with {type(broken).__name__}") from None


def read_tree(report: Elements) -> Item:
    """Return the root of a report's content tree.

    Raises:
        UnreadableReportError: there is no content tree, or it is larger or deeper than any densitometer's.
    """
    if not has_content_tree(report):
        raise UnreadableReportError(Reason.NOT_A_REPORT)
    root = _Walk().item(report, DEFAULT, depth=1)
    if _CONTENT_PROBLEM in root.problems:
        raise UnreadableReportError(Reason.NOT_DICOM, _CONTENT_PROBLEM)
    return root


def has_content_tree(report: Elements) -> bool:
    """Whether an object has, or should have, a content tree."""
    return VALUE_TYPE in report or CONTENT in report


def header_text(report: Elements, keyword: str) -> str:
    """Return a text attribute of the report's own header, without padding; empty when absent or unreadable."""
    value = report.get(_tag(keyword))
    if value is None or isinstance(value, list):
        return ""
    return _plain_text(value) or _as_text(value, _encodings(report, DEFAULT))


def header_items(report: Elements, keyword: str) -> list[Elements]:
    """Return the items of a sequence in the report's own header; none when it is absent or no sequence."""
    value = report.get(_tag(keyword))
    return value if isinstance(value, list) else []


def with_texts(report: Elements, **texts: str) -> Elements:
    """Return a copy of a data set in which the attributes of these keywords have these texts."""
    return report | {_tag(keyword): text for keyword, text in texts.items()}


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
"""The exceptions that pydicom is known to raise on broken bytes."""


@lru_cache(maxsize=256)
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, f"{keyword} is no keyword of the standard"
    return tag


_LONGER_CODE_VALUES = (LONG_CODE_VALUE, URN_CODE_VALUE)
_QUALIFIER = 0x0040A301  # Numeric Value Qualifier Code Sequence: a failure, out of range, unknown (PS3.16 CID 42)
_TEMPLATE_IDENTIFIER = 0x0040DB00
_BY_REFERENCE = 0x0040DB73

_CONTENT_PROBLEM = "the Content Sequence (0040,A730) is unreadable"


class _MisplacedError(Exception):
    """An element is a sequence where a text is expected, or the other way round."""


_Codes = dict[tuple[int, Sequence[str]], Code]
"""Codes that were read already, by the identity of their sequence and its character sets."""


class _Walk:
    """One pass over one report, with a limit of items and depth."""

    def __init__(self) -> None:
        self._items_left = MAX_ITEMS
        self._codes: _Codes = {}

    def item(self, elements: Elements, inherited: Sequence[str], *, depth: int) -> Item:
        self._items_left -= 1
        if self._items_left < 0 or depth > MAX_DEPTH:
            raise UnreadableReportError(Reason.TOO_LARGE, f"more than {MAX_ITEMS} content items, or {MAX_DEPTH} levels")
        encodings = _encodings(elements, inherited)
        try:
            content: Sequence[Elements] = _items(elements, CONTENT)
            problems: tuple[str, ...] = ()
        except _MisplacedError:
            content, problems = (), (_CONTENT_PROBLEM,)
        children = tuple([self.item(child, encodings, depth=depth + 1) for child in content])
        try:
            return _item(elements, encodings, self._codes, children, problems)
        except _MisplacedError:
            return _broken_item(elements, encodings, children, problems)


def _item(
    elements: Elements,
    encodings: Sequence[str],
    codes: _Codes,
    children: tuple[Item, ...],
    problems: tuple[str, ...],
) -> Item:
    """Read an item in which every element is of the expected kind.

    Raises:
        _MisplacedError: one is not.
    """
    value_type = _text(elements, VALUE_TYPE, encodings)
    if not value_type and _BY_REFERENCE not in elements:
        problems = (*problems, "it has no Value Type (0040,A040)")
    value, unit = _value(elements, value_type, encodings, codes)
    if value and _QUALIFIER in elements:
        value, problems = "", (*problems, "its qualifier says that its value is none")
    return Item(
        value_type=value_type,
        relationship=_text(elements, RELATIONSHIP, encodings),
        concept=_code(elements, CONCEPT_NAME, encodings, codes),
        value=value,
        code=_code(elements, CONCEPT_CODE, encodings, codes),
        unit=unit,
        references=_references(elements, encodings) if REFERENCED_SOPS in elements else (),
        children=children,
        problems=problems,
        template=_template(elements, encodings) if TEMPLATE in elements else "",
    )


def _broken_item(
    elements: Elements, encodings: Sequence[str], children: tuple[Item, ...], problems: tuple[str, ...]
) -> Item:
    """Read an item as far as possible: an element of another kind is left out and named in its problems."""
    sound = dict(elements)
    for what, tags, read in _PARTS:
        try:
            read(sound, encodings)
        except _MisplacedError:
            problems = (*problems, f"its {what} is unreadable")
            sound = {tag: value for tag, value in sound.items() if tag not in tags}
    return _item(sound, encodings, {}, children, problems)


def _value(elements: Elements, value_type: str, encodings: Sequence[str], codes: _Codes) -> tuple[str, Code | None]:
    """Return the text of an item's value, and its unit when it is a number.

    Raises:
        _MisplacedError: it is no text, or there are several.
    """
    if value_type == "NUM":
        measured = _items(elements, MEASURED_VALUES)
        if not measured:  # legal: a Numeric Value Qualifier says why nothing was measured
            return "", None
        if len(measured) > 1:  # the standard allows one, and nothing shows which it would be
            raise _MisplacedError
        return _text(measured[0], NUMERIC_VALUE, encodings), _code(measured[0], UNITS, encodings, codes)
    tag = VALUE_OF_TYPE.get(value_type)
    return ("", None) if tag is None else (_text(elements, tag, encodings), None)


def _code(elements: Elements, tag: int, encodings: Sequence[str], codes: _Codes) -> Code | None:
    items = elements.get(tag)
    if items is None:
        return None
    if not isinstance(items, list):
        raise _MisplacedError
    if not items:
        return None
    known = codes.get((id(items), encodings))
    if known is None:
        known = _read_code(items[0], encodings)
        codes[id(items), encodings] = known
    return known


def _read_code(coded: Elements, encodings: Sequence[str]) -> Code:
    value = _text(coded, CODE_VALUE, encodings).strip()
    for longer in _LONGER_CODE_VALUES:
        value = value or _text(coded, longer, encodings).strip()
    return Code(value, _text(coded, CODE_SCHEME, encodings).strip(), _text(coded, CODE_MEANING, encodings).strip())


def _template(elements: Elements, encodings: Sequence[str]) -> str:
    """Return the Template Identifier (0040,DB00); empty when it is unreadable, since nothing depends on it."""
    try:
        return "".join(_text(item, _TEMPLATE_IDENTIFIER, encodings) for item in _items(elements, TEMPLATE)[:1])
    except _MisplacedError:
        return ""


def _references(elements: Elements, encodings: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_text(sop, REFERENCED_SOP_CLASS, encodings), _text(sop, REFERENCED_SOP_INSTANCE, encodings))
        for sop in _items(elements, REFERENCED_SOPS)
    )


_Part = tuple[str, tuple[int, ...], Callable[[Elements, Sequence[str]], object]]

_PARTS: tuple[_Part, ...] = (
    ("value type", (VALUE_TYPE,), lambda elements, encodings: _text(elements, VALUE_TYPE, encodings)),
    ("relationship", (RELATIONSHIP,), lambda elements, encodings: _text(elements, RELATIONSHIP, encodings)),
    (
        "value",
        (MEASURED_VALUES, *VALUE_OF_TYPE.values()),
        lambda elements, encodings: [
            _value(elements, value_type, encodings, {}) for value_type in ("NUM", *VALUE_OF_TYPE)
        ],
    ),
    ("concept name", (CONCEPT_NAME,), lambda elements, encodings: _code(elements, CONCEPT_NAME, encodings, {})),
    ("code", (CONCEPT_CODE,), lambda elements, encodings: _code(elements, CONCEPT_CODE, encodings, {})),
    ("references", (REFERENCED_SOPS,), lambda elements, encodings: _references(elements, encodings)),
)
"""The parts of an item: name, tags and reading function of each."""


def _items(elements: Elements, tag: int) -> Sequence[Elements]:
    """Return the items of a sequence.

    Raises:
        _MisplacedError: there is something, and it is no sequence.
    """
    value = elements.get(tag)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _MisplacedError
    return value


def _text(elements: Elements, tag: int, encodings: Sequence[str]) -> str:
    """Return a value as text, as it was sent but without padding.

    Raises:
        _MisplacedError: it is a sequence.
    """
    value = elements.get(tag)
    if value is None:
        return ""
    if isinstance(value, list):
        raise _MisplacedError
    return _plain_text(value) or _as_text(value, encodings)


def _plain_text(value: bytes | str) -> str:
    """Return an ASCII text without padding, as nearly all are; empty where a character set is needed."""
    if isinstance(value, bytes) and value.isascii() and b"\x1b" not in value:
        return value.decode("ascii").rstrip(" \0")
    return ""


def _as_text(value: bytes | str, encodings: Sequence[str]) -> str:
    return (value if isinstance(value, str) else decoded(value, encodings)).rstrip(" \0")


def _encodings(elements: Elements, inherited: Sequence[str]) -> Sequence[str]:
    """Return the encodings of a data set, or those inherited from the data set around it."""
    if SPECIFIC_CHARACTER_SET not in elements:
        return inherited
    names = elements[SPECIFIC_CHARACTER_SET]
    return inherited if isinstance(names, list) else declared(_as_text(names, DEFAULT), inherited)
