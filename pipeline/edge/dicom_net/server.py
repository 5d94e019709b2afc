"""The event-driven DICOM server: one thread at a time waits for all sockets and serves each within its limits.

A connection costs a few kilobytes until it is an association, so that silent, slow and half-open peers delay nobody;
TLS handshakes go on beside everything else. Everything has a limit: the length of a PDU before a byte of it is kept,
the time it may take, the number of connections, and the memory that all of them may fill. Everything is shared: a
connection has the thread for a few milliseconds, then the caller that has used it least of late has its turn, and no
caller fills the memory alone. A requestor is admitted once its AE titles are there, before its proposal is received.
"""

import logging
import os
import select
import selectors
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from pynetdicom import AE, evt

from pipeline.edge.dicom_net.acceptances import Acceptances
from pipeline.edge.dicom_net.admission import Admit
from pipeline.edge.dicom_net.association_requests import Supported
from pipeline.edge.dicom_net.connection import Connection
from pipeline.edge.dicom_net.leader_follower import BlockingWork, LeaderFollower
from pipeline.edge.dicom_net.limits import MAXIMUM_PDU_SIZE, NEGOTIATION_SECONDS, Limits
from pipeline.edge.dicom_net.memory_budget import MemoryBudget
from pipeline.edge.dicom_net.rate_limited_log import RateLimitedLog
from pipeline.edge.dicom_net.service_thread import ServiceThread
from pipeline.edge.dicom_net.turn_order import TURN_SECONDS, TurnOrder

log = logging.getLogger(__name__)

MOST_UNASSOCIATED = 256
"""Connections that are no association yet, or not any more."""

ROUND_SECONDS = 0.004
"""After so long all sockets are polled again, so that a newcomer has its turn before those who had many."""

STORING_PAUSE_SECONDS = 0.005
"""How long others pause after each round while an object is stored of a caller that is first by far."""

LONGEST_STORING_SECONDS = 0.25
"""After so long it is the disk that is waited for, and nobody pauses for that."""

YIELD_SECONDS = 0.00005
"""How long the thread pauses after a round for the other threads of the process.

A call of the system lets go of Python's lock as well, but has it back before another thread is awake.
"""

MOST_ACCEPTED_AT_ONCE = 32
"""Connections accepted before those that are open have their turn."""

_POLL_SECONDS = 0.25
"""How often the time limits of all connections are checked."""

ALONE_SECONDS = 0.02
"""An association has the server to itself when no other one had a turn between its own for so long."""

_BACKLOG = 512

