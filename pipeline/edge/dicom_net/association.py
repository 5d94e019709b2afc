"""The event-driven association: pynetdicom's acceptor without a thread of its own and without polling.

The state machine (PS3.8 Table 9-10), the negotiation, the PDUs, the events and their handlers stay pynetdicom's.
Replaced are the two loops around them, which sleep a millisecond at a time, and the encoding of C-STORE. A handler of
``EVT_C_STORE`` may return a ``Future`` of its status, so that waiting for the disk delays nobody. All of it runs in the
server's thread, but for the handlers of other services, which have a thread of their own.

It uses private names of pynetdicom (``tests/edge/dicom_net/test_private_names.py`` lists them). The retreat is
``pipeline.edge.dicom_net.pynetdicom_server``.
"""

import functools
import logging
import struct
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Any

from pydicom.config import IGNORE
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_ECHO, C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification
from pynetdicom.transport import AddressInformation

from pipeline.edge.dicom_net.acceptances import Acceptance, Acceptances
from pipeline.edge.dicom_net.admission import LOCAL_LIMIT_EXCEEDED, Rejection
from pipeline.edge.dicom_net.association_requests import AssociationRequestError, RejectedRequest, Request, Supported
from pipeline.edge.dicom_net.bare_association import BareAssociation
from pipeline.edge.dicom_net.command_set import Command, store_response
from pipeline.edge.dicom_net.message_assembler import COMMAND, LAST, PDV_HEADER, DataPdu, Memory, MessageAssembler
from pipeline.edge.dicom_net.pdu_types import A_ABORT, A_ASSOCIATE_RQ, A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF
from pipeline.edge.dicom_net.service_thread import Work
from pipeline.edge.dicom_net.statuses import HANDLER_FAILED, OUT_OF_RESOURCES
from pipeline.edge.dicom_net.upper_layer import EventDrivenUpperLayer, Transport

log = logging.getLogger(__name__)

SERVED: Mapping[type, UID] = {
    C_ECHO: Verification,
    N_ACTION: StorageCommitmentPushModel,
    N_EVENT_REPORT: StorageCommitmentPushModel,
}
"""Requests other than C-STORE that are served, each with the SOP class it belongs to."""

_RESPONSE_HEADER = struct.Struct(">BxLLBB")
"""A P-DATA-TF PDU of one fragment (PS3.8 9.3.5): type, length, length of the item, context ID, control header."""

_TAKES_DATA = ("Sta6", "Sta7")
"""The states in which a P-DATA-TF PDU may come (PS3.8 Table 9-10)."""


