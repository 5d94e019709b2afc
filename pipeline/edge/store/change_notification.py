"""Change notifications: wait until another connection has committed something to the database.

SQLite counts the commits of other connections, and the system tells when its log was written to; PostgreSQL has LISTEN
and NOTIFY (``postgres_notification``).
"""

import contextlib
import math
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
"""How often the counter is read where the system does not tell of writes."""

_WRITE_SECONDS = 0.002
"""How long the pages of one commit take to be written, so that the counter is not read for each of them."""

_SLOW_COMMIT_SECONDS = 30.0
"""How long a slow disk may take to commit what was written: the counter changes only once the log is on the disk. It is
read less and less often meanwhile, so that a commit is seen after one and a half times as long as it took."""

_NEXT_COMMIT_SECONDS = 0.3
"""How long the counter is read on once a commit was seen: the last writes may have been those of the next one."""


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
        self._written_at, self._is_awaited = -math.inf, False
        """When the log was last written to, and whether no commit was seen since."""
        self._writes: FileWrites | None = None
        if path is not None:
            with contextlib.suppress(OSError):  # the system has no more listeners to give
                self._writes = FileWrites(path.with_name(f"{path.name}-wal"), stop)

    def wait(self, seconds: float) -> None:
        """Wait until the counter has changed, for so many seconds, or until it is time to stop."""
        until = time.monotonic() + seconds
        self._take_writes(0)
        while (commits := self._commits()) == self._seen and (left := until - time.monotonic()) > 0:
            since_write = time.monotonic() - self._written_at
            pause = 0.0
            if self._writes is None:
                pause = min(_POLL_SECONDS, left)
            elif since_write < _WRITE_SECONDS:
                pause = _WRITE_SECONDS
            elif self._is_awaited and since_write < _SLOW_COMMIT_SECONDS:
                self._take_writes(min(max(since_write / 2, _WRITE_SECONDS), left))
            elif since_write < _NEXT_COMMIT_SECONDS:
                self._take_writes(min(max(since_write, _POLL_SECONDS), left))
            else:
                self._take_writes(left)
            if is_set_within(self._stop, pause):
                break
            self._take_writes(0)  # once a commit is seen, its other writes would count as those of the next one
        self._is_awaited = self._is_awaited and commits == self._seen
        self._seen = commits

    def _take_writes(self, seconds: float) -> None:
        """Wait for a write to the log, for so many seconds, and take all that there were."""
        if self._writes is not None and self._writes.wait(seconds):
            self._written_at, self._is_awaited = time.monotonic(), True

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
