"""Move pynetdicom's association by events alone: no thread of its own, and no polling.

What is pynetdicom's stays pynetdicom's: the state machine (PS3.8 Table 9-10), the negotiation, the PDUs, the events and
their handlers. Replaced are the two loops around them, which sleep a millisecond at a time, and the encoding of
C-STORE. A handler of ``EVT_C_STORE`` may answer with a ``Future`` of its status, so that waiting for the disk holds
nobody up. Everything runs in the reactor's thread, but for handlers of other services, which have threads of their own.

A PDU may hold thousands of messages, and a message thousands of fragments: they are taken one after the other, for as
long as the reactor gives the association its turn, and none while an answer is outstanding.

To be deleted on the day pynetdicom's own reactor waits for events: ``AE.start_server`` takes the same handlers.
"""

import logging
import queue
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

from pydicom.config import IGNORE
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification
from pynetdicom.timer import Timer
from pynetdicom.transport import AddressInformation

from pipeline.edge.dicom_net.admission import LOCAL_LIMIT_EXCEEDED, Rejection
from pipeline.edge.dicom_net.association_requests import AssociationRequestError, RejectedRequest, Request, Supported
from pipeline.edge.dicom_net.command_set import Command, CommandSetError, read_command, store_response
from pipeline.edge.dicom_net.statuses import HANDLER_FAILED, OUT_OF_RESOURCES

log = logging.getLogger(__name__)

A_ASSOCIATE_RQ, P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 0x01, 0x04, 0x05, 0x06, 0x07
"""The PDUs that an acceptor may be sent (PS3.8 9.3)."""

LONGEST_COMMAND = 16_384
SMALLEST_FRAGMENT, SPARE_FRAGMENTS = 32, 100_000
"""A message may come in so many fragments, and in one more for each so many bytes of it; then it has no end."""

MOST_ANSWERS = 4
"""Answers of the peer that may lie unread; no thread of ours waits for more than one at a time."""

SERVED: Mapping[type, UID] = {
    C_ECHO: Verification,
    N_ACTION: StorageCommitmentPushModel,
    N_EVENT_REPORT: StorageCommitmentPushModel,
}
"""Requests other than C-STORE, each with the SOP class whose it is."""

_COMMAND, _LAST = 0x01, 0x02
_TAKES_DATA = ("Sta6", "Sta7")
_PDU_HEADER = 6
_PDV = struct.Struct(">IBB")
_LOOK_AT_CLOCK = 32
"""After so many fragments."""


class Transport(Protocol):
    """What an association needs of its connection; the names are those of pynetdicom's ``AssociationSocket``."""

    def send(self, bytestream: bytes) -> None:
        """Send, now or as soon as the peer takes it."""

    def close(self) -> None:
        """Close when everything is sent."""

    def _shutdown_socket(self) -> None:
        """The same."""


