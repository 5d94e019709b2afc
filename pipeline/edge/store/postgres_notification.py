"""Change notifications of PostgreSQL, in a module of its own: a service on SQLite does without its driver."""

import time
from typing import Any

import psycopg
from sqlalchemy.engine import URL

from pipeline.edge.store.change_notification import CHANNEL


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
                self._connection.execute(f"LISTEN {CHANNEL}")
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
