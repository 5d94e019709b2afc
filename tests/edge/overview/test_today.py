"""What one look at the service tells: its scanners, what waits and is held, its disks, what runs out, and troubles."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from pipeline.edge.app import App, open_app
from pipeline.edge.disk_space import DiskReserve
from pipeline.edge.operations.backup import back_up
from pipeline.edge.overview.check_result import CheckResult, Level
from pipeline.edge.overview.expiries import BACKUP_OVERDUE, Backups
from pipeline.edge.overview.parts import NEEDED
from pipeline.edge.overview.today import Disk, Today, today
from pipeline.edge.overview.troubles import STUCK_AFTER, Kind, Trouble, Urgency, troubles
from pipeline.edge.store import destination_outages, processes, receipts
from pipeline.edge.store.scanner_activity import ScannerStatus
from tests.factories import outboxes
from tests.factories.certificates import Authority
from tests.factories.held_things import hold_things
from tests.factories.instances import instance
from tests.factories.reports import encode

SERVICE = """
    [[listener.caller]]
    ae_title = "SCANNER1"
    host = "127.0.0.1"
    [[destination]]
    name = "pacs"
    kind = "folder"
    folder = "{folder}"
    """


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A store with a folder as destination, whose listener and worker run, and that was backed up."""
    (tmp_path / "sent").mkdir()
    with outboxes.outbox_of(tmp_path, SERVICE.format(folder=tmp_path / "sent")) as app:
        with app.database.write() as connection:
            for part in NEEDED:
                processes.register(connection, part, None, at=datetime.now(UTC), owner="elsewhere/17.1")
        back_up(app.database, tmp_path / "backup.sqlite3")
        yield app


def look(app: App, *, at: datetime | None = None, **disks: DiskReserve) -> Today:
    return today(app, at=at or datetime.now(UTC), other_disks=disks)


def receive_now(app: App, *sent: Dataset, historical: bool = False) -> None:
    with app.database.write() as connection:
        for one in sent:
            kept = instance(encode(one), uid=str(one.SOPInstanceUID))
            now = datetime.now(UTC)
            receipts.store(connection, kept, calling_ae_title="SCANNER1", at=now, historical=historical)
    outboxes.receive(app)


def scanner(app: App) -> ScannerStatus:
    (found,) = look(app).status.scanners
    return found


def of_kind(now: Today, kind: Kind) -> list[Trouble]:
    return [one for one in troubles(now) if one.kind is kind]


def test_a_service_that_runs_and_has_nothing_to_do_has_no_trouble(app: App) -> None:
    assert troubles(look(app)) == []


def test_an_exam_of_today_counts_as_received_answered_and_then_delivered(app: App) -> None:
    today_there = f"{datetime.now().astimezone():%Y%m%d}"
    receive_now(app, outboxes.visit(2024, StudyDate=today_there, StudyTime="000001"))
    one = scanner(app)
    assert (one.reports_today, one.exams_today, one.answered_today, one.delivered_today) == (1, 1, 1, 0)
    assert one.exams_in_days == {1: 1, 7: 1, 30: 1}
    assert one.last_exam_at is not None
    assert f"{one.last_exam_at:%Y%m%d}" == today_there
    outboxes.deliver(app)
    assert scanner(app).delivered_today == 1


def test_earlier_exams_count_for_their_days_and_imported_ones_not_for_today(app: App) -> None:
    days_ago = f"{datetime.now().astimezone() - timedelta(days=5):%Y%m%d}"
    receive_now(app, outboxes.visit(2024, StudyDate=days_ago), historical=True)
    one = scanner(app)
    assert one.exams_in_days == {1: 0, 7: 1, 30: 1}
    assert (one.reports_today, one.exams_today) == (0, 0)


def test_what_is_held_is_told_by_reason_with_what_to_do(app: App) -> None:
    outboxes.receive(app, outboxes.visit(2024))
    hold_things(app)
    now = look(app)
    assert {one.reason: one.count for one in now.held} == {
        "unknown_dialect": 1,
        "not_dicom": 1,
        "id_conflict": 1,
        "refused": 1,
        "not_reported": 1,
        "unexpected": 1,
    }
    told = {one.subject: one for one in of_kind(now, Kind.HELD)}
    assert told["not_dicom"].what == "1 held: The bytes are no DICOM object."
    assert told["not_dicom"].advice == "Check the sender, send again."
    assert now.status.held == len(told)


def test_a_destination_that_is_away_is_told_at_once_with_its_next_try(app: App) -> None:
    outboxes.receive(app, outboxes.visit(2024))
    since = datetime.now(UTC)
    with app.database.write() as connection:
        destination_outages.record_failure(
            connection, "pacs", wait=timedelta(minutes=8), detail="no TCP connection", at=since
        )
    (away,) = of_kind(look(app), Kind.DESTINATION)
    assert (away.subject, away.urgency, away.since) == ("pacs", Urgency.NOW, since)
    assert away.next_try == since + timedelta(minutes=8)
    assert away.what == "pacs takes no addenda; waiting: 1. Last problem: no TCP connection."


def test_work_that_does_not_move_is_told(app: App) -> None:
    with app.database.write() as connection:
        receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=datetime.now(UTC))
    assert of_kind(look(app), Kind.WAITING) == []
    later = datetime.now(UTC) + STUCK_AFTER
    (stuck,) = of_kind(look(app, at=later), Kind.WAITING)
    assert stuck.what.startswith("Work does not move. Reports to be read: 1,")


