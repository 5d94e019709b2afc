"""Everything received, said and answered stays in the database, once, and in both kinds of database alike."""

import contextlib
import os
import random
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, select

from pipeline.edge.store import exams, held_work, outbox, patients, readings, receipts, service_status, work_queue
from pipeline.edge.store.change_notification import SqliteNotification
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.outbox import NewAddendum
from pipeline.edge.store.schema import exam, receipt
from pipeline.edge.store.schema_base import State, metadata
from tests.factories.instances import NOW, instance, lose_the_worker, report

SETTLED = NOW + timedelta(seconds=30)


def _keep(database: Database, data_set: bytes = b"bytes", uid: str = "2.25.1") -> tuple[int, bool]:
    with database.write() as connection:
        return receipts.store(connection, instance(data_set, uid=uid), calling_ae_title="SCANNER1", at=NOW)


def _record(database: Database, **of: str) -> int:
    number, _ = _keep(database, uid=of.get("uid", "2.25.1"))
    with database.write() as connection:
        return readings.record(connection, number, report(**of), readings.ReportArrival(due_at=SETTLED, seen_at=NOW))


def _issue(database: Database, exam_number: int, uid: str = "2.25.99") -> int:
    with database.write() as connection:
        predecessor = outbox.latest(connection, exam_number)
        addendum = NewAddendum(
            exam_number=exam_number,
            predecessor=predecessor.number if predecessor else None,
            sop_class_uid="1.2",
            sop_instance_uid=uid,
            digest="d",
            overall="STABLE",
            data_set=b"addendum " + uid.encode(),
        )
        return outbox.issue(connection, addendum, ["pacs", "archive"], at=NOW)


def test_the_migrations_build_exactly_the_schema_the_code_knows(database: Database) -> None:
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    number, _ = _keep(database)
    database.migrate()
    with database.read() as connection:
        assert [found.number for found in receipts.load(connection, [number])] == [number]


def test_two_processes_may_start_on_an_empty_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.sqlite3"
    failures: list[BaseException] = []

    def start() -> None:
        try:
            Database(url).migrate()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_was_received_comes_back_byte_for_byte(database: Database) -> None:
    sent = instance(bytes(range(256)) * 40)
    with database.write() as connection:
        number, new = receipts.store(connection, sent, calling_ae_title="SCANNER1", at=NOW)
    with database.read() as connection:
        (found,) = receipts.load(connection, [number])
    assert new
    assert (found.instance, found.sender.ae_title, found.received_at) == (sent, "SCANNER1", NOW)


def test_the_same_instance_sent_again_is_kept_once(database: Database) -> None:
    first, _ = _keep(database)
    assert _keep(database) == (first, False)


def test_whoever_looks_holds_up_nobody_who_receives(database: Database) -> None:
    """A write that had to wait for the end of this transaction would never be done."""
    first, _ = _keep(database)
    with database.read() as looking:
        assert list(looking.scalars(select(receipt.c.id))) == [first]
        _, new = _keep(database, uid="2.25.2")
        assert new
        assert looking.scalar(select(func.count()).select_from(receipt))


def test_a_known_uid_with_other_bytes_is_kept_too_and_held_for_a_person(database: Database) -> None:
    first, _ = _keep(database, b"one")
    second, new = _keep(database, b"another")
    with database.read() as connection:
        assert len(receipts.load(connection, [first, second])) == 2
        (waiting,) = held_work.held(connection)
    assert new
    assert (waiting.number, waiting.reason) == (str(second), receipts.OTHER_BYTES)


def test_of_two_listeners_with_other_bytes_under_one_uid_at_the_same_instant_the_later_one_holds_its_own(
    database: Database,
) -> None:
    kept: list[tuple[int, bool]] = []
    later = threading.Thread(target=lambda: kept.append(_keep(database, b"another")))
    with database.write() as connection:
        first, _ = receipts.store(connection, instance(b"one"), calling_ae_title="SCANNER1", at=NOW)
        later.start()
        later.join(0.5)
        assert kept == []
    later.join(30)
    with database.read() as connection:
        (waiting,) = held_work.held(connection)
        assert service_status.status(connection, [], NOW).to_be_read == 1
    assert kept == [(int(waiting.number), True)]
    assert waiting.number != str(first)


