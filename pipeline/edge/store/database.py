"""How do we reach the database, and how do we learn that something in it has changed?

SQLite is the embedded default: write-ahead log, a full sync at each commit, one writer at a time. PostgreSQL serves
where several machines share the work. Everything else in this package is the same for both.
"""

import contextlib
import fcntl
import functools
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipeline.edge.store.compiled_statement import CompiledStatement, in_rows, parameters_in_rows
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

SQLITE_BUSY_SECONDS = 10
"""How long a writer waits for another before the database counts as locked."""

_CHANNEL = "dxatrend"
_LOOK_SECONDS = 0.02
_MIGRATION_LOCK = 7_311_002

_OF_ONE_ROW = (sqlite3.DataError, sqlite3.IntegrityError, psycopg.DataError, psycopg.IntegrityError)
"""What a driver raises when there is something wrong with what it was given."""

_OTHER_SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""


class StoreError(DxatrendError):
    """The database could not do it (locked, full, gone): nothing has happened, and trying again may help.

    The text names the kind of failure alone, because a database quotes what it was given.
    """

    def __init__(self, kind: str, *, concerns_all: bool = True, refused: bool = False) -> None:
        super().__init__(kind)
        self.concerns_all = concerns_all
        """Whether any other write would have failed as well, and not for what was in this one."""
        self.refused = refused
        """Whether the database does not take what it was given: to try again does not help."""


class StoreTooNewError(DxatrendError):
    """A later version of dxatrend has made or migrated this database; this one does not know what is in it."""


class StoreInUseError(DxatrendError):
    """Another process works with this database."""


class StoreMissingError(DxatrendError):
    """There is no store where one was looked for, and none was made."""


class ChangeNotification(Protocol):
    """Rings when another connection has committed."""

    def wait(self, seconds: float) -> None:
        """Return when it rings, or after so many seconds."""

    def close(self) -> None:
        """Stop listening."""


class Database:
    """One database, open; closed by ``close``.

    A draft is a SQLite file that is thrown away unless it becomes whole: it has no log, and is not flushed.

    Raises:
        StoreMissingError: it should be there, and is not.
        StoreError: its file cannot be made, or is a folder or a device.
    """

    def __init__(self, url: str, *, draft: bool = False, existing: bool = False) -> None:
        self._url = make_url(url)
        if self.path and self.path.exists() and not self.path.is_file():
            raise StoreError(f"{self.path} is no file")
        if existing and self.path and not (self.path.is_file() and self.path.stat().st_size):
            raise StoreMissingError(self.shown_url)
        # Parameters of a failed statement are patient data: they stay out of its error text.
        if self.is_sqlite:
            self._engine = _sqlite_engine(self._url, draft=draft)
        else:
            # A server that was away has forgotten our connections.
            self._engine = create_engine(self._url, hide_parameters=True, pool_pre_ping=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file, and not a server's."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def shown_url(self) -> str:
        """Where it is, without a password."""
        return self._url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file it is, if it is one."""
        return Path(self._url.database) if self.is_sqlite and self._url.database else None

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Others may work with it too while the block lasts, and nobody may put another one in its place.

        Raises:
            StoreInUseError: somebody is doing that.
        """
        with _locked(self.path, fcntl.LOCK_SH) if self.path else contextlib.nullcontext():
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else works with it while the block lasts.

        Raises:
            StoreInUseError: somebody does.
            StoreError: the database could not be asked.
        """
        if self.path:
            with _locked(self.path, fcntl.LOCK_EX):
                yield
            return
        with self.read() as connection:  # PostgreSQL knows who is there
            others = connection.scalar(text(_OTHER_SESSIONS))
        if others:
            raise StoreInUseError
        yield

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent look at the database that changes nothing.

        Raises:
            StoreError: the database could not be asked.
        """
        with _failures_named(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable when the block has ended, or has not happened.

        Raises:
            StoreError: it has not happened.
        """
        with (
            _failures_named(),
            self._engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection,
            connection.begin(),
        ):
            yield connection

    @contextlib.contextmanager
    def trial(self) -> Iterator[Connection]:
        """A transaction in which anything may be tried, and nothing of it happens.

        Raises:
            StoreError: the database could not be asked.
        """
        with (
            _failures_named(),
            self._engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection,
            connection.begin() as transaction,
        ):
            yield connection
            transaction.rollback()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """The whole database as it is at one moment, however long it takes to read; others go on writing.

        Raises:
            StoreError: the database could not be asked.
        """
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with _failures_named(), self._engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def is_migrated(self) -> bool:
        """Whether it has the present schema.

        Raises:
            StoreTooNewError: it has a later one.
        """
        with self.read() as connection:
            return _is_migrated(connection)

    def require_schema(self) -> None:
        """Make sure that a store is here, of whatever schema.

        Raises:
            StoreMissingError: nobody has ever made one.
            StoreError: the database could not be asked.
        """
        with self.read() as connection:
            if not MigrationContext.configure(connection).get_current_heads():
                raise StoreMissingError(self.shown_url)

    def migrate(self) -> None:
        """Bring an empty or older database to the present schema; nothing happens to a present one.

        Raises:
            StoreTooNewError: it has a later one.
        """
        if not self.is_migrated():
            with self.write() as connection:
                migrate(connection)

    def is_sound(self) -> bool:
        """Whether the database passes its own check; PostgreSQL checks itself.

        Raises:
            StoreError: the database could not be asked.
        """
        if not self.is_sqlite:
            return True
        try:
            with self.read() as connection:
                return bool(connection.scalar(text("PRAGMA quick_check(1)")) == "ok")
        except StoreError as failure:
            if "SQLITE_CORRUPT" in str(failure):
                return False
            raise

    def tidy(self) -> None:
        """Refresh the statistics queries are planned by, and give the space of the write-ahead log back.

        Raises:
            StoreError: the database could not be asked.
        """
        statements = ("PRAGMA optimize", "PRAGMA wal_checkpoint(TRUNCATE)") if self.is_sqlite else ("ANALYZE",)
        with _failures_named(), self._engine.connect().execution_options(begin=None) as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    def change_notification(self) -> ChangeNotification:
        """Something to wait at until another process may have changed the database."""
        return _SqliteNotification(self._engine) if self.is_sqlite else _PostgresNotification(self._url)


class _SqliteNotification:
    """SQLite counts the commits of others; asking for the count costs microseconds. When it cannot, it just waits."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection()
        self._seen: int | None = None

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (commits := self._commits()) == self._seen and (left := until - time.monotonic()) > 0:
            time.sleep(min(_LOOK_SECONDS, left))
        self._seen = commits

    def close(self) -> None:
        self._connection.close()

    def _commits(self) -> int | None:
        cursor = self._connection.cursor()
        try:
            return int(cursor.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return None
        finally:
            cursor.close()


class _PostgresNotification:
    """PostgreSQL tells; when it cannot, the wait is just a wait."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.Connection[Any] | None = None

    def wait(self, seconds: float) -> None:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._url, autocommit=True)
                self._connection.execute(f"LISTEN {_CHANNEL}")
                return  # something may have happened before we listened
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.Error:
            self.close()
            time.sleep(seconds)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def migrate(connection: Connection) -> None:
    """The same within a transaction, while which no other process migrates.

    Raises:
        StoreTooNewError: it has a later schema.
    """
    if connection.dialect.name == "postgresql":  # where a writer does not already keep others out
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
    if _is_migrated(connection):  # by another process, while we waited
        return
    config = _migrations()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    log.info("the database schema is now at %s", ", ".join(ScriptDirectory.from_config(config).get_heads()))


def insert_if_absent(connection: Connection, table: Table, **values: object) -> int | None:
    """Insert one row; its id, or ``None`` when a unique constraint says that it is there already."""
    inserted = _insert_absent(connection, table, [values])
    return inserted[0][0] if inserted else None


def insert_absent(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]], *, key: Column[str]
) -> dict[str, int]:
    """Insert rows of different keys; the id by key of those that no unique constraint says are there already."""
    if not rows:
        return {}
    return {name: number for number, name in _insert_absent(connection, table, rows, key)}


def _insert_absent(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]], *also: Column[str]
) -> list[tuple[Any, ...]]:
    statement = _insert(connection.dialect.name, table, tuple(rows[0]), len(rows), *also)
    return statement.execute(connection, in_rows(rows))


@functools.cache
def _insert(dialect: str, table: Table, columns: tuple[str, ...], rows: int, *also: Column[str]) -> CompiledStatement:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table).values(parameters_in_rows(table, columns, rows))
    return CompiledStatement(statement.on_conflict_do_nothing().returning(table.c.id, *also))


def notify(connection: Connection) -> None:
    """Ring the bell of the others when this transaction commits."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {_CHANNEL}"))


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("pipeline.edge.store") / "migrations"))
    return config


