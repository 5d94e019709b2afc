"""When recurring work was last done: housekeeping, and backups."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.process_schema import housekeeping

BACKUP = "backup"
"""The name of the row that says when ``dxatrend backup`` was last done."""

BACKUP_TRIED = "backup by schedule"
"""When a backup by schedule was last begun."""

BACKUP_VERIFIED = "backup verified"
"""When a backup was last restored into a scratch store and compared."""

BACKUP_FAILED = "backup failed"
"""When the last backup by schedule failed, and why; no row once one has succeeded."""

DAMAGED_STORE = "damaged store"
"""Since when the database fails its check; no row while it passes."""

BROKEN_AUDIT_TRAIL = "broken audit trail"
"""Since when the chain of the audit trail is broken; no row while it is whole."""

TO_BE_REWRITTEN = "store to be rewritten"
"""Since when the files of the store may still hold what was erased; no row once they were rewritten."""

_LAST_DONE = CompiledStatement(select(housekeeping.c.done_at).where(housekeeping.c.name == bindparam("of")))


def last_done(connection: Connection, name: str) -> datetime | None:
    """Return when something was last done; ``None`` where it never was."""
    done_at: datetime | None = _LAST_DONE.scalar(connection, {"of": name})
    return done_at


def problem_of(connection: Connection, name: str) -> str:
    """Return why something failed; empty where it did not."""
    return connection.scalar(select(housekeeping.c.problem).where(housekeeping.c.name == name)) or ""


def record_done(
    connection: Connection, name: str, *, at: datetime, seconds: float = 0, problem: str | None = None
) -> None:
    """Record that something was done now."""
    forget(connection, name)
    connection.execute(insert(housekeeping).values(name=name, done_at=at, seconds=seconds, problem=problem))


def forget(connection: Connection, name: str) -> None:
    """Delete what is on file under a name."""
    connection.execute(delete(housekeeping).where(housekeeping.c.name == name))
