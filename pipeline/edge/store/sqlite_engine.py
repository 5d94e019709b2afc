"""Connections to an SQLite file: its write-ahead log, and transactions that begin with their first statement."""

import sqlite3
import time
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from pipeline.edge.store.write_turns import WriteTurns

BEGIN_WRITING = "BEGIN IMMEDIATE"

SQLITE_BUSY_SECONDS = 10
"""How long a writer waits for another one before the database counts as locked."""

BUSY_MILLISECONDS = 3
"""How long SQLite itself waits for another process that writes before it is asked again.

It looks after 1 ms, then after 2, and would look ever more seldom, so that others pass a writer that waits.
"""

_PRIMARY = 0xFF
"""The part of a result code that is the same in all that extend it: a log that is being recovered is busy as well."""

_POLL_SECONDS = 0.02


def sqlite_engine(url: URL, turns: WriteTurns, *, draft: bool) -> Engine:
    """Return the connections to a file, of which one writes in its turn; a draft has no log and is not synced."""
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": SQLITE_BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: Any) -> None:
        # The driver's own transactions begin too late; _begin begins ours.
        connection.isolation_level = None
        if draft:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
        else:
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and then writes would fail instead of waiting for its turn.
        begin = connection.get_execution_options().get("begin", "BEGIN")
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        if begin == BEGIN_WRITING:
            _begin_writing(driver, turns.wait_until)
        elif begin is not None:
            driver.execute(begin)

    return engine


def _begin_writing(connection: sqlite3.Connection, until: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    try:
        while True:
            try:
                connection.execute(BEGIN_WRITING)
                return
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > until:
                    raise
    finally:
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch a new database to the write-ahead log, with retries, as this statement alone does not wait for a lock."""
    until = time.monotonic() + SQLITE_BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_POLL_SECONDS)