def test_listeners_that_keep_the_same_uids_in_any_order_never_block_each_other(database: Database) -> None:
    uids = [f"2.25.{number}" for number in range(20)]
    failures: list[BaseException] = []

    def listen(number: int) -> None:
        try:
            for turn in range(10):
                arrivals = [_arrival(f"{number} {turn}", uid) for uid in random.Random(turn).sample(uids, 10)]
                with database.write() as connection:
                    receipts.store_all(connection, arrivals[::number])
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=listen, args=(number,)) for number in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.read() as connection:
        counts = service_status.status(connection, [], NOW)
    assert (counts.received, counts.to_be_read) == (200, len(uids))


def _arrival(data_set: str, uid: str) -> receipts.Arrival:
    return receipts.Arrival.of(instance(data_set.encode(), uid=uid), calling_ae_title="SCANNER1", at=NOW)


def test_a_transaction_that_fails_leaves_nothing_behind(database: Database) -> None:
    class CrashError(Exception):
        pass

    def interrupted() -> None:
        with database.write() as connection:
            receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=NOW)
            raise CrashError

    with pytest.raises(CrashError):
        interrupted()
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(receipt)) == 0


def test_a_locked_database_says_so_without_quoting_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.edge.store.database.SQLITE_BUSY_SECONDS", 0.05)
    url = f"sqlite:///{tmp_path}/locked.sqlite3"
    one, other = Database(url), Database(url)
    one.migrate()
    with one.write(), pytest.raises(StoreError, match="SQLITE_BUSY") as failure, other.write():
        pass
    assert failure.value.__cause__ is None
    with other.write() as connection:
        assert receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=NOW)[1]


def test_the_nightly_refresh_of_statistics_waits_for_whoever_writes(tmp_path: Path) -> None:
    """SQLite's own statement fails at once there, as it reads before it writes."""
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    ours, of_another_process = Database(url), Database(url)
    ours.migrate()
    _keep(ours)
    with ours.read() as connection:  # so that statistics are of use
        connection.exec_driver_sql("SELECT id FROM exam WHERE study_instance_uid = '1'").all()
    is_writing = threading.Event()

    def write() -> None:
        with of_another_process.write() as connection:
            receipts.store(connection, instance(uid="2.25.2"), calling_ae_title="SCANNER1", at=NOW)
            is_writing.set()
            time.sleep(0.5)

    writer = threading.Thread(target=write)
    writer.start()
    is_writing.wait()
    ours.optimize()
    writer.join()
    with ours.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'").scalar()


def test_reports_of_one_patient_study_and_scanner_are_one_exam(database: Database) -> None:
    first = _record(database, uid="2.25.1")
    assert _record(database, uid="2.25.2", bmd="0.931") == first
    assert _record(database, uid="2.25.3", serial_number="S2") != first
    with database.read() as connection:
        (found,) = exams.load(connection, [first])
    assert [said.sop_instance_uid for _, said in found.reports] == ["2.25.1", "2.25.2"]
    assert found.reports[0][1] == report(uid="2.25.1"), "numbers keep their decimals through the database"


def test_the_history_of_a_patient_is_everything_but_the_exam_itself_and_what_is_held(database: Database) -> None:
    now = _record(database, study="2.25.10", uid="2.25.1")
    before = _record(database, study="2.25.11", uid="2.25.2")
    doubtful = _record(database, study="2.25.12", uid="2.25.3")
    _record(database, study="2.25.13", uid="2.25.4", patient_id="P2")
    with database.write() as connection:
        work_queue.hold(connection, exam, doubtful, reason="contradictory", detail="")
    with database.read() as connection:
        (on_file,) = exams.load(connection, [now])
        assert [found.number for found in exams.history(connection, on_file.patient, but=now)] == [before]


def test_an_exam_is_due_once_it_has_settled(database: Database) -> None:
    number = _record(database)
    with database.write() as connection:
        assert work_queue.claim(connection, exam, limit=5, at=SETTLED - timedelta(seconds=1)) == []
        assert work_queue.next_due(connection, exam) == SETTLED
        assert work_queue.claim(connection, exam, limit=5, at=SETTLED) == [number]


def test_what_one_worker_has_claimed_no_other_gets_until_the_lease_runs_out(database: Database) -> None:
    number = _record(database)
    with database.write() as connection:
        work_queue.claim(connection, exam, limit=5, at=SETTLED)
        assert work_queue.claim(connection, exam, limit=5, at=SETTLED) == []
        assert work_queue.next_due(connection, exam) == SETTLED + work_queue.LEASE
        assert work_queue.claim(connection, exam, limit=5, at=SETTLED + work_queue.LEASE) == [number]
    with database.read() as connection:
        assert exams.load(connection, [number])[0].worker_crashes == 1, "nobody ended the first lease"


