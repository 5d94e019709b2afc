"""What the supervisor knows of its children, written to the store by a thread: the supervisor waits for no database.

Listener, worker and schedules tell the store themselves that they live. What they cannot tell is that they were killed,
or ended before they could write; and the Prefect server writes nothing at all.
"""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from pipeline.edge.heartbeat import LOOK_SECONDS, Heartbeat
from pipeline.edge.store import work_queue
from pipeline.edge.store.database import Database


class ChildReports:
    """Reports of one supervisor on its children; its methods return at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owners: dict[str, str] = {}
        self._silent: dict[str, Heartbeat] = {}
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def started(self, part: str, pid: int, *, speaks_for_itself: bool) -> None:
        """Report that a child was started; one that does not speak for itself gets a heartbeat from here."""
        self._owners[part] = work_queue.owner(pid)
        if not speaks_for_itself:
            heartbeat = self._of(part)
            self._silent[part] = heartbeat
            self._todo.put(heartbeat.begin)

    def ended(self, part: str, status: int) -> None:
        """Report that a child has ended by itself."""
        heartbeat, failure, now = self._of(part), _ending(status), datetime.now(UTC)
        self._silent.pop(part, None)
        self._todo.put(lambda: heartbeat.end(failure, at=now))  # its successor may be faster than this is written

    def cannot_start(self, part: str, reason: str) -> None:
        """Report why a child cannot be started now."""
        heartbeat = self._of(part)
        self._todo.put(lambda: heartbeat.cannot_start(reason))

    def stopped(self, part: str) -> None:
        """Report that a child was told to stop."""
        heartbeat = self._of(part)
        self._silent.pop(part, None)
        self._todo.put(heartbeat.end)

    def write(self) -> None:
        """Write the reports, and the heartbeats of the supervisor and of silent children, until ``finish``."""
        own = Heartbeat(self._database, "supervisor")
        own.begin()
        while True:
            try:
                report = self._todo.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                for heartbeat in (own, *self._silent.copy().values()):
                    heartbeat.beat_if_due()
                continue
            if report is None:
                own.end()
                return
            report()

    def finish(self) -> None:
        """End the writing after what was reported so far."""
        self._todo.put(None)

    @contextlib.contextmanager
    def written(self) -> Iterator[None]:
        """Write them by a thread while the block lasts."""
        thread = threading.Thread(target=self.write, name="reports on children")
        thread.start()
        try:
            yield
        finally:
            self.finish()
            thread.join()

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
