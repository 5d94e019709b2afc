"""Decode DIMSE command sets, and encode the response to a C-STORE (PS3.7 6.3, 9.3.1; Implicit VR Little Endian).

pynetdicom makes a ``Dataset`` of these hundred bytes, which costs more than storing the object. Every message other
than C-STORE stays pynetdicom's.
"""

import struct
from dataclasses import dataclass, field

from pipeline.errors import DxatrendError

C_STORE_RQ, C_STORE_RSP, C_CANCEL_RQ, N_ACTION_RSP = 0x0001, 0x8001, 0x0FFF, 0x8130
"""Values of Command Field (0000,0100), PS3.7 Annex E."""

NO_DATA_SET = 0x0101

LONGEST_UID = 64

_COMMAND_FIELD = 0x0100
_AFFECTED_SOP_CLASS_UID = 0x0002
_MESSAGE_ID = 0x0110
_MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
_COMMAND_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_AFFECTED_SOP_INSTANCE_UID = 0x1000
_MOVE_ORIGINATOR = 0x1030

_ELEMENT = struct.Struct("<HHI")
_SHORT = struct.Struct("<HHIH")
_ANY_NUMBER = struct.Struct("<H")


class CommandSetError(DxatrendError):
    """These bytes are no command set, or it lacks an element."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command set: its elements of group 0000, by element number."""

    elements: dict[int, bytes] = field(repr=False)

    @property
    def field(self) -> int:
        """The Command Field (0000,0100): which request or response it is."""
        return int(_ANY_NUMBER.unpack(self.elements[_COMMAND_FIELD])[0])

    @property
    def is_store_request(self) -> bool:
        """Whether it is a C-STORE request with a data set."""
        return self.field == C_STORE_RQ and self.has_data_set

    @property
    def is_cancel(self) -> bool:
        """Whether it is a C-CANCEL request (PS3.7 9.3.2.3)."""
        return self.field == C_CANCEL_RQ

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self.elements.get(_COMMAND_DATA_SET_TYPE) != _ANY_NUMBER.pack(NO_DATA_SET)

    @property
    def message_id(self) -> int:
        """The Message ID (0000,0110), which the response refers to."""
        value = self.elements.get(_MESSAGE_ID, b"")
        if len(value) != _ANY_NUMBER.size:
            raise CommandSetError("no Message ID (0000,0110)")
        return int(_ANY_NUMBER.unpack(value)[0])

    @property
    def sop_class_uid(self) -> str:
        """The Affected SOP Class UID (0000,0002)."""
        return self._uid(_AFFECTED_SOP_CLASS_UID, "Affected SOP Class UID (0000,0002)")

    @property
    def sop_instance_uid(self) -> str:
        """The Affected SOP Instance UID (0000,1000)."""
        return self._uid(_AFFECTED_SOP_INSTANCE_UID, "Affected SOP Instance UID (0000,1000)")

    @property
    def move_originator(self) -> str | None:
        """The Move Originator AE Title (0000,1030); ``None`` where the object was not moved."""
        title = self.elements.get(_MOVE_ORIGINATOR, b"").decode("ascii", "replace").strip("\0 ")
        return title or None

    def _uid(self, element: int, name: str) -> str:
        try:
            uid = self.elements.get(element, b"").decode("ascii").strip("\0 ")
        except UnicodeDecodeError:
            raise CommandSetError(f"{name} is not ASCII") from None
        if not 1 <= len(uid) <= LONGEST_UID or "\0" in uid:
            raise CommandSetError(f"{name} is absent or too long")
        return uid


def read_command(encoded: bytes) -> Command:
    """Decode a command set.

    Raises:
        CommandSetError: these bytes are none.
    """
    elements: dict[int, bytes] = {}
    at, end = 0, len(encoded)
    while at < end:
        if at + _ELEMENT.size > end:
            raise CommandSetError("it ends within an element")
        group, element, length = _ELEMENT.unpack_from(encoded, at)
        at += _ELEMENT.size
        if group != 0 or length > end - at:
            raise CommandSetError("an element is of another group, or longer than the set")
        elements[element] = encoded[at : at + length]
        at += length
    if len(elements.get(_COMMAND_FIELD, b"")) != _ANY_NUMBER.size:
        raise CommandSetError("no Command Field (0000,0100)")
    return Command(elements)


def store_response(message_id: int, sop_class_uid: str, sop_instance_uid: str, status: int) -> bytes:
    """Encode the response to a C-STORE request (PS3.7 Table 9.3-2)."""
    body = b"".join(
        (
            _text(_AFFECTED_SOP_CLASS_UID, sop_class_uid),
            _SHORT.pack(0, _COMMAND_FIELD, 2, C_STORE_RSP),
            _SHORT.pack(0, _MESSAGE_ID_BEING_RESPONDED_TO, 2, message_id),
            _SHORT.pack(0, _COMMAND_DATA_SET_TYPE, 2, NO_DATA_SET),
            _SHORT.pack(0, _STATUS, 2, status),
            _text(_AFFECTED_SOP_INSTANCE_UID, sop_instance_uid),
        )
    )
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _text(element: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    value += b"\0" * (len(value) % 2)
    return _ELEMENT.pack(0, element, len(value)) + value
