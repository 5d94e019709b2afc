"""What the supervisor knows of its children, written to the store by a thread: the supervisor waits for no database.

Our own processes tell the store themselves that they live. What they cannot tell is that they were killed,
or ended before they could write; and the Prefect server writes nothing at all.

The thread and its connection are there only while there is something to write: a process with another thread, or with
an open database, may not be copied, and children are copies of the supervisor.
"""

import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from pipeline.edge.heartbeat import Heartbeat
from pipeline.edge.store import work_queue
from pipeline.edge.store.database import Database

FINISH_SECONDS = 5.0
"""How long the supervisor goes on to write at its end. Where the store is locked, each report waits for ten seconds,
and whoever stops the service does not wait for all of them."""


class ChildReports:
    """Reports of one supervisor on its children; its methods return at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owners: dict[str, str] = {}
        self._silent: dict[str, Heartbeat] = {}
        self._own = Heartbeat(database, "supervisor")
        self._todo: deque[Callable[[], None]] = deque([self._own.begin])
        self._writer: threading.Thread | None = None
        self._until = math.inf
        """Until when, by the monotonic clock, anything more is begun to be written."""

    def started(self, part: str, pid: int, *, speaks_for_itself: bool) -> None:
        """Report that a child was started; one that does not speak for itself gets a heartbeat from here."""
        self._owners[part] = work_queue.owner(pid)
        if not speaks_for_itself:
            heartbeat = self._of(part)
            self._silent[part] = heartbeat
            self._todo.append(heartbeat.begin)

    def ended(self, part: str, status: int) -> None:
        """Report that a child has ended by itself."""
        heartbeat, failure, now = self._of(part), _ending(status), datetime.now(UTC)
        self._silent.pop(part, None)
        self._todo.append(lambda: heartbeat.end(failure, at=now))  # its successor may be faster than this is written

    def cannot_start(self, part: str, reason: str) -> None:
        """Report why a child cannot be started now."""
        heartbeat = self._of(part)
        self._todo.append(lambda: heartbeat.cannot_start(reason))

    def stopped(self, part: str) -> None:
        """Report that a child was told to stop."""
        heartbeat = self._of(part)
        self._silent.pop(part, None)
        self._todo.append(heartbeat.end)

    def write_soon(self) -> None:
        """Have a thread write what was reported, and the heartbeats of the supervisor and of silent children."""
        beats = any(heartbeat.is_due for heartbeat in self._heartbeats())
        if (self._todo or beats) and (self._writer is None or not self._writer.is_alive()):
            self._writer = threading.Thread(target=self._write, name="reports on children")
            self._writer.start()

    def finish(self) -> None:
        """Write what was reported so far, and that the supervisor ends; no more where the store is locked."""
        self._todo.append(self._own.end)
        self._until = time.monotonic() + FINISH_SECONDS
        if self._writer is not None:
            self._writer.join()
        self._write()

    def _write(self) -> None:
        try:
            for heartbeat in self._heartbeats():
                if time.monotonic() < self._until:
                    heartbeat.beat_if_due()
            while self._todo and time.monotonic() < self._until:
                self._todo.popleft()()
        finally:
            self._database.close()

    def _heartbeats(self) -> tuple[Heartbeat, ...]:
        return (self._own, *self._silent.copy().values())

    def _of(self, part: str) -> Heartbeat:
        return Heartbeat(self._database, part, owner=self._owners.get(part, work_queue.owner(0)))


def _ending(status: int) -> str:
    """Return how a child has ended, as a person would say it."""
    if status >= 0:
        return f"it ended by itself with status {status}; the log says why"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"
