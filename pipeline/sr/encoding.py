"""Do the bytes of a data set hold everything that their own lengths promise?

pydicom reads what is there and stops quietly where the bytes stop: a report cut short would lose regions
without a word. So every length is followed here first, at every depth, before pydicom may read.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.uid import UID
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from pipeline.sr.reasons import Reason, UnreadableReport

MAX_BYTES = 64 * 2**20
"""No structured report comes near; a deflated bomb does."""

MAX_ELEMENTS = 100_000
"""The largest radiation dose reports seen have 160,000; a densitometer's have some thousands."""

MAX_DEPTH = 64
"""Sequences within sequences: a content tree needs about two dozen, a recursion bomb needs hundreds."""


@dataclass(frozen=True, slots=True)
class Element:
    """Where the value of one data element lies, at whatever depth; a sequence's elements come by themselves."""

    tag: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set was turned into bytes (PS3.5 section 10)."""

    implicit: bool
    little_endian: bool
    deflated: bool


def transfer_syntax(uid: str) -> TransferSyntax:
    """What a transfer syntax UID means.

    Raises:
        UnreadableReport: no transfer syntax has this UID.
    """
    known = UID(uid.strip(" \0"), validation_mode=IGNORE)
    try:
        return TransferSyntax(known.is_implicit_VR, known.is_little_endian, known.is_deflated)
    except ValueError:
        raise UnreadableReport(Reason.NOT_DICOM, "the transfer syntax is not a known one") from None


def inflate(data_set: bytes) -> bytes:
    """The data set inside a deflated one.

    Raises:
        UnreadableReport: the stream is broken, cut short, or larger than any report.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data_set, MAX_BYTES + 1)
    except zlib.error:
        raise UnreadableReport(Reason.NOT_DICOM, "the deflated stream is broken") from None
    if len(inflated) > MAX_BYTES:
        raise UnreadableReport(Reason.TOO_LARGE, f"more than {MAX_BYTES} bytes when inflated")
    if not stream.eof:
        raise UnreadableReport(Reason.TRUNCATED, "the deflated stream has no end")
    return inflated


def split_file(file: bytes) -> tuple[bytes, str]:
    """The encoded data set in a DICOM file, and the UID of its transfer syntax.

    Raises:
        UnreadableReport: the bytes have no preamble, or no whole file meta information.
    """
    if file[128:132] != b"DICM":
        raise UnreadableReport(Reason.NOT_DICOM, "no DICM prefix")
    at, uid = 132, ""
    while file[at : at + 2] == b"\x02\x00":  # group 0002, always explicit VR little endian (PS3.10 section 7)
        element, start = _explicit_header(file, at, len(file), "<")
        if element.length > len(file) - start:
            raise UnreadableReport(Reason.TRUNCATED, "the file meta information is cut short")
        at = start + element.length
        if element.tag == _TRANSFER_SYNTAX_UID:
            uid = file[start:at].decode("latin-1").strip(" \0")
    if not uid:
        raise UnreadableReport(Reason.NOT_DICOM, "the file meta information names no transfer syntax (0002,0010)")
    return file[at:], uid


def elements(data: bytes, *, implicit: bool, little_endian: bool) -> Iterator[Element]:
    """Every data element, depth first, once its length is known to be kept.

    Raises:
        UnreadableReport: bytes are missing, lengths contradict each other, a data set holds an element twice,
            or there is more than any report needs.
    """
    if len(data) > MAX_BYTES:
        raise UnreadableReport(Reason.TOO_LARGE, f"more than {MAX_BYTES} bytes")
    endian = "<" if little_endian else ">"
    frames = [_Frame(limit=len(data), delimited=False, implicit=implicit)]
    _check_start(data, implicit=implicit, endian=endian)
    at, count = 0, 0
    while frames:
        frame = frames[-1]
        if at == frame.limit and not frame.delimited:
            frames.pop()
            continue
        header, start = _header(data, at, frame, endian)
        if header.tag in (_ITEM, _ITEM_END, _SEQUENCE_END):
            at = _follow_delimiter(header, start, data, frames)
            continue
        if frame.holds is not _Holds.ELEMENTS:
            raise UnreadableReport(Reason.NOT_DICOM, f"{_name(header.tag)} stands between the items of a sequence")
        if header.tag in frame.seen:
            raise UnreadableReport(Reason.NOT_DICOM, f"{_name(header.tag)} is there twice")
        frame.seen.add(header.tag)
        count += 1
        if count > MAX_ELEMENTS:
            raise UnreadableReport(Reason.TOO_LARGE, f"more than {MAX_ELEMENTS} elements")
        at = _follow_value(header, start, data, frames)
        yield Element(header.tag, start, at)


class _Holds(Enum):
    """What stands in a stretch of bytes."""

    ELEMENTS = auto()
    ITEMS = auto()
    FRAGMENTS = auto()


_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TRANSFER_SYNTAX_UID = 0x00020010
_UNDEFINED = 0xFFFFFFFF
_VRS = {str(vr).encode("ascii") for vr in STANDARD_VR}
_LONG_VRS = {str(vr).encode("ascii") for vr in EXPLICIT_VR_LENGTH_32}
_FRAGMENTED_VRS = {b"OB", b"OW"}


@dataclass(slots=True)
class _Frame:
    """A data set or sequence we are inside of: up to ``limit``, or up to its delimiter before that."""

    limit: int
    delimited: bool
    implicit: bool
    holds: _Holds = _Holds.ELEMENTS
    seen: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Header:
    tag: int
    vr: bytes
    length: int


