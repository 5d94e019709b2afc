"""Who is connected, what has come, and who must go?

One thread waits for all sockets at once. A connection costs a few kilobytes until it has become an association, so
that silent, slow and half-open peers hold up nobody; TLS handshakes go on beside everything else. Everything has a
limit: the length of a PDU before a byte of it is kept, the time it may take, how many may be connected, and how much
memory all of them may fill.
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
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.transport import AddressInformation

from pipeline.edge.network.association import A_ASSOCIATE_RQ, P_DATA_TF, EventDrivenAssociation
from pipeline.edge.network.quiet import QuietLog

log = logging.getLogger(__name__)

LONGEST_REQUEST = 1 << 18
"""Bytes of an A-ASSOCIATE-RQ: 128 contexts with forty transfer syntaxes each take half of that."""

LONGEST_DATA = 1 << 20
"""Bytes of a P-DATA-TF PDU; we ask for a sixteenth, but some senders do not listen."""

MAXIMUM_PDU_SIZE = 1 << 16
"""What we ask for."""

MOST_STRANGERS = 256
"""Connections that are no association yet, or not any more."""

NEGOTIATION_SECONDS = 10
PDU_SECONDS = 30
"""How long one PDU may take from its first byte to its last, either way."""

STALLED_SECONDS = 30
"""An association in whose message nothing has been completed for so long may have to make room."""

IDLE_SECONDS = 1
"""An association that asks for nothing may have to make room after so long."""

_RECEIVE = 1 << 16
_READ_AHEAD = 1 << 20
_LOOK_SECONDS = 0.25
_BACKLOG = 512
_HEADER = struct.Struct(">BBL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an administrator may set."""

    associations: int
    associations_per_caller: int
    idle_seconds: float
    largest_object: int
    memory: int


class Reactor:
    """A listening socket and all its associations, open until ``close``."""

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        handlers: Mapping[evt.EventType, Callable[[evt.Event], Any]],
        limits: Limits,
        *,
        tls: ssl.SSLContext | None = None,
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
        self._limits, self._tls = limits, tls
        self._memory = _Memory(limits)
        self._quiet = QuietLog(log)
        self._services = ThreadPoolExecutor(4, thread_name_prefix="dicom-service")
        self._connections: set[_Connection] = set()
        self._moved: deque[_Connection] = deque()
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
        self._quiet.close()

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
                for key, events in self._selector.select(_LOOK_SECONDS if self._connections or self._closing else 1):
                    if key.fileobj is self._listening:
                        self._accept()
                    elif key.fileobj == self._alarm:
                        os.eventfd_read(self._alarm)
                    else:
                        self._guarded(key.data, key.data.ready, events)
                self._is_alarmed = False
                while self._moved:
                    connection = self._moved.popleft()
                    self._guarded(connection, connection.move)
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + _LOOK_SECONDS
                    for connection in list(self._connections):
                        self._guarded(connection, connection.look_at_the_clock, time.monotonic())
        finally:
            self._free()

    def _guarded(self, connection: "_Connection", step: Callable[..., None], *arguments: object) -> None:
        """One peer's trouble is its own."""
        if connection not in self._connections:
            return
        try:
            step(*arguments)
        except Exception:
            self._quiet.warning("fault", "a connection from %s failed and is closed", connection.host)
            log.debug("the fault", exc_info=True)
            connection.drop()

    def _accept(self) -> None:
        for _ in range(32):
            try:
                accepted, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:  # as when there are no file descriptors left
                self._quiet.warning("accept", "a connection cannot be taken: %s", error.strerror)
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
            self._quiet.warning(
                "crowd", "%s has %d open connections without association", oldest.host, crowd[oldest.host]
            )
            oldest.drop()

    def has_room(self, newcomer: "_Connection") -> bool:
        """Whether an association may be taken; one that does nothing makes room for it if it must."""
        others = [one for one in self._connections if one.association.is_established and one is not newcomer]
        caller = newcomer.caller = str(newcomer.association.requestor.primitive.calling_ae_title).strip()
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
            self._quiet.warning("idle", "%r has %d associations; an idle one makes room", idlest.caller, len(own))
            idlest.abort()
            return True
        self._quiet.warning("room", "association of %r rejected for now: all %d are at work", caller, len(crowd))
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
            elif not connection.association.is_storing:
                self._guarded(connection, connection.abort)
        return not self._connections

    def _free(self) -> None:
        for connection in list(self._connections):
            connection.drop()
        self._selector.close()
        self._listening.close()
        os.close(self._alarm)


class _Memory:
    """How much of what was received is not yet kept."""

    def __init__(self, limits: Limits) -> None:
        self.largest_object = limits.largest_object
        self._most, self._taken = limits.memory, 0

    def take(self, size: int) -> bool:
        if self._taken + size > self._most:
            return False
        self._taken += size
        return True

    def give(self, size: int) -> None:
        self._taken -= size


