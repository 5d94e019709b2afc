"""Extract stored reports again with the dialects and aliases of today, and hold exams that are no longer one."""

import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection

from pipeline import __version__
from pipeline.edge.app import App
from pipeline.edge.errors import UNEXPECTED, describe_error, require_fault_of_one
from pipeline.edge.extract.extraction import read_in_time
from pipeline.edge.quality_control import stops
from pipeline.edge.store import audit_trail, exams, phantom_scans, readings, receipts, withdrawals, work_queue
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.edge.store.schema import exam as exam_table
from pipeline.sr.dicom.unreadable import UnreadableReportError
from pipeline.sr.extract.phantom import PhantomReportError
from pipeline.sr.extract.report import Report

log = logging.getLogger(__name__)

READ_OTHERWISE = "read_otherwise"
"""The reason for which an exam is held whose reports, extracted again, are no longer one exam."""

PHANTOM_NOT_PATIENT = "scan of a phantom, not of a patient"
"""The reason for which an exam is withdrawn whose reports the configuration now knows to be of a phantom."""


def reextract(app: App, connection: Connection, numbers: Collection[int]) -> int:
    """Extract the reports of some exams again, and return how many of these exams are not what they were.

    An exam whose reports can no longer be read, or are now of different exams, is held with its former content.
    """
    return sum(_reextract(app, connection, number) for number in numbers)


def _reextract(app: App, connection: Connection, number: int) -> bool:
    (on_file,) = exams.load(connection, [number])
    reader_fingerprint = app.reference_data.reader_fingerprint
    reports: dict[int, Report] = {}
    before = {**dict(on_file.reports), **dict(on_file.rejected)}
    phantoms: dict[int, PhantomReportError] = {}
    try:
        loaded = receipts.load(connection, list(before))
    except DamagedContentError as damaged:
        return _hold(connection, number, reader_fingerprint, describe_error(damaged))
    for receipt in loaded:
        try:
            reports[receipt.number] = read_in_time(app, receipt)
        except PhantomReportError as phantom:
            phantoms[receipt.number] = phantom
        except UnreadableReportError as unreadable:
            return _hold(connection, number, reader_fingerprint, f"receipt {receipt.number}: {unreadable.reason}")
        except Exception as error:  # noqa: BLE001 - whatever one report raises, the others are still extracted
            require_fault_of_one(error)
            return _hold(
                connection,
                number,
                reader_fingerprint,
                f"receipt {receipt.number}: {UNEXPECTED} {describe_error(error)}",
            )
    if phantoms and not reports:
        _move_to_phantoms(app, connection, number, phantoms)
        readings.record_reader_fingerprint(connection, number, reader_fingerprint)
        return True
    if phantoms:
        return _hold(connection, number, reader_fingerprint, "some of its reports are of a phantom")
    if reports == before:
        readings.record_reader_fingerprint(connection, number, reader_fingerprint)
        return False
    if not readings.replace_reports(connection, number, reports, reader_fingerprint):
        return _hold(connection, number, reader_fingerprint, "its reports are now of different exams")
    log.info("read again", extra={"exam": number})
    return True


def _move_to_phantoms(app: App, connection: Connection, number: int, reports: Mapping[int, PhantomReportError]) -> None:
    """Withdraw an exam that was none, and let its reports count for the quality control of their scanner."""
    now = datetime.now(UTC)
    for receipt_number, report in reports.items():
        if not phantom_scans.is_recorded(connection, receipt_number):
            scanner = phantom_scans.record(connection, receipt_number, report.scan, at=now)
            stops.update(connection, app.reference_data, scanner, at=now)
    if withdrawals.withdraw(connection, number, PHANTOM_NOT_PATIENT, at=now):
        detail = {"reason": PHANTOM_NOT_PATIENT, "undo": False}
        entry = Entry(event=Event.WITHDRAWN, at=now, actor=f"dxatrend {__version__}", exam=number, detail=detail)
        audit_trail.record(connection, entry)
        log.warning("withdrawn", extra={"exam": number, "reason": PHANTOM_NOT_PATIENT})


def _hold(connection: Connection, number: int, reader_fingerprint: str, detail: str) -> bool:
    readings.record_reader_fingerprint(connection, number, reader_fingerprint)
    work_queue.hold(connection, exam_table, number, reason=READ_OTHERWISE, detail=detail)
    log.warning("held", extra={"exam": number, "reason": READ_OTHERWISE})
    return True