class EventDrivenAssociation(BareAssociation):
    """One association, as acceptor; it is processed when a PDU, the end of the connection or a response comes."""

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
        serve_later: Callable[[Work], object],
        wake: Callable[[], None],
        has_capacity: Callable[[], bool],
        supported: Supported,
        acceptances: Acceptances,
        log_problem: Callable[[str], None],
    ) -> None:
        super().__init__(ae)
        self.wake = wake
        self.log_problem = log_problem
        self.is_storing = self.is_answering = False
        self.certificate: frozenset[str] = frozenset()
        """The names in the peer's certificate, where it has shown one."""
        self.certificate_ends: date | None = None
        """The last day of that certificate."""
        self._serve_later = serve_later
        self._has_capacity = has_capacity
        self._supported, self._acceptances = supported, acceptances
        self._rejection: Rejection | None = None
        self._responses: deque[tuple[_StoreRequest, int] | None] = deque()
        self._memory, self._held = memory, 0
        self._is_observed = False
        self._handlers = handlers
        self.dul = EventDrivenUpperLayer(self, transport)
        self.dul.artim_timer.timeout = ae.acse_timeout
        self.dimse = MessageAssembler(self, memory)
        self.acceptor.address_info = local
        self.requestor.address_info = remote
        self.process_event("Evt5")

    @property
    def state(self) -> str:
        """The state of the state machine, ``Sta1`` to ``Sta13``."""
        return str(self.dul.state_machine.current_state)

    @property
    def is_over(self) -> bool:
        """Whether the connection is to be closed once everything is sent."""
        return bool(self.dul._kill_thread)

    @property
    def is_waiting(self) -> bool:
        """Whether a response of ours is outstanding, before which nothing more is taken."""
        return self.is_storing or self.is_answering

    @property
    def has_more(self) -> bool:
        """Whether the PDU taken last holds fragments that are yet to be taken."""
        return self.state in _TAKES_DATA and self.dimse.has_more

    def take_pdu(self, pdu: bytes) -> None:
        """Take one whole PDU; the fragments of a P-DATA-TF wait for ``read_fragments``."""
        kind = pdu[0]
        if kind == P_DATA_TF and self.state == "Sta6":
            self.dimse.receive_primitive(DataPdu(pdu))  # all that action DT-2 does
            return
        try:
            received: Any
            if kind == P_DATA_TF:
                received, event = DataPdu(pdu), "Evt10"
            elif kind == A_ASSOCIATE_RQ and self.state == "Sta2":
                known = self._acceptances.find(pdu)
                if known is not None and self._has_capacity():
                    self._accept(known)
                    return
                received, event = Request(pdu, self._supported), "Evt6"
            elif kind in (A_RELEASE_RQ, A_RELEASE_RP, A_ABORT):
                received, event = self.dul._decode_pdu(pdu)
            else:
                self.abort_invalid(f"a PDU of type {kind} has no place here")
                return
        except AssociationRequestError as bad:
            self.abort_invalid(f"its A-ASSOCIATE-RQ cannot be read: {bad}")
        except Exception:  # noqa: BLE001 - pynetdicom raises whatever broken bytes lead it to
            self.abort_invalid(f"a PDU of type {kind} cannot be read")
        else:
            self.dul._recv_pdu.put(received)
            self.process_event(event)
            if kind == A_ASSOCIATE_RQ and self.is_established:
                self._keep_acceptance(pdu)

    def read_fragments(self, until: float) -> None:
        """Take fragments of the PDU at hand until a message is whole, or until ``until`` by the monotonic clock."""
        self.dimse.read_fragments(until)
        self.process()

    def reject(self, rejection: Rejection) -> None:
        """Reject an A-ASSOCIATE-RQ of which only the header has been read."""
        self._rejection = rejection
        self.dul._recv_pdu.put(RejectedRequest())
        self.process_event("Evt6")

    def abort_invalid(self, why: str) -> None:
        """Abort because of what the peer has sent, and log why."""
        self.log_problem(why)
        self.process_event("Evt19")

    def process_event(self, event: str) -> None:
        """Process one event of PS3.8 Table 9-10, and all that follow from it."""
        self.dul.event_queue.put(event)
        try:
            self.process()
        except Exception:  # noqa: BLE001 - as in `take_pdu`: some broken values are noticed only now
            self.dul.kill_dul()

    def process(self) -> None:
        """Process what is waiting: responses to be sent, primitives for either side."""
        while self._responses:
            response = self._responses.popleft()
            if response is None:
                self._release_held()
            else:
                self._send_response(*response)
        while self.dul.advance() or self._process_primitive():
            pass

    def end(self) -> None:
        """Release what is held: the connection is gone."""
        self.is_established = False
        self.dul.kill_dul()
        self.dimse.end()
        self._release_held()
        # A thread that waits for a message of the peer waits no longer.
        self.dimse.msg_queue.put((None, None))

    def serve_store(self, command: Command, context_id: int, data_set: bytes) -> None:
        """Have the handler of ``EVT_C_STORE`` store an object, and respond once it has."""
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
            self._send_response(request, int(status))
            return
        self.is_storing, self._held = True, len(data_set)
        status.add_done_callback(lambda done: self._stored(request, done))

    def refuse_store(self, command: Command, context_id: int) -> None:
        """Respond to a C-STORE whose object had no room in memory."""
        if self._context(context_id) is not None:
            request = _StoreRequest(command.message_id, command.sop_class_uid, command.sop_instance_uid, context_id)
            self._send_response(request, OUT_OF_RESOURCES)

    def serve(self, request: Any, context_id: int, size: int) -> None:
        """Have pynetdicom's service class serve any other request: an echo at once, the rest in a thread.

        ``size`` is what its data set has reserved of the memory, in bytes, until the response.
        """
        context = self._context(context_id)
        if context is None:
            return
        names = (getattr(request, f"{whose}SOPClassUID", None) for whose in ("Affected", "Requested"))
        if context.abstract_syntax != SERVED.get(type(request)) or context.abstract_syntax not in names:
            self.log_problem(f"it asks for {type(request).__name__} where that is not served")
            self.abort()
        elif isinstance(request, C_ECHO):
            self._serve_request(request, context_id)
        else:
            self.is_answering, self._held = True, size
            self._serve_later(functools.partial(self._serve_in_thread, request, context_id))

    def bind(self, event: evt.EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Bind a handler to an event of this association alone: all of a server share one mapping until then."""
        self._handlers = {known: list(of) if isinstance(of, list) else of for known, of in self._handlers.items()}
        self._is_observed = True
        super().bind(event, handler, args)

    @property
    def _is_paused(self) -> bool:
        # pynetdicom's send_* methods wait until its loop is paused: there is none.
        return True

    @_is_paused.setter
    def _is_paused(self, value: bool) -> None:
        pass

    def _abort_blocking(self, block: bool = True) -> None:
        # There is nothing to wait for: the server sends the abort and closes.
        super()._abort_blocking(block=False)
        self.is_established = False

    def _context(self, context_id: int) -> PresentationContext | None:
        """Return the accepted context of this number; abort the association where there is none."""
        context = self._accepted_cx.get(context_id)
        if context is None:
            self.abort()
        return context

    def _stored(self, request: "_StoreRequest", done: "Future[int]") -> None:
        status = HANDLER_FAILED if done.exception() else done.result()
        self._responses.append((request, status))
        self.wake()

    def _send_response(self, request: "_StoreRequest", status: int) -> None:
        self._release_held()
        response = store_response(request.message_id, request.sop_class_uid, request.sop_instance_uid, status)
        largest = self._longest_sent or len(response) + PDV_HEADER.size
        step = largest - PDV_HEADER.size
        if len(response) <= step and self._sends_at_once:
            size = len(response) + 2
            header = _RESPONSE_HEADER.pack(P_DATA_TF, size + 4, size, request.context_id, COMMAND | LAST)
            self.dul.socket.send(header + response)
            return
        for at in range(0, len(response), step):
            last = LAST if at + step >= len(response) else 0
            data = P_DATA()
            part = bytes([COMMAND | last]) + response[at : at + step]
            data.presentation_data_value_list.append((request.context_id, part))
            self.dul.to_provider_queue.put(data)

    @functools.cached_property
    def _longest_sent(self) -> int:
        """The longest P-DATA-TF PDU that the peer takes, 0 for any; pynetdicom searches the request for it."""
        return int(self.dimse.maximum_pdu_size)

    @property
    def _sends_at_once(self) -> bool:
        """Whether the state machine would do nothing but send the next P-DATA-TF (action DT-1), and nobody looks on."""
        return self.state == "Sta6" and not self._is_observed and self.dul.to_provider_queue.empty()

    def _serve_in_thread(self, request: Any, context_id: int) -> None:
        try:
            self._serve_request(request, context_id)
        finally:
            self._responses.append(None)
            self.wake()

    def _release_held(self) -> None:
        self._memory.release(self._held)
        self.is_storing, self.is_answering, self._held = False, False, 0

    def _process_primitive(self) -> bool:
        """Process one primitive as pynetdicom's loop does; return whether there was one."""
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
            return False  # a thread of ours waits for the response to its own release
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
        if not self._has_capacity():
            self.acse.send_reject(*LOCAL_LIMIT_EXCEEDED)
            evt.trigger(self, evt.EVT_REJECTED, {})
            return
        self.acceptor.maximum_length = self.ae.maximum_pdu_size
        self.acceptor.ae_title = self.ae.ae_title
        self.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        self.acceptor.implementation_version_name = self.ae.implementation_version_name
        self.acceptor.supported_contexts = self.ae.supported_contexts
        self.acse.negotiate_association()

    def _keep_acceptance(self, request: bytes) -> None:
        answer = self.acceptor.primitive
        acceptance = Acceptance(
            request=self.requestor.primitive,
            answer=answer,
            encoded=A_ASSOCIATE_AC(answer).encode(),
            accepted=self._accepted_cx,
            rejected=tuple(self._rejected_cx),
        )
        self._acceptances.add(request, acceptance)

    def _accept(self, acceptance: Acceptance) -> None:
        """Accept a request as before: all that actions AE-6 and AE-7 of the state machine and pynetdicom's ACSE do."""
        self.dul.artim_timer.stop()
        self.requestor.primitive, self.acceptor.primitive = acceptance.request, acceptance.answer
        self.requestor.ae_title = acceptance.request.calling_ae_title
        self._accepted_cx, self._rejected_cx = dict(acceptance.accepted), list(acceptance.rejected)
        self.dul.socket.send(acceptance.encoded)
        self.dul.state_machine.current_state = "Sta6"
        evt.trigger(self, evt.EVT_ACCEPTED, {})
        self.is_established = True
        evt.trigger(self, evt.EVT_ESTABLISHED, {})


@dataclass(frozen=True, slots=True)
class _StoreRequest:
    """What the response to a C-STORE has to repeat."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    context_id: int


def _uid(text: str) -> UID:
    # pydicom's validation takes longer than the rest of a request; read_command has checked its length.
    return UID(text, validation_mode=IGNORE)