class _Connection:
    """One socket, and the association it carries."""

    def __init__(self, reactor: Reactor, accepted: socket.socket, address: tuple[Any, ...]) -> None:
        self._reactor = reactor
        self.host = str(address[0]).removeprefix("::ffff:")
        self.caller = ""
        self.since = self._progress = self._heard = time.monotonic()
        self._pdu_since: float | None = None
        self._sending_since: float | None = None
        self._inbox, self._outbox = bytearray(), bytearray()
        self._is_at_end = False
        self._is_closing = False
        self._events = 0
        _set_up(accepted)
        local = AddressInformation.from_tuple(accepted.getsockname())
        tls = reactor._tls
        self.socket = tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) if tls else accepted
        self._is_shaking_hands = tls is not None
        self.association = EventDrivenAssociation(
            reactor._ae,
            self,
            local=local,
            remote=AddressInformation(self.host, int(address[1])),
            handlers=reactor._handlers,
            memory=reactor._memory,
            services=reactor._services,
            wake=lambda: reactor.wake(self),
            has_room=lambda: reactor.has_room(self),
        )
        self._listen_for(selectors.EVENT_READ)

    @property
    def whose(self) -> tuple[str, str]:
        """Which caller it counts for: by address too, as anybody can send an AE title."""
        return self.caller, self.host

    @property
    def is_stranger(self) -> bool:
        """Whether it carries no association, be it not yet or not any more."""
        return not self.association.is_established

    def idle(self, now: float) -> float:
        """For how many seconds it would not be missed; 0 or less when it would."""
        if self.association.is_storing:
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
        self._listen_for(0)
        self.association.end()
        self.socket.close()

    def send(self, bytestream: bytes) -> None:
        self._outbox += bytestream

    def close(self) -> None:
        self._is_closing = True

    def _shutdown_socket(self) -> None:
        self._is_closing = True

    def ready(self, events: int) -> None:
        """Read and write as far as it goes."""
        if self._is_shaking_hands and not self._shake_hands():
            return
        if events & selectors.EVENT_READ or self._is_tls:
            self._receive()
        self.move()

    def move(self) -> None:
        """Do what can be done with what has come."""
        association = self.association
        if self._is_shaking_hands:
            if association.is_over:  # it took too long
                self.drop()
            return
        association.move()
        self._flush()
        while not (self._outbox or association.is_storing or self._is_closing):
            if association.state == "Sta13":
                self._inbox.clear()  # nothing counts any more but that the peer closes
            pdu = self._next_pdu()
            if pdu is None:
                break
            association.take(pdu)
            self._flush()
        if self._is_at_end and not association.is_storing and not self._is_closing:
            association.happened("Evt17")
        if (self._is_closing or association.is_over) and (not self._outbox or self._is_at_end):
            self.drop()
        else:
            self._listen_for(self._wanted())

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
            and not association.is_storing
            and not association.is_answering
            and now - max(self._heard, self._progress) > limits.idle_seconds
        ):
            self._give_up("has been silent for too long")

    def _give_up(self, why: str) -> None:
        self._reactor._quiet.warning(why, "association of %r at %s aborted: it %s", self.caller, self.host, why)
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
            self._reactor._quiet.warning("TLS", "%s is refused, its TLS handshake failed: %s", self.host, why)
            self.drop()
        else:
            self._is_shaking_hands = False
        return not self._is_shaking_hands

    def _receive(self) -> None:
        # TLS may hold back what it has already decrypted, and the selector does not know.
        while len(self._inbox) < _READ_AHEAD:
            try:
                received = self.socket.recv(_RECEIVE)
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
        if len(self._inbox) < _HEADER.size:
            self._pdu_since = self._pdu_since or (time.monotonic() if self._inbox else None)
            return None
        kind, _, length = _HEADER.unpack_from(self._inbox)
        longest = {A_ASSOCIATE_RQ: LONGEST_REQUEST, P_DATA_TF: LONGEST_DATA}.get(kind, LONGEST_REQUEST)
        if length > longest or (self.association.state == "Sta2" and kind == P_DATA_TF):
            self._reactor._quiet.warning(
                "length", "%s announced a PDU of type %d and %d bytes", self.host, kind, length
            )
            self._inbox.clear()
            self.association.happened("Evt19")
            return None
        whole = _HEADER.size + length
        if len(self._inbox) < whole:
            self._pdu_since = self._pdu_since or time.monotonic()
            return None
        pdu = bytes(memoryview(self._inbox)[:whole])
        del self._inbox[:whole]
        self._pdu_since, self._heard = None, time.monotonic()
        if kind != P_DATA_TF or self.association.dimse.is_empty:
            self._progress = self._heard
        return pdu

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
        reading = not self._is_at_end and len(self._inbox) < _READ_AHEAD
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
