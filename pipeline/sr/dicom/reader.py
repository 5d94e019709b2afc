"""Strict reader of encoded data sets: every length is followed at every depth, and a cut-off data set is refused.

pydicom reads what is there and stops without an error where the bytes stop: a report cut short would lose regions
unnoticed. Values stay bytes, which is also some ten times faster than turning each element into an object.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.uid import UID
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from pipeline.sr.dicom.tags import SPECIFIC_CHARACTER_SET
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError

MAX_BYTES = 64 * 2**20
"""More than any structured report has; a deflated data set may inflate to more."""

MAX_ELEMENTS = 100_000
"""The largest radiation dose reports seen have 160,000; a densitometer's have some thousands."""

MAX_DEPTH = 64
"""Sequences within sequences: a content tree needs about two dozen, a recursion bomb needs hundreds."""

Value = bytes | str | list["Elements"]
"""The value of an element: its bytes, a text that is decoded already, or the items of a sequence."""

Elements = dict[int, Value]
"""A data set or an item: the values of its elements by tag."""


@dataclass(frozen=True, slots=True)
class Element:
    """The value of one data element, and where it is in the bytes."""

    tag: int
    start: int
    stop: int
    value: Value = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """The encoding of a data set (PS3.5 section 10)."""

    implicit: bool
    little_endian: bool
    deflated: bool


@lru_cache(maxsize=64)
def transfer_syntax(uid: str) -> TransferSyntax:
    """Return the encoding that a transfer syntax UID stands for.

    Raises:
        UnreadableReportError: no transfer syntax has this UID.
    """
    known = UID(uid.strip(" \0"), validation_mode=IGNORE)
    try:
        return TransferSyntax(known.is_implicit_VR, known.is_little_endian, known.is_deflated)
    except ValueError:
        raise UnreadableReportError(Reason.NOT_DICOM, "the transfer syntax is not a known one") from None


