"""Each alarm: its cause made real, one message in a real mail server and a real web server, its end, and no other."""

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import insert, select, text, update

from pipeline.clinical.model import Scanner
from pipeline.edge.alarm_kinds import KINDS, Priority
from pipeline.edge.app import App
from pipeline.edge.configuration.service_settings import BackupSettings
from pipeline.edge.disk_space import disk_reserve_of
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import drain
from pipeline.edge.live_configuration import reload
from pipeline.edge.operations.backup import back_up
from pipeline.edge.operations.housekeeping import run_housekeeping
from pipeline.edge.operations.precision_register import HandedIn, PrecisionTerms, accept, propose_precision
from pipeline.edge.operations.scanner_quality import record_service
from pipeline.edge.operations.scheduled_backup import BackupFailedError, back_up_by_schedule
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import (
    caller_certificates,
    destination_outages,
    housekeeping_log,
    phantom_scans,
    qc_stops,
    receipts,
    scanners,
    work_queue,
)
from pipeline.edge.store.audit_schema import audit
from pipeline.edge.store.caller_certificates import CallerCertificate
from pipeline.edge.store.phantom_scans import NewPhantomScan, PhantomValues
from pipeline.edge.store.schema import delivery, exam, history_query, patient, receipt, scanner
from pipeline.edge.store.schema_base import State
from tests import peers
from tests.factories.answered_exams import lsc
from tests.factories.instances import instance
from tests.factories.raw_scanner import store
from tests.factories.receivers import MailServer, WebServer, mail_server, web_server
from tests.factories.reports import ENHANCED_SR, encode, report, spine
from tests.factories.studies import study_rows, table
from tests.factories.watched import Watched, watched

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MARKED = {"PatientName": "ZZ^MARKED", "PatientID": "ZZ4711"}
Cause = Callable[[Watched], AbstractContextManager[None]]


def receive(department: Watched, sent: Dataset | bytes, *, at: datetime | None = None, historical: bool = False) -> int:
    uid = f"2.25.{random.randrange(10**12)}"
    if isinstance(sent, Dataset):
        sent.SOPInstanceUID = uid
    data_set = encode(sent) if isinstance(sent, Dataset) else sent
    with department.app.database.write() as connection:
        number, _ = receipts.store(
            connection,
            instance(data_set, uid=uid),
            calling_ae_title="SCANNER1",
            at=at or department.now,
            historical=historical,
        )
    return number


def write(department: Watched, *statements: object) -> None:
    with department.app.database.write() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def settle(department: Watched, number: int) -> None:
    with department.app.database.write() as connection:
        work_queue.ignore(connection, receipt, number, reason="rejected", detail="")


@contextmanager
def part_ends(department: Watched, part: str) -> Iterator[None]:
    department.running.remove(part)
    department.pass_time(8 * MINUTE, every=2 * MINUTE)
    yield
    department.running.append(part)


@contextmanager
def the_database_is_found_damaged(department: Watched) -> Iterator[None]:
    with department.app.database.write() as connection:
        housekeeping_log.record_done(connection, housekeeping_log.DAMAGED_STORE, at=department.now)
    yield
    run_housekeeping(department.app)


@contextmanager
def somebody_changes_the_audit_trail(department: Watched) -> Iterator[None]:
    run_housekeeping(department.app)
    back_up(department.app.database, department.app.folder / "entry.sqlite3")
    run_housekeeping(department.app)
    write(department, text("DROP TRIGGER audit_is_never_changed"))
    with department.app.database.read() as connection:
        number, detail = connection.execute(select(audit.c.id, audit.c.detail).order_by(audit.c.id)).first() or (0, "")
    write(department, update(audit).where(audit.c.id == number).values(detail='{"changed": true}'))
    run_housekeeping(department.app)
    yield
    write(department, update(audit).where(audit.c.id == number).values(detail=detail))
    run_housekeeping(department.app)


@contextmanager
def the_disk_falls_short_of_its_reserve(department: Watched) -> Iterator[None]:
    before = department.app
    department.app = _with_reserve(before, 10**9)
    yield
    department.app = before


def _with_reserve(app: App, megabytes: int) -> App:
    service = app.settings.service
    store_settings = service.store.model_copy(update={"reserve_mb": megabytes})
    service = service.model_copy(update={"store": store_settings})
    return replace(app, settings=app.settings.model_copy(update={"service": service}))


@contextmanager
def the_disk_fills_within_four_weeks(department: Watched) -> Iterator[None]:
    noise = random.Random(7).randbytes
    for days in (40, 20, 10, 5):
        settle(department, receive(department, noise(3_000_000), at=department.now - days * DAY))
    before = department.app
    before.database.optimize()
    free = disk_reserve_of(before.database, 0).free_mb()
    assert free is not None
    department.app = _with_reserve(before, free - 5)
    yield
    department.app = before


