"""A backup by schedule has its name only once it was restored and compared, and an older one goes only then."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from pipeline.edge.app import App, open_app
from pipeline.edge.operations import backup, scheduled_backup
from pipeline.edge.operations.backup import BackupError, back_up
from pipeline.edge.operations.scheduled_backup import (
    BackupFailedError,
    back_up_by_schedule,
    backups_in,
    is_overdue,
    verify,
)
from pipeline.edge.overview import expiries
from pipeline.edge.store import housekeeping_log
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import addendum, reading, receipt_content
from tests import peers
from tests.factories.answered_exams import in_both_databases
from tests.factories.damaged_contents import damage_content, damages

KEEP = 2


@pytest.fixture
def app(two_exams: Path) -> Iterator[App]:
    """Two answered exams, and a folder for backups that is not there yet."""
    service = two_exams / "service.toml"
    told = f'[backup]\nfolder = "{two_exams}/backups"\nkeep = {KEEP}\n'
    service.write_text(told + service.read_text())
    with open_app(two_exams) as app:
        yield app


def _folder(app: App) -> Path:
    folder = app.settings.service.backup.folder
    assert folder is not None
    return folder


def _standing(app: App) -> expiries.Backups:
    with app.database.read() as connection:
        return expiries.backups(connection)


@in_both_databases
def test_a_backup_is_verified_named_for_its_owner_alone_and_on_record(app: App) -> None:
    done = back_up_by_schedule(app)
    assert done is not None
    assert list(_folder(app).iterdir()) == [done.file]
    assert stat.S_IMODE(_folder(app).stat().st_mode) == 0o700
    assert stat.S_IMODE(done.file.stat().st_mode) == 0o600
    with closing(sqlite3.connect(done.file)) as file:
        assert file.execute("SELECT count(*) FROM exam").fetchone() == (3,)
    standing = _standing(app)
    assert standing.last is not None
    assert standing.verified is not None
    assert standing.verified >= standing.last
    assert standing.failed is None


def test_the_oldest_go_once_a_new_one_is_verified_and_nothing_else_is_touched(app: App) -> None:
    folder = _folder(app)
    folder.mkdir()
    for day in (1, 2, 3):
        (folder / f"dxatrend-2026010{day}T023000Z.sqlite3").write_text("old")
    others = (
        "notes.txt",
        "other.sqlite3",
        "dxatrend-2025.sqlite3",
        "dxatrend-20250101T0230.sqlite3",
        ".verify-x",
    )
    for left in (*others, "dxatrend-20260101T023000Z.sqlite3.unverified"):
        (folder / left).write_text("")
    done = back_up_by_schedule(app)
    assert done is not None
    assert done.deleted == 2
    assert backups_in(folder) == [folder / "dxatrend-20260103T023000Z.sqlite3", done.file]
    assert {path.name for path in folder.iterdir()} - {path.name for path in backups_in(folder)} == {*others}


def test_a_backup_that_does_not_verify_gets_no_name_and_no_older_one_goes(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(app)
    folder.mkdir()
    old = [folder / f"dxatrend-2026010{day}T023000Z.sqlite3" for day in (1, 2, 3)]
    for path in old:
        path.write_text("old")

    def spoilt(database: Database, to: Path) -> backup.Copied:
        copied = back_up(database, to)
        with closing(sqlite3.connect(to)) as file:
            file.execute("UPDATE addendum SET content = x'00' WHERE id = (SELECT max(id) FROM addendum)")
            file.commit()
        return copied

    monkeypatch.setattr(scheduled_backup, "back_up", spoilt)
    with pytest.raises(BackupFailedError, match="has other bytes"):
        back_up_by_schedule(app)
    assert backups_in(folder) == old
    standing = _standing(app)
    assert standing.failed is not None
    assert "has other bytes" in standing.problem
    assert standing.verified is None
    monkeypatch.undo()
    back_up_by_schedule(app)
    assert _standing(app).failed is None
    assert len(list(folder.iterdir())) == KEEP


def test_a_receipt_whose_bytes_are_gone_from_the_store_is_told_by_the_next_backup(app: App) -> None:
    with app.database.write() as connection:
        number = connection.scalar(select(func.min(receipt_content.c.receipt_id)))
        connection.execute(delete(receipt_content).where(receipt_content.c.receipt_id == number))
    with pytest.raises(BackupFailedError, match=f"receipt {number} has no bytes"):
        back_up_by_schedule(app)


@in_both_databases
@damages
def test_bytes_that_are_damaged_in_the_store_fail_the_next_backup_by_their_number(
    app: App, damage: bytes | None
) -> None:
    with app.database.write() as connection:
        latest = select(addendum.c.exam_id).order_by(addendum.c.id.desc()).limit(1).scalar_subquery()
        number = connection.scalar(select(reading.c.receipt_id).where(reading.c.exam_id == latest))
        assert number is not None
        damage_content(connection, number, damage)
    with pytest.raises(BackupFailedError, match=f"receipt {number} has (no|damaged) bytes; they are .* in|from"):
        back_up_by_schedule(app)
    standing = _standing(app)
    assert standing.failed is not None
    assert f"receipt {number} has " in standing.problem
    assert backups_in(_folder(app)) == []


def test_rows_that_are_missing_after_the_restore_are_told(app: App, tmp_path: Path) -> None:
    copied = back_up(app.database, tmp_path / "whole")
    more = backup.Copied(digest=copied.digest, size=copied.size, rows=copied.rows | {"exam": 4})
    with pytest.raises(BackupError, match="lacks rows of exam"):
        verify(tmp_path / "whole", app.database, tmp_path / "scratch", more)


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(app: App) -> None:
    folder = _folder(app)
    with peers.small_disk(folder, megabytes=1):
        with pytest.raises(BackupFailedError, match=r"the disk of the folder has \d+ MB free"):
            back_up_by_schedule(app)
        assert list(folder.iterdir()) == []
    assert "MB are needed" in _standing(app).problem


def test_a_disk_that_fills_up_under_a_backup_leaves_no_partial_file(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduled_backup, "_require_room", lambda *_: None)
    folder = _folder(app)
    with peers.small_disk(folder, megabytes=1):
        (folder / "full").write_bytes(b"x" * 950_000)
        with pytest.raises(BackupFailedError):
            back_up_by_schedule(app)
        assert [path.name for path in folder.iterdir()] == ["full"]
    assert _standing(app).failed is not None


def test_a_worker_notices_that_no_schedule_has_begun_a_backup(app: App) -> None:
    now = datetime.now(UTC)
    assert not is_overdue(app, now), "not on the first day"
    assert not is_overdue(app, now + timedelta(hours=25))
    assert is_overdue(app, now + timedelta(hours=27))
    back_up_by_schedule(app)
    assert not is_overdue(app, now + timedelta(hours=25))


def test_without_a_folder_nothing_is_backed_up_nor_overdue(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        assert back_up_by_schedule(app) is None
        assert not is_overdue(app, datetime.now(UTC) + timedelta(days=9))
        with app.database.read() as connection:
            assert housekeeping_log.last_done(connection, housekeeping_log.BACKUP) is None
