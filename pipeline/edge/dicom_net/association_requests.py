"""Decode A-ASSOCIATE-RQ PDUs (PS3.8 9.3.2): the AE titles first, and of the proposal only what is answered.

The requestor chooses the content of its proposal, and pynetdicom decodes each UID slowly: 240 kB of transfer syntaxes
would hold up everybody for most of a second. So pynetdicom gets, of each presentation context, the one transfer syntax
that will be accepted, and of the user information only the items that we use. Unknown items are skipped, as PS3.8 9.3.1
asks.
"""

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE

from pipeline.errors import DxatrendError

HEADER_SIZE = 74
"""Bytes before the proposal (PS3.8 Table 9-11)."""

MOST_TRANSFER_SYNTAXES = 256
"""In one presentation context; DICOM defines some seventy."""

SMALLEST_PDU = 64
"""The shortest maximum length accepted: a peer with a shorter one would get hundreds of PDUs; usual is 16,384."""

LONGEST_UID, LONGEST_VERSION_NAME = 64, 16
"""PS3.8 Annex F, PS3.7 D.3.3.2.3."""

_APPLICATION_CONTEXT, _PRESENTATION_CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX = 0x30, 0x40
_MAXIMUM_LENGTH, _IMPLEMENTATION_CLASS, _ROLE, _IMPLEMENTATION_VERSION = 0x51, 0x52, 0x54, 0x55
_ITEM = struct.Struct(">BxH")
_NUMBER = struct.Struct(">L")
_PADDING = b"\0 "


class AssociationRequestError(DxatrendError):
    """These bytes are no A-ASSOCIATE-RQ; the text says what is wrong with them and quotes none."""


@dataclass(frozen=True, slots=True)
class Header:
    """AE titles and protocol versions of a request; the titles are fit for comparing and for the log."""

    called: str
    calling: str
    versions: int

    @property
    def is_version_1(self) -> bool:
        """Whether version 1, the only one, is offered: only its bit counts (PS3.8 9.3.2)."""
        return bool(self.versions & 0x0001)


class Supported:
    """The supported SOP classes, each with its transfer syntaxes, the preferred one first."""

    def __init__(self, transfer_syntaxes: Mapping[str, Sequence[str]]) -> None:
        self._of = {sop_class: tuple(syntaxes) for sop_class, syntaxes in transfer_syntaxes.items()}

    def __contains__(self, sop_class: str) -> bool:
        return sop_class in self._of

    def choose(self, sop_class: str, offered: Collection[str]) -> str | None:
        """Return the preferred transfer syntax among those offered, ``None`` where none is supported."""
        return next((syntax for syntax in self._of.get(sop_class, ()) if syntax in offered), None)


def read_header(pdu: bytes | bytearray) -> Header:
    """Decode what precedes the proposal; ``pdu`` has at least ``HEADER_SIZE`` bytes."""
    return Header(called=_title(pdu[10:26]), calling=_title(pdu[26:42]), versions=int.from_bytes(pdu[6:8], "big"))


class Request:
    """A decoded A-ASSOCIATE-RQ PDU, as pynetdicom's state machine takes it.

    Raises:
        AssociationRequestError: it cannot be decoded.
    """

    protocol_version = 0x0001

    def __init__(self, pdu: bytes, supported: Supported) -> None:
        header = read_header(pdu)
        self._primitive = _read_proposal(pdu[HEADER_SIZE:], supported)
        try:
            self._primitive.calling_ae_title = header.calling
            self._primitive.called_ae_title = header.called
        except ValueError:
            raise AssociationRequestError("an AE title has other characters than it may") from None

    def to_primitive(self) -> A_ASSOCIATE:
        """Return the A-ASSOCIATE primitive."""
        return self._primitive


class RejectedRequest:
    """An A-ASSOCIATE-RQ of a requestor that is rejected: its proposal is not decoded."""

    protocol_version = 0x0001

    def to_primitive(self) -> A_ASSOCIATE:
        """Return a primitive that proposes nothing."""
        return A_ASSOCIATE()


