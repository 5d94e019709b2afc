"""Change notifications: wait until another connection has committed something to the database.

SQLite counts the commits of other connections; PostgreSQL has LISTEN and NOTIFY.
"""

import sqlite3
import time
from typing import Any, Protocol

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL

_CHANNEL = "dxatrend"
_POLL_SECONDS = 0.02


class ChangeNotification(Protocol):
    """A connection that waits for a commit of another one."""

    def wait(self, seconds: float) -> None:
        """Wait for a commit, or for so many seconds."""

    def close(self) -> None:
        """Stop listening."""


def notify(connection: Connection) -> None:
    """Notify other connections when this transaction commits; SQLite does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {_CHANNEL}"))


class SqliteNotification:
    """Polls the commit counter of SQLite, which takes microseconds; just waits when it cannot be read."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection()
        self._seen: int | None = None

    def wait(self, seconds: float) -> None:
        """Poll until the counter has changed, or for so many seconds."""
        until = time.monotonic() + seconds
        while (commits := self._commits()) == self._seen and (left := until - time.monotonic()) > 0:
            time.sleep(min(_POLL_SECONDS, left))
        self._seen = commits

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _commits(self) -> int | None:
        cursor = self._connection.cursor()
        try:
            return int(cursor.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return None
        finally:
            cursor.close()


class PostgresNotification:
    """Listens to PostgreSQL; just waits when the server cannot be reached."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.Connection[Any] | None = None

    def wait(self, seconds: float) -> None:
        """Wait for a notification, or for so many seconds."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._url, autocommit=True)
                self._connection.execute(f"LISTEN {_CHANNEL}")
                return  # something may have been committed before we listened
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.Error:
            self.close()
            time.sleep(seconds)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