def test_a_dead_worker_is_told_first(app: App) -> None:
    outboxes.receive(app, outboxes.visit(2024))
    hold_things(app)
    first, *_ = troubles(look(app, at=datetime.now(UTC) + processes.STALE * 2))
    assert (first.kind, first.urgency) == (Kind.PART, Urgency.NOW)
    assert first.what == (
        "The listener on elsewhere gives no sign of life. Scanners cannot send. "
        "They keep their reports and send them again."
    )


def test_a_full_disk_is_told(app: App, tmp_path: Path) -> None:
    now = look(app, Prefect=DiskReserve(tmp_path, 10**9))
    (full,) = of_kind(now, Kind.DISK)
    assert (full.subject, full.urgency) == ("Prefect", Urgency.NOW)
    assert [disk.name for disk in now.disks] == ["the store", "Prefect"]


def test_an_old_backup_is_told_and_so_is_none(app: App) -> None:
    assert of_kind(look(app), Kind.BACKUP) == []
    (old,) = of_kind(look(app, at=datetime.now(UTC) + BACKUP_OVERDUE * 1.1), Kind.BACKUP)
    assert (old.urgency, old.what) == (Urgency.TODAY, "The last backup is old.")
    (none,) = of_kind(replace(look(app), backups=Backups(last=None)), Kind.BACKUP)
    assert (none.urgency, none.what) == (Urgency.SOON, "There has been no backup yet.")


def test_a_backup_that_failed_for_days_is_told_with_what_to_do_meanwhile(app: App) -> None:
    now = look(app)
    stale = Backups(last=now.at - 2 * BACKUP_OVERDUE, failed=now.at, problem="the disk is full")
    failed, old = of_kind(replace(now, backups=stale), Kind.BACKUP)
    assert "has failed: the disk is full" in failed.what
    assert "run `dxatrend backup` yourself" in old.advice, "the folder is set already"


def test_an_lsc_that_runs_out_is_told_before_and_after_its_last_day(app: App) -> None:
    last_day = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert look(app, at=last_day - timedelta(days=91)).lscs == ()
    (soon,) = of_kind(look(app, at=last_day - timedelta(days=20)), Kind.LSC)
    named = "LSC of L1-L4 on GE Healthcare Lunar Prodigy (serial number DF+1)"
    assert soon.what == f"{named} runs out in 20 days, on 2030-01-01."
    (over,) = of_kind(look(app, at=last_day + timedelta(days=1)), Kind.LSC)
    assert (soon.urgency, over.urgency) == (Urgency.SOON, Urgency.TODAY)
    assert over.what.endswith("ran out on 2030-01-01.")


def test_a_certificate_that_runs_out_is_told_by_its_key_in_the_configuration(tmp_path: Path) -> None:
    identity = Authority(tmp_path / "authority").sign("ours", days=9)
    destination = f"""
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "192.0.2.9"
        port = 104
        [destination.tls]
        {identity.toml}
        """
    with outboxes.outbox_of(tmp_path, destination) as app:
        told = {one.subject: one for one in of_kind(look(app), Kind.CERTIFICATE)}
    assert set(told) == {"destination pacs tls.certificate", "destination pacs tls.ca"}
    assert "runs out in 9 days" in told["destination pacs tls.certificate"].what


def test_a_disk_is_short_below_its_reserve() -> None:
    assert Disk(name="the store", free_mb=9, reserve_mb=10).is_short
    assert not Disk(name="the store", free_mb=10, reserve_mb=10).is_short


def test_the_configuration_that_the_service_does_not_work_with_yet_is_told(app: App) -> None:
    with app.database.write() as connection:
        other = processes.Fingerprint(clinical="another", service="another")
        processes.register(connection, "worker", other, at=datetime.now(UTC), owner="elsewhere/17.1")
    with open_app(app.folder) as again:
        (told,) = of_kind(look(again), Kind.CONFIGURATION)
    assert told.advice.startswith("Restart needed: the service still works with the configuration of ")


@pytest.mark.parametrize(
    ("doubt", "sentence"),
    [
        ("listener.caller: no scanner may send", "listener.caller: no scanner may send."),
        ("destination: addenda go nowhere", "destination: addenda go nowhere."),
        ("no LSC counts today", "No LSC counts today."),
    ],
)
def test_a_doubt_is_a_sentence_that_leaves_a_key_as_it_is_written(app: App, doubt: str, sentence: str) -> None:
    (told,) = troubles(replace(look(app), doubts=(CheckResult(Level.ADVICE, doubt),)))
    assert told.advice.startswith(f"{sentence} `dxatrend check`")


def test_two_regions_whose_lsc_ends_on_one_day_are_told_together(app: App) -> None:
    path = app.folder / "precision.toml"
    path.write_text(path.read_text() + outboxes.LSC.replace('"L1-L4"', '"total hip"'))
    with open_app(app.folder) as again:
        (told,) = look(again, at=datetime(2029, 12, 1, tzinfo=UTC)).lscs
    assert told.what == "LSC of L1-L4, total hip on GE Healthcare Lunar Prodigy (serial number DF+1)"


def test_postgresql_tells_the_same(tmp_path: Path, postgresql_url: str) -> None:
    (tmp_path / "sent").mkdir()
    destinations = SERVICE.format(folder=tmp_path / "sent")
    with outboxes.outbox_of(tmp_path, destinations, url=postgresql_url) as app:
        receive_now(app, outboxes.visit(2024))
        outboxes.deliver(app)
        one = scanner(app)
        assert (one.reports_today, one.exams_today, one.answered_today, one.delivered_today) == (1, 1, 1, 1)
        things = hold_things(app)
        now = look(app)
        assert sum(one.count for one in now.held) == now.status.held == len(things)
        assert {one.kind for one in troubles(now)} >= {Kind.PART, Kind.HELD, Kind.BACKUP}
