"""How is the whole store carried into one file while it is in use, and back into a store of either kind?

A backup is a SQLite database with our present schema, whichever database it was made of: one format to keep, to look
into and to restore from, and the way from SQLite to PostgreSQL and back.
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

from sqlalchemy import Connection, LargeBinary, Table, func, insert, inspect, select, text

from pipeline.edge.audit import events
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database, StoreError, migrate
from pipeline.edge.store.schema import metadata, patient, receipt
from pipeline.errors import DxatrendError

ROWS = 1000
ROWS_WITH_BYTES = 20
"""How many rows are in memory at a time; one with bytes may be a picture."""


class BackupError(DxatrendError):
    """Nothing was written, or nothing restored; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a backup holds: the SHA-256 of the file, its size in bytes, and its rows by table."""

    digest: str
    size: int
    rows: dict[str, int]


def back_up(database: Database, to: Path) -> Copied:
    """Copy the store as it is at this moment into a new file, check the copy, and only then give it its name.

    Raises:
        BackupError: the file is there already, cannot be written, or is not what it should be.
        StoreError: the database could not be asked.
    """
    if not database.is_migrated():
        raise BackupError("the store has the schema of an earlier version: back it up with that one")
    if to.exists():
        raise BackupError(f"{to} is there already and is not overwritten")
    with _new_file(to) as partial:
        rows = _copy_into_file(database, partial)
        _check(partial, rows)
        copied = Copied(digest=_digest(partial), size=partial.stat().st_size, rows=rows)
        told = {"digest": copied.digest, "size": copied.size}
        with database.write() as connection:
            audit_trail.record(connection, events.by_operator(Event.BACKED_UP, at=datetime.now(UTC), detail=told))
        _give_name(partial, to)
    return copied


def restore(file: Path, database: Database, *, replace: bool = False) -> dict[str, int]:
    """Make a store what a backup was, brought to the present schema; the rows by table.

    Raises:
        BackupError: the file is no backup that is whole, or the store is not empty and shall not be replaced.
        StoreInUseError: a process works with the store.
        StoreTooNewError: a later version has made the backup.
        StoreError: the database could not be asked.
    """
    digest = _require_backup(file)
    with database.alone():
        if not replace and not _is_empty(database):
            raise BackupError("the store is not empty; --replace puts the backup in its place")
        database.close()  # no connection of ours may go on with a file that is no longer there
        if database.path:
            return _restore_into_file(file, database.path, digest)
        return _restore_into_server(file, database, digest)


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
        aside = f"{path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        for suffix in ("", "-wal", "-shm"):  # what was there may be all that is left of something
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(path.with_name(aside + suffix))
        _give_name(partial, path)
    return rows


def _restore_into_server(file: Path, database: Database, digest: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory(prefix="dxatrend-") as folder:
        partial = Path(folder) / "restoring.sqlite3"
        partial.touch(0o600)
        rows = _prepare(file, partial, digest)
        with _draft(partial) as copy, copy.read() as source, database.write() as target:
            _empty(target)
            for table, batch in _batches(source):
                target.execute(insert(table), batch)
            _number_on(target)
            if {table.name: _count(target, table) for table in metadata.sorted_tables} != rows:
                raise BackupError("not every row has arrived; the store is as it was")
    return rows


def _prepare(file: Path, partial: Path, digest: str) -> dict[str, int]:
    """A copy of a backup at the present schema, which knows that it was restored."""
    try:
        shutil.copyfile(file, partial)
    except OSError as error:
        raise BackupError(f"the backup cannot be copied: {error.strerror}") from None
    with _draft(partial) as copy:
        copy.migrate()
        with copy.write() as connection:
            told = {"digest": digest, "file": file.name}
            audit_trail.record(connection, events.by_operator(Event.RESTORED, at=datetime.now(UTC), detail=told))
        with copy.read() as connection:
            rows = {table.name: _count(connection, table) for table in metadata.sorted_tables}
    _check(partial, rows)
    return rows


def _empty(target: Connection) -> None:
    """Nothing but our tables at the present schema; who shares the database keeps theirs."""
    migrate(target)
    metadata.drop_all(target)
    target.execute(text("DROP TABLE alembic_version"))
    migrate(target)


def _number_on(target: Connection) -> None:
    """Let PostgreSQL number new rows after those that came with their numbers."""
    for table in metadata.sorted_tables:
        if "id" in table.c:
            last = target.scalar(select(func.max(table.c.id)))
            sequence = func.pg_get_serial_sequence(table.name, "id")
            target.execute(select(func.setval(sequence, last or 1, last is not None)))


def _batches(source: Connection) -> Generator[tuple[Table, list[dict[str, Any]]], None, None]:
    """Every row of every table, those first that others refer to."""
    for table in metadata.sorted_tables:
        size = ROWS_WITH_BYTES if any(isinstance(column.type, LargeBinary) for column in table.c) else ROWS
        rows = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=size)
        with source.execute(rows) as result:
            for part in result.mappings().partitions():
                yield table, [dict(row) for row in part]


def _is_empty(database: Database) -> bool:
    """Whether nobody's reports and nothing about a patient is in it; what cannot be read counts as something."""
    try:
        with database.read() as connection:
            there = [table for table in (receipt, patient) if inspect(connection).has_table(table.name)]
            return not any(_count(connection, table) for table in there)
    except StoreError:
        return False


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _draft(path: Path) -> contextlib.closing[Database]:
    return contextlib.closing(Database(f"sqlite:///{path}", draft=True))


@contextlib.contextmanager
def _new_file(to: Path) -> Iterator[Path]:
    """A file beside the one to be, for our eyes only, and gone afterwards."""
    partial = to.with_name(f"{to.name}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL, 0o600))
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


def _give_name(partial: Path, to: Path) -> None:
    """Let a whole file appear under its name, on the disk and not only in memory; never over another one."""
    _flush(partial)
    try:
        os.link(partial, to)
    except FileExistsError:
        raise BackupError(f"{to} is there already and is not overwritten") from None
    except OSError:  # a network drive may know no links
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


def _require_backup(file: Path) -> str:
    """The SHA-256 of a backup that is whole."""
    try:
        digest = _digest(file)
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}") from None
    _check(file, {})
    return digest


def _check(path: Path, rows: dict[str, int]) -> None:
    """Let SQLite check the whole file, and count what should be in it."""
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
