"""Back up by schedule: write a backup, restore it into a scratch store, compare the two, then delete the oldest.

A backup has its final name only once it was verified, and only then an older one is deleted.
"""

import hashlib
import logging
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, exists, func, select, text

from pipeline.edge.app import App
from pipeline.edge.configuration.service_settings import MEGABYTE
from pipeline.edge.operations import nightly_work
from pipeline.edge.operations.backup import BackupError, Copied, back_up, restore
from pipeline.edge.store import exams, housekeeping_log
from pipeline.edge.store.database import Database
from pipeline.edge.store.housekeeping_log import BACKUP_FAILED, BACKUP_TRIED, BACKUP_VERIFIED
from pipeline.edge.store.process_schema import process
from pipeline.edge.store.receipt_contents import DamagedContentError, inflate
from pipeline.edge.store.receipts import ERASED
from pipeline.edge.store.schema import addendum, receipt, receipt_content
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

PATTERN = f"dxatrend-{'[0-9]' * 8}T{'[0-9]' * 6}Z.sqlite3"
"""The names of our backups in their folder; nothing else there is ever deleted, whoever called it ``dxatrend-…``."""

_UNVERIFIED = ".unverified"
_SCRATCH = ".dxatrend-verify-"


class BackupFailedError(DxatrendError):
    """A scheduled backup that failed, which is on file with its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A backup that was written and verified, and how many older ones were deleted."""

    file: Path
    size: int
    deleted: int


def is_overdue(app: App, at: datetime) -> bool:
    """Return whether a backup is configured, and none was tried for longer than a night; not on the first day."""
    is_configured = app.settings.service.backup.folder is not None
    return is_configured and nightly_work.is_overdue(app.database, BACKUP_TRIED, at)


def back_up_by_schedule(app: App) -> Verified | None:
    """Write a backup into the configured folder and verify it; ``None`` where no folder is configured.

    Raises:
        BackupFailedError: it was not written, or not verified; no older one was deleted.
        StoreError: the database could not be reached.
    """
    settings = app.settings.service.backup
    if settings.folder is None:
        return None
    now = datetime.now(UTC)
    _record(app.database, BACKUP_TRIED, now)
    try:
        file, copied = _write_and_verify(app, settings.folder, now)
        deleted = _delete_oldest(settings.folder, settings.keep)
    except (BackupError, OSError) as failure:
        problem = f"{failure.strerror}" if isinstance(failure, OSError) else str(failure)
        _record(app.database, BACKUP_FAILED, now, problem)
        log.error("the backup has failed: %s", problem)
        raise BackupFailedError(problem) from None
    with app.database.write() as connection:
        housekeeping_log.forget(connection, BACKUP_FAILED)
        housekeeping_log.record_done(connection, BACKUP_VERIFIED, at=datetime.now(UTC))
    log.info("a backup was written and verified", extra={"bytes": copied.size, "deleted": deleted})
    return Verified(file=file, size=copied.size, deleted=deleted)


def backups_in(folder: Path) -> list[Path]:
    """Return the verified backups of a folder, the oldest first."""
    return sorted(folder.glob(PATTERN))


def _write_and_verify(app: App, folder: Path, now: datetime) -> tuple[Path, Copied]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # By one that failed, or was killed:
    for left in (*folder.glob(f"{PATTERN}{_UNVERIFIED}*"), *folder.glob(f"{_SCRATCH}*")):
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    _require_room(app, folder)
    final = folder / f"dxatrend-{now:%Y%m%dT%H%M%SZ}.sqlite3"
    unverified = final.with_name(f"{final.name}{_UNVERIFIED}")
    copied = back_up(app.database, unverified)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as scratch:
        verify(unverified, app.database, Path(scratch), copied)
    unverified.rename(final)
    return final, copied


def verify(file: Path, database: Database, scratch: Path, copied: Copied) -> None:
    """Restore a backup into a scratch store, and require that this has what the database had when it was made.

    Every row is counted, the latest exam with an addendum is read, and its addendum and its reports are compared with
    those of the database, byte for byte.

    Raises:
        BackupError: something is missing or different.
    """
    with closing(Database(f"sqlite:///{scratch}/store.sqlite3")) as restored:
        rows = restore(file, restored)
        missing = [
            name for name, count in copied.rows.items() if rows[name] < count and name not in (process.name, "audit")
        ]
        if missing:
            raise BackupError(f"restored, it lacks rows of {', '.join(missing)}")
        with restored.read() as theirs, database.snapshot() as ours:
            _compare(theirs, ours)


def _compare(theirs: Connection, ours: Connection) -> None:
    """Compare the latest exam that has an addendum; what was erased since is passed over.

    Each receipt must have bytes, which no constraint of the schema demands.
    """
    has_bytes = exists().where(receipt_content.c.receipt_id == receipt.c.id, func.length(receipt_content.c.content) > 0)
    if (number := theirs.scalar(select(receipt.c.id).where(~has_bytes).limit(1))) is not None:
        raise BackupError(f"restored, receipt {number} has no bytes; they are gone from the store as well")
    latest = select(addendum.c.id, addendum.c.exam_id, addendum.c.content).order_by(addendum.c.id.desc()).limit(20)
    for row in theirs.execute(latest):
        same = ours.scalar(select(addendum.c.content).where(addendum.c.id == row.id))
        if same is None:
            continue
        if same != row.content:
            raise BackupError(f"restored, addendum {row.id} has other bytes")
        (on_file,) = exams.load(theirs, [row.exam_id])
        for number, _ in on_file.reports:
            _require_bytes(theirs, ours, number)
        return


def _require_bytes(theirs: Connection, ours: Connection, number: int) -> None:
    """Require that a restored receipt has its bytes, unless it was erased or its pixel data dropped meanwhile."""
    one = select(receipt.c.digest, receipt.c.reason, receipt_content.c.content).where(receipt.c.id == number)
    one = one.outerjoin_from(receipt, receipt_content)
    there, here = theirs.execute(one).one(), ours.execute(one).one()
    if here.reason == ERASED:
        return
    try:
        intact = hashlib.sha256(inflate(number, there.content)).hexdigest() == there.digest
    except DamagedContentError:
        where = "; they are so in the store as well" if there.content == here.content else ""
        raise BackupError(f"restored, receipt {number} has damaged bytes{where}") from None
    if not intact and there.content != here.content:
        raise BackupError(f"restored, receipt {number} has other bytes")


def _require_room(app: App, folder: Path) -> None:
    """Require room for the backup and its restored copy, and the store's reserve, before anything is written."""
    path = app.database.path
    if path is not None:
        size = path.stat().st_size
    else:
        with app.database.read() as connection:
            size = connection.scalar(select(func.pg_database_size(text("current_database()")))) or 0
    needed = 2 * size // MEGABYTE + app.settings.service.store.reserve_mb
    free = shutil.disk_usage(folder).free // MEGABYTE
    if free < needed:
        raise BackupError(f"the disk of the folder has {free} MB free, and {needed} MB are needed")


def _delete_oldest(folder: Path, keep: int) -> int:
    """Delete the oldest backups but so many, and return their count."""
    old = backups_in(folder)[:-keep]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _record(database: Database, name: str, at: datetime, problem: str | None = None) -> None:
    with database.write() as connection:
        housekeeping_log.record_done(connection, name, at=at, problem=problem)
