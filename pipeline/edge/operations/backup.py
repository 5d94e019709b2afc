"""Back up the whole database into one file while it is in use, and restore it into SQLite or PostgreSQL.

A backup is a SQLite database with the present schema, whichever database it was made of: one format to store, to
inspect and to restore from, and the way from SQLite to PostgreSQL and back.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, LargeBinary, Table, delete, func, insert, inspect, select, text

from pipeline.edge.audit import events
from pipeline.edge.operations.private_file import create_private_file
from pipeline.edge.shared_files import share_like_folder
from pipeline.edge.store import audit_trail, housekeeping_log
from pipeline.edge.store.audit_schema import audit
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database, StoreError, migrate
from pipeline.edge.store.process_schema import process
from pipeline.edge.store.register_schema import register_record
from pipeline.edge.store.schema import patient, receipt
from pipeline.edge.store.schema_base import metadata
from pipeline.errors import DxatrendError

ROWS = 1000
"""Rows in memory at a time."""

ROWS_WITH_BYTES = 20
"""The same of a table with binary content, one row of which may be an image."""

_COPIED_AT_ONCE = 1 << 20


class BackupError(DxatrendError):
    """A backup that was not written, or not restored; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A backup that was written: the SHA-256 of the file, its size in bytes, and its rows by table."""

    digest: str
    size: int
    rows: dict[str, int]


def back_up(database: Database, to: Path) -> Copied:
    """Copy the database as it is now into a new file, check the copy, and only then give it its name.

    Raises:
        BackupError: the file exists, cannot be written, or failed its check.
        StoreError: the database could not be reached.
    """
    if not database.is_migrated():
        raise BackupError("the store has the schema of an earlier version: back it up with that one")
    if to.exists():
        raise BackupError(f"{to} is there already and is not overwritten")
    with _new_file(to) as partial:
        rows = _copy_into_file(database, partial)
        _check(partial, rows)
        copied = Copied(digest=_digest(partial), size=partial.stat().st_size, rows=rows)
        detail = {"digest": copied.digest, "size": copied.size}
        now = datetime.now(UTC)
        with database.write() as connection:
            audit_trail.record(connection, events.by_operator(Event.BACKED_UP, at=now, detail=detail))
            housekeeping_log.record_done(connection, housekeeping_log.BACKUP, at=now)
        _publish(partial, to)
    return copied


def back_up_unmigrated(database: Database, to: Path) -> None:
    """Copy a database of an earlier version, with the schema it has, into a new file.

    Raises:
        BackupError: the file exists, cannot be written or failed its check, or the database is no SQLite file: only the
            version that made it knows how to read it from PostgreSQL.
    """
    if database.path is None:
        raise BackupError("of a PostgreSQL database the version that made it takes the backup, with dxatrend backup")
    if to.exists():
        raise BackupError(f"{to} is there already and is not overwritten")
    with _new_file(to) as partial:
        try:
            with (
                contextlib.closing(sqlite3.connect(database.path)) as source,
                contextlib.closing(sqlite3.connect(partial)) as copy,
            ):
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, complete without a log
        except sqlite3.Error as error:
            raise BackupError(f"{to} could not be written: {type(error).__name__}") from None
        _check(partial, {})
        share_like_folder(partial)
        _publish(partial, to)


def restore(file: Path, database: Database, *, replace: bool = False) -> dict[str, int]:
    """Put a backup in the place of a database, with the present schema, and return its rows by table.

    Raises:
        BackupError: the file is no intact backup, or the database is not empty and ``replace`` is not set.
        StoreInUseError: a process uses the database.
        StoreTooNewError: a later version has made the backup.
        StoreError: the database could not be reached.
    """
    digest = require_backup(file)
    with database.exclusive():
        if not replace and not _is_empty(database):
            raise BackupError("the store is not empty; --replace puts the backup in its place")
        database.close()  # no connection of ours may go on with a file that is no longer there
        if database.path:
            return _restore_into_file(file, database.path, digest)
        return _restore_into_server(file, database, digest)


def require_backup(file: Path) -> str:
    """Return the SHA-256 of an intact backup.

    Raises:
        BackupError: it is none.
    """
    try:
        digest = _digest(file)
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}") from None
    _check(file, {})
    return digest


def _copy_into_file(database: Database, path: Path) -> dict[str, int]:
    with _draft(path) as copy, database.snapshot() as source:
        copy.migrate()
        rows = {table.name: _count(source, table) for table in metadata.sorted_tables}
        with contextlib.closing(_batches(source)) as batches:
            for table, batch in batches:
                with copy.write() as target:
                    target.execute(insert(table), batch)
        return rows


def _restore_into_file(file: Path, path: Path, digest: str) -> dict[str, int]:
    with _new_file(path) as partial:
        rows = _prepare(file, partial, digest)
        former = f"{path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        for suffix in ("", "-wal", "-shm"):  # the former database is renamed, never deleted
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(path.with_name(former + suffix))
        share_like_folder(partial)  # root may restore what the service is to use
        _publish(partial, path)
    return rows


def _restore_into_server(file: Path, database: Database, digest: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory(prefix="dxatrend-") as folder:
        partial = Path(folder) / "restoring.sqlite3"
        rows = _prepare(file, partial, digest)
        with _draft(partial) as copy, copy.read() as source, database.write() as target:
            _empty(target)
            for table, batch in _batches(source):
                target.execute(insert(table), batch)
            _continue_numbering(target)
            if {table.name: _count(target, table) for table in metadata.sorted_tables} != rows:
                raise BackupError("not every row has arrived; the store is as it was")
    return rows


def _prepare(file: Path, partial: Path, digest: str) -> dict[str, int]:
    """Make a copy of a backup with the present schema and an audit entry of the restore; return its rows by table."""
    try:
        # Through a link that another user has put here, the copy would go wherever that leads.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as copy, file.open("rb") as original:
            shutil.copyfileobj(original, copy, _COPIED_AT_ONCE)
    except OSError as error:
        raise BackupError(f"the backup cannot be copied: {error.strerror}") from None
    with _draft(partial) as copy:
        copy.migrate()
        with copy.write() as connection:
            connection.execute(delete(process))  # none of those that ran at the backup works with this store
            detail = {"digest": digest, "file": file.name}
            audit_trail.record(connection, events.by_operator(Event.RESTORED, at=datetime.now(UTC), detail=detail))
            _continue_numbering(connection)
        with copy.read() as connection:
            rows = {table.name: _count(connection, table) for table in metadata.sorted_tables}
    _check(partial, rows)
    return rows


def _empty(target: Connection) -> None:
    """Leave nothing but our tables, empty, at the present schema; tables of others in the database stay."""
    migrate(target)
    metadata.drop_all(target)
    target.execute(text("DROP TABLE alembic_version"))
    migrate(target)


def _continue_numbering(target: Connection) -> None:
    """Let new rows be numbered after the restored ones, and after erased ones that the audit trail still names."""
    for table in metadata.sorted_tables:
        if "id" not in table.c:
            continue
        last = target.scalar(select(func.max(table.c.id))) or 0
        if f"{table.name}_id" in audit.c:
            last = max(last, target.scalar(select(func.max(audit.c[f"{table.name}_id"]))) or 0)
        if target.dialect.name == "postgresql":
            sequence = func.pg_get_serial_sequence(table.name, "id")
            target.execute(select(func.setval(sequence, last or 1, last > 0)))
        elif table.dialect_options["sqlite"]["autoincrement"]:
            target.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
            numbered = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")
            target.execute(numbered, {"name": table.name, "last": last})


def _batches(source: Connection) -> Generator[tuple[Table, list[dict[str, Any]]], None, None]:
    """Yield all rows of all tables in batches, those first that others refer to."""
    for table in metadata.sorted_tables:
        size = ROWS_WITH_BYTES if any(isinstance(column.type, LargeBinary) for column in table.c) else ROWS
        rows = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=size)
        with source.execute(rows) as result:
            for part in result.mappings().partitions():
                yield table, [dict(row) for row in part]


def _is_empty(database: Database) -> bool:
    """Return whether a database has no report, patient or precision record; one that cannot be read is not empty."""
    try:
        with database.read() as connection:
            existing = [
                table for table in (receipt, patient, register_record) if inspect(connection).has_table(table.name)
            ]
            return not any(_count(connection, table) for table in existing)
    except StoreError:
        return False


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _draft(path: Path) -> contextlib.closing[Database]:
    return contextlib.closing(Database(f"sqlite:///{path}", draft=True))


@contextlib.contextmanager
def _new_file(to: Path) -> Iterator[Path]:
    """Make a partial file beside the final one, readable by us alone, that is gone afterwards."""
    partial = to.with_name(f"{to.name}.partial")
    try:
        create_private_file(partial).close()
    except FileExistsError:
        raise BackupError(f"{partial} is there: another one is at it, or was killed; then remove it") from None
    except OSError as error:
        raise BackupError(f"{partial} cannot be written: {error.strerror}") from None
    try:
        yield partial
    except StoreError as failure:
        raise BackupError(f"it could not be written, or read: {failure}") from None
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def _publish(partial: Path, to: Path) -> None:
    """Give a complete file its name once it is on the disk; never replace another one."""
    _flush(partial)
    try:
        os.link(partial, to)
    except FileExistsError:
        raise BackupError(f"{to} is there already and is not overwritten") from None
    except OSError:  # a network drive may not support links
        if to.exists():
            raise BackupError(f"{to} is there already and is not overwritten") from None
        partial.rename(to)
    _flush(to.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(path: Path, rows: dict[str, int]) -> None:
    """Let SQLite check the whole file, and compare the number of rows in it."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as file:
            if file.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                raise BackupError(f"{path} is damaged")
            if file.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise BackupError(f"{path} lacks rows that others refer to")
            file.execute("SELECT version_num FROM alembic_version").fetchone()
            for table, count in rows.items():
                if file.execute(f"SELECT count(*) FROM {table}").fetchone() != (count,):
                    raise BackupError(f"{path} lacks rows of {table}")
    except sqlite3.Error as error:
        raise BackupError(f"{path} is no backup of a store: {type(error).__name__}") from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
