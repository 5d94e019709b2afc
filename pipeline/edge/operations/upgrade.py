"""Bring a store of an earlier version to the present schema, with a backup taken first.

The service migrates its store when it starts, too. Here a person does it while the service is stopped, and knows before
the start that nothing was lost; otherwise the store stays as it was.
"""

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, func, inspect, select, table

from pipeline.edge.audit import events
from pipeline.edge.operations.backup import BackupError, back_up_unmigrated, require_backup
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database, migrate, revision_of
from pipeline.errors import DxatrendError

FOLDER = "backups"
"""The folder below the data folder for the backups of upgrades, where ``backup.folder`` names none."""

PREFIX = "before-"
"""How the names of backups begin that an upgrade makes, here and by ``deploy/install``; they stay until deleted."""

_KEPT = ("receipt", "receipt_content", "exam", "addendum", "patient", "audit")
"""Tables of which a migration may lose no row."""

_OF_A_BACKUP = "audit"
"""The table to which a backup adds an entry once it is complete."""


class UpgradeError(DxatrendError):
    """A store that was not upgraded and is as it was; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """What was done: the revisions of the schema, the backup, its SHA-256, and how many rows were and are there."""

    before: str
    after: str
    backup: Path
    digest: str
    rows: Mapping[str, int]


def upgrade(database: Database, backup: Path, *, is_taken: bool = False) -> Upgraded | None:
    """Back a store up, migrate it to the present schema and check it; ``None`` where it has that schema already.

    With ``is_taken`` the backup is there: the earlier version has made it. PostgreSQL needs one such, because only that
    version knows how to read its tables.

    Raises:
        UpgradeError: there is no backup, or the migrated store would lack rows; it is as it was.
        StoreInUseError: a process uses the store.
        StoreTooNewError: a later version has made it.
        StoreError: the database could not be queried, or not be migrated; it is as it was.
    """
    with database.exclusive():
        if database.is_migrated():
            return None
        with database.read() as connection:
            before, rows = revision_of(connection), _count(connection)
        try:
            if is_taken:
                _require_of(backup, before, rows)
            else:
                backup.parent.mkdir(parents=True, exist_ok=True)
                back_up_unmigrated(database, backup)
            digest = require_backup(backup)
        except BackupError as failed:
            raise UpgradeError(f"there is no backup: {failed}") from None
        with database.write() as connection:
            migrate(connection)
            _require_whole(connection, rows)
            after = revision_of(connection)
            detail = {"before": before, "after": after, "backup": digest}
            audit_trail.record(connection, events.by_operator(Event.UPGRADED, at=datetime.now(UTC), detail=detail))
        return Upgraded(before=before, after=after, backup=backup, digest=digest, rows=rows)


def _require_of(backup: Path, revision: str, rows: Mapping[str, int]) -> None:
    """Require that an intact backup has this schema and these rows: that it is of this store as it is now."""
    require_backup(backup)
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(backup))}?mode=ro&immutable=1", uri=True)) as file:
            versions = file.execute("SELECT version_num FROM alembic_version").fetchall()
            found = {name: file.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in rows}
    except sqlite3.Error:
        versions, found = [], {}
    if versions != [(revision,)] or {**found, _OF_A_BACKUP: 0} != {**rows, _OF_A_BACKUP: 0}:
        raise BackupError(f"{backup} is of another store, or the service has worked since")


def _count(connection: Connection) -> dict[str, int]:
    existing = set(inspect(connection).get_table_names())
    kept = [name for name in _KEPT if name in existing]
    return {name: connection.execute(select(func.count()).select_from(table(name))).scalar_one() for name in kept}


def _require_whole(connection: Connection, before: Mapping[str, int]) -> None:
    lost = [name for name, count in _count(connection).items() if count < before.get(name, 0)]
    if lost:
        raise UpgradeError(f"the migrated store would have fewer rows of {', '.join(lost)}")
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise UpgradeError("the migrated store would lack rows that others refer to")
