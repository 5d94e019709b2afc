"""Assemble DIMSE messages from the fragments of P-DATA-TF PDUs, within limits (PS3.7 6.3, PS3.8 9.3.5).

A PDU may hold thousands of messages, and a message thousands of fragments: they are taken one by one for as long as
the association has its turn, and none while a response is outstanding.
"""

import queue
import struct
import time
from dataclasses import dataclass
from typing import Any, Protocol

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu_primitives import P_DATA

from pipeline.edge.dicom_net.command_set import Command, CommandSetError, read_command
from pipeline.edge.dicom_net.pdu_types import PDU_HEADER_SIZE

LONGEST_COMMAND = 16_384
"""Bytes of a command set."""

SMALLEST_FRAGMENT, SPARE_FRAGMENTS = 32, 100_000
"""A message may come in ``SPARE_FRAGMENTS``, and one more for each ``SMALLEST_FRAGMENT`` bytes of it."""

MOST_UNREAD_RESPONSES = 4
"""Responses of the peer that may lie unread; no thread of ours waits for more than one at a time."""

COMMAND, LAST = 0x01, 0x02
"""Bits of a message control header (PS3.8 E.2)."""

PDV_HEADER = struct.Struct(">IBB")
"""Item length, presentation context ID and message control header."""

_FRAGMENTS_PER_CLOCK_CHECK = 32


class Memory(Protocol):
    """The bytes that an association may receive before they are stored, in one object and in any other request."""

    largest_object: int
    largest_request: int

    def reserve(self, size: int) -> bool:
        """Reserve so many bytes; return whether there is room."""

    def release(self, size: int) -> None:
        """Release so many bytes."""


@dataclass(frozen=True, slots=True)
class DataPdu:
    """A P-DATA-TF PDU whose fragments are yet to be taken."""

    pdu: bytes

    def to_primitive(self) -> "DataPdu":
        """Return itself: pynetdicom's state machine hands on what this returns."""
        return self


class MessageAssembler(DIMSEServiceProvider):
    """Assembles the messages of one association, and hands each to the service that it is for."""

    def __init__(self, association: Association, memory: Memory) -> None:
        # All that pynetdicom's own constructor makes, with a queue that is made sooner.
        self._assoc, self.message = association, None
        self.cancel_req: dict[int, Any] = {}
        self.msg_queue: Any = queue.SimpleQueue()
        self._memory = memory
        self._pdu, self._at = b"", 0
        self._reset()

    def _reset(self) -> None:
        self._command_set = bytearray()
        self._command: Command | None = None
        self._context_id = 0
        self._data_set = bytearray()
        self._size = 0
        self._fragments = 0
        self._is_refused = False

    @property
    def is_empty(self) -> bool:
        """Whether no message has begun."""
        return not self._fragments

    @property
    def has_more(self) -> bool:
        """Whether fragments of a PDU are yet to be taken."""
        return self._at < len(self._pdu)

    def end(self) -> None:
        """Drop an unfinished message, and release its memory."""
        self._memory.release(self._size)
        self._pdu, self._at = b"", 0
        self._reset()

    def receive_primitive(self, primitive: DataPdu) -> None:
        """Take one PDU; its fragments wait for ``read_fragments``."""
        self._pdu, self._at = primitive.pdu, PDU_HEADER_SIZE

    def read_fragments(self, until: float) -> None:
        """Take fragments (PS3.8 9.3.5.1) until a message is whole, or until ``until`` by the monotonic clock."""
        taken = 0
        try:
            while self.has_more and not self._take_fragment():
                taken += 1
                if taken % _FRAGMENTS_PER_CLOCK_CHECK == 0 and time.monotonic() > until:
                    return
        except CommandSetError as bad:
            self.assoc.log_problem(f"a message cannot be read: {bad}")
            self.end()
            self.dul.event_queue.put("Evt19")

    def _take_fragment(self) -> bool:
        """Take the next fragment of the PDU; return whether it ends a message."""
        pdu, at = self._pdu, self._at
        if len(pdu) - at < PDV_HEADER.size:
            raise CommandSetError("a PDU ends within a fragment")
        length, context_id, control = PDV_HEADER.unpack_from(pdu, at)
        after = at + 4 + length
        if length < 2 or after > len(pdu):
            raise CommandSetError("a fragment is longer than its PDU")
        fragment = pdu[at + PDV_HEADER.size : after]
        if after == len(pdu):
            self._pdu, self._at = b"", 0
        else:
            self._at = after
        self._fragments += 1
        if self._fragments > SPARE_FRAGMENTS + (len(self._command_set) + self._size) // SMALLEST_FRAGMENT:
            raise CommandSetError("it comes in too many fragments")
        if control & COMMAND:
            return self._take_command(context_id, fragment, last=bool(control & LAST))
        return self._take_data(fragment, last=bool(control & LAST))

    def _take_command(self, context_id: int, fragment: bytes, *, last: bool) -> bool:
        if self._command is not None:
            raise CommandSetError("a second command set instead of a data set")
        self._command_set += fragment
        if len(self._command_set) > LONGEST_COMMAND:
            raise CommandSetError("the command set has no end")
        if last:
            self._command, self._context_id = read_command(bytes(self._command_set)), context_id
            if not self._command.has_data_set:
                self._complete(self._command)
                return True
        return False

    def _take_data(self, fragment: bytes, *, last: bool) -> bool:
        if self._command is None:
            raise CommandSetError("a data set without command set")
        if not self._is_refused:
            size = self._size + len(fragment)
            memory = self._memory
            within = memory.largest_object if self._command.is_store_request else memory.largest_request
            if size > within or not memory.reserve(len(fragment)):
                memory.release(self._size)
                self._data_set, self._size, self._is_refused = bytearray(), 0, True
                if not self._command.is_store_request:
                    raise CommandSetError("its data set is larger than any such request needs")
            else:
                self._data_set += fragment
                self._size = size
        if last:
            self._complete(self._command)
        return last

    def _complete(self, command: Command) -> None:
        context_id, encoded, refused = self._context_id, bytes(self._command_set), self._is_refused
        data_set, size = bytes(self._data_set), self._size
        self._reset()
        if command.is_cancel:
            pass  # nothing we do can be cancelled
        elif not command.is_store_request:
            self._dispatch(encoded, data_set, context_id)
        elif refused:
            self.assoc.log_problem("an object has no room in memory and is refused")
            self.assoc.refuse_store(command, context_id)
        else:
            self.assoc.serve_store(command, context_id, data_set)
        if not self.assoc.is_waiting:  # else it is released with the response
            self._memory.release(size)

    def _dispatch(self, encoded: bytes, data_set: bytes, context_id: int) -> None:
        """Have pynetdicom decode a message other than a C-STORE request, and serve it."""
        whole = P_DATA()
        whole.presentation_data_value_list.append((context_id, bytes([COMMAND | LAST]) + encoded))
        if data_set:
            whole.presentation_data_value_list.append((context_id, bytes([LAST]) + data_set))
        message = DIMSEMessage()
        try:
            message.decode_msg(whole, self.assoc)
            primitive = message.message_to_primitive()
        except Exception:  # noqa: BLE001 - pynetdicom raises whatever broken bytes lead it to
            raise CommandSetError("pynetdicom cannot decode it") from None
        if primitive.is_valid_request:
            self.assoc.serve(primitive, context_id, len(data_set))
        elif self.msg_queue.qsize() >= MOST_UNREAD_RESPONSES:
            raise CommandSetError("it responds to no request of ours")
        else:
            self.msg_queue.put((context_id, primitive))
