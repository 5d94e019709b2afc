"""Extract stored reports again with the dialects and aliases of today, and hold exams that are no longer one."""

import logging
from collections.abc import Collection

from sqlalchemy import Connection

from pipeline.edge.app import App
from pipeline.edge.errors import UNEXPECTED, describe_error, require_fault_of_one
from pipeline.edge.extract.extraction import read_in_time
from pipeline.edge.store import exams, readings, receipts, work_queue
from pipeline.edge.store.schema import exam as exam_table
from pipeline.sr.extract.report import Report, UnreadableReportError

log = logging.getLogger(__name__)

READ_OTHERWISE = "read_otherwise"
"""The reason for which an exam is held whose reports, extracted again, are no longer one exam."""


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
    for receipt in receipts.load(connection, list(before)):
        try:
            reports[receipt.number] = read_in_time(app, receipt)
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
    if reports == before:
        readings.record_reader_fingerprint(connection, number, reader_fingerprint)
        return False
    if not readings.replace_reports(connection, number, reports, reader_fingerprint):
        return _hold(connection, number, reader_fingerprint, "its reports are now of different exams")
    log.info("read again", extra={"exam": number})
    return True


def _hold(connection: Connection, number: int, reader_fingerprint: str, detail: str) -> bool:
    readings.record_reader_fingerprint(connection, number, reader_fingerprint)
    work_queue.hold(connection, exam_table, number, reason=READ_OTHERWISE, detail=detail)
    log.warning("held", extra={"exam": number, "reason": READ_OTHERWISE})
    return True
