"""Whatever was answered before a backup began is in it, and comes back in either kind of database."""

import random
import sqlite3
import stat
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text

from pipeline.edge.operations.backup import BackupError, back_up, restore
from pipeline.edge.store import audit_chain, audit_trail, outbox, patients, processes, readings, receipts, work_queue
from pipeline.edge.store.audit_schema import audit as audit_table
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database, StoreError, StoreInUseError, StoreTooNewError
from pipeline.edge.store.outbox import NewAddendum
from pipeline.edge.store.schema import receipt
from pipeline.edge.store.schema_base import metadata
from tests import peers
from tests.factories.instances import NOW, instance, report

MakeStore = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Gives a store of either kind, not even migrated."""
    made: list[Database] = []

    def make() -> Database:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path}/another{len(made)}/store.sqlite3"
        else:
            url = request.getfixturevalue("postgres").fresh_database()
        made.append(Database(url))
        return made[-1]

    yield make
    for database in made:
        database.close()


def _fill(database: Database, patients_in_it: int = 3) -> None:
    """Something in every table that refers to another."""
    for number in range(patients_in_it):
        uid = f"2.25.{number + 1}"
        with database.write() as connection:
            kept, _ = receipts.store(
                connection, instance(random.Random(number).randbytes(20_000), uid=uid), calling_ae_title="A", at=NOW
            )
            told = report(patient_id=f"P{number}", uid=uid, study=f"{uid}.1")
            exam = readings.record(connection, kept, told, readings.ReportArrival(due_at=NOW, seen_at=NOW))
            for revision in range(2):
                predecessor = outbox.latest(connection, exam)
                addendum = NewAddendum(
                    exam_number=exam,
                    predecessor=predecessor.number if predecessor else None,
                    sop_class_uid="1.2",
                    sop_instance_uid=f"{uid}.9.{revision}",
                    digest="d",
                    overall="STABLE",
                    data_set=b"addendum",
                )
                outbox.issue(connection, addendum, ["pacs"], at=NOW)
            audit_chain.seal(connection)


def _everything(database: Database) -> dict[str, list[dict[str, object]]]:
    """Every row of every table but the trail, which tells of backups as well."""
    with database.read() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings().all()
            ]
            for table in metadata.sorted_tables
            if table is not audit_table
        }


def test_a_backup_restored_into_either_kind_of_store_is_the_store_it_was_made_of(
    database: Database, another: MakeStore, tmp_path: Path
) -> None:
    _fill(database)
    before = _everything(database)
    copied = back_up(database, tmp_path / "backup")
    target = another()
    assert restore(tmp_path / "backup", target)["receipt"] == copied.rows["receipt"] == 3
    assert _everything(target) == before
    with target.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert audit_chain.verify(connection).broken_at is None
        assert [one.entry.event for one in audit_trail.find(connection)][-1] == Event.RESTORED
    with target.write() as connection:  # rows are numbered on, and the queues go on
        number, new = receipts.store(connection, instance(b"next", uid="2.25.99"), calling_ae_title="A", at=NOW)
        assert (number, new) == (4, True)
        assert patients.number_of(connection, "P9", "") > 3
        assert len(work_queue.claim(connection, receipt, limit=9, at=NOW)) == 1
    with pytest.raises(StoreError), target.write() as connection:
        connection.execute(text("DELETE FROM audit"))


def test_a_backup_is_one_file_that_only_its_owner_may_read_and_is_on_file(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    _fill(database)
    copied = back_up(database, folder / "backup")
    assert [path.name for path in folder.iterdir()] == ["backup"]
    assert stat.S_IMODE((folder / "backup").stat().st_mode) == 0o600
    assert (folder / "backup").stat().st_size == copied.size
    with database.read() as connection:
        last = list(audit_trail.find(connection))[-1].entry
    assert (last.event, last.detail["digest"]) == (Event.BACKED_UP, copied.digest)


def test_everything_that_was_answered_before_a_backup_began_is_in_it(database: Database, tmp_path: Path) -> None:
    """While others go on storing, four backups are made; each is whole, and of one moment."""
    answered: list[str] = []
    stop = threading.Event()

    def store() -> None:
        noise = random.Random(1)
        while not stop.is_set():
            uid = f"2.25.{len(answered) + 1}"
            with database.write() as connection:
                sent = instance(noise.randbytes(10_000), uid=uid)
                number, _ = receipts.store(connection, sent, calling_ae_title="A", at=NOW)
                readings.record(
                    connection, number, report(uid=uid, study=uid), readings.ReportArrival(due_at=NOW, seen_at=NOW)
                )
            answered.append(uid)
            time.sleep(0.001)  # SQLite lets nobody else in where a writer comes back at once, which no scanner does

    scanner = threading.Thread(target=store)
    scanner.start()
    try:
        for number in range(4):
            goal = len(answered) + 5
            while len(answered) < goal:
                time.sleep(0.01)
            before, file = len(answered), tmp_path / f"backup{number}"
            back_up(database, file)
            with closing(sqlite3.connect(file)) as backup:
                kept = backup.execute("SELECT sop_instance_uid, digest FROM receipt ORDER BY id").fetchall()
                contents = backup.execute("SELECT content FROM receipt_content").fetchall()
                (reading_count,) = backup.execute("SELECT count(*) FROM reading").fetchone()
                (receipt_count,) = backup.execute("SELECT count(*) FROM audit WHERE event = 'received'").fetchone()
            assert [uid for uid, _ in kept] == [f"2.25.{n + 1}" for n in range(len(kept))]
            assert len(kept) >= before
            assert len(kept) == len(contents) == reading_count == receipt_count, "of one moment"
            assert all(zlib.decompress(content) for (content,) in contents)
    finally:
        stop.set()
        scanner.join()


def test_a_backup_overwrites_nothing(database: Database, tmp_path: Path) -> None:
    there = tmp_path / "backup"
    there.write_text("yesterday's")
    with pytest.raises(BackupError, match="is there already"):
        back_up(database, there)
    assert there.read_text() == "yesterday's"
    with pytest.raises(BackupError, match="cannot be written"):
        back_up(database, tmp_path / "no such folder" / "backup")


def test_a_backup_that_finds_no_room_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    _fill(database, 40)
    with peers.small_disk(tmp_path / "disk", megabytes=1) as disk:
        with pytest.raises(BackupError, match="could not be written"):
            back_up(database, disk.folder / "backup")
        assert list(disk.folder.iterdir()) == []


def test_a_store_that_is_not_empty_is_replaced_only_when_that_is_said(
    database: Database, another: MakeStore, tmp_path: Path
) -> None:
    _fill(database, 2)
    back_up(database, tmp_path / "backup")
    target = another()
    target.migrate()
    _fill(target, 5)
    before = _everything(target)
    with pytest.raises(BackupError, match="not empty"):
        restore(tmp_path / "backup", target)
    assert _everything(target) == before
    target.close()
    restore(tmp_path / "backup", target, replace=True)
    target.close()
    assert len(_everything(target)["receipt"]) == 2
    if target.path:
        (aside,) = [
            path for path in target.path.parent.iterdir() if ".replaced-" in path.name and path.suffix != ".lock"
        ]
        old = Database(f"sqlite:///{aside}")
        assert _everything(old) == before, "what was replaced is put aside, whole"
        old.close()


def test_a_store_that_is_in_use_is_not_replaced(database: Database, another: MakeStore, tmp_path: Path) -> None:
    back_up(database, tmp_path / "backup")
    target = another()
    with target.in_use():
        target.migrate()
        meanwhile = Database(str(target._url.render_as_string(hide_password=False)))
        with pytest.raises(StoreInUseError):
            restore(tmp_path / "backup", meanwhile)
        meanwhile.close()


@pytest.mark.parametrize("damage", ["cut short", "one page", "something else", "an empty database"])
def test_what_is_no_whole_backup_is_not_restored(tmp_path: Path, damage: str) -> None:
    source = Database(f"sqlite:///{tmp_path}/source.sqlite3")
    source.migrate()
    _fill(source)
    file = tmp_path / "backup"
    back_up(source, file)
    source.close()
    content = bytearray(file.read_bytes())
    if damage == "cut short":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "one page":
        content[-4096:-3896] = b"\xff" * 200
        file.write_bytes(content)
    elif damage == "something else":
        file.write_bytes(b"not a database at all" * 1000)
    else:
        file.write_bytes(b"")
    target = Database(f"sqlite:///{tmp_path}/target/store.sqlite3")
    with pytest.raises(BackupError):
        restore(file, target)
    target.migrate()
    assert _everything(target)["receipt"] == []
    target.close()


def test_a_backup_of_a_later_version_is_not_restored(tmp_path: Path, another: MakeStore) -> None:
    source = Database(f"sqlite:///{tmp_path}/source.sqlite3")
    source.migrate()
    back_up(source, tmp_path / "backup")
    source.close()
    with closing(sqlite3.connect(tmp_path / "backup", isolation_level=None)) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreTooNewError):
        restore(tmp_path / "backup", another())


def test_a_store_of_a_later_version_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreTooNewError):
        database.migrate()


def test_no_process_that_ran_at_a_backup_counts_as_one_of_the_restored_store(
    database: Database, tmp_path: Path
) -> None:
    with database.write() as connection:
        processes.register(connection, "worker", None, at=NOW, owner="elsewhere/17.1")
    back_up(database, tmp_path / "copy")
    with closing(Database(f"sqlite:///{tmp_path}/restored.sqlite3")) as restored:
        restore(tmp_path / "copy", restored)
        with restored.read() as connection:
            assert processes.on_file(connection, at=NOW) == []


def test_a_backup_is_not_touched_by_its_restore(tmp_path: Path) -> None:
    source = Database(f"sqlite:///{tmp_path}/source.sqlite3")
    source.migrate()
    _fill(source)
    folder = tmp_path / "on a disk that is mounted for reading only"
    folder.mkdir()
    back_up(source, folder / "backup")
    source.close()
    before = (folder / "backup").read_bytes()
    target = Database(f"sqlite:///{tmp_path}/target/store.sqlite3")
    restore(folder / "backup", target)
    target.close()
    assert (folder / "backup").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["backup"]