class Memory(Protocol):
    """How much this association may have received and not yet kept; in one object, and in any other request."""

    largest_object: int
    largest_request: int

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes more; if so, they are taken."""

    def give(self, size: int) -> None:
        """Give so many bytes back."""


class EventDrivenAssociation(Association):
    """One association, as acceptor. It moves when a PDU, the end of the connection or an answer comes."""

    is_released: bool
    is_aborted: bool
    is_rejected: bool

    def __init__(
        self,
        ae: AE,
        transport: Transport,
        *,
        local: AddressInformation,
        remote: AddressInformation,
        handlers: Mapping[evt.EventType, Any],
        memory: Memory,
        services: Executor,
        wake: Callable[[], None],
        has_capacity: Callable[[], bool],
        supported: Supported,
        complain: Callable[[str], None],
    ) -> None:
        super().__init__(ae, "acceptor")
        self.wake = wake
        self.complain = complain
        self.is_storing = self.is_answering = False
        self.certificate: frozenset[str] = frozenset()
        """To whom the peer's certificate is made out, where it has shown one."""
        self._services = services
        self._has_room = has_capacity
        self._supported = supported
        self._rejection: Rejection | None = None
        self._answers: deque[tuple[_StoreRequest, int] | None] = deque()
        self._memory, self._held = memory, 0
        self._handlers = handlers
        self.dul = _UpperLayer(self, transport)
        self.dul.artim_timer.timeout = ae.acse_timeout
        self.dimse = _Messages(self, memory)
        self.acceptor.maximum_length = ae.maximum_pdu_size
        self.acceptor.ae_title = ae.ae_title
        self.acceptor.address_info = local
        self.acceptor.implementation_class_uid = ae.implementation_class_uid
        self.acceptor.implementation_version_name = ae.implementation_version_name
        self.acceptor.supported_contexts = ae.supported_contexts
        self.requestor.address_info = remote
        self.happened("Evt5")

    @property
    def state(self) -> str:
        """Where the state machine stands, ``Sta1`` to ``Sta13``."""
        return str(self.dul.state_machine.current_state)

    @property
    def is_over(self) -> bool:
        """Whether the connection has no use any more once everything is sent."""
        return bool(self.dul._kill_thread)

    @property
    def is_waiting(self) -> bool:
        """Whether an answer of ours is outstanding, before which nothing more is taken."""
        return self.is_storing or self.is_answering

    @property
    def has_more(self) -> bool:
        """Whether the PDU taken last holds fragments that have not been looked at."""
        return self.state in _TAKES_DATA and self.dimse.has_more

    def take(self, pdu: bytes) -> None:
        """Take one whole PDU that came over the connection; what is in a P-DATA-TF waits for ``read_on``."""
        kind = pdu[0]
        if kind == P_DATA_TF and self.state == "Sta6":
            self.dimse.receive_primitive(_Data(pdu))  # all that action DT-2 does
            return
        try:
            received: Any
            if kind == P_DATA_TF:
                received, event = _Data(pdu), "Evt10"
            elif kind == A_ASSOCIATE_RQ and self.state == "Sta2":
                received, event = Request(pdu, self._supported), "Evt6"
            elif kind in (A_RELEASE_RQ, A_RELEASE_RP, A_ABORT):
                received, event = self.dul._decode_pdu(pdu)
            else:
                self.spoil(f"a PDU of type {kind} has no place here")
                return
        except AssociationRequestError as bad:
            self.spoil(f"its A-ASSOCIATE-RQ cannot be read: {bad}")
        except Exception:  # noqa: BLE001 - pynetdicom raises whatever broken bytes lead it to
            self.spoil(f"a PDU of type {kind} cannot be read")
        else:
            self.dul._recv_pdu.put(received)
            self.happened(event)

    def read_on(self, until: float) -> None:
        """Take fragments of the PDU at hand until a message is whole, or the monotonic clock says ``until``."""
        self.dimse.read_on(until)
        self.move()

    def reject(self, rejection: Rejection) -> None:
        """Reject an A-ASSOCIATE-RQ of which no more than the header has been read."""
        self._rejection = rejection
        self.dul._recv_pdu.put(RejectedRequest())
        self.happened("Evt6")

    def spoil(self, why: str) -> None:
        """Abort because of what the peer has sent; the log is told why."""
        self.complain(why)
        self.happened("Evt19")

    def happened(self, event: str) -> None:
        """Move by one event of PS3.8 Table 9-10, and by all that follow from it."""
        self.dul.event_queue.put(event)
        try:
            self.move()
        except Exception:  # noqa: BLE001 - as in `take`: some broken values are noticed only now
            self.dul.kill_dul()

    def move(self) -> None:
        """Do what is waiting to be done: answers to be sent, primitives for either side."""
        while self._answers:
            answer = self._answers.popleft()
            if answer is None:
                self._give_back()
            else:
                self._send_answer(*answer)
        while self.dul.advance() or self._hear():
            pass

    def end(self) -> None:
        """Free what is held: the connection is gone."""
        self.is_established = False
        self.dul.kill_dul()
        self.dimse.end()
        self._give_back()
        # Whoever waits for a message of the peer in another thread waits no longer.
        self.dimse.msg_queue.put((None, None))

    def serve_store(self, command: Command, context_id: int, data_set: bytes) -> None:
        """Have the handler of ``EVT_C_STORE`` keep an object, and answer when it has: as pynetdicom's service class."""
        context = self._context(context_id)
        if context is None:
            return
        request = _StoreRequest(command.message_id, command.sop_class_uid, command.sop_instance_uid, context_id)
        primitive = C_STORE()
        primitive.MessageID = request.message_id
        primitive._affected_sop_class_uid = _uid(request.sop_class_uid)
        primitive._affected_sop_instance_uid = _uid(request.sop_instance_uid)
        primitive.MoveOriginatorApplicationEntityTitle = command.move_originator
        primitive.DataSet = BytesIO(data_set)
        primitive._context_id = context_id
        try:
            status = evt.trigger(self, evt.EVT_C_STORE, {"request": primitive, "context": context.as_tuple})
        except Exception:
            log.exception("a handler of C-STORE failed")
            status = HANDLER_FAILED
        if not isinstance(status, Future):
            self._send_answer(request, int(status))
            return
        self.is_storing, self._held = True, len(data_set)
        status.add_done_callback(lambda done: self._stored(request, done))

    def refuse_store(self, command: Command, context_id: int) -> None:
        """Answer a C-STORE whose object was not even taken up."""
        if self._context(context_id) is not None:
            request = _StoreRequest(command.message_id, command.sop_class_uid, command.sop_instance_uid, context_id)
            self._send_answer(request, OUT_OF_RESOURCES)

    def serve(self, question: Any, context_id: int, size: int) -> None:
        """Have pynetdicom's service class serve any other request: an echo at once, the rest in a thread.

        ``size`` is what its data set takes of the memory, until it is answered.
        """
        context = self._context(context_id)
        if context is None:
            return
        names = (getattr(question, f"{whose}SOPClassUID", None) for whose in ("Affected", "Requested"))
        if context.abstract_syntax != SERVED.get(type(question)) or context.abstract_syntax not in names:
            self.complain(f"it asks for {type(question).__name__} where that is not served")
            self.abort()
        elif isinstance(question, C_ECHO):
            self._serve_request(question, context_id)
        else:
            self.is_answering, self._held = True, size
            self._services.submit(self._serve_one, question, context_id)

    @property
    def _is_paused(self) -> bool:
        # pynetdicom's send_* methods wait for its loop to be paused: there is none.
        return True

    @_is_paused.setter
    def _is_paused(self, value: bool) -> None:
        pass

    def _abort_blocking(self, block: bool = True) -> None:
        # Nothing to wait for: the reactor sends the abort and closes.
        super()._abort_blocking(block=False)
        self.is_established = False

    def _context(self, context_id: int) -> PresentationContext | None:
        """The accepted context of this number; without one the peer is in error and the association is aborted."""
        context = self._accepted_cx.get(context_id)
        if context is None:
            self.abort()
        return context

    def _stored(self, request: "_StoreRequest", done: "Future[int]") -> None:
        status = HANDLER_FAILED if done.exception() else done.result()
        self._answers.append((request, status))
        self.wake()

    def _send_answer(self, request: "_StoreRequest", status: int) -> None:
        self._give_back()
        answer = store_response(request.message_id, request.sop_class_uid, request.sop_instance_uid, status)
        largest = self.dimse.maximum_pdu_size or len(answer) + _PDV.size
        step = largest - _PDV.size
        for at in range(0, len(answer), step):
            last = _LAST if at + step >= len(answer) else 0
            data = P_DATA()
            part = bytes([_COMMAND | last]) + answer[at : at + step]
            data.presentation_data_value_list.append((request.context_id, part))
            self.dul.to_provider_queue.put(data)

    def _serve_one(self, question: Any, context_id: int) -> None:
        try:
            self._serve_request(question, context_id)
        finally:
            self._answers.append(None)
            self.wake()

    def _give_back(self) -> None:
        self._memory.give(self._held)
        self.is_storing, self.is_answering, self._held = False, False, 0

    def _hear(self) -> bool:
        """Do what pynetdicom's loop does with what the state machine has for its user; whether there was anything."""
        waiting = self.dul.peek_next_pdu()
        if waiting is None:
            return False
        if isinstance(waiting, A_ASSOCIATE):
            self.requestor.primitive = self.dul.receive_pdu(wait=False)
            self._negotiate()
            return True
        if self.is_released or self.is_aborted or self.is_rejected:
            return self.dul.receive_pdu(wait=False) is not None
        if self._sent_release:
            return False  # a thread of ours waits for the answer to its own request
        if self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
            return True
        if self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
            return True
        return False

    def _negotiate(self) -> None:
        if self._rejection is not None:
            self.acse.send_reject(*self._rejection)
            self.is_rejected = True
            return
        if not self._has_room():
            self.acse.send_reject(*LOCAL_LIMIT_EXCEEDED)
            evt.trigger(self, evt.EVT_REJECTED, {})
            return
        self.acse.negotiate_association()