def _is_migrated(connection: Connection) -> bool:
    scripts = ScriptDirectory.from_config(_migrations())
    current = set(MigrationContext.configure(connection).get_current_heads())
    if current - {script.revision for script in scripts.walk_revisions()}:
        raise StoreTooNewError
    return current == set(scripts.get_heads())


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Hold a file beside the database, never the database itself: closing that would end SQLite's own locks."""
    try:
        holder = os.open(path.with_name(f"{path.name}.lock"), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"{path.parent}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(holder, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUseError from None
        yield
    finally:
        os.close(holder)


@contextlib.contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout, sqlite3.Error, psycopg.Error) as error:
        cause = getattr(error, "orig", None) or error
        name = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
        # SQLSTATE class 54: more than it can hold, as a text that is too long for an index.
        refused = isinstance(cause, _OF_ONE_ROW) or name.startswith("54")
        # Class 40: rolled back because of another transaction, such as in a deadlock.
        of_one = refused or name.startswith("40")
        kind = f"{type(cause).__name__} {name}".rstrip()
        raise StoreError(kind, concerns_all=not of_one, refused=refused) from None


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch a new database over; alone among statements this one does not wait for another process by itself."""
    until = time.monotonic() + SQLITE_BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_SECONDS)


def _make_file(path: Path) -> None:
    """Make an empty file for a database that is not there yet, which nobody else may read; SQLite's own files beside
    it take over the same rights.

    It is not opened here, because closing it again would end the locks that another connection of ours may have on it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mknod(path, 0o600)
    except OSError as error:
        raise StoreError(f"{path.parent}: {error.strerror}") from None


def _sqlite_engine(url: URL, *, draft: bool) -> Engine:
    if url.database and url.database != ":memory:":
        _make_file(Path(url.database))
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": SQLITE_BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: Any) -> None:
        # The driver's own transactions begin too late; ours begin in _begin.
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
        # A transaction that reads first and then writes would fail instead of waiting its turn.
        begin = connection.get_execution_options().get("begin", "BEGIN")
        if begin is not None:
            connection.connection.cursor().execute(begin)

    return engine