@contextmanager
def a_scanner_is_refused_for_want_of_room(department: Watched) -> Iterator[None]:
    settings = department.app.settings.service.listener
    with closing(Listener(settings, department.app.database, reserve_mb=10**9)):
        sent = encode(report(spine(), SOPInstanceUID="2.25.1", **MARKED))
        names = {"sop_class": ENHANCED_SR, "transfer_syntax": ExplicitVRLittleEndian, "sop_instance": "2.25.1"}
        answered = store(settings.port, sent, **names)
        assert answered == 0xA700
    yield
    department.pass_time(HOUR)


@contextmanager
def a_scanner_gets_another_ae_title(department: Watched) -> Iterator[None]:
    settings = department.app.settings.service.listener
    with closing(Listener(settings, department.app.database)):
        for _ in range(3):
            peers.echoscu(port=settings.port, called="DXATREND", calling="RENAMED")
    yield
    department.look(after=25 * HOUR)


@contextmanager
def a_pacs_is_away(department: Watched) -> Iterator[None]:
    with department.app.database.write() as connection:
        destination_outages.record_failure(connection, "pacs", wait=MINUTE, detail="no association", at=department.now)
    department.pass_time(18 * MINUTE, every=3 * MINUTE)
    yield
    with department.app.database.write() as connection:
        destination_outages.end(connection, "pacs")


@contextmanager
def an_addendum_waits_for_hours(department: Watched) -> Iterator[None]:
    receive(department, report(spine(), **MARKED))
    extract_waiting(department.app)
    drain(department.app, lambda: False)
    department.look(after=5 * HOUR)
    yield
    write(department, update(delivery).values(state=State.DONE))


@contextmanager
def an_archive_does_not_answer_for_hours(department: Watched) -> Iterator[None]:
    receive(department, report(spine(), **MARKED), historical=True)
    extract_waiting(department.app)
    write(department, update(exam).values(state=State.DONE))
    with department.app.database.write() as connection:
        number = connection.scalar(select(patient.c.id))
        connection.execute(
            insert(history_query).values(
                patient_id=number,
                destination="pacs",
                requested_at=department.now,
                state=State.WAITING,
                due_at=department.now,
            )
        )
    department.look(after=5 * HOUR)
    yield
    write(department, update(history_query).values(state=State.DONE))


@contextmanager
def nothing_received_is_read(department: Watched) -> Iterator[None]:
    receive(department, b"not DICOM")
    department.look(after=2 * HOUR)
    yield
    write(department, update(receipt).values(state=State.IGNORED))


@contextmanager
def something_is_held_for_a_day(department: Watched) -> Iterator[None]:
    number = receive(department, b"not DICOM")
    extract_waiting(department.app)
    department.look(after=25 * HOUR)
    yield
    settle(department, number)


@contextmanager
def an_exam_is_under_two_patients(department: Watched) -> Iterator[None]:
    number = receive(department, report(spine(), **MARKED))
    with department.app.database.write() as connection:
        work_queue.hold(connection, receipt, number, reason="other_patient", detail="ZZ4711")
    yield
    settle(department, number)


@contextmanager
def a_scanner_sends_another_kind_of_report(department: Watched) -> Iterator[None]:
    number = receive(department, report(spine(), root="Thyroid Report", **MARKED))
    extract_waiting(department.app)
    yield
    settle(department, number)


@contextmanager
def a_scanner_falls_silent(department: Watched) -> Iterator[None]:
    first = (department.now - 22 * DAY).date()
    for number in range(22):
        day = first + number * DAY
        header = {"StudyDate": f"{day:%Y%m%d}", "StudyInstanceUID": f"2.25.7{number}", "ContentDate": f"{day:%Y%m%d}"}
        receive(department, report(spine(), **header), historical=True)
    while extract_waiting(department.app):
        pass
    write(department, update(exam).values(state=State.DONE))
    department.look(after=MINUTE)
    assert department.raised() == []
    department.look(after=3 * DAY)
    department.pass_time(HOUR, every=3 * MINUTE)
    yield
    write(department, update(scanner).values(last_seen_at=department.now))