class _UpperLayer(DULServiceProvider):
    """pynetdicom's upper layer service without its thread."""

    def __init__(self, association: EventDrivenAssociation, transport: Transport) -> None:
        super().__init__(association)
        self.socket = transport
        self.artim_timer = _SteadyTimer(None)
        # Nobody waits at these two, and nobody looks into them.
        self.event_queue: Any = queue.SimpleQueue()
        self._recv_pdu: Any = queue.SimpleQueue()

    def send_pdu(self, primitive: Any) -> None:
        super().send_pdu(primitive)
        self.assoc.wake()

    def advance(self) -> bool:
        """Let the state machine move by one event, if there is one."""
        if self.event_queue.empty() and not self._process_recv_primitive():
            return False
        event = self.event_queue.get()
        if (event, self.state_machine.current_state) in TRANSITION_TABLE:
            self.state_machine.do_action(event)
        elif event in _OF_PRIMITIVES:
            self.to_provider_queue.get()  # an answer for which it is too late
        return True


_OF_PRIMITIVES = frozenset(["Evt1", "Evt7", "Evt8", "Evt9", "Evt11", "Evt14", "Evt15"])
"""The events that stand for a primitive in ``to_provider_queue``, which the action takes from it."""


class _SteadyTimer(Timer):
    """pynetdicom's timer by a clock that nobody sets."""

    _began: float | None = None

    def start(self) -> None:
        self._began = time.monotonic()

    def stop(self) -> None:
        self._began = None

    @property
    def expired(self) -> bool:
        return self._began is not None and self.remaining < 0

    @property
    def remaining(self) -> float:
        if self.timeout is None or self._began is None:
            return 1.0
        return float(self.timeout - (time.monotonic() - self._began))