def inflate(data_set: bytes) -> bytes:
    """Inflate a deflated data set.

    Raises:
        UnreadableReportError: the stream is broken, cut short, or larger than any report.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data_set, MAX_BYTES + 1)
    except zlib.error:
        raise UnreadableReportError(Reason.NOT_DICOM, "the deflated stream is broken") from None
    if len(inflated) > MAX_BYTES:
        raise UnreadableReportError(Reason.TOO_LARGE, f"more than {MAX_BYTES} bytes when inflated")
    if not stream.eof:
        raise UnreadableReportError(Reason.TRUNCATED, "the deflated stream has no end")
    return inflated


def split_file(file: bytes) -> tuple[bytes, str]:
    """Split a DICOM file into its encoded data set and the UID of its transfer syntax (PS3.10).

    Raises:
        UnreadableReportError: the bytes have no preamble, or no whole file meta information.
    """
    if file[128:132] != b"DICM":
        raise UnreadableReportError(Reason.NOT_DICOM, "no DICM prefix")
    reader = _Reader(file, little_endian=True)
    at, uid = 132, ""
    while file[at : at + 2] == b"\x02\x00":  # group 0002, always explicit VR little endian (PS3.10 section 7)
        tag, _, length, start = reader.header(at, len(file), implicit=False)
        if length > len(file) - start:
            raise UnreadableReportError(Reason.TRUNCATED, "the file meta information is cut short")
        at = start + length
        if tag == _TRANSFER_SYNTAX_UID:
            uid = file[start:at].decode("latin-1").strip(" \0")
    if not uid:
        raise UnreadableReportError(Reason.NOT_DICOM, "the file meta information names no transfer syntax (0002,0010)")
    return file[at:], uid


def read_elements(data_set: bytes, transfer_syntax_uid: str) -> Elements:
    """Read every element of a data set, at every depth.

    Raises:
        UnreadableReportError: the bytes are no data set in this transfer syntax, a part is missing, lengths contradict
            each other, an element is there twice, or there is more than any report needs.
    """
    return follow(data_set, transfer_syntax_uid)[1]


def follow(data_set: bytes, transfer_syntax_uid: str) -> tuple[bytes, Elements, list[slice]]:
    """Return the bytes of a data set, inflated; its elements; and where in the bytes each character set is declared.

    Raises:
        UnreadableReportError: as for ``read_elements``.
    """
    syntax = transfer_syntax(transfer_syntax_uid)
    data = inflate(data_set) if syntax.deflated else data_set
    reader = _reader_of(data, implicit=syntax.implicit, little_endian=syntax.little_endian)
    found, _ = reader.data_set(0, len(data), False, syntax.implicit, 0)
    return data, found, reader.character_sets


def elements(data: bytes, *, implicit: bool, little_endian: bool) -> Iterator[Element]:
    """Yield the elements at the top level of a data set, each once it is known to be whole.

    Raises:
        UnreadableReportError: as for ``read_elements``, when the element concerned is reached.
    """
    reader = _reader_of(data, implicit=implicit, little_endian=little_endian)
    at = 0
    while at < len(data):
        tag, vr, length, start = reader.header(at, len(data), implicit=implicit)
        value, at = reader.value(tag, vr, length, start, len(data), implicit=implicit, depth=0)
        yield Element(tag, start, at, value)


def is_sequence(tag: int, vr: str, length: int) -> bool:
    """Whether pydicom reads an element as a sequence; an unknown one only while it could have a short VR."""
    match vr:
        case "SQ":
            return True
        case "UN":  # PS3.5 section 6.2.2
            return length == _UNDEFINED or (length < _LONGEST_UN and _known_as_sequence(tag) is True)
        case "":
            return _known_as_sequence(tag) is True
        case _:
            return False


def without_pixels(data_set: bytes, transfer_syntax_uid: str) -> bytes:
    """Return the data set without its pixel data (group 7FE0), all else byte for byte; a deflated one unchanged.

    Raises:
        UnreadableReportError: as for ``read_elements``, as far as its top level goes.
    """
    syntax = transfer_syntax(transfer_syntax_uid)
    if syntax.deflated:
        return data_set
    kept: list[bytes] = []
    before = 0
    for element in elements(data_set, implicit=syntax.implicit, little_endian=syntax.little_endian):
        if element.tag >> 16 != _PIXELS:
            kept.append(data_set[before : element.stop])
        before = element.stop
    return b"".join(kept)


_PIXELS = 0x7FE0
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_TRANSFER_SYNTAX_UID = 0x00020010
_UNDEFINED = 0xFFFFFFFF
_LONGEST_UN = 0xFFFF
_LONGEST_CODE = 200
_LONG_VRS = frozenset(str(vr).encode("ascii") for vr in EXPLICIT_VR_LENGTH_32)
_SHORT_VRS = frozenset(str(vr).encode("ascii") for vr in STANDARD_VR) - _LONG_VRS
_FRAGMENTED_VRS = (b"OB", b"OW")


def _reader_of(data: bytes, *, implicit: bool, little_endian: bool) -> "_Reader":
    """Return a reader of bytes that begin like every composite object: with group 0008, in the given encoding.

    Raises:
        UnreadableReportError: they do not, or are too many or too few.
    """
    if len(data) > MAX_BYTES:
        raise UnreadableReportError(Reason.TOO_LARGE, f"more than {MAX_BYTES} bytes")
    if len(data) < 8:
        raise UnreadableReportError(Reason.TRUNCATED if data else Reason.NOT_DICOM, "there is not one whole element")
    if data[:2] != (b"\x08\x00" if little_endian else b"\x00\x08"):
        raise UnreadableReportError(Reason.NOT_DICOM, "the first element does not belong to group 0008")
    if (data[4:6] in _SHORT_VRS | _LONG_VRS) == implicit:
        raise UnreadableReportError(Reason.NOT_DICOM, "value representations do not fit the transfer syntax")
    return _Reader(data, little_endian=little_endian)


class _Reader:
    """One pass over the bytes of a data set, with a limit of elements."""

    def __init__(self, data: bytes, *, little_endian: bool) -> None:
        endian = "<" if little_endian else ">"
        self._data = data
        self._short_header = Struct(f"{endian}HH2sH").unpack_from
        self._implicit_header = Struct(f"{endian}HHL").unpack_from
        self._length = Struct(f"{endian}L").unpack_from
        self._elements_left = MAX_ELEMENTS
        self._codes: dict[bytes, list[Elements]] = {}
        self.character_sets: list[slice] = []

    def data_set(self, at: int, limit: int, delimited: bool, implicit: bool, depth: int) -> tuple[Elements, int]:
        """Return the elements from a position to a limit or delimiter, and the position after them."""
        data, short_header, short_vrs = self._data, self._short_header, _SHORT_VRS
        found: Elements = {}
        while at != limit or delimited:
            if len(found) > self._elements_left:
                raise UnreadableReportError(Reason.TOO_LARGE, f"more than {MAX_ELEMENTS} elements")
            # Most elements are explicit and whole, with a short value or items: the long way is not needed for them.
            if not implicit and at + 12 <= limit:
                group, number, vr, length = short_header(data, at)
                tag = group << 16 | number
                if vr in short_vrs and group != 0xFFFE and tag not in found and tag != SPECIFIC_CHARACTER_SET:
                    end = at + 8 + length
                    if end <= limit:
                        found[tag] = data[at + 8 : end]
                        at = end
                        continue
                elif vr == b"SQ" and tag not in found:
                    end = at + 12 + self._length(data, at + 8)[0]
                    if end <= limit:
                        found[tag], at = self._repeated_items(at + 12, end, depth + 1), end
                        continue
            tag, vr, length, start = self.header(at, limit, implicit=implicit)
            if tag == _ITEM_END and delimited:
                at = start
                break
            if tag >> 16 == 0xFFFE:
                raise UnreadableReportError(Reason.NOT_DICOM, f"{_name(tag)} stands where it has no meaning")
            if tag in found:
                raise UnreadableReportError(Reason.NOT_DICOM, f"{_name(tag)} is there twice")
            found[tag], at = self.value(tag, vr, length, start, limit, implicit=implicit, depth=depth)
        self._elements_left -= len(found) + 1
        return found, at

    def _repeated_items(self, start: int, end: int, depth: int) -> list[Elements]:
        """Return the items of a sequence, from a cache by its bytes: a report repeats the same codes."""
        if end - start > _LONGEST_CODE:
            return self._items(start, end, False, False, depth)[0]
        content = self._data[start:end]
        known = self._codes.get(content)
        if known is None:
            character_sets = len(self.character_sets)
            known, _ = self._items(start, end, False, False, depth)
            if len(self.character_sets) == character_sets:
                self._codes[content] = known
        self._elements_left -= len(known)
        return known

    def header(self, at: int, limit: int, *, implicit: bool) -> tuple[int, bytes, int, int]:
        """Return tag, VR (empty when implicit) and length of the element at a position, and where its value starts."""
        self._need(8, at, limit)
        group, number, vr, length = self._short_header(self._data, at)
        tag = group << 16 | number
        if implicit or group == 0xFFFE:
            return tag, b"", self._length(self._data, at + 4)[0], at + 8
        if vr in _SHORT_VRS:
            return tag, vr, length, at + 8
        if vr not in _LONG_VRS:
            raise UnreadableReportError(Reason.NOT_DICOM, f"{_name(tag)} has no value representation of the standard")
        self._need(12, at, limit)
        return tag, vr, self._length(self._data, at + 8)[0], at + 12

    def value(
        self, tag: int, vr: bytes, length: int, start: int, limit: int, *, implicit: bool, depth: int
    ) -> tuple[Value, int]:
        """Return the value of an element, and the position after it."""
        delimited = length == _UNDEFINED
        if is_sequence(tag, vr.decode("ascii"), length) or (delimited and self._holds_items(tag, vr, start)):
            end = limit if delimited else self._end(length, start, limit)
            return self._items(start, end, delimited, implicit, depth + 1)
        if delimited and vr in _FRAGMENTED_VRS:
            return b"", self._after_fragments(start, limit)
        if delimited:
            raise UnreadableReportError(Reason.NOT_DICOM, f"{_name(tag)} may not have an undefined length")
        end = self._end(length, start, limit)
        if tag == SPECIFIC_CHARACTER_SET:
            self.character_sets.append(slice(start, end))
        return self._data[start:end], end

    def _items(self, at: int, limit: int, delimited: bool, implicit: bool, depth: int) -> tuple[list[Elements], int]:
        """Return the items of a sequence, and the position after it."""
        if depth > MAX_DEPTH:
            raise UnreadableReportError(Reason.TOO_LARGE, f"sequences nested deeper than {MAX_DEPTH}")
        data, header, items = self._data, self._implicit_header, list[Elements]()
        while at != limit or delimited:
            if at + 8 > limit:
                self._need(8, at, limit)
            group, number, length = header(data, at)
            tag, start = group << 16 | number, at + 8
            if tag == _SEQUENCE_END and delimited:
                return items, start
            if tag != _ITEM:
                raise UnreadableReportError(Reason.NOT_DICOM, f"{_name(tag)} stands between the items of a sequence")
            open_ended = length == _UNDEFINED
            stop = limit if open_ended else start + length
            if stop > limit:
                self._need(length, start, limit)
            item, at = self.data_set(start, stop, open_ended, implicit or not self._looks_explicit(start), depth)
            items.append(item)
        return items, at

    def _after_fragments(self, at: int, limit: int) -> int:
        """Return the position after the fragments of a compressed value, which are skipped."""
        while True:
            tag, length, start = self._delimiter(at, limit)
            if tag == _SEQUENCE_END:
                return start
            if tag != _ITEM or length == _UNDEFINED:
                raise UnreadableReportError(Reason.NOT_DICOM, f"{_name(tag)} stands between the fragments of a value")
            at = self._end(length, start, limit)

    def _delimiter(self, at: int, limit: int) -> tuple[int, int, int]:
        """Return tag and length of the item or delimiter at a position, and where its content starts."""
        if at + 8 > limit:
            self._need(8, at, limit)
        group, number, length = self._implicit_header(self._data, at)
        return group << 16 | number, length, at + 8

    def _holds_items(self, tag: int, vr: bytes, start: int) -> bool:
        """Whether an element of unknown tag without a VR holds items."""
        return not vr and _known_as_sequence(tag) is None and self._data[start : start + 4] in _ITEM_TAGS

    def _looks_explicit(self, start: int) -> bool:
        """Whether an item's first element has a VR: some writers put implicit items into explicit reports."""
        vr = self._data[start + 4 : start + 6]
        return len(vr) < 2 or (0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B)

    def _end(self, length: int, start: int, limit: int) -> int:
        self._need(length, start, limit)
        return start + length

    def _need(self, length: int, at: int, limit: int) -> None:
        if at + length <= limit:
            return
        if limit == len(self._data):
            raise UnreadableReportError(Reason.TRUNCATED, f"{at + length - limit} bytes missing")
        raise UnreadableReportError(Reason.NOT_DICOM, "an element is longer than the item or sequence it stands in")


@lru_cache(maxsize=8192)
def _known_as_sequence(tag: int) -> bool | None:
    """Whether an element is a sequence by the standard's dictionary; ``None`` when its tag is unknown."""
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return None


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
