"""Change notifications of PostgreSQL, in a module of its own: a service on SQLite does without its driver."""

import select
from typing import Any

import psycopg
from sqlalchemy.engine import URL

from pipeline.edge.store.change_notification import CHANNEL
from pipeline.edge.store.stop_request import StopRequest, is_set_within

_RETRY_SECONDS = 1.0
"""How long to wait at most where the server cannot be reached."""


class PostgresNotification:
    """Listens to PostgreSQL; just waits when the server cannot be reached."""

    def __init__(self, url: URL, stop: StopRequest) -> None:
        self._stop = stop
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.Connection[Any] | None = None

    def wait(self, seconds: float) -> None:
        """Wait for a notification, for so many seconds, or until it is time to stop."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._url, autocommit=True)
                self._connection.execute(f"LISTEN {CHANNEL}")
                return  # something may have been committed before we listened
            ready = select.poll()
            for descriptor in (self._connection, self._stop):
                ready.register(descriptor, select.POLLIN)
            ready.poll(seconds * 1000)
            for _ in self._connection.notifies(timeout=0):
                pass
        except psycopg.Error:
            self.close()
            is_set_within(self._stop, min(seconds, _RETRY_SECONDS))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
