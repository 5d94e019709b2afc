"""Serve every connection of the listening socket in turn, each within its limits.

One thread waits for all sockets at once. A connection costs a few kilobytes until it has become an association, so
that silent, slow and half-open peers hold up nobody; TLS handshakes go on beside everything else. Everything has a
limit: the length of a PDU before a byte of it is kept, the time it may take, how many may be connected, and how much
memory all of them may fill. And everything is shared: a connection has the thread for a few milliseconds, then it is
the turn of whoever has used it least of late, and no caller fills the memory alone. Who may come in is asked when the
titles are there, before a proposal is received, let alone read.
"""

import contextlib
import logging
import os
import selectors
import socket
import ssl
import struct
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.transport import AddressInformation

from pipeline.edge.dicom_net.admission import PROTOCOL_VERSION_NOT_SUPPORTED, Admit, Requestor
from pipeline.edge.dicom_net.association import (
    A_ABORT,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    P_DATA_TF,
    EventDrivenAssociation,
)
from pipeline.edge.dicom_net.association_requests import HEADER_SIZE, Supported, read_header
from pipeline.edge.dicom_net.certificate_names import certificate_names
from pipeline.edge.dicom_net.limits import MAXIMUM_PDU_SIZE, NEGOTIATION_SECONDS, Limits
from pipeline.edge.dicom_net.rate_limited_log import RateLimitedLog

log = logging.getLogger(__name__)

LONGEST_REQUEST = 1 << 18
"""Bytes of an A-ASSOCIATE-RQ: 128 contexts with forty transfer syntaxes each take half of that."""

LONGEST_DATA = 1 << 20
"""Bytes of a P-DATA-TF PDU; we ask for a sixteenth, but some senders do not listen."""

LONGEST_OTHER = 64
"""Bytes of any other PDU; they have four."""

MOST_STRANGERS = 256
"""Connections that are no association yet, or not any more."""

PDU_SECONDS = 30
"""How long one PDU may take from its first byte to its last, either way."""

STALLED_SECONDS = 30
"""An association in whose message nothing has been completed for so long may have to make room."""

IDLE_SECONDS = 1
"""An association that asks for nothing may have to make room after so long."""

TURN_SECONDS = 0.003
"""How long a connection may have the thread; what it began is finished."""

ROUND_SECONDS = 0.02
"""After so long all sockets are looked at again, so that a newcomer has its turn before those who had many."""

HALF_LIFE_SECONDS = 2.0
"""In so long half of what somebody has used of the thread is forgotten."""

_RECEIVE = 1 << 16
_READ_AHEAD = 1 << 16
_LONG = 1 << 17
_FIRST_READ = 4_096
_LOOK_SECONDS = 0.25
_BACKLOG = 512
_HEADER = struct.Struct(">BBL")
_LONGEST = {
    A_ASSOCIATE_RQ: LONGEST_REQUEST,
    P_DATA_TF: LONGEST_DATA,
    A_RELEASE_RQ: LONGEST_OTHER,
    A_RELEASE_RP: LONGEST_OTHER,
    A_ABORT: LONGEST_OTHER,
}