def _title(raw: bytes | bytearray) -> str:
    """Decode an AE title without the spaces around it (PS3.8 Table 9-11), or the NULs that some senders pad it with."""
    text = raw.strip(_PADDING).decode("ascii", "backslashreplace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def _read_proposal(items: bytes, supported: Supported) -> A_ASSOCIATE:
    request = A_ASSOCIATE_RQ()
    try:
        request.decode(_ANY_HEADER + _reduced(items, supported))
        return request.to_primitive()
    except AssociationRequestError:
        raise
    except Exception as error:  # noqa: BLE001 - pynetdicom raises whatever broken bytes lead it to
        raise AssociationRequestError(f"pynetdicom cannot read what it proposes ({type(error).__name__})") from None


_ANY_HEADER = A_ASSOCIATE_RQ().encode()


def _reduced(items: bytes, supported: Supported) -> bytes:
    """Return the proposal reduced to the items that we use."""
    application, user = b"", b""
    contexts: dict[int, bytes] = {}
    for kind, body in _items(items):
        match kind:
            case 0x10 if not application:
                application = _item(_APPLICATION_CONTEXT, _uid(body, "Application Context Name"))
            case 0x20:
                number, context = _read_context(body, supported)
                if number in contexts:
                    raise AssociationRequestError(f"two presentation contexts have the number {number}")
                contexts[number] = context
            case 0x50 if not user:
                user = _item(_USER_INFORMATION, _read_user_information(body, supported))
    return application + b"".join(contexts.values()) + user


def _read_context(body: bytes, supported: Supported) -> tuple[int, bytes]:
    """Return the ID of a presentation context, and its item with one transfer syntax."""
    if len(body) < 4:
        raise AssociationRequestError("a presentation context is cut short")
    number = body[0]
    if number % 2 == 0:
        raise AssociationRequestError(f"a presentation context has the number {number}, which is not odd")
    abstract: str | None = None
    offered: dict[str, None] = {}
    for kind, value in _items(body[4:]):
        if kind == _ABSTRACT_SYNTAX and abstract is None:
            abstract = _uid(value, "Abstract Syntax Name")
        elif kind == _TRANSFER_SYNTAX:
            offered[_uid(value, "Transfer Syntax Name")] = None
            if len(offered) > MOST_TRANSFER_SYNTAXES:
                raise AssociationRequestError(
                    f"presentation context {number} has more than {MOST_TRANSFER_SYNTAXES} syntaxes"
                )
    if abstract is None or not offered:
        raise AssociationRequestError(
            f"presentation context {number} lacks its abstract syntax, or any transfer syntax"
        )
    chosen = supported.choose(abstract, offered) or next(iter(offered))
    inner = _item(_ABSTRACT_SYNTAX, abstract) + _item(_TRANSFER_SYNTAX, chosen)
    return number, _item(_PRESENTATION_CONTEXT, bytes([number, 0, 0, 0]) + inner)


def _read_user_information(body: bytes, supported: Supported) -> bytes:
    """Return the first of each user information item that we use."""
    found: dict[object, bytes] = {}
    for kind, value in _items(body):
        match kind:
            case 0x51:
                if len(value) != _NUMBER.size:
                    raise AssociationRequestError("Maximum Length Received is no number")
                (longest,) = _NUMBER.unpack(value)
                if 0 < longest < SMALLEST_PDU:
                    raise AssociationRequestError(f"it takes no more than {longest} bytes at a time")
                found.setdefault(kind, _item(kind, value))
            case 0x52:
                found.setdefault(kind, _item(kind, _uid(value, "Implementation Class UID")))
            case 0x55:
                name = value.strip(_PADDING)
                if len(name) > LONGEST_VERSION_NAME:
                    raise AssociationRequestError(
                        f"Implementation Version Name has more than {LONGEST_VERSION_NAME} characters"
                    )
                if name:
                    found.setdefault(kind, _item(kind, name))
            case 0x54:
                sop_class, role = _read_role(value)
                if sop_class in supported:
                    found.setdefault(sop_class, _item(kind, role))
    return b"".join(found.values())


def _read_role(value: bytes) -> tuple[str, bytes]:
    """Return the SOP class of an SCP/SCU Role Selection (PS3.7 D.3.3.4), and its value."""
    length = int.from_bytes(value[:2], "big")
    if len(value) != length + 4:
        raise AssociationRequestError("a role selection is cut short")
    sop_class = _uid(value[2 : 2 + length], "SOP Class UID of a role selection")
    return sop_class, struct.pack(">H", len(sop_class)) + sop_class.encode() + value[-2:]


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    at, end = 0, len(body)
    while at < end:
        if at + _ITEM.size > end:
            raise AssociationRequestError("it ends within an item")
        kind, length = _ITEM.unpack_from(body, at)
        at += _ITEM.size
        if length > end - at:
            raise AssociationRequestError("an item is longer than what it stands in")
        yield kind, body[at : at + length]
        at += length


def _item(kind: int, value: bytes | str) -> bytes:
    body = value.encode() if isinstance(value, str) else value
    return _ITEM.pack(kind, len(body)) + body


def _uid(raw: bytes, name: str) -> str:
    try:
        uid = raw.strip(_PADDING).decode("ascii")
    except UnicodeDecodeError:
        raise AssociationRequestError(f"{name} is not ASCII") from None
    if not 1 <= len(uid) <= LONGEST_UID or not uid.isprintable():
        raise AssociationRequestError(f"{name} is empty, longer than {LONGEST_UID} characters, or no text")
    return uid
