"""Change notifications: wait until another connection has committed something to the database.

SQLite counts the commits of other connections, and the system tells when its log was written to; PostgreSQL has LISTEN
and NOTIFY (``postgres_notification``).
"""

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text

from pipeline.edge.store.file_writes import FileWrites
from pipeline.edge.store.stop_request import StopRequest, is_set_within

CHANNEL = "dxatrend"
"""The channel of PostgreSQL's NOTIFY."""

_POLL_SECONDS = 0.02
_COMMIT_SECONDS = 0.3
"""How long after a write to the log a commit is expected: the counter changes only once the log is on the disk."""


class ChangeNotification(Protocol):
    """A connection that waits for a commit of another one, until it is time to stop."""

    def wait(self, seconds: float) -> None:
        """Wait for a commit, for so many seconds, or until it is time to stop."""

    def close(self) -> None:
        """Stop listening."""


def notify(connection: Connection) -> None:
    """Notify other connections when this transaction commits; SQLite does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {CHANNEL}"))


class SqliteNotification:
    """Reads the commit counter of SQLite whenever its log was written to; just waits when it cannot be read.

    Where the system does not tell of writes, the counter is polled, which takes microseconds.
    """

    def __init__(self, engine: Engine, path: Path | None, stop: StopRequest) -> None:
        self._stop = stop
        self._connection = engine.raw_connection()
        self._seen: int | None = None
        self._writes: FileWrites | None = None
        if path is not None:
            with contextlib.suppress(OSError):  # the system has no more listeners to give
                self._writes = FileWrites(path.with_name(f"{path.name}-wal"), stop)

    def wait(self, seconds: float) -> None:
        """Wait until the counter has changed, for so many seconds, or until it is time to stop."""
        until = time.monotonic() + seconds
        poll_until = 0.0
        while (commits := self._commits()) == self._seen and (left := until - time.monotonic()) > 0:
            pause = 0.0
            if self._writes is None or time.monotonic() < poll_until:
                pause = min(_POLL_SECONDS, left)
            elif self._writes.wait(left):
                poll_until = time.monotonic() + _COMMIT_SECONDS
            if is_set_within(self._stop, pause):
                break
        self._seen = commits

    def close(self) -> None:
        """Close the connection."""
        if self._writes is not None:
            self._writes.close()
        self._connection.close()

    def _commits(self) -> int | None:
        cursor = self._connection.cursor()
        try:
            return int(cursor.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return None
        finally:
            cursor.close()