@contextmanager
def a_scanner_gets_new_software(department: Watched) -> Iterator[None]:
    for ago, version in ((2, "17"), (1, "18")):
        day = f"{department.now - ago * DAY:%Y%m%d}"
        header = {"StudyDate": day, "ContentDate": day, "StudyInstanceUID": f"2.25.8{ago}"}
        receive(department, report(spine(), SoftwareVersions=version, **header, **MARKED), historical=True)
    while extract_waiting(department.app):
        pass
    write(department, update(exam).values(state=State.DONE))
    department.look(after=HOUR)
    yield
    with department.app.database.read() as connection:
        number = connection.execute(select(scanner.c.id)).scalar_one()
    record_service(department.app, number, "software 18")
    department.look(after=HOUR)


def phantom_scan(number: int, at: datetime) -> Callable[[Watched], None]:
    """Type a phantom scan of a scanner."""
    values = PhantomValues(bmd=Decimal("1.000"), bmc=None, area=None)
    scan = NewPhantomScan(phantom="spine", performed_at=at.replace(tzinfo=None), region="L1-L4", values=values)

    def record(department: Watched) -> None:
        with department.app.database.write() as connection:
            phantom_scans.record_typed(connection, number, [scan], at=department.now)

    return record


def scanner_number(department: Watched) -> int:
    machine = Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")
    with department.app.database.write() as connection:
        return scanners.number_of(connection, machine, station_name="", institution="", at=department.now)


@contextmanager
def no_phantom_is_scanned(department: Watched, days: int) -> Iterator[None]:
    number = scanner_number(department)
    phantom_scan(number, department.now - days * DAY)(department)
    department.look(after=HOUR)
    yield
    phantom_scan(number, department.now)(department)
    department.look(after=HOUR)


@contextmanager
def quality_control_stops_a_scanner(department: Watched) -> Iterator[None]:
    stop = qc_stops.NewStop(
        scanner=scanner_number(department),
        phantom="spine",
        region="L1-L4",
        reason="2.1 % above its mean",
        confirmed=True,
        last_good_at=None,
        shown_at=department.now.replace(tzinfo=None),
    )
    with department.app.database.write() as connection:
        number = qc_stops.add(connection, stop, at=department.now)
    department.look(after=HOUR)
    yield
    with department.app.database.write() as connection:
        qc_stops.annul(connection, number)


@contextmanager
def an_lsc_runs_out(department: Watched) -> Iterator[None]:
    path, before = department.app.folder / "precision.toml", department.app
    path.write_text(lsc("total hip", ends=str((department.now + 60 * DAY).date())))
    department.app = reload(before)
    yield
    study = HandedIn(file_name="s.csv", content=table(study_rows(regions=("total hip left",))), reason="it runs out")
    terms = PrecisionTerms(
        scanner=department.app.reference_data.clinical.lscs[0].scanner,
        valid_from=department.now.date(),
        valid_until=(department.now + 1800 * DAY).date(),
        source="the next study",
        both_sides=True,
    )
    accept(department.app.database, propose_precision(department.app.database, study, terms).records[0])


@contextmanager
def a_certificate_runs_out(department: Watched) -> Iterator[None]:
    certificate(department.app.folder, days=20)
    of_caller(department, days=20)
    yield
    certificate(department.app.folder, days=400)
    of_caller(department, days=400)


def of_caller(department: Watched, *, days: int) -> None:
    """Let the scanner show a certificate that ends in so many days."""
    shown = CallerCertificate(
        calling_ae_title="SCANNER1",
        host="127.0.0.1",
        last_day=(department.now + days * DAY).date(),
        seen_at=department.now,
    )
    with department.app.database.write() as connection:
        caller_certificates.record(connection, [shown])


def certificate(folder: Path, *, days: int) -> None:
    command = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=us", "-days", str(days)]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([peers.program("openssl"), *command, *files], check=True, capture_output=True)


@contextmanager
def nobody_backs_up(department: Watched) -> Iterator[None]:
    settle(department, receive(department, b"1", at=department.now - 60 * HOUR))
    yield
    back_up(department.app.database, department.app.folder / "backup.sqlite3")


@contextmanager
def the_folder_of_backups_is_a_file(department: Watched) -> Iterator[None]:
    folder = department.app.folder / "backups"
    folder.write_text("somebody has put a file here")
    department.app.settings.service.__dict__["backup"] = BackupSettings(folder=folder)
    with pytest.raises(BackupFailedError):
        back_up_by_schedule(department.app)
    yield
    folder.unlink()
    back_up_by_schedule(department.app)


