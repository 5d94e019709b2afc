"""Write attributes and content items as encoded data sets in Explicit VR Little Endian (PS3.5 7.1).

Every length is explicit, every value padded to an even length. In the tests highdicom and pydicom write the same
addenda, and the bytes must be equal.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import ExplicitVRLittleEndian

import pipeline
from pipeline.errors import DxatrendError
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.tags import (
    CONCEPT_CODE,
    CONCEPT_NAME,
    CONTENT,
    MEASURED_VALUES,
    NUMERIC_VALUE,
    RELATIONSHIP,
    TEMPLATE,
    UNITS,
    VALUE_OF_TYPE,
    VALUE_TYPE,
)
from pipeline.sr.dicom.uids import IMPLEMENTATION_CLASS_UID

Attributes = Mapping[str, "str | int | bytes | Sequence[Attributes]"]
"""A data set by DICOM keywords; a sequence holds data sets again. An empty value is written as such."""

EncodedElements = Mapping[int, bytes]
"""Encoded data elements by tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authored:
    """A DICOM instance by dxatrend: its data set in Explicit VR Little Endian, without file meta information."""

    sop_class_uid: str
    sop_instance_uid: str
    data_set: bytes = field(repr=False)


class EncodingError(DxatrendError, ValueError):
    """A value cannot be encoded; the text names the field, never the value."""


def encode(*parts: EncodedElements) -> bytes:
    """Join elements into a data set in the order of their tags; of two with one tag the later counts."""
    merged = {tag: encoded for part in parts for tag, encoded in part.items()}
    return b"".join(merged[tag] for tag in sorted(merged))


def elements(attributes: Attributes) -> dict[int, bytes]:
    """Encode the elements of a data set.

    Raises:
        EncodingError: a value is longer than its value representation allows.
    """
    encoded = {}
    for keyword, value in attributes.items():
        tag, vr = _dictionary(keyword)
        if isinstance(value, str | int | bytes):
            encoded[tag] = element(tag, vr, _value(keyword, vr, value))
        else:
            encoded[tag] = sequence(tag, [encode(elements(item)) for item in value])
    return encoded


def element(tag: int, vr: str, value: bytes) -> bytes:
    """Encode one element, padded to an even length.

    Raises:
        EncodingError: its length does not fit into the field for it.
    """
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode("ascii"))
    if vr in _FOUR_BYTE_LENGTHS:
        return head + struct.pack("<2xL", len(value)) + value
    if len(value) > _LONGEST_VALUE:
        raise EncodingError(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is longer than its value representation {vr} allows")
    return head + struct.pack("<H", len(value)) + value


def sequence(tag: int, items: Iterable[bytes]) -> bytes:
    """Encode a sequence of encoded data sets."""
    return element(tag, "SQ", b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in items))


def coded(code: Code) -> Attributes:
    """Return a code as an item of a sequence (PS3.3 8.8)."""
    keyword = "CodeValue" if len(code.value) <= _LONGEST["SH"] else "LongCodeValue"
    return {keyword: code.value, "CodingSchemeDesignator": code.scheme, "CodeMeaning": code.meaning}


def content(root: Item) -> dict[int, bytes]:
    """Encode a content tree as the elements of its root, with all below it (PS3.3 C.17.3).

    Raises:
        EncodingError: an item has a value type that is not written here.
    """
    return dict(_content_item(root))