@dataclass(frozen=True, slots=True)
class _StoreRequest:
    """What the answer to a C-STORE has to repeat."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    context_id: int


@dataclass(frozen=True, slots=True)
class _Data:
    """A P-DATA-TF PDU, whose fragments are yet to be looked at."""

    pdu: bytes

    def to_primitive(self) -> "_Data":
        return self


def _uid(text: str) -> UID:
    # pydicom looks at a UID for longer than we take for the rest of a request; read_command has measured it.
    return UID(text, validation_mode=IGNORE)


class _Messages(DIMSEServiceProvider):
    """Puts messages together from their fragments, and finds who is to have them."""

    def __init__(self, association: EventDrivenAssociation, memory: Memory) -> None:
        super().__init__(association)
        self._memory = memory
        self._pdu, self._at = b"", 0
        self._begin()

    def _begin(self) -> None:
        self._encoded = bytearray()
        self._command: Command | None = None
        self._context_id = 0
        self._data_set = bytearray()
        self._size = 0
        self._fragments = 0
        self._refused = False

    @property
    def is_empty(self) -> bool:
        """Whether no message has begun."""
        return not self._fragments

    @property
    def has_more(self) -> bool:
        """Whether fragments of a PDU have not been looked at."""
        return self._at < len(self._pdu)

    def end(self) -> None:
        """Give back what an unfinished message holds."""
        self._memory.give(self._size)
        self._pdu, self._at = b"", 0
        self._begin()

    def receive_primitive(self, primitive: _Data) -> None:
        """Take one PDU; ``read_on`` looks into it."""
        self._pdu, self._at = primitive.pdu, _PDU_HEADER

    def read_on(self, until: float) -> None:
        """Take fragments (PS3.8 9.3.5.1) until a message is whole, or the monotonic clock says ``until``."""
        taken = 0
        try:
            while self.has_more and not self._take_fragment():
                taken += 1
                if taken % _LOOK_AT_CLOCK == 0 and time.monotonic() > until:
                    return
        except CommandSetError as bad:
            self.assoc.complain(f"a message cannot be read: {bad}")
            self.end()
            self.dul.event_queue.put("Evt19")

    def _take_fragment(self) -> bool:
        """Take the next fragment of the PDU; whether it is the last of a message."""
        pdu, at = self._pdu, self._at
        if len(pdu) - at < _PDV.size:
            raise CommandSetError("a PDU ends within a fragment")
        length, context_id, control = _PDV.unpack_from(pdu, at)
        after = at + 4 + length
        if length < 2 or after > len(pdu):
            raise CommandSetError("a fragment is longer than its PDU")
        fragment = pdu[at + _PDV.size : after]
        if after == len(pdu):
            self._pdu, self._at = b"", 0
        else:
            self._at = after
        self._fragments += 1
        if self._fragments > SPARE_FRAGMENTS + (len(self._encoded) + self._size) // SMALLEST_FRAGMENT:
            raise CommandSetError("it comes in too many fragments")
        if control & _COMMAND:
            return self._take_command(context_id, fragment, last=bool(control & _LAST))
        return self._take_data(fragment, last=bool(control & _LAST))

    def _take_command(self, context_id: int, fragment: bytes, *, last: bool) -> bool:
        if self._command is not None:
            raise CommandSetError("a second command set instead of a data set")
        self._encoded += fragment
        if len(self._encoded) > LONGEST_COMMAND:
            raise CommandSetError("the command set has no end")
        if last:
            self._command, self._context_id = read_command(bytes(self._encoded)), context_id
            if not self._command.has_data_set:
                self._complete(self._command)
                return True
        return False

    def _take_data(self, fragment: bytes, *, last: bool) -> bool:
        if self._command is None:
            raise CommandSetError("a data set without command set")
        if not self._refused:
            size = self._size + len(fragment)
            memory = self._memory
            within = memory.largest_object if self._command.is_store_request else memory.largest_request
            if size > within or not memory.take(len(fragment)):
                memory.give(self._size)
                self._data_set, self._size, self._refused = bytearray(), 0, True
                if not self._command.is_store_request:
                    raise CommandSetError("its data set is larger than any such request needs")
            else:
                self._data_set += fragment
                self._size = size
        if last:
            self._complete(self._command)
        return last

    def _complete(self, command: Command) -> None:
        context_id, encoded, refused = self._context_id, bytes(self._encoded), self._refused
        data_set, size = bytes(self._data_set), self._size
        self._begin()
        if command.is_cancel:
            pass  # nothing we do can be cancelled
        elif not command.is_store_request:
            self._hand_over(encoded, data_set, context_id)
        elif refused:
            self.assoc.complain("an object has no room in memory and is refused")
            self.assoc.refuse_store(command, context_id)
        else:
            self.assoc.serve_store(command, context_id, data_set)
        if not self.assoc.is_waiting:  # else it is given back with the answer
            self._memory.give(size)

    def _hand_over(self, encoded: bytes, data_set: bytes, context_id: int) -> None:
        """Let pynetdicom decode a message and serve it."""
        whole = P_DATA()
        whole.presentation_data_value_list.append((context_id, bytes([_COMMAND | _LAST]) + encoded))
        if data_set:
            whole.presentation_data_value_list.append((context_id, bytes([_LAST]) + data_set))
        message = DIMSEMessage()
        try:
            message.decode_msg(whole, self.assoc)
            primitive = message.message_to_primitive()
        except Exception:  # noqa: BLE001 - pynetdicom raises whatever broken bytes lead it to
            raise CommandSetError("pynetdicom cannot decode it") from None
        if primitive.is_valid_request:
            self.assoc.serve(primitive, context_id, len(data_set))
        elif self.msg_queue.qsize() >= MOST_ANSWERS:
            raise CommandSetError("it answers what nobody asked")
        else:
            self.msg_queue.put((context_id, primitive))