CAUSES: dict[str, Cause] = {
    "backup_failed": the_folder_of_backups_is_a_file,
    "no_listener": lambda department: part_ends(department, "listener"),
    "no_worker": lambda department: part_ends(department, "worker"),
    "store_damaged": the_database_is_found_damaged,
    "audit_broken": somebody_changes_the_audit_trail,
    "no_room": the_disk_falls_short_of_its_reserve,
    "disk_filling": the_disk_fills_within_four_weeks,
    "objects_refused": a_scanner_is_refused_for_want_of_room,
    "caller_rejected": a_scanner_gets_another_ae_title,
    "destination_away": a_pacs_is_away,
    "delivery_stuck": an_addendum_waits_for_hours,
    "history_unanswered": an_archive_does_not_answer_for_hours,
    "work_stuck": nothing_received_is_read,
    "held": something_is_held_for_a_day,
    "held_wrong_patient": an_exam_is_under_two_patients,
    "unknown_dialect": a_scanner_sends_another_kind_of_report,
    "scanner_silent": a_scanner_falls_silent,
    "software_changed": a_scanner_gets_new_software,
    "phantom_stop": quality_control_stops_a_scanner,
    "phantom_due": lambda department: no_phantom_is_scanned(department, 8),
    "phantom_overdue": lambda department: no_phantom_is_scanned(department, 15),
    "lsc_ends": an_lsc_runs_out,
    "certificate_ends": a_certificate_runs_out,
    "backup_old": nobody_backs_up,
}
ELSEWHERE = {
    "store_away": "test_store_outage.py",
    "messages_stuck": "test_watch.py",
}


@contextmanager
def folder_of(kind: str, folder: Path) -> Iterator[Path]:
    """A folder for the store: on a disk of its own where a disk fills, as others write on this machine's."""
    if kind != "disk_filling":
        yield folder / "department"
        return
    with peers.small_disk(folder / "disk", megabytes=64) as disk:
        yield disk.folder / "department"


@contextmanager
def department_told_by(
    folder: Path, mail: MailServer, web: WebServer, *, tls: bool, history: bool, off: tuple[str, ...]
) -> Iterator[Watched]:
    folder.mkdir()
    certificate(folder, days=400)
    ways = f"""
        off = {json.dumps(off)}
        [alarms.mail]
        to = ["admin@example.org"]
        sender = "dxatrend@example.org"
        host = "127.0.0.1"
        port = {mail.port}
        security = "none"
        [alarms.webhook]
        url = "{web.url}/hook"
        """
    pem = "[listener.tls]\n" + "".join(
        f'{name} = "{file}.pem"\n'
        for name, file in (("certificate", "certificate"), ("key", "key"), ("ca", "certificate"))
    )
    rest = f"""
        [listener]
        port = {peers.free_port()}
        {pem if tls else ""}
        [[listener.caller]]
        ae_title = "SCANNER1"
        host = "127.0.0.1"
        [[destination]]
        name = "pacs"
        ae_title = "ORTHANC"
        host = "127.0.0.1"
        port = {peers.free_port()}
        history = {str(history).lower()}
        """
    with watched(folder, ways, rest=rest) as department:
        department.look()
        yield department


def test_every_alarm_is_made_real_here_or_elsewhere():
    assert {*CAUSES, *ELSEWHERE} == set(KINDS)


@pytest.mark.parametrize("kind", CAUSES)
def test_a_cause_is_told_once_and_its_end_once(kind: str, tmp_path: Path):
    is_low = KINDS[kind].priority is Priority.LOW
    # Moving the clock by days makes other things old as well.
    off = tuple(one for one in ("backup_old", "phantom_due") if one != kind)
    with (
        folder_of(kind, tmp_path) as folder,
        mail_server() as mail,
        web_server() as web,
        department_told_by(
            folder, mail, web, tls=kind == "certificate_ends", history=kind == "history_unanswered", off=off
        ) as department,
    ):
        cause = CAUSES[kind](department)
        with cause:
            department.pass_time(4 * MINUTE, every=2 * MINUTE)
            assert kind in {name for name, _ in department.raised()}
            if is_low:
                assert mail.mails == []
                department.until_morning()
            department.pass_time(10 * MINUTE, every=2 * MINUTE)
            assert len(mail.mails) == 1, mail.text
        department.pass_time(8 * MINUTE, every=2 * MINUTE)
        if is_low:
            department.until_morning()
        department.pass_time(30 * MINUTE, every=3 * MINUTE)
        assert department.raised() == []
        assert len(mail.mails) == 2, mail.text
        told = [json.loads(body)["alarms"] for _, _, body in web.requests]
    assert [[(one["kind"], one["news"]) for one in alarms] for alarms in told] == [
        [(kind, "raised")] * len(told[0]),
        [(kind, "over")] * len(told[0]),
    ]
    assert mail.subjects[1].startswith("Over after ")
    assert told[0][0]["headline"] in mail.text
    assert KINDS[kind].advice in mail.text
    for secret in MARKED.values():
        assert secret not in mail.text
        assert secret not in json.dumps(told)
