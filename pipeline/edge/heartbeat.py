"""Heartbeat of a process: its row in the store, renewed while it lives, that tells whether the part is alive.

It is one small row, written every ``RENEW_SECONDS`` and never by a thread that does the work.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection

from pipeline.edge.store import processes, work_queue
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.processes import Fingerprint, ProcessState
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

RENEW_SECONDS = 15

LOOK_SECONDS = 3
"""How often a process looks whether its row is due; not just once, as the clock may be set meanwhile."""


class AlreadyRunningError(DxatrendError):
    """A part of which a store has only one runs already; the text says where."""


def require_alone(database: Database, part: str) -> None:
    """Register this process as the only one of its part, over all machines that share the store.

    One that was killed is in nobody's way: on this machine at once, on another one when it was silent for a minute.

    Raises:
        AlreadyRunningError: another one lives.
        StoreError: the database could not be queried.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        other = processes.register_alone(connection, part, at=now)
    if other is not None:
        raise AlreadyRunningError(
            f"dxatrend serve already runs on this store: process {other.pid} on {other.host}, since "
            f"{other.since:%Y-%m-%d %H:%M} UTC. Stop it first (systemctl stop dxatrend, or kill {other.pid} there); "
            f"if that machine is gone for good, wait {processes.STALE.seconds} seconds."
        )


def is_running_here(database: Database, part: str) -> bool:
    """Return whether a process of a part lives on this machine."""
    try:
        with database.read() as connection:
            found = processes.on_file(connection, at=datetime.now(UTC))
    except StoreError:
        return False
    return any(one.is_alive and one.part == part and one.host == work_queue.host() for one in found)


class Heartbeat:
    """The row of one process: of this one, or of another ``owner`` that this one looks after."""

    def __init__(
        self,
        database: Database,
        part: str,
        fingerprint: Callable[[], Fingerprint | None] = lambda: None,
        *,
        owner: str | None = None,
    ) -> None:
        self._database = database
        self._part = part
        self._fingerprint = fingerprint
        self._owner = owner
        self._beat_at: datetime | None = None

    def begin(self) -> None:
        """Register the process; where the database is away, the next beat does that."""
        self._try(lambda connection, now: self._register(connection, now))

    @property
    def is_due(self) -> bool:
        """Whether the row is to be renewed now."""
        return self._beat_at is None or abs((datetime.now(UTC) - self._beat_at).total_seconds()) >= RENEW_SECONDS

    def beat_if_due(self) -> None:
        """Renew the row every ``RENEW_SECONDS``; register once more a process that counted as dead."""
        if self.is_due:
            self._try(self._renew)

    def end(self, failure: str = "", *, at: datetime | None = None) -> None:
        """Record that the process was stopped, or ended by itself because of a ``failure``, now or at another time."""
        self._record_end(ProcessState.ENDED if failure else ProcessState.STOPPED, failure, at)

    def rest(self) -> None:
        """Record that the process has ended for another one to take its place."""
        self._record_end(ProcessState.RESTED, "")

    def cannot_start(self, reason: str) -> None:
        """Record why the process cannot begin its work."""
        self._record_end(ProcessState.CANNOT_START, reason)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the row renewed by a thread while the block lasts."""
        self.begin()
        ended = threading.Event()
        thread = threading.Thread(target=self._keep, args=(ended,), name=f"heartbeat of {self._part}", daemon=True)
        thread.start()
        failure = ""
        try:
            yield
        except Exception as error:
            failure = type(error).__name__
            raise
        finally:
            ended.set()
            thread.join()
            self.end(failure)

    def _keep(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_SECONDS):
            self.beat_if_due()

    def _register(self, connection: Connection, now: datetime) -> None:
        processes.register(connection, self._part, self._fingerprint(), at=now, owner=self._owner)

    def _renew(self, connection: Connection, now: datetime) -> None:
        if not processes.renew(connection, self._part, at=now, owner=self._owner):
            self._register(connection, now)

    def _record_end(self, state: ProcessState, reason: str, at: datetime | None = None) -> None:
        self._try(
            lambda connection, now: processes.record_end(
                connection, self._part, state, reason=reason, at=at or now, owner=self._owner
            )
        )

    def _try(self, write: Callable[[Connection, datetime], None]) -> None:
        now = datetime.now(UTC)
        try:
            with self._database.write() as connection:
                write(connection, now)
            self._beat_at = now
        except StoreError as failure:  # the work goes on; the row becomes stale by itself
            log.error("the store does not know how the %s is: %s", self._part, failure)