class EventDrivenServer:
    """A listening socket and all its associations, open until ``close``."""

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        handlers: Mapping[evt.EventType, Callable[[evt.Event], Any]],
        limits: Limits,
        *,
        tls: ssl.SSLContext | None = None,
        admit: Admit = lambda _requestor: None,
    ) -> None:
        ae.acse_timeout = NEGOTIATION_SECONDS
        ae.maximum_pdu_size = MAXIMUM_PDU_SIZE
        self._ae = ae
        # As pynetdicom keeps them: for what asks for an answer one handler, its own where we have none.
        self._handlers: dict[evt.EventType, Any] = {
            event: (evt.get_default_handler(event), None) for event in evt._INTERVENTION_EVENTS
        } | {
            event: (handler, None) if event.is_intervention else [(handler, None)]
            for event, handler in handlers.items()
        }
        self._limits, self._tls, self._admit = limits, tls, admit
        self._supported = Supported({str(cx.abstract_syntax): cx.transfer_syntax for cx in ae.supported_contexts})
        self._memory = _Memory(limits.memory)
        self._rate_limited = RateLimitedLog(log)
        self._services = ThreadPoolExecutor(4, thread_name_prefix="dicom-service")
        self._connections: set[_Connection] = set()
        self._moved: deque[_Connection] = deque()
        self._ready: dict[_Connection, int] = {}
        self._used: defaultdict[tuple[str, str], float] = defaultdict(float)
        """Seconds of the thread, by caller."""
        self._closing = False
        self._selector = selectors.DefaultSelector()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._listening = socket.create_server(address, family=family, backlog=_BACKLOG)
        self._listening.setblocking(False)
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_alarmed = False
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._alarm, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="dicom-reactor")
        self._thread.start()

    def close(self, *, seconds: float = 5) -> None:
        """Take nothing more, let what is being kept be answered for so long, and abort every association."""
        self._close_by = time.monotonic() + seconds
        self._closing = True
        self._ring()
        self._thread.join()
        self._services.shutdown(wait=False, cancel_futures=True)
        self._rate_limited.close()

    def wake(self, connection: "_Connection") -> None:
        """Have a connection looked at; from any thread."""
        self._moved.append(connection)
        if threading.current_thread() is not self._thread:
            self._ring()

    def _ring(self) -> None:
        if not self._is_alarmed:
            self._is_alarmed = True
            with contextlib.suppress(OSError):  # closed meanwhile
                os.eventfd_write(self._alarm, 1)

    def _run(self) -> None:
        look_at = time.monotonic()
        try:
            while not (self._closing and self._is_finished()):
                for key, events in self._selector.select(self._patience()):
                    if key.fileobj is self._listening:
                        self._accept()
                    elif key.fileobj == self._alarm:
                        os.eventfd_read(self._alarm)
                    else:
                        self._ready[key.data] = self._ready.get(key.data, 0) | events
                self._is_alarmed = False
                while self._moved:
                    self._ready.setdefault(self._moved.popleft(), 0)
                self._take_turns()
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + _LOOK_SECONDS
                    self._forget_what_was_used()
                    for connection in list(self._connections):
                        self._guarded(connection, connection.look_at_the_clock, time.monotonic())
        finally:
            self._free()

    def _patience(self) -> float:
        """How long to wait for a socket."""
        if self._ready or self._moved:
            return 0
        return _LOOK_SECONDS if self._connections or self._closing else 1

    def _take_turns(self) -> None:
        """Give those who have something to do their turn, first whoever has used least of the thread."""
        now = time.monotonic()
        until = now + ROUND_SECONDS
        while self._ready and now < until:
            one = self._ready
            connection = next(iter(one)) if len(one) == 1 else min(one, key=self._rank)
            events = one.pop(connection)
            self._guarded(connection, connection.ready, events, now + TURN_SECONDS)
            began, now = now, time.monotonic()
            self._used[connection.whose] += now - began
            connection.used += now - began
            connection.turns += 1

    def _rank(self, connection: "_Connection") -> tuple[float, float, float]:
        """Whose turn is next: of the caller that used least, and of its associations the one that did.

        Of strangers the one that is furthest, then the newest: in a flood the oldest have given up.
        """
        used = self._used.get(connection.whose, 0)
        if connection.is_stranger:
            return used, -connection.turns, -connection.since
        return used, connection.used, 0

    def _forget_what_was_used(self) -> None:
        factor = 0.5 ** (_LOOK_SECONDS / HALF_LIFE_SECONDS)
        for whose, used in list(self._used.items()):
            if used * factor < TURN_SECONDS / 10:
                del self._used[whose]
            else:
                self._used[whose] = used * factor

    def _guarded(self, connection: "_Connection", step: Callable[..., None], *arguments: object) -> None:
        """One peer's trouble is its own."""
        if connection not in self._connections:
            return
        try:
            step(*arguments)
        except Exception:
            self._rate_limited.warning("fault", "a connection from %s failed and is closed", connection.host)
            log.debug("the fault", exc_info=True)
            connection.drop()

    def _accept(self) -> None:
        for _ in range(32):
            try:
                accepted, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:  # as when there are no file descriptors left
                self._rate_limited.warning("accept", "a connection cannot be taken: %s", error.strerror)
                self._end_one_of([one for one in self._connections if one.is_stranger])
                return
            strangers = [one for one in self._connections if one.is_stranger]
            if len(strangers) >= MOST_STRANGERS:
                self._end_one_of(strangers)
            try:
                connection = _Connection(self, accepted, address)
            except OSError:  # gone before it began
                accepted.close()
                continue
            self._connections.add(connection)

    def _end_one_of(self, strangers: list["_Connection"]) -> None:
        """End the oldest connection of the host that has most."""
        if strangers:
            crowd = Counter(one.host for one in strangers)
            oldest = max(strangers, key=lambda one: (crowd[one.host], -one.since))
            self._rate_limited.warning(
                "crowd", "%s has %d open connections without association", oldest.host, crowd[oldest.host]
            )
            oldest.drop()

    def has_capacity(self, newcomer: "_Connection") -> bool:
        """Whether an association may be taken; one that does nothing makes room for it if it must."""
        others = [one for one in self._connections if one.association.is_established and one is not newcomer]
        own = [one for one in others if one.whose == newcomer.whose]
        if len(own) >= self._limits.associations_per_caller:
            crowd = own
        elif len(others) >= self._limits.associations:
            counts = Counter(one.whose for one in others)
            most = max(counts.values())
            crowd = [one for one in others if counts[one.whose] == most]
        else:
            return True
        now = time.monotonic()
        idlest = max(crowd, key=lambda one: one.idle(now))
        if idlest.idle(now) > 0:
            self._rate_limited.warning(
                "idle", "%r has %d associations; an idle one makes room", idlest.caller, len(own)
            )
            idlest.abort()
            return True
        self._rate_limited.warning(
            "room", "association of %r rejected for now: all %d are at work", newcomer.caller, len(crowd)
        )
        return False

    def _is_finished(self) -> bool:
        """Whether everything is said after ``close``."""
        if self._listening.fileno() != -1:
            self._selector.unregister(self._listening)
            self._listening.close()
        late = time.monotonic() > self._close_by
        for connection in list(self._connections):
            if late or connection.is_stranger:
                connection.drop()
            elif not connection.association.is_waiting:
                self._guarded(connection, connection.abort)
        return not self._connections

    def _free(self) -> None:
        for connection in list(self._connections):
            connection.drop()
        self._selector.close()
        self._listening.close()
        os.close(self._alarm)