STUCK_SECONDS = 20
"""A thread that has not looked at its sockets for so long is stuck."""


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
        blocking_work: BlockingWork | None = None,
    ) -> None:
        ae.acse_timeout = NEGOTIATION_SECONDS
        ae.maximum_pdu_size = MAXIMUM_PDU_SIZE
        self.ae = ae
        # As pynetdicom stores them: one handler for each intervention event, its default where we have none.
        self.handlers: dict[evt.EventType, Any] = {
            event: (evt.get_default_handler(event), None) for event in evt._INTERVENTION_EVENTS
        } | {
            event: (handler, None) if event.is_intervention else [(handler, None)]
            for event, handler in handlers.items()
        }
        self.limits, self.tls, self.admit = limits, tls, admit
        self.supported = Supported({str(cx.abstract_syntax): cx.transfer_syntax for cx in ae.supported_contexts})
        self.acceptances = Acceptances()
        self.budget = MemoryBudget(limits.memory)
        self.rate_limited = RateLimitedLog(log)
        self.services = ServiceThread()
        self._connections: set[Connection] = set()
        self._storing: dict[Connection, float] = {}
        """The connections whose objects are being stored, and since when."""
        self._woken: deque[Connection] = deque()
        self._ready: dict[Connection, int] = {}
        self._turns = TurnOrder()
        self._closing = self._is_busy = False
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._listening = socket.create_server(address, family=family, backlog=_BACKLOG)
        self._listening.setblocking(False)
        _set_up(self._listening)
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._woken_up = select.poll()
        self._woken_up.register(self._wakeup, select.POLLIN)
        self._interrupting = threading.Lock()
        """Held to write to ``_wakeup`` and to close it: afterwards its number may be that of another file."""
        self._is_interrupted = self._is_freed = False
        self._looked_at = time.monotonic()
        self.selector.register(self._listening, selectors.EVENT_READ)
        self.selector.register(self._wakeup, selectors.EVENT_READ)
        self._blocking_work = blocking_work
        self._poll_at = self._looked_at
        self._served_last: Connection | None = None
        self._alternated_at = 0.0
        """When two associations had a turn, one after the other."""
        self._threads = LeaderFollower(self._run, name="dicom-server")
        self._threads.start()

    def close(self, *, seconds: float = 5) -> None:
        """Accept nothing more, finish the responses under way for so many seconds, and abort every association."""
        self._close_by = time.monotonic() + seconds
        self._closing = True
        self._interrupt()
        self._threads.join()
        self.services.close()
        self.rate_limited.close()

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs and has looked at its sockets lately."""
        return self._threads.is_alive and time.monotonic() - self._looked_at < STUCK_SECONDS

    def wake(self, connection: Connection) -> None:
        """Give a connection a turn soon; may be called from any thread."""
        self._woken.append(connection)
        if not self._threads.leads:
            self._interrupt()

    def forget(self, connection: Connection) -> None:
        """Serve a connection no more: it is closed."""
        self._connections.discard(connection)
        self._storing.pop(connection, None)

    def _interrupt(self) -> None:
        if not self._is_interrupted:
            with self._interrupting:
                if not self._is_freed:
                    self._is_interrupted = True
                    os.eventfd_write(self._wakeup, 1)

    def _run(self) -> None:
        """Serve all sockets until the server is closed, or until the other thread has taken over."""
        leads = True
        try:
            while leads and not (self._closing and self._is_finished()):
                self._looked_at = time.monotonic()
                if self._is_busy:
                    self._let_others_work()
                for key, events in self.selector.select(self._select_timeout()):
                    if key.fileobj is self._listening:
                        self._accept()
                    elif key.fileobj == self._wakeup:
                        os.eventfd_read(self._wakeup)
                    else:
                        self._ready[key.data] = self._ready.get(key.data, 0) | events
                self._is_interrupted = False
                self._take_woken()
                self._serve_ready()
                if time.monotonic() >= self._poll_at:
                    self._poll_at = time.monotonic() + _POLL_SECONDS
                    self._turns.forget(_POLL_SECONDS)
                    for connection in list(self._connections):
                        self._run_guarded(connection, connection.check_timeouts, time.monotonic())
                leads = self._work()
        finally:
            if self._threads.leads:
                self._free()

    def _let_others_work(self) -> None:
        """Pause between two long rounds.

        The thread that stores an object needs Python's lock a dozen times, which it has in one or two such pauses.
        """
        self._take_woken()
        lately = time.monotonic() - LONGEST_STORING_SECONDS
        storing = [one for one, since in self._storing.items() if since > lately]
        if self._ready and any(self._turns.is_first_by_far(one, self._ready) for one in storing):
            self._woken_up.poll(1000 * STORING_PAUSE_SECONDS)
        else:
            time.sleep(YIELD_SECONDS)

    def _take_woken(self) -> None:
        while self._woken:
            self._ready.setdefault(self._woken.popleft(), 0)

    def _work(self) -> bool:
        """Do what handlers have put off: here where nobody else waits; return whether this thread still leads."""
        work = self._blocking_work
        if work is None or not work.is_waiting:
            return True
        is_alone = time.monotonic() - self._alternated_at > ALONE_SECONDS
        if not is_alone or self._ready or self._woken or not self._threads.may_block:
            work.hand_over()
            return True
        if leads := self._threads.run_blocking(work.do_here):
            self._take_woken()
            self._serve_ready()  # sends the answer to what was done, before anything else: somebody waits for it
        work.report()
        return leads

    def _select_timeout(self) -> float:
        """Return how many seconds to wait for a socket."""
        if self._ready or self._woken:
            return 0
        return _POLL_SECONDS if self._connections or self._closing else 1.0

    def _serve_ready(self) -> None:
        """Give the connections that have something to do their turn, in their order."""
        began_round = now = time.monotonic()
        while self._ready and now < began_round + ROUND_SECONDS:
            one = self._ready
            connection = next(iter(one)) if len(one) == 1 else min(one, key=self._turns.rank)
            events = one.pop(connection)
            self._run_guarded(connection, connection.handle_events, events, now + TURN_SECONDS)
            began, now = now, time.monotonic()
            if connection is not self._served_last:
                if not (self._served_last is None or self._served_last.is_unassociated):
                    self._alternated_at = now
                self._served_last = connection
            self._turns.note(connection, now - began)
            if connection.association.is_storing:
                self._storing.setdefault(connection, now)
            else:
                self._storing.pop(connection, None)
        self._is_busy = now - began_round >= TURN_SECONDS

    def _run_guarded(self, connection: Connection, step: Callable[..., None], *arguments: object) -> None:
        """Run one step for a connection; drop the connection if it fails."""
        if connection not in self._connections:
            return
        try:
            step(*arguments)
        except Exception:
            self.rate_limited.warning("fault", "a connection from %s failed and is closed", connection.host)
            log.debug("the fault", exc_info=True)
            connection.drop()

    def _accept(self) -> None:
        for _ in range(MOST_ACCEPTED_AT_ONCE):
            try:
                accepted, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:  # as when there are no file descriptors left
                self.rate_limited.warning("accept", "a connection cannot be taken: %s", error.strerror)
                self._drop_one_of([one for one in self._connections if one.is_unassociated])
                return
            if _has_gone(accepted):
                accepted.close()
                continue
            unassociated = [one for one in self._connections if one.is_unassociated]
            if len(unassociated) >= MOST_UNASSOCIATED:
                self._drop_one_of(unassociated)
            try:
                connection = Connection(self, accepted, address)
            except OSError:  # gone before it began
                accepted.close()
                continue
            self._connections.add(connection)

    def _drop_one_of(self, unassociated: list[Connection]) -> None:
        """Drop the oldest connection of the host that has most."""
        if unassociated:
            crowd = Counter(one.host for one in unassociated)
            oldest = max(unassociated, key=lambda one: (crowd[one.host], -one.since))
            self.rate_limited.warning(
                "crowd", "%s has %d open connections without association", oldest.host, crowd[oldest.host]
            )
            oldest.drop()

    def has_capacity(self, newcomer: Connection) -> bool:
        """Return whether an association may be accepted; abort an idle one to make room if need be."""
        others = [one for one in self._connections if one.association.is_established and one is not newcomer]
        own = [one for one in others if one.owner == newcomer.owner]
        if len(own) >= self.limits.associations_per_caller:
            crowd = own
        elif len(others) >= self.limits.associations:
            counts = Counter(one.owner for one in others)
            most = max(counts.values())
            crowd = [one for one in others if counts[one.owner] == most]
        else:
            return True
        now = time.monotonic()
        idlest = max(crowd, key=lambda one: one.idle(now))
        if idlest.idle(now) > 0:
            self.rate_limited.warning("idle", "%r has %d associations; an idle one makes room", idlest.caller, len(own))
            idlest.abort()
            return True
        self.rate_limited.warning(
            "room", "association of %r rejected for now: all %d are at work", newcomer.caller, len(crowd)
        )
        return False

    def _is_finished(self) -> bool:
        """Abort what can be aborted after ``close``; return whether no connection is left."""
        if self._listening.fileno() != -1:
            self.selector.unregister(self._listening)
            self._listening.close()
        late = time.monotonic() > self._close_by
        for connection in list(self._connections):
            if late or connection.is_unassociated:
                connection.drop()
            elif not connection.association.is_waiting:
                self._run_guarded(connection, connection.abort)
        return not self._connections

    def _free(self) -> None:
        for connection in list(self._connections):
            connection.drop()
        self.selector.close()
        self._listening.close()
        with self._interrupting:
            self._is_freed = True
            os.close(self._wakeup)


def _set_up(listening: socket.socket) -> None:
    """Set the options that Linux hands on to each connection that is accepted (socket(7), tcp(7))."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A peer that lost its power or its network is noticed within two minutes.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def _has_gone(accepted: socket.socket) -> bool:
    """Return whether a peer has closed its connection without a word, which costs nothing more than this."""
    try:
        return not accepted.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:  # nothing has come yet, or a reset that the first turn will find
        return False
