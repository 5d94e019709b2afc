"""What a PACS has of a patient becomes history, once: by C-MOVE and by C-GET, from a real Orthanc."""

import shutil
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.dsutils import decode
from sqlalchemy import func, select, update

from pipeline.clinical.model import Patient
from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.history import query_retrieve as history
from pipeline.edge.history.query_retrieve import Fetched, HistoryQueryError, fetch
from pipeline.edge.peer_problems import PeerUnavailableError
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import audit_trail, exams, outbox, receipts, service_status
from pipeline.edge.store.audit_trail import Event, Outcome
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.history_queries import AWAITS_HISTORY
from pipeline.edge.store.schema import exam, history_query, receipt
from pipeline.edge.store.service_status import HistoryStatus
from pipeline.sr.author.readback import read_back
from pipeline.sr.dicom.content_tree import read_instance, read_tree
from pipeline.sr.dicom.reader import read_elements, split_file
from tests import peers
from tests.expected import exams_of
from tests.factories.instances import instance
from tests.folders import SAMPLES

PATIENT = Patient(patient_id="SAMPLE-02")
LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)


@contextmanager
def department(folder: Path, pacs_port: int, *, retrieve: str = "move", history_seconds: int = 60) -> Iterator[App]:
    """An app that asks one PACS for history, and its listener."""
    port = peers.free_port()
    folder.mkdir(exist_ok=True)
    for name in ("scanners.toml", "precision.toml"):
        shutil.copy(SAMPLES / name, folder)
    (folder / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{folder}/store.sqlite3"
        [listener]
        port = {port}
        [exam]
        settle_seconds = 0
        history_seconds = {history_seconds}
        [[destination]]
        name = "pacs"
        ae_title = "ORTHANC"
        host = "127.0.0.1"
        port = {pacs_port}
        history = true
        retrieve = "{retrieve}"
        """)
    with open_app(folder) as app:
        service = app.settings.service
        listener = Listener(service.listener, app.database, service.dicom_destinations)
        try:
            yield app
        finally:
            listener.close()


def know(orthanc: peers.Orthanc, app: App) -> None:
    orthanc.know("DXATREND", app.settings.service.listener.port)


def archive_has(orthanc: peers.Orthanc, *folders: str) -> None:
    """The PACS has these sample patients' reports."""
    reports = [report for folder in folders for exam in exams_of(folder) for report in exam.reports]
    sent = peers.storescu(reports, port=orthanc.dicom_port, called="ORTHANC")
    assert sent.returncode == 0, sent.stderr


def arrives(app: App, report: Path) -> None:
    """A scanner has sent one report, five minutes ago, and it is read."""
    data_set, syntax = split_file(report.read_bytes())
    uid = str(dcmread(report, stop_before_pixels=True).SOPInstanceUID)
    sent = instance(data_set, uid=uid)
    assert syntax == sent.transfer_syntax_uid
    with app.database.write() as connection:
        receipts.store(connection, sent, calling_ae_title="SCANNER1", at=LONG_AGO)
    while extract_waiting(app):
        pass


def on_file(app: App) -> int:
    with app.database.read() as connection:
        return connection.execute(select(func.count()).select_from(receipt)).scalar_one()


def archive_of(app: App) -> DicomDestination:
    return app.settings.service.dicom_destinations[0]


@pytest.mark.parametrize("retrieve", ["move", "get"])
def test_what_the_pacs_has_of_a_patient_becomes_history_once(
    tmp_path: Path, orthanc: peers.Orthanc, retrieve: str
) -> None:
    archive_has(orthanc, "02-spine-loss", "01-stable")
    reports = sum(len(one.reports) for one in exams_of("02-spine-loss"))
    with department(tmp_path / "app", orthanc.dicom_port, retrieve=retrieve) as app:
        know(orthanc, app)
        assert fetch(app, archive_of(app), PATIENT) == Fetched(len(exams_of("02-spine-loss")), reports)
        assert fetch(app, archive_of(app), PATIENT).instances == 0
        while extract_waiting(app):
            pass
        with app.database.read() as connection:
            assert set(connection.scalars(select(exam.c.historical))) == {True}
        assert on_file(app) == reports


def test_an_exam_is_compared_with_what_the_pacs_had_and_our_own_addenda_stay_there(
    tmp_path: Path, orthanc: peers.Orthanc
) -> None:
    archive_has(orthanc, "02-spine-loss")
    latest = exams_of("02-spine-loss")[-1]
    with department(tmp_path / "app", orthanc.dicom_port, retrieve="get", history_seconds=3600) as app:
        know(orthanc, app)
        for report in latest.reports:
            arrives(app, report)
        number = claim_due(app.database, 50)
        assert follow_up(app, number) == ExamCounts(), "it waits for history"
        assert claim_due(app.database, 50) == []
        assert history.run_due_query(app, archive_of(app))
        assert not history.run_due_query(app, archive_of(app)), "once for each patient"
        while extract_waiting(app):
            pass
        tally = ExamCounts()
        while numbers := claim_due(app.database, 50):
            tally += follow_up(app, numbers)
        assert tally.issued == 1
        with app.database.read() as connection:
            (addendum,) = outbox.addenda(connection, number[0])
        assert addendum.overall == "DECLINED"
        (tmp_path / "ours.dcm").write_bytes(peers_file(addendum.data_set, addendum.sop_class_uid))
        assert peers.storescu([tmp_path / "ours.dcm"], port=orthanc.dicom_port, called="ORTHANC").returncode == 0
        assert fetch(app, archive_of(app), PATIENT).instances == 0
    with department(tmp_path / "another", orthanc.dicom_port, retrieve="get") as elsewhere:
        know(orthanc, elsewhere)
        fetch(elsewhere, archive_of(elsewhere), PATIENT)
        while extract_waiting(elsewhere):
            pass
        with elsewhere.database.read() as connection:
            reasons = list(connection.scalars(select(receipt.c.reason).where(receipt.c.reason.is_not(None))))
        assert reasons == ["own_addendum"], "found by another store it is no scanner's report"


def peers_file(data_set: bytes, sop_class_uid: str) -> bytes:
    """An addendum's data set as a DICOM file."""
    made = read_instance(data_set, ExplicitVRLittleEndian)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    written = BytesIO()
    made.save_as(written, enforce_file_format=True)
    return written.getvalue()


def test_a_dead_pacs_delays_an_exam_no_longer_than_the_department_wants_and_history_that_comes_later_counts(
    tmp_path: Path, orthanc: peers.Orthanc
) -> None:
    archive_has(orthanc, "02-spine-loss")
    orthanc.stop()
    latest = exams_of("02-spine-loss")[-1]
    with department(tmp_path / "app", orthanc.dicom_port, retrieve="get", history_seconds=1) as app:
        for report in latest.reports:
            arrives(app, report)
        assert history.run_due_query(app, archive_of(app)), "it was asked, in vain"
        (number,) = claim_due(app.database, 50)
        assert follow_up(app, [number]) == ExamCounts(issued=1)
        assert "ARCHIVE_SILENT" in latest_flags(app, number)
        silent = of_history(app)
        assert (silent.last_answer, silent.unanswered) == (None, 1)
        assert silent.unanswered_since == LONG_AGO
        assert "nobody listens" in str(silent.last_problem)
        orthanc.start()
        know(orthanc, app)
        with app.database.write() as connection:
            connection.execute(update(history_query).values(due_at=LONG_AGO))
        assert history.run_due_query(app, archive_of(app))
        while extract_waiting(app):
            pass
        while numbers := claim_due(app.database, 50):
            follow_up(app, numbers)
        with app.database.read() as connection:
            assert [one.overall for one in outbox.addenda(connection, number)][-1] == "DECLINED"
        assert "ARCHIVE_SILENT" not in latest_flags(app, number)
        heard = of_history(app)
        assert (heard.unanswered, heard.unanswered_since, heard.last_problem) == (0, None, None)
        assert heard.last_answer is not None


def of_history(app: App) -> HistoryStatus:
    with app.database.read() as connection:
        (found,) = service_status.status(connection, [], datetime.now(UTC), archives=["pacs"]).history
    return found


def test_an_archive_that_answers_late_and_has_nothing_is_no_longer_called_silent(
    tmp_path: Path, orthanc: peers.Orthanc
) -> None:
    """Every exam that went on without the answer says so; one in hand as well."""
    orthanc.stop()
    first, last = exams_of("02-spine-loss")[0], exams_of("02-spine-loss")[-1]
    with department(tmp_path / "app", orthanc.dicom_port, history_seconds=1) as app:
        for report in (*first.reports, *last.reports):
            arrives(app, report)
        assert history.run_due_query(app, archive_of(app))
        numbers = claim_due(app.database, 50)
        assert follow_up(app, numbers[:1]) == ExamCounts(issued=1)
        with app.database.read() as connection:
            (in_hand,) = exams.load(connection, numbers[1:])
        orthanc.start()
        know(orthanc, app)
        with app.database.write() as connection:
            connection.execute(update(history_query).values(due_at=LONG_AGO))
        assert history.run_due_query(app, archive_of(app))
        with app.database.write() as connection:
            exams.finish_follow_up(connection, in_hand)
        assert sorted(claim_due(app.database, 50)) == sorted(numbers)
        assert follow_up(app, numbers) == ExamCounts(issued=2)
        assert ["ARCHIVE_SILENT" in latest_flags(app, number) for number in numbers] == [False, False]


def latest_flags(app: App, number: int) -> Sequence[str]:
    with app.database.read() as connection:
        latest = outbox.latest(connection, number)
    assert latest is not None
    return read_back(read_tree(read_elements(latest.data_set, ExplicitVRLittleEndian))).flags


def test_an_exam_that_waits_for_history_says_why(tmp_path: Path) -> None:
    with department(tmp_path / "app", peers.free_port(), history_seconds=3600) as app:
        arrives(app, exams_of("02-spine-loss")[-1].reports[0])
        follow_up(app, claim_due(app.database, 50))
        with app.database.read() as connection:
            assert connection.scalar(select(exam.c.reason)) == AWAITS_HISTORY


def test_each_query_to_an_archive_is_on_file_whether_the_service_made_it_or_an_operator(
    tmp_path: Path, orthanc: peers.Orthanc
) -> None:
    archive_has(orthanc, "02-spine-loss")
    with department(tmp_path / "app", orthanc.dicom_port, retrieve="get") as app:
        know(orthanc, app)
        arrives(app, exams_of("02-spine-loss")[-1].reports[0])
        history.run_due_query(app, archive_of(app))
        fetch(app, archive_of(app), PATIENT, by_hand=True)
        with app.database.read() as connection:
            ours, theirs = (one.entry for one in audit_trail.find(connection) if one.entry.event is Event.QUERIED)
        assert (ours.actor, ours.host, ours.patient, ours.outcome) == ("pacs", "127.0.0.1", 1, Outcome.SUCCESS)
        assert ours.detail["studies"] == len(exams_of("02-spine-loss"))
        asked = decode(BytesIO(b64decode(ours.detail["query"])), False, True)
        assert (asked.QueryRetrieveLevel, asked.PatientID) == ("STUDY", "SAMPLE-02")
        assert ours.detail["by"].startswith("dxatrend ")
        assert not theirs.detail["by"].startswith("dxatrend ")


@pytest.mark.parametrize("patient_id", ["SAMPLE*", "SAMPLE-0?", ""])
def test_nobody_elses_reports_are_asked_for_by_a_wildcard(tmp_path: Path, patient_id: str) -> None:
    with department(tmp_path / "app", peers.free_port()) as app, pytest.raises(HistoryQueryError, match="wildcard"):
        fetch(app, archive_of(app), Patient(patient_id=patient_id))


def test_an_archive_that_does_not_know_us_says_so(tmp_path: Path, orthanc: peers.Orthanc) -> None:
    archive_has(orthanc, "02-spine-loss")
    with department(tmp_path / "app", orthanc.dicom_port) as app, pytest.raises(PeerUnavailableError, match="C-MOVE"):
        fetch(app, archive_of(app), PATIENT)


def test_an_archive_that_is_asked_for_history_may_send_nothing_else(tmp_path: Path) -> None:
    reports = exams_of("02-spine-loss")[0].reports
    with department(tmp_path / "app", peers.free_port()) as app:
        port = app.settings.service.listener.port
        assert peers.storescu(reports, port=port, called="DXATREND", calling="ORTHANC").returncode != 0
        assert on_file(app) == 0