def test_leases_of_processes_that_no_longer_run_are_ended(database: Database) -> None:
    number = _record(database)
    with database.write() as connection:
        assert work_queue.claim(connection, exam, limit=5, at=SETTLED) == [number]
        assert work_queue.reclaim_from_dead_processes(connection) == 0, "we are alive"
        assert lose_the_worker(connection, exam) == 1
        assert work_queue.claim(connection, exam, limit=5, at=SETTLED) == [number]


def test_a_process_is_not_taken_for_an_earlier_one_with_its_number(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container every worker may be process 7."""
    _record(database)
    with database.write() as connection:
        with monkeypatch.context() as patch:
            patch.setattr(work_queue, "owner", lambda: f"{socket.gethostname()}/{os.getpid()}.1")
            work_queue.claim(connection, exam, limit=5, at=SETTLED)
        assert work_queue.reclaim_from_dead_processes(connection) == 1


def test_when_the_clock_went_back_nothing_waits_for_the_old_time_to_come(database: Database) -> None:
    number = _record(database)
    hour = timedelta(hours=1)
    with database.write() as connection:
        assert work_queue.bring_forward(connection, hour, at=NOW - hour) >= 1
        assert work_queue.next_due(connection, exam) == SETTLED - hour
        assert work_queue.claim(connection, exam, limit=5, at=SETTLED - hour) == [number]


def test_leases_of_another_machine_are_left_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    _record(database)
    with database.write() as connection:
        with monkeypatch.context() as patch:
            patch.setattr(work_queue, "owner", lambda: "another-machine/4194999.1")
            work_queue.claim(connection, exam, limit=5, at=SETTLED)
        assert work_queue.reclaim_from_dead_processes(connection) == 0


def test_an_exam_to_which_a_report_was_added_meanwhile_stays_due(database: Database) -> None:
    number = _record(database, uid="2.25.1")
    with database.write() as connection:
        work_queue.claim(connection, exam, limit=5, at=SETTLED)
        (on_file,) = exams.load(connection, [number])
    _record(database, uid="2.25.2", bmd="0.931")
    with database.write() as connection:
        exams.finish_follow_up(connection, on_file)
    with database.write() as connection:
        assert work_queue.claim(connection, exam, limit=5, at=SETTLED) == [number]


def test_an_exam_that_was_followed_up_is_due_no_more_until_a_report_is_added(database: Database) -> None:
    number = _record(database, uid="2.25.1")
    with database.write() as connection:
        work_queue.claim(connection, exam, limit=5, at=SETTLED)
        exams.finish_follow_up(connection, exams.load(connection, [number])[0])
        assert work_queue.next_due(connection, exam) is None
    _record(database, uid="2.25.2", bmd="0.931")
    with database.write() as connection:
        assert work_queue.claim(connection, exam, limit=5, at=SETTLED) == [number]


def test_held_work_waits_for_a_person_and_can_be_released_once(database: Database) -> None:
    number, _ = _keep(database)
    with database.write() as connection:
        work_queue.hold(connection, receipt, number, reason="no_bmd", detail="nothing usable")
        assert work_queue.claim(connection, receipt, limit=5, at=NOW) == []
        assert [(held.number, held.reason) for held in held_work.held(connection)] == [(str(number), "no_bmd")]
        assert work_queue.release(connection, receipt, number, at=NOW)
        assert not work_queue.release(connection, receipt, number, at=NOW)
        assert work_queue.claim(connection, receipt, limit=5, at=NOW) == [number]


def test_an_addendum_waits_for_each_destination_on_its_own(database: Database) -> None:
    number = _issue(database, _record(database))
    with database.write() as connection:
        (delivery,) = outbox.deliveries(connection, outbox.claim(connection, "pacs", limit=5, at=NOW))
        outbox.record_delivery(connection, delivery.number, proof="C-FIND", at=NOW)
    with database.read() as connection:
        to = service_status.status(connection, ["pacs", "archive"], NOW).destinations
    assert delivery.addendum.number == number
    assert delivery.addendum.data_set == b"addendum 2.25.99"
    assert [(one.name, one.delivered, one.backlog) for one in to] == [("pacs", 1, 0), ("archive", 0, 1)]


def test_the_latest_addendum_of_an_exam_is_the_one_issued_last(database: Database) -> None:
    number = _record(database)
    _issue(database, number, uid="2.25.98")
    last = _issue(database, number, uid="2.25.99")
    with database.read() as connection:
        found = outbox.latest(connection, number)
        assert [one.number for one in outbox.addenda(connection, number)] == [last - 1, last]
    assert found is not None
    assert found.number == last


def test_two_who_see_a_new_patient_id_of_two_issuers_at_once_make_one_person_of_it(database: Database) -> None:
    found: list[int] = []

    def other() -> None:
        with database.write() as connection:
            found.append(patients.linked_patients_number(connection, patients.number_of(connection, "P9", "theirs")))

    thread = threading.Thread(target=other)
    with database.write() as connection:
        linked_patients = patients.linked_patients_number(connection, patients.number_of(connection, "P9", "ours"))
        thread.start()
        thread.join(0.5)
        assert found == []
    thread.join(30)
    assert found == [linked_patients]


def test_status_counts_what_was_received_and_waits(database: Database) -> None:
    _record(database, uid="2.25.1")
    _keep(database, uid="2.25.2")
    with database.read() as connection:
        found = service_status.status(connection, [], NOW)
    assert (found.received, found.to_be_read, found.exams_waiting, found.held) == (2, 1, 1, 0)
    assert [one.serial_number for one in found.scanners] == ["S1"]


@pytest.mark.parametrize("system_tells_of_writes", [True, False])
def test_a_commit_of_another_connection_ends_the_wait_and_so_does_the_stop(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, system_tells_of_writes: bool
) -> None:
    def no_more_listeners(*_: object) -> None:
        raise OSError

    if not system_tells_of_writes:
        monkeypatch.setattr("pipeline.edge.store.change_notification.FileWrites", no_more_listeners)
    set_stop, stop = socket.socketpair()
    with set_stop, stop, contextlib.closing(database.change_notification(stop)) as change_notification:
        change_notification.wait(0.01)
        change_notification.wait(0.01)
        for end in (lambda: _keep(database), lambda: set_stop.send(b".")):
            waiter = threading.Thread(target=change_notification.wait, args=(600,))
            waiter.start()
            waiter.join(0.1)
            assert waiter.is_alive()
            end()
            waiter.join(30)
            assert not waiter.is_alive()
        change_notification.wait(600)  # once set, it stays set


def test_a_commit_that_a_slow_disk_completes_long_after_the_write_ends_the_wait(tmp_path: Path) -> None:
    """The write and the commit are those of two databases here: the commit alone tells nothing of itself."""
    set_stop, stop = socket.socketpair()
    with (
        set_stop,
        stop,
        contextlib.closing(Database(f"sqlite:///{tmp_path}/store.sqlite3")) as database,
        contextlib.closing(SqliteNotification(database._engine, tmp_path / "other", stop)) as change_notification,
    ):
        database.migrate()
        change_notification.wait(0.01)
        waiter = threading.Thread(target=change_notification.wait, args=(600,))
        waiter.start()
        (tmp_path / "other-wal").write_text("x")
        waiter.join(1)
        assert waiter.is_alive()
        _keep(database)
        waiter.join(30)
        assert not waiter.is_alive()


def test_a_commit_costs_who_waits_for_the_next_one_a_few_looks_at_the_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int | None] = []
    look = SqliteNotification._commits

    def counted(notification: SqliteNotification) -> int | None:
        looks.append(look(notification))
        return looks[-1]

    monkeypatch.setattr(SqliteNotification, "_commits", counted)
    set_stop, stop = socket.socketpair()
    with set_stop, stop, contextlib.closing(Database(f"sqlite:///{tmp_path}/store.sqlite3")) as database:
        database.migrate()
        with contextlib.closing(database.change_notification(stop)) as change_notification:
            change_notification.wait(0.01)
            _keep(database)
            change_notification.wait(600)
            change_notification.wait(1)
    assert len(set(looks)) == 2, "it was seen, and nothing else"
    assert len(looks) <= 14


def test_no_state_is_lost_between_the_two_kinds_of_moment(database: Database) -> None:
    """SQLite has no time zones; what comes back is the same moment all the same."""
    number, _ = _keep(database)
    with database.read() as connection:
        row = connection.execute(select(receipt.c.due_at, receipt.c.state).where(receipt.c.id == number)).one()
    assert (row.due_at, row.state) == (NOW, State.WAITING)


def test_no_password_is_told_with_the_place_of_a_store_wherever_it_stands_in_the_url() -> None:
    written = "postgresql+psycopg://dxatrend:zzsecret@db.example/dxatrend?password=zzsecret&sslmode=require"
    shown = Database(written).shown_url
    assert "zzsecret" not in shown
    assert "db.example/dxatrend?sslmode=require" in shown