class _Memory:
    """How much of what was received is not yet kept, and whose it is."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0
        self._of: Counter[tuple[str, str]] = Counter()

    def take(self, whose: tuple[str, str], size: int) -> bool:
        """Take so much for one caller, if there is room.

        Once half of all is taken, each may hold as much as were left for everybody if one caller more came.
        """
        own, taken = self._of[whose] + size, self._taken + size
        crowded = taken > self._most // 2 and own > self._most // (len(self._of) + 1)
        if taken > self._most or crowded:
            self.give(whose, 0)
            return False
        self._of[whose], self._taken = own, taken
        return True

    def give(self, whose: tuple[str, str], size: int) -> None:
        """Give so much of it back."""
        self._taken -= size
        self._of[whose] -= size
        if not self._of[whose]:
            del self._of[whose]


class _Share:
    """One connection's share of the memory."""

    def __init__(self, connection: "_Connection", memory: _Memory, limits: Limits) -> None:
        self.largest_object, self.largest_request = limits.largest_object, limits.largest_request
        self._connection, self._memory = connection, memory

    def take(self, size: int) -> bool:
        return self._memory.take(self._connection.whose, size)

    def give(self, size: int) -> None:
        if size:
            self._memory.give(self._connection.whose, size)


class _Connection:
    """One socket, and the association it carries."""

    def __init__(self, reactor: EventDrivenServer, accepted: socket.socket, address: tuple[Any, ...]) -> None:
        self._reactor = reactor
        self.host = str(address[0]).removeprefix("::ffff:")
        self.caller = ""
        """The calling AE title, once it is let in."""
        self.since = self._progress = self._heard = time.monotonic()
        self.used, self.turns = 0.0, 0
        """Seconds of the thread, and how often it had it."""
        self._pdu_since: float | None = None
        self._sending_since: float | None = None
        self._inbox, self._outbox = bytearray(), bytearray()
        self._whole = _READ_AHEAD
        self._long = 0
        self._is_at_end = False
        self._is_closing = False
        self._events = 0
        _set_up(accepted)
        local = AddressInformation.from_tuple(accepted.getsockname())
        tls = reactor._tls
        self.socket = tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) if tls else accepted
        self._is_shaking_hands = tls is not None
        self._is_known = False
        self._share = _Share(self, reactor._memory, reactor._limits)
        self.association = EventDrivenAssociation(
            reactor._ae,
            self,
            local=local,
            remote=AddressInformation(self.host, int(address[1])),
            handlers=reactor._handlers,
            memory=self._share,
            services=reactor._services,
            wake=lambda: reactor.wake(self),
            has_capacity=lambda: reactor.has_capacity(self),
            supported=reactor._supported,
            complain=self.complain,
        )
        self._listen_for(selectors.EVENT_READ)

    @property
    def whose(self) -> tuple[str, str]:
        """Which caller it counts for: by address too, as anybody can send an AE title."""
        return self.caller, self.host

    def complain(self, why: str) -> None:
        """Tell the log what is wrong with what came, and from whom; of one kind and host not too often."""
        caller = f"{self.caller!r} at {self.host}" if self.caller else self.host
        kind = "".join(letter for letter in why if not letter.isdigit())  # whoever sends it chooses the numbers
        self._reactor._rate_limited.warning(f"{self.host} {kind}", "%s: %s", caller, why)

    @property
    def is_stranger(self) -> bool:
        """Whether it carries no association, be it not yet or not any more."""
        return not self.association.is_established

    def idle(self, now: float) -> float:
        """For how many seconds it would not be missed; 0 or less when it would."""
        if self.association.is_waiting:
            return 0
        patience = IDLE_SECONDS if self.association.dimse.is_empty and not self._inbox else STALLED_SECONDS
        return now - self._progress - patience

    def abort(self) -> None:
        """End the association as DICOM would have it."""
        self.association.abort()
        self.association.is_established = False
        self.move()

    def drop(self) -> None:
        """End the connection at once."""
        self._reactor._connections.discard(self)
        self._give_back_long()
        self._listen_for(0)
        self.association.end()
        self.socket.close()

    def send(self, bytestream: bytes) -> None:
        self._outbox += bytestream

    def close(self) -> None:
        self._is_closing = True

    def _shutdown_socket(self) -> None:
        self._is_closing = True

    def ready(self, events: int, until: float) -> None:
        """Read and write as far as it goes, and do what can be done until the monotonic clock says ``until``."""
        if self._is_shaking_hands and events and not self._shake_hands():
            return
        if not self._is_shaking_hands and (events & selectors.EVENT_READ or self._is_tls):
            self._receive()
        self.move(until)

    def move(self, until: float = 0) -> None:
        """Do what can be done with what has come; the rest is done in another turn."""
        association = self.association
        if self._is_shaking_hands:
            if association.is_over:  # it took too long
                self.drop()
            return
        association.move()
        self._flush()
        while not (self._outbox or association.is_waiting or self._is_closing):
            if association.state == "Sta13":
                self._inbox.clear()  # nothing counts any more but that the peer closes
            if association.has_more:
                association.read_on(until)
            elif (pdu := self._next_pdu()) is not None:
                association.take(pdu)
            else:
                break
            self._flush()
            if time.monotonic() > until:
                break
        if self._could_go_on():
            self._reactor.wake(self)
        elif self._is_at_end and not (association.is_waiting or association.has_more or self._is_closing):
            association.happened("Evt17")
        if (self._is_closing or association.is_over) and (not self._outbox or self._is_at_end):
            self.drop()
        else:
            self._listen_for(self._wanted())

    def _could_go_on(self) -> bool:
        """Whether there is more to do that no socket will tell of: its turn is over."""
        if self._outbox or self.association.is_waiting or self._is_closing:
            return False
        if self.association.has_more or self._has_whole_pdu():
            return True
        # TLS may hold back what it has already decrypted, and the selector does not know.
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0 and not self._is_at_end

    def _has_whole_pdu(self) -> bool:
        inbox = self._inbox
        return len(inbox) >= _HEADER.size and len(inbox) >= _HEADER.size + _HEADER.unpack_from(inbox)[2]

    def look_at_the_clock(self, now: float) -> None:
        """Tell the association what time has brought."""
        association, limits = self.association, self._reactor._limits
        if association.dul.artim_timer.expired:
            association.happened("Evt18")
            self.move()
        elif self._sending_since is not None and now - self._sending_since > PDU_SECONDS:
            self._give_up("does not take our answers")
        elif association.is_established and self._pdu_since is not None and now - self._pdu_since > PDU_SECONDS:
            self._give_up("takes too long over one PDU")
        elif (
            association.is_established
            and not association.is_waiting
            and now - max(self._heard, self._progress) > limits.idle_seconds
        ):
            self._give_up("has been silent for too long")

    def _give_up(self, why: str) -> None:
        self._reactor._rate_limited.warning(why, "association of %r at %s aborted: it %s", self.caller, self.host, why)
        self.abort()
        if self._sending_since is not None:
            self.drop()

    @property
    def _is_tls(self) -> bool:
        return isinstance(self.socket, ssl.SSLSocket)

    def _shake_hands(self) -> bool:
        assert isinstance(self.socket, ssl.SSLSocket)
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._listen_for(selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._listen_for(selectors.EVENT_WRITE)
        except OSError as error:
            why = getattr(error, "verify_message", None) or getattr(error, "reason", None) or "the connection ended"
            self._reactor._rate_limited.warning("TLS", "%s is refused, its TLS handshake failed: %s", self.host, why)
            self.drop()
        else:
            self._is_shaking_hands = False
            self.association.certificate = certificate_names(self.socket.getpeercert())
        return not self._is_shaking_hands

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
            self._give_back_long()  # the PDU before is read
        if len(inbox) < _HEADER.size:
            self._pdu_since = self._pdu_since or (time.monotonic() if inbox else None)
            return None
        kind, _, length = _HEADER.unpack_from(inbox)
        whole = _HEADER.size + length
        if not self._may_come(kind, length):
            inbox.clear()
            return None
        if len(inbox) < whole:
            self._pdu_since = self._pdu_since or time.monotonic()
            self._whole = max(_READ_AHEAD, whole)
            if self._whole > _LONG and not self._long and not self._take_long(length):
                inbox.clear()
            return None
        pdu = bytes(memoryview(inbox)[:whole])
        del inbox[:whole]
        self._whole = _READ_AHEAD
        self._pdu_since, self._heard = None, time.monotonic()
        if kind != P_DATA_TF or self.association.dimse.is_empty:
            self._progress = self._heard
        return pdu

    def _take_long(self, length: int) -> bool:
        """Count a long PDU as memory; the others fit into what is set aside for each connection."""
        if self._share.take(length):
            self._long = length
            return True
        self.association.spoil("a PDU longer than we ask for has no room in memory")
        return False

    def _give_back_long(self) -> None:
        self._share.give(self._long)
        self._long = 0

    def _may_come(self, kind: int, length: int) -> bool:
        """Whether a PDU is worth waiting for, as far as what is there of it tells; if not, the connection ends."""
        association = self.association
        early = association.state == "Sta2" and kind in (P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP)
        if length > _LONGEST.get(kind, 0) or early:
            association.spoil(f"a PDU of type {kind} and {length} bytes has no place here")
            return False
        if kind != A_ASSOCIATE_RQ or self._is_known or association.state != "Sta2":
            return True
        if length < HEADER_SIZE - _HEADER.size:
            association.spoil("its A-ASSOCIATE-RQ cannot be read: it ends before the titles do")
            return False
        return len(self._inbox) < HEADER_SIZE or self._is_let_in()

    def _is_let_in(self) -> bool:
        """Whether who asks for an association may have one, as far as its titles, address and certificate tell."""
        header = read_header(self._inbox)
        certificate = self.association.certificate
        requestor = Requestor(called=header.called, calling=header.calling, host=self.host, certificate=certificate)
        if header.is_version_1:
            rejection = self._reactor._admit(requestor)
        else:
            self.complain(f"its A-ASSOCIATE-RQ offers protocol version 0x{header.versions:04X} without version 1")
            rejection = PROTOCOL_VERSION_NOT_SUPPORTED
        if rejection is not None:
            self.association.reject(rejection)
            return False
        self.caller, self._is_known = header.calling, True
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
                self._is_at_end = True
                break
            del self._outbox[:sent]
            self._progress = time.monotonic()
        self._sending_since = None

    def _wanted(self) -> int:
        reading = not self._is_at_end and len(self._inbox) < self._whole
        return (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if self._outbox else 0)

    def _listen_for(self, events: int) -> None:
        if events == self._events:
            return
        selector = self._reactor._selector
        if not events:
            selector.unregister(self.socket)
        elif self._events:
            selector.modify(self.socket, events, self)
        else:
            selector.register(self.socket, events, self)
        self._events = events


def _set_up(accepted: socket.socket) -> None:
    accepted.setblocking(False)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A peer that lost its power or its network is noticed within two minutes.
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
