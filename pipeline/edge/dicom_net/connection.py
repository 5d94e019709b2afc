"""One connection of the event-driven server: its socket, TLS, its time limits, and the PDUs it carries."""

import contextlib
import selectors
import socket
import ssl
import struct
import time
from typing import Any, Protocol

from pynetdicom import AE, evt

from pipeline.edge.dicom_net.acceptances import Acceptances
from pipeline.edge.dicom_net.admission import PROTOCOL_VERSION_NOT_SUPPORTED, Admit, Requestor
from pipeline.edge.dicom_net.association import EventDrivenAssociation
from pipeline.edge.dicom_net.association_requests import HEADER_SIZE, Supported, read_header
from pipeline.edge.dicom_net.bare_association import NumericAddress
from pipeline.edge.dicom_net.limits import Limits
from pipeline.edge.dicom_net.memory_budget import ConnectionMemory, MemoryBudget, Owner
from pipeline.edge.dicom_net.pdu_types import A_ABORT, A_ASSOCIATE_RQ, A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF
from pipeline.edge.dicom_net.rate_limited_log import RateLimitedLog
from pipeline.edge.dicom_net.service_thread import ServiceThread
from pipeline.edge.dicom_net.shown_certificate import certificate_names, last_day

LONGEST_REQUEST = 1 << 18
"""Bytes of an A-ASSOCIATE-RQ: 128 contexts with forty transfer syntaxes each take half of that."""

LONGEST_DATA = 1 << 20
"""Bytes of a P-DATA-TF PDU; we ask for a sixteenth, but some senders do not heed that."""

LONGEST_OTHER = 64
"""Bytes of any other PDU; they have four."""

PDU_SECONDS = 30
"""How long one PDU may take from its first byte to its last, either way."""

STALLED_SECONDS = 30
"""An association in whose message nothing has been completed for so long may have to make room."""

IDLE_SECONDS = 1
"""An association without a message under way may have to make room after so long."""

_RECEIVE = 1 << 16
_READ_AHEAD = 1 << 16
_LONG = 1 << 17
_FIRST_READ = 4_096
_HEADER = struct.Struct(">BBL")
_LONGEST = {
    A_ASSOCIATE_RQ: LONGEST_REQUEST,
    P_DATA_TF: LONGEST_DATA,
    A_RELEASE_RQ: LONGEST_OTHER,
    A_RELEASE_RP: LONGEST_OTHER,
    A_ABORT: LONGEST_OTHER,
}


class Server(Protocol):
    """What a connection needs of its server, ``EventDrivenServer``."""

    ae: AE
    handlers: dict[evt.EventType, Any]
    supported: Supported
    acceptances: Acceptances
    limits: Limits
    budget: MemoryBudget
    tls: ssl.SSLContext | None
    admit: Admit
    services: ServiceThread
    selector: selectors.BaseSelector
    rate_limited: RateLimitedLog

    def wake(self, connection: "Connection") -> None:
        """Give a connection a turn soon; may be called from any thread."""

    def has_capacity(self, newcomer: "Connection") -> bool:
        """Return whether an association may be accepted."""

    def forget(self, connection: "Connection") -> None:
        """Serve a connection no more: it is closed."""


