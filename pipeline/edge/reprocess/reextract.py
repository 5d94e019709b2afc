"""Do the reports of an exam still say the same, read by the dialects and aliases of today?"""

import logging
from collections.abc import Collection

from sqlalchemy import Connection

from pipeline.edge.app import App
from pipeline.edge.errors import UNEXPECTED, describe_error, require_fault_of_one
from pipeline.edge.extract.extraction import read_in_time
from pipeline.edge.store import exams, receipts, work_queue
from pipeline.edge.store.schema import exam as exam_table
from pipeline.sr.extract.report import Report, UnreadableReportError

log = logging.getLogger(__name__)

READ_OTHERWISE = "read_otherwise"
"""The reason for which an exam is held whose reports, read again, are no longer one exam."""


def read_again(app: App, connection: Connection, numbers: Collection[int]) -> int:
    """Read the reports of some exams again; how many exams now say something else.

    An exam whose reports can no longer be read, or are now of different exams, is held; what was read before stays.
    """
    return sum(_read_again(app, connection, number) for number in numbers)


def _read_again(app: App, connection: Connection, number: int) -> bool:
    (on_file,) = exams.load(connection, [number])
    reader_fingerprint = app.reference_data.reader_fingerprint
    told: dict[int, Report] = {}
    before = {**dict(on_file.reports), **dict(on_file.rejected)}
    for receipt in receipts.load(connection, list(before)):
        try:
            told[receipt.number] = read_in_time(app, receipt)
        except UnreadableReportError as unreadable:
            return _hold(connection, number, reader_fingerprint, f"receipt {receipt.number}: {unreadable.reason}")
        except Exception as error:  # noqa: BLE001 - whatever a report does to its reader, the others are still read
            require_fault_of_one(error)
            return _hold(
                connection,
                number,
                reader_fingerprint,
                f"receipt {receipt.number}: {UNEXPECTED} {describe_error(error)}",
            )
    if told == before:
        exams.record_reader_fingerprint(connection, number, reader_fingerprint)
        return False
    if not exams.replace_reports(connection, number, told, reader_fingerprint):
        return _hold(connection, number, reader_fingerprint, "its reports are now of different exams")
    log.info("read again", extra={"exam": number})
    return True


def _hold(connection: Connection, number: int, reader_fingerprint: str, detail: str) -> bool:
    exams.record_reader_fingerprint(connection, number, reader_fingerprint)
    work_queue.hold(connection, exam_table, number, reason=READ_OTHERWISE, detail=detail)
    log.warning("held", extra={"exam": number, "reason": READ_OTHERWISE})
    return True