def dicom_file(instance: Authored, *, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """Encode an instance as a DICOM file (PS3.10 section 7); its data set is in this transfer syntax already.

    Raises:
        ValueError: a UID that a file cannot have.
    """
    meta = elements(
        {
            "FileMetaInformationVersion": b"\x00\x01",
            "MediaStorageSOPClassUID": instance.sop_class_uid,
            "MediaStorageSOPInstanceUID": instance.sop_instance_uid,
            "TransferSyntaxUID": transfer_syntax_uid,
            "ImplementationClassUID": IMPLEMENTATION_CLASS_UID,
            "ImplementationVersionName": f"DXATREND_{pipeline.__version__}"[:16],
        }
    )
    length = elements({"FileMetaInformationGroupLength": len(encode(meta))})
    return bytes(128) + b"DICM" + encode(length, meta) + instance.data_set


_LONGEST = {
    **{"AE": 16, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "LO": 64, "SH": 16, "TM": 16, "UI": 64},
    **{"LT": 10_240, "ST": 1024},
}
"""The most characters of each value representation (PS3.5 6.2); a person name has 64 in each of three groups."""

_SEPARATORS = {"PN": "=", "CS": "\\"}
"""The separator of the groups of a name, and of several defined terms."""

_LONGEST_VALUE = 0xFFFE
"""In bytes, where the length has two of them (PS3.5 7.1.2)."""

_BINARY = {"US": "<H", "UL": "<L"}

_FOUR_BYTE_LENGTHS = frozenset(["OB", "OW", "SQ", "UC", "UN", "UT"])

_CONTINUITY = 0x0040A050
_DATE, _TEXT, _UID = (VALUE_OF_TYPE[value_type] for value_type in ("DATE", "TEXT", "UIDREF"))


@cache
def _dictionary(keyword: str) -> tuple[int, str]:
    """Return tag and value representation of a keyword."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    vr = dictionary_VR(tag)
    return tag, "OB" if vr == "OB or OW" else vr  # our pixels are bytes (PS3.5 A.2)


def _value(keyword: str, vr: str, value: str | int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    if vr in _BINARY:
        return struct.pack(_BINARY[vr], value)
    text = str(value)
    parts = text.split(_SEPARATORS[vr]) if vr in _SEPARATORS else [text]
    if max(map(len, parts)) > _LONGEST.get(vr, 64 if vr == "PN" else len(text)):
        raise EncodingError(f"{keyword} is longer than its value representation {vr} allows")
    return text.encode()


def _content_item(item: Item) -> Iterator[tuple[int, bytes]]:
    """Yield the elements of one content item with all below it, in the order of their tags."""
    if item.concept is None:  # only by-reference items have none, and we write no such
        raise EncodingError(f"a content item of value type {item.value_type} has no concept name")
    if item.relationship:
        yield RELATIONSHIP, _constant(RELATIONSHIP, item.relationship)
    yield VALUE_TYPE, _constant(VALUE_TYPE, item.value_type)
    yield CONCEPT_NAME, _coded(CONCEPT_NAME, item.concept)
    yield from _content_value(item)
    if item.children:
        yield CONTENT, sequence(CONTENT, map(_joined, item.children))


def _joined(item: Item) -> bytes:
    return b"".join(element for _, element in _content_item(item))


def _content_value(item: Item) -> Iterator[tuple[int, bytes]]:
    match item:
        case Item(value_type="CONTAINER", template=template):
            yield _CONTINUITY, _constant(_CONTINUITY, "SEPARATE")
            if template:
                yield TEMPLATE, _template(template)
        case Item(value_type="CODE", code=Code() as code):
            yield CONCEPT_CODE, _coded(CONCEPT_CODE, code)
        case Item(value_type="NUM", value=number, unit=Code() as unit):
            measured = _coded(UNITS, unit) + element(NUMERIC_VALUE, "DS", number.encode("ascii"))
            yield MEASURED_VALUES, sequence(MEASURED_VALUES, [measured])
        case Item(value_type="DATE", value=day):
            yield _DATE, element(_DATE, "DA", day.encode("ascii"))
        case Item(value_type="TEXT", value=text):
            yield _TEXT, element(_TEXT, "UT", text.encode())
        case Item(value_type="UIDREF", value=uid):
            yield _UID, element(_UID, "UI", uid.encode("ascii"))
        case _:
            raise EncodingError(f"a content item of value type {item.value_type} is none that we write")


@cache
def _constant(tag: int, term: str) -> bytes:
    """Encode a defined term of the standard."""
    return element(tag, "CS", term.encode("ascii"))


@lru_cache(maxsize=4096)
def _coded(tag: int, code: Code) -> bytes:
    """Encode a sequence of one code; cached, as a few codes are repeated hundreds of times."""
    return sequence(tag, [encode(elements(coded(code)))])


@cache
def _template(identifier: str) -> bytes:
    item = elements({"MappingResource": "DCMR", "TemplateIdentifier": identifier})
    return sequence(TEMPLATE, [encode(item)])
