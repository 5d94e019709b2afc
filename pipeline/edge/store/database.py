"""Database connections and transactions, on SQLite or PostgreSQL, and the migration of the schema.

SQLite is the embedded default: write-ahead log, a full sync at each commit, one writer at a time. PostgreSQL is for
several hosts that share the work. All other modules of this package are the same for both.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipeline.edge.shared_files import is_link_of_another, share_like_folder

# The tables of each belong to the schema of every database.
from pipeline.edge.store import alarm_schema as alarm_schema
from pipeline.edge.store import audit_schema as audit_schema
from pipeline.edge.store import caller_schema as caller_schema
from pipeline.edge.store import desk_schema as desk_schema
from pipeline.edge.store import erasure_schema as erasure_schema
from pipeline.edge.store import process_schema as process_schema
from pipeline.edge.store import qc_schema as qc_schema
from pipeline.edge.store import register_schema as register_schema
from pipeline.edge.store import reprocessing_schema as reprocessing_schema
from pipeline.edge.store import schema as schema
from pipeline.edge.store import secret_schema as secret_schema
from pipeline.edge.store.change_notification import ChangeNotification, SqliteNotification
from pipeline.edge.store.sqlite_engine import BEGIN_WRITING, SQLITE_BUSY_SECONDS, sqlite_engine
from pipeline.edge.store.stop_request import StopRequest
from pipeline.edge.store.write_turns import StoreLockedError, WriteTurns
from pipeline.errors import DxatrendError

_SECRETS = ("password", "sslpassword")
_MIGRATION_LOCK = 7_311_002

LATEST_REVISION = "0001"
"""The last of ``migrations/versions``: whether a database has it is known without importing Alembic."""

_OTHER_SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""


class StoreError(DxatrendError):
    """A transaction failed (locked, full, unreachable) and has changed nothing; a retry may help.

    The text names only the kind of failure, because a database quotes the values it was given.
    """

    def __init__(self, kind: str, *, concerns_all: bool = True, refused: bool = False) -> None:
        super().__init__(kind)
        self.concerns_all = concerns_all
        """Whether any other write would have failed as well, and not because of the values of this one."""
        self.refused = refused
        """Whether the database cannot store the values: a retry does not help."""


class StoreTooNewError(DxatrendError):
    """A later version of dxatrend has made or migrated this database, whose schema is unknown here."""


class StoreInUseError(DxatrendError):
    """Another process uses this database."""


class StoreMissingError(DxatrendError):
    """There is no store at this place, and none was to be made."""


class Database:
    """An open database, until ``close``.

    A ``draft`` is a SQLite file that is deleted unless it is completed: it has no log and is not synced to disk.

    Raises:
        StoreMissingError: ``existing`` was asked for, and there is none.
        StoreError: the file cannot be made, or is a folder or a device.
    """

    def __init__(self, url: str, *, draft: bool = False, existing: bool = False) -> None:
        self._url = make_url(url)
        self._turns = WriteTurns(SQLITE_BUSY_SECONDS)
        if self.path and self.path.exists() and not self.path.is_file():
            raise StoreError(f"{self.path} is no file")
        if existing and self.path and not (self.path.is_file() and self.path.stat().st_size):
            raise StoreMissingError(self.shown_url)
        # Parameters of a failed statement are patient data and stay out of the error text.
        if self.is_sqlite:
            if self.path:
                _make_file(self.path)
            self._engine = sqlite_engine(self._url, self._turns, draft=draft)
        else:
            # A server that was restarted has dropped our connections.
            self._engine = create_engine(self._url, hide_parameters=True, pool_pre_ping=True)

        self._writing = self._engine.execution_options(begin=BEGIN_WRITING)
        self._kept: Connection | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether it is an SQLite file."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def shown_url(self) -> str:
        """The URL without its password, which may stand in its query as well."""
        return self._url.difference_update_query(_SECRETS).render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The SQLite file, if it is one."""
        return Path(self._url.database) if self.is_sqlite and self._url.database else None

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Share the database with other processes, and let none replace it while the block lasts.

        Raises:
            StoreInUseError: another process is replacing it.
        """
        with _locked(self.path, fcntl.LOCK_SH) if self.path else contextlib.nullcontext():
            yield

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock other processes out while the block lasts.

        Raises:
            StoreInUseError: another process uses it.
            StoreError: the database could not be queried.
        """
        if self.path:
            with _locked(self.path, fcntl.LOCK_EX):
                yield
            return
        with self.read() as connection:  # PostgreSQL knows its sessions
            others = connection.scalar(text(_OTHER_SESSIONS))
        if others:
            raise StoreInUseError
        yield

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a read transaction, which sees one consistent state.

        Raises:
            StoreError: the database could not be queried.
        """
        with self._named_failures(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self, *, keep: bool = False) -> Iterator[Connection]:
        """Begin a write transaction, which is durable when the block has ended, or is rolled back.

        ``keep`` leaves the connection of SQLite open for the next such transaction, of which there is one at a time:
        taking it from the pool and giving it back takes a third as long as a commit. It comes before others that wait.

        Raises:
            StoreError: it was rolled back.
        """
        connect = self._kept_connection if keep and self.is_sqlite else self._writing.connect
        with self._named_failures(), self._turn(first=keep), connect() as connection, connection.begin():
            yield connection

    def _turn(self, *, first: bool = False) -> AbstractContextManager[None]:
        """Return a turn to write; PostgreSQL's writers do not exclude each other."""
        return self._turns.turn(first=first) if self.is_sqlite else contextlib.nullcontext()

    @contextlib.contextmanager
    def _kept_connection(self) -> Iterator[Connection]:
        connection, self._kept = self._kept or self._writing.connect(), None
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._kept = connection

    @contextlib.contextmanager
    def trial(self) -> Iterator[Connection]:
        """Begin a write transaction that is always rolled back.

        Raises:
            StoreError: the database could not be queried.
        """
        with (
            self._named_failures(),
            self._turn(),
            self._writing.connect() as connection,
            connection.begin() as transaction,
        ):
            yield connection
            transaction.rollback()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Begin a read transaction that sees the whole database at one moment, while others go on writing.

        Raises:
            StoreError: the database could not be queried.
        """
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with (
            self._named_failures(),
            self._engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection

    def is_migrated(self) -> bool:
        """Return whether it has the present schema.

        Raises:
            StoreTooNewError: it has a later one.
        """
        with self.read() as connection:
            return _is_migrated(connection)

    def require_schema(self) -> None:
        """Require that the database has a store, of any schema.

        Raises:
            StoreMissingError: it has none.
            StoreError: the database could not be queried.
        """
        with self.read() as connection:
            if not _revisions(connection):
                raise StoreMissingError(self.shown_url)

    def migrate(self) -> None:
        """Migrate an empty or older database to the present schema.

        Raises:
            StoreTooNewError: it has a later one.
        """
        if not self.is_migrated():
            with self.write() as connection:
                migrate(connection)

    def is_sound(self) -> bool:
        """Return whether SQLite's own check passes; PostgreSQL checks itself.

        Raises:
            StoreError: the database could not be queried.
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

    def optimize(self) -> None:
        """Refresh the statistics of the query planner, and truncate the write-ahead log.

        Raises:
            StoreError: the database could not be queried.
        """
        if self.is_sqlite:
            with self.write() as connection:  # waits for another writer, where the statement alone would fail at once
                connection.exec_driver_sql("PRAGMA optimize")
        last = "PRAGMA wal_checkpoint(TRUNCATE)" if self.is_sqlite else "ANALYZE"
        with self._named_failures(), self._engine.connect().execution_options(begin=None) as connection:
            connection.exec_driver_sql(last)
            connection.commit()

    def rewrite(self) -> bool:
        """Rewrite the files so that nothing deleted is left in them, and return whether that was done whole.

        SQLite: the file is rebuilt and its log emptied, for which the disk must hold it twice; writers wait meanwhile,
        and while another process reads the log stays. PostgreSQL: the space of deleted rows is freed for reuse.

        Raises:
            StoreError: the disk is full, or others held the database for too long; nothing is lost.
        """
        options = {"begin": None} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        with self._named_failures(), self._engine.connect().execution_options(**options) as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql("VACUUM (ANALYZE)")
                return True
            connection.exec_driver_sql("VACUUM")
            busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            return not busy

    def close(self) -> None:
        """Close every connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._engine.dispose()

    @contextlib.contextmanager
    def _named_failures(self) -> Iterator[None]:
        driver = self._engine.dialect.loaded_dbapi
        try:
            yield
        except (DBAPIError, PoolTimeout, StoreLockedError, driver.Error) as error:
            cause = getattr(error, "orig", None) or error
            name = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
            # The driver's errors for values that it cannot store.
            # SQLSTATE class 54: a limit of the program is exceeded, such as a text too long for an index.
            refused = isinstance(cause, (driver.DataError, driver.IntegrityError)) or name.startswith("54")
            # Class 40: rolled back because of another transaction, such as in a deadlock.
            of_one = refused or name.startswith("40")
            kind = f"{type(cause).__name__} {name}".rstrip()
            raise StoreError(kind, concerns_all=not of_one, refused=refused) from None

    def change_notification(self, stop: StopRequest) -> ChangeNotification:
        """Return a connection that waits until another one has committed, or it is time to stop."""
        if self.is_sqlite:
            return SqliteNotification(self._engine, self.path, stop)
        from pipeline.edge.store.postgres_notification import PostgresNotification  # noqa: PLC0415 - see there

        return PostgresNotification(self._url, stop)


def migrate(connection: Connection) -> None:
    """Migrate the database to the present schema in this transaction, one process at a time.

    Raises:
        StoreTooNewError: it has a later schema.
    """
    if connection.dialect.name == "postgresql":  # on SQLite a writer excludes others already
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
    if _is_migrated(connection):  # by another process, while this one waited
        return
    from pipeline.edge.store import schema_migration  # noqa: PLC0415 - a database is migrated once in a version's life

    schema_migration.upgrade(connection)


def revision_of(connection: Connection) -> str:
    """Return the revision of the schema that the database has."""
    return ", ".join(sorted(_revisions(connection)))


def _is_migrated(connection: Connection) -> bool:
    found = _revisions(connection)
    if found == {LATEST_REVISION}:
        return True
    from pipeline.edge.store import schema_migration  # noqa: PLC0415 - as above

    if found - schema_migration.known():
        raise StoreTooNewError
    return False


def _revisions(connection: Connection) -> set[str]:
    """Return the revisions of the schema that is there, as Alembic has recorded them."""
    if not inspect(connection).has_table("alembic_version"):
        return set()
    return set(connection.scalars(text("SELECT version_num FROM alembic_version")))


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Lock a file beside the database, not the database itself: closing that would end SQLite's own locks."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        # Through a link of another user, root would make a file wherever that leads.
        holder = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"{lock if lock.is_symlink() else path.parent}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(holder, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUseError from None
        yield
    finally:
        os.close(holder)


def _make_file(path: Path) -> None:
    """Make an empty file, readable by its owner only or by those who share its folder, for a new database.

    SQLite gives its other files the same permissions. The file is not opened here, because closing it would end the
    locks that another connection of this process may have on it.
    """
    try:
        if is_link_of_another(path):
            raise StoreError(f"{path} is a link of another user, which root does not follow")
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            share_like_folder(path.parent)
        with contextlib.suppress(FileExistsError):
            os.mknod(path, 0o600)
            share_like_folder(path)
    except OSError as error:
        raise StoreError(f"{path.parent}: {error.strerror}") from None
