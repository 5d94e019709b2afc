"""What do the receipts that wait to be read say, and which exams become due through them?"""

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from pipeline.edge.house import House
from pipeline.edge.mishap import MOST_ATTEMPTS, UNEXPECTED, WORKER_LOST, where_it_happened
from pipeline.edge.store import exams, receipts, work
from pipeline.edge.store.receipts import Receipt
from pipeline.edge.store.schema import receipt as receipt_table
from pipeline.sr.extract import Reason, Report, UnreadableReport, extract
from pipeline.sr.tree import read_instance

log = logging.getLogger(__name__)

BATCH = 50


def extract_waiting(house: House) -> int:
    """Read up to a batch of receipts: each ends in an exam, ignored, or held with its reason; how many there were."""
    now = datetime.now(UTC)
    with house.database.write() as connection:
        numbers = work.claim(connection, receipt_table, limit=BATCH, at=now)
        claimed = receipts.load(connection, numbers)
    outcomes = [(receipt, _read(house, receipt)) for receipt in claimed]
    if outcomes:
        with house.database.write() as connection:
            for receipt, outcome in outcomes:
                _record(connection, house, receipt, outcome)
    return len(outcomes)


def read(house: House, instance: receipts.Instance) -> Report:
    """What one instance says.

    Raises:
        UnreadableReport: it is not a report we can use, with the reason.
    """
    return extract(
        read_instance(instance.data_set, instance.transfer_syntax_uid), house.dialects, house.knowledge.aliases
    )


class _WorkerLost(Exception):
    """Reading this receipt has ended its worker, again and again."""


def _read(house: House, receipt: Receipt) -> Report | Exception:
    if receipt.attempts > MOST_ATTEMPTS:
        return _WorkerLost()
    try:
        return read(house, receipt.instance)
    except Exception as error:  # noqa: BLE001 - whatever a report does to its reader, the others are still read
        return error


def _record(connection: Connection, house: House, receipt: Receipt, outcome: Report | Exception) -> None:
    match outcome:
        case Report():
            settle = timedelta(seconds=house.settings.service.exam.settle_seconds)
            exam = exams.record(
                connection,
                receipt.number,
                outcome,
                due_at=receipt.received_at + settle,
                seen_at=receipt.received_at,
            )
            log.info("extracted", extra={"receipt": receipt.number, "exam": exam})
        case UnreadableReport(reason=Reason.OWN_ADDENDUM):
            work.ignore(connection, receipt_table, receipt.number, reason=outcome.reason, detail=str(outcome))
            log.info("ignored", extra={"receipt": receipt.number, "reason": outcome.reason})
        case UnreadableReport():
            work.hold(connection, receipt_table, receipt.number, reason=outcome.reason, detail=str(outcome))
            log.warning("held", extra={"receipt": receipt.number, "reason": outcome.reason})
        case Exception():
            reason = WORKER_LOST if isinstance(outcome, _WorkerLost) else UNEXPECTED
            detail = where_it_happened(outcome)
            work.hold(connection, receipt_table, receipt.number, reason=reason, detail=detail)
            log.error("held", extra={"receipt": receipt.number, "reason": reason, "detail": detail})
