"""Exams in a real store, received, read and followed up as the service does, and what their addenda say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.edge.app import App, open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.reprocess import reprocessing
from pipeline.edge.store import held_work, outbox, receipts, withdrawals
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_tree import read_instance, read_tree
from pipeline.sr.dicom.reader import read_elements
from tests.factories.elements import elements_of
from tests.factories.instances import NOW, instance
from tests.factories.reports import encode, region, report, spine

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
_LSC = """
[[lsc]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+1"
region = "{region}"
same_day = false
lsc = "{lsc}"
patients = 30
repeats = 2
valid_from = {begins}
valid_until = {ends}
source = "in vivo study"
"""
EPOCH = """
[[scanner]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+1"
[[scanner.epoch]]
from = {begins}
reason = "moved"
cross_calibrated = false
"""


def lsc(region: str = "L1-L4", lsc: str = "0.028", begins: str = "2000-01-01", ends: str = "2050-01-01") -> str:
    return _LSC.format(region=region, lsc=lsc, begins=begins, ends=ends)


in_both_databases = pytest.mark.parametrize("folder", ["sqlite", "postgresql"], indirect=True)
"""Where the two are asked in different words, or several ask at once; the rest is the same above either."""


def receive(app: App, sent: Dataset, uid: str, *, historical: bool = False) -> None:
    sent.SOPInstanceUID = uid
    with app.database.write() as connection:
        receipts.store(
            connection,
            instance(encode(sent), uid=uid),
            calling_ae_title="SCANNER1",
            at=LONG_AGO,
            historical=historical,
        )
    while extract_waiting(app):
        pass


def l1_l4(bmd: str, *, study: str = "2.25.10", date: str = "20240101", **header: str) -> Dataset:
    return report(spine(region("L1-L4", bmd)), StudyInstanceUID=study, StudyDate=date, **header)


def follow_all(app: App) -> None:
    while numbers := claim_due(app.database, 50):
        follow_up(app, numbers)


def run(app: App, scope: Scope | None = None) -> ExamCounts:
    number = reprocessing.begin(app, scope or Scope())
    reprocessing.take_part(app, number)
    counts, finished = reprocessing.progress(app.database, number)
    assert finished
    return counts


def run_in(folder: Path) -> ExamCounts:
    with open_app(folder) as app:
        return run(app)


def latest_readback(app: App, exam_number: int) -> ReadBack:
    with app.database.read() as connection:
        latest = outbox.latest(connection, exam_number)
    assert latest is not None
    return read_back(read_tree(read_elements(latest.data_set, ExplicitVRLittleEndian)))


def addenda(app: App) -> list[int]:
    """How many addenda each of the first three exams has."""
    with app.database.read() as connection:
        return [len(outbox.addenda(connection, number)) for number in (1, 2, 3)]


def withdraw(app: App, number: int, reason: str = "scanned under a wrong name") -> bool:
    with app.database.write() as connection:
        done = withdrawals.withdraw(connection, number, reason, at=NOW)
    follow_all(app)
    return done


def undo(app: App, number: int) -> bool:
    with app.database.write() as connection:
        done = withdrawals.undo(connection, number, at=NOW)
    follow_all(app)
    return done


def latest(app: App, exam_number: int) -> Dataset:
    with app.database.read() as connection:
        on_file = outbox.latest(connection, exam_number)
    assert on_file is not None
    return read_instance(on_file.data_set, ExplicitVRLittleEndian)


def sentences(app: App, exam_number: int) -> str:
    tree = read_tree(elements_of(latest(app, exam_number)))
    return " ".join(item.value for item in tree.walk() if item.value_type == "TEXT")


def reason_of(app: App, receipt: int) -> tuple[str, str]:
    with app.database.read() as connection:
        row = connection.exec_driver_sql(f"SELECT state, reason FROM receipt WHERE id = {receipt}").one()
    return row.state, row.reason


def held(app: App) -> list[tuple[str, str]]:
    with app.database.read() as connection:
        return [(one.number, one.reason) for one in held_work.held(connection)]