def _check_start(data: bytes, *, implicit: bool, endian: str) -> None:
    """Every composite object begins with group 0008, in the encoding it was announced in."""
    if len(data) < 8:
        raise UnreadableReport(Reason.TRUNCATED if data else Reason.NOT_DICOM, "there is not one whole element")
    (group,) = struct.unpack_from(f"{endian}H", data)
    if group != 0x0008:
        raise UnreadableReport(Reason.NOT_DICOM, "the first element does not belong to group 0008")
    if (data[4:6] in _VRS) == implicit:
        raise UnreadableReport(Reason.NOT_DICOM, "value representations do not fit the transfer syntax")


def _header(data: bytes, at: int, frame: _Frame, endian: str) -> tuple[_Header, int]:
    """The header of the element or delimiter at a position, and where its value starts."""
    _need(8, at, frame.limit, len(data))
    group, number, length = struct.unpack_from(f"{endian}HHL", data, at)
    tag = group << 16 | number
    if frame.implicit or group == 0xFFFE or frame.holds is not _Holds.ELEMENTS:
        return _Header(tag, b"", length), at + 8
    return _explicit_header(data, at, frame.limit, endian)


def _explicit_header(data: bytes, at: int, limit: int, endian: str) -> tuple[_Header, int]:
    _need(8, at, limit, len(data))
    group, number, vr, length = struct.unpack_from(f"{endian}HH2sH", data, at)
    tag = group << 16 | number
    if vr not in _VRS:
        raise UnreadableReport(Reason.NOT_DICOM, f"{_name(tag)} has no value representation of the standard")
    if vr not in _LONG_VRS:
        return _Header(tag, vr, length), at + 8
    _need(12, at, limit, len(data))
    return _Header(tag, vr, struct.unpack_from(f"{endian}L", data, at + 8)[0]), at + 12


def _follow_delimiter(header: _Header, start: int, data: bytes, frames: list[_Frame]) -> int:
    """Go into an item, or out of what a delimiter ends; the new position."""
    frame = frames[-1]
    if header.tag == _ITEM and frame.holds is _Holds.FRAGMENTS and header.length != _UNDEFINED:
        _need(header.length, start, frame.limit, len(data))
        return start + header.length
    if header.tag == _ITEM and frame.holds is _Holds.ITEMS:
        implicit = frame.implicit or not _looks_explicit(data, start)
        return _enter(frames, header.length, start, data, implicit=implicit, holds=_Holds.ELEMENTS)
    ends = _ITEM_END if frame.holds is _Holds.ELEMENTS else _SEQUENCE_END
    if header.tag != ends or not frame.delimited:
        raise UnreadableReport(Reason.NOT_DICOM, f"{_name(header.tag)} stands where it has no meaning")
    frames.pop()
    return start


def _follow_value(header: _Header, start: int, data: bytes, frames: list[_Frame]) -> int:
    """Step over a value, or into a sequence; the new position."""
    frame = frames[-1]
    undefined = header.length == _UNDEFINED
    if _is_sequence(header, data, start):
        return _enter(frames, header.length, start, data, implicit=frame.implicit, holds=_Holds.ITEMS)
    if undefined and header.vr in _FRAGMENTED_VRS:
        return _enter(frames, header.length, start, data, implicit=frame.implicit, holds=_Holds.FRAGMENTS)
    if undefined:
        raise UnreadableReport(Reason.NOT_DICOM, f"{_name(header.tag)} may not have an undefined length")
    _need(header.length, start, frame.limit, len(data))
    return start + header.length


def _enter(frames: list[_Frame], length: int, start: int, data: bytes, *, implicit: bool, holds: _Holds) -> int:
    if len(frames) > 2 * MAX_DEPTH:  # a sequence and its item are two frames
        raise UnreadableReport(Reason.TOO_LARGE, f"sequences nested deeper than {MAX_DEPTH}")
    limit = frames[-1].limit
    if length != _UNDEFINED:
        _need(length, start, limit, len(data))
        limit = start + length
    frames.append(_Frame(limit=limit, delimited=length == _UNDEFINED, implicit=implicit, holds=holds))
    return start


def _is_sequence(header: _Header, data: bytes, start: int) -> bool:
    """Whether pydicom will read the value as a sequence."""
    if header.vr == b"SQ":
        return True
    if header.vr not in (b"", b"UN"):
        return False
    if header.vr == b"UN" and header.length == _UNDEFINED:  # PS3.5 section 6.2.2
        return True
    try:
        return dictionary_VR(header.tag) == "SQ"
    except KeyError:  # a private element: only items inside an undefined length betray a sequence
        return header.length == _UNDEFINED and data[start : start + 4] in (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")


def _looks_explicit(data: bytes, start: int) -> bool:
    """Whether an item's first element carries a VR: some writers put implicit items into explicit reports."""
    vr = data[start + 4 : start + 6]
    return len(vr) < 2 or all(0x40 < letter < 0x5B for letter in vr)


def _need(length: int, at: int, limit: int, size: int) -> None:
    if at + length <= limit:
        return
    if limit == size:
        raise UnreadableReport(Reason.TRUNCATED, f"{at + length - size} bytes missing")
    raise UnreadableReport(Reason.NOT_DICOM, "an element is longer than the item or sequence it stands in")


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