class Connection:
    """One socket, and the association that it carries."""

    def __init__(self, server: Server, accepted: socket.socket, address: tuple[Any, ...]) -> None:
        self._server = server
        self.host = str(address[0]).removeprefix("::ffff:")
        self.caller = ""
        """The calling AE title, once it is admitted."""
        self.since = self._progress_at = self._received_at = time.monotonic()
        self.seconds_used, self.turns = 0.0, 0
        """How long it has had the thread, and how often."""
        self._pdu_since: float | None = None
        self._sending_since: float | None = None
        self._inbox, self._outbox = bytearray(), bytearray()
        self._whole = _READ_AHEAD
        self._long = 0
        self._is_at_end = self._is_gone = False
        self._is_closing = False
        self._events = 0
        accepted.setblocking(False)
        local = NumericAddress.from_tuple(accepted.getsockname())
        tls = server.tls
        self.socket = tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) if tls else accepted
        self._is_handshaking = tls is not None
        self._is_identified = False
        self._memory = ConnectionMemory(self, server.budget, server.limits)
        self.association = EventDrivenAssociation(
            server.ae,
            self,
            local=local,
            remote=NumericAddress(self.host, int(address[1])),
            handlers=server.handlers,
            memory=self._memory,
            serve_later=lambda work: server.services.submit(self.owner, work),
            wake=lambda: server.wake(self),
            has_capacity=lambda: server.has_capacity(self),
            supported=server.supported,
            acceptances=server.acceptances,
            log_problem=self.log_problem,
        )
        self._register_for(selectors.EVENT_READ)

    @property
    def owner(self) -> Owner:
        """The caller it counts for."""
        return self.caller, self.host

    def log_problem(self, why: str) -> None:
        """Log what is wrong with what came, and from whom; rate-limited by kind and host."""
        caller = f"{self.caller!r} at {self.host}" if self.caller else self.host
        kind = "".join(letter for letter in why if not letter.isdigit())  # whoever sends it chooses the numbers
        self._server.rate_limited.warning(f"{self.host} {kind}", "%s: %s", caller, why)

    @property
    def is_unassociated(self) -> bool:
        """Whether it carries no association, not yet or not any more."""
        return not self.association.is_established

    def idle(self, now: float) -> float:
        """Return for how many seconds it has been idle beyond what is usual; 0 or less when it is at work."""
        if self.association.is_waiting:
            return 0
        limit = IDLE_SECONDS if self.association.dimse.is_empty and not self._inbox else STALLED_SECONDS
        return now - self._progress_at - limit

    def abort(self) -> None:
        """Send an A-ABORT, and close once it is out."""
        self.association.abort()
        self.association.is_established = False
        self.process()

    def drop(self) -> None:
        """Close the connection at once, and free what it holds."""
        self._server.forget(self)
        self._release_long()
        self._register_for(0)
        self.association.end()
        self.socket.close()

    def send(self, bytestream: bytes) -> None:
        """Send as soon as the peer takes it; called by pynetdicom."""
        self._outbox += bytestream

    def close(self) -> None:
        """Close once everything is sent; called by pynetdicom."""
        self._is_closing = True

    def _shutdown_socket(self) -> None:
        self._is_closing = True

    def handle_events(self, events: int, until: float) -> None:
        """Read and write what the socket allows, and process it until ``until`` by the monotonic clock."""
        if self._is_handshaking and events and not self._do_handshake():
            return
        if not self._is_handshaking and (events & selectors.EVENT_READ or self._is_tls):
            self._receive()
        self.process(until)

    def process(self, until: float = 0) -> None:
        """Process what has come until ``until`` by the monotonic clock; the rest waits for another turn."""
        association = self.association
        if self._is_handshaking:
            if association.is_over:  # it took too long
                self.drop()
            return
        association.process()
        self._flush()
        while not (self._outbox or association.is_waiting or self._is_closing or self._is_gone):
            if association.state == "Sta13":
                self._inbox.clear()  # the association has ended: only that the peer closes counts
            if association.has_more:
                association.read_fragments(until)
            elif (pdu := self._next_pdu()) is not None:
                association.take_pdu(pdu)
            else:
                break
            self._flush()
            if time.monotonic() > until:
                break
        if self._is_gone and not association.is_waiting:
            self.drop()  # nobody would hear the answer to whatever else has come
            return
        if self._has_more_work():
            self._server.wake(self)
        elif self._is_at_end and not (association.is_waiting or association.has_more or self._is_closing):
            association.process_event("Evt17")
        if (self._is_closing or association.is_over) and (not self._outbox or self._is_at_end):
            self.drop()
        else:
            self._register_for(self._wanted_events())

    def _has_more_work(self) -> bool:
        """Whether there is work that no socket event will announce, because the turn was over."""
        if self._outbox or self.association.is_waiting or self._is_closing:
            return False
        if self.association.has_more or self._has_whole_pdu():
            return True
        # TLS may hold bytes that it has decrypted already, of which the selector does not know.
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0 and not self._is_at_end

    def _has_whole_pdu(self) -> bool:
        inbox = self._inbox
        return len(inbox) >= _HEADER.size and len(inbox) >= _HEADER.size + _HEADER.unpack_from(inbox)[2]

    def check_timeouts(self, now: float) -> None:
        """End the association if it has exceeded a time limit."""
        association, limits = self.association, self._server.limits
        if association.dul.artim_timer.expired:
            association.process_event("Evt18")
            self.process()
        elif self._sending_since is not None and now - self._sending_since > PDU_SECONDS:
            self._abort_late("does not take our answers")
        elif association.is_established and self._pdu_since is not None and now - self._pdu_since > PDU_SECONDS:
            self._abort_late("takes too long over one PDU")
        elif (
            association.is_established
            and not association.is_waiting
            and now - max(self._received_at, self._progress_at) > limits.idle_seconds
        ):
            self._abort_late("has been silent for too long")

    def _abort_late(self, why: str) -> None:
        self._server.rate_limited.warning(why, "association of %r at %s aborted: it %s", self.caller, self.host, why)
        self.abort()
        if self._sending_since is not None:
            self.drop()

    @property
    def _is_tls(self) -> bool:
        return isinstance(self.socket, ssl.SSLSocket)

    def _do_handshake(self) -> bool:
        assert isinstance(self.socket, ssl.SSLSocket)
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._register_for(selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._register_for(selectors.EVENT_WRITE)
        except OSError as error:
            why = getattr(error, "verify_message", None) or getattr(error, "reason", None) or "the connection ended"
            self._server.rate_limited.warning("TLS", "%s is refused, its TLS handshake failed: %s", self.host, why)
            self.drop()
        else:
            self._is_handshaking = False
            shown = self.socket.getpeercert()
            self.association.certificate = certificate_names(shown)
            self.association.certificate_ends = last_day(shown)
        return not self._is_handshaking

    def _receive(self) -> None:
        while len(self._inbox) < self._whole:
            try:
                received = self.socket.recv(_RECEIVE if self.association.is_established else _FIRST_READ)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError:
                received = b""
            if not received:
                self._is_at_end = True
                return
            self._inbox += received
            if not self._is_tls:
                # A sender that waits for the last packet to be acknowledged before it sends the next (Nagle) would
                # else wait for 40 ms; Linux forgets this setting, so it is made each time.
                with contextlib.suppress(OSError):
                    self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                return

    def _next_pdu(self) -> bytes | None:
        inbox = self._inbox
        if not self._pdu_since:
            self._release_long()  # the PDU before is read
        if len(inbox) < _HEADER.size:
            self._pdu_since = self._pdu_since or (time.monotonic() if inbox else None)
            return None
        kind, _, length = _HEADER.unpack_from(inbox)
        whole = _HEADER.size + length
        if not self._is_acceptable(kind, length):
            inbox.clear()
            return None
        if len(inbox) < whole:
            self._pdu_since = self._pdu_since or time.monotonic()
            self._whole = max(_READ_AHEAD, whole)
            if self._whole > _LONG and not self._long and not self._reserve_long(length):
                inbox.clear()
            return None
        pdu = bytes(memoryview(inbox)[:whole])
        del inbox[:whole]
        self._whole = _READ_AHEAD
        self._pdu_since, self._received_at = None, time.monotonic()
        if kind != P_DATA_TF or self.association.dimse.is_empty:
            self._progress_at = self._received_at
        return pdu

    def _reserve_long(self, length: int) -> bool:
        """Reserve memory for a long PDU; shorter ones fit into what each connection has anyway."""
        if self._memory.reserve(length):
            self._long = length
            return True
        self.association.abort_invalid("a PDU longer than we ask for has no room in memory")
        return False

    def _release_long(self) -> None:
        self._memory.release(self._long)
        self._long = 0

    def _is_acceptable(self, kind: int, length: int) -> bool:
        """Return whether a PDU may be received, judging by what is there of it; abort the association if not."""
        association = self.association
        early = association.state == "Sta2" and kind in (P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP)
        if length > _LONGEST.get(kind, 0) or early:
            association.abort_invalid(f"a PDU of type {kind} and {length} bytes has no place here")
            return False
        if kind != A_ASSOCIATE_RQ or self._is_identified or association.state != "Sta2":
            return True
        if length < HEADER_SIZE - _HEADER.size:
            association.abort_invalid("its A-ASSOCIATE-RQ cannot be read: it ends before the titles do")
            return False
        return len(self._inbox) < HEADER_SIZE or self._is_admitted()

    def _is_admitted(self) -> bool:
        """Return whether the requestor is admitted, by titles, address and certificate; reject it if not."""
        header = read_header(self._inbox)
        requestor = Requestor(
            called=header.called,
            calling=header.calling,
            host=self.host,
            certificate=self.association.certificate,
            certificate_ends=self.association.certificate_ends,
        )
        if header.is_version_1:
            rejection = self._server.admit(requestor)
        else:
            self.log_problem(f"its A-ASSOCIATE-RQ offers protocol version 0x{header.versions:04X} without version 1")
            rejection = PROTOCOL_VERSION_NOT_SUPPORTED
        if rejection is not None:
            self.association.reject(rejection)
            return False
        self.caller, self._is_identified = header.calling, True
        return True

    def _flush(self) -> None:
        while self._outbox:
            try:
                sent = self.socket.send(self._outbox)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._sending_since = self._sending_since or time.monotonic()
                return
            except OSError:
                self._outbox.clear()
                self._is_at_end = self._is_gone = True
                break
            del self._outbox[:sent]
            self._progress_at = time.monotonic()
        self._sending_since = None

    def _wanted_events(self) -> int:
        reading = not self._is_at_end and len(self._inbox) < self._whole
        return (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if self._outbox else 0)

    def _register_for(self, events: int) -> None:
        if events == self._events:
            return
        selector = self._server.selector
        if not events:
            selector.unregister(self.socket)
        elif self._events:
            selector.modify(self.socket, events, self)
        else:
            selector.register(self.socket, events, self)
        self._events = events
