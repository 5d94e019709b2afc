"""Extract waiting receipts: read each report, record it with its exam, which becomes due, or hold it with a reason."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from pipeline.clinical.placeholders import known_name, placeholder
from pipeline.clinical.plausible_dates import implausible_date
from pipeline.edge.app import App
from pipeline.edge.errors import UNEXPECTED, WORKER_LOST, describe_error, require_fault_of_one
from pipeline.edge.extract.caller_scanners import OTHER_CALLER, bound_serial_numbers, is_bound_to_other_scanners
from pipeline.edge.extract.rejection_notes import apply_rejection_note, may_reject
from pipeline.edge.extract.time_limit import StoppedError, TimeLimitError, run_with_time_limit
from pipeline.edge.quality_control import stops
from pipeline.edge.store import (
    history_queries,
    other_bytes,
    phantom_scans,
    pixel_retention,
    readings,
    receipts,
    work_queue,
)
from pipeline.edge.store.database import Database
from pipeline.edge.store.receipts import Receipt
from pipeline.edge.store.schema import receipt as receipt_table
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.unreadable import IGNORED_REASONS, Reason, UnreadableReportError
from pipeline.sr.extract.phantom import PhantomReportError
from pipeline.sr.extract.rejection_note import RejectionNoteError
from pipeline.sr.extract.report import Report, extract

log = logging.getLogger(__name__)

BATCH = 20
"""Receipts claimed at once, and recorded in one transaction, during which no other report is stored on SQLite."""

BATCH_BYTES = 64 * 2**20
"""Bytes read at once, unless one receipt alone has more: an image has up to a hundred megabytes."""

MAX_READING_SECONDS = 10
"""Seconds of processor time after which a receipt is read no further; the largest honest one takes a few."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why a receipt could neither be read nor refused."""

    reason: str
    detail: str


_Outcome = Report | UnreadableReportError | _Failed


def _never() -> bool:
    return False


def extract_waiting(app: App, *, crash_suspects: bool = False, stopped: Callable[[], bool] = _never) -> int:
    """Extract up to a batch of receipts, and return how many there were; each ends in an exam, ignored, or held.

    With ``crash_suspects`` it is one alone, of those whose worker crashed. What is not read when ``stopped`` becomes
    true is given back to the queue.

    Raises:
        StoreError: the database could not be reached; the receipts stay waiting.
    """
    with app.database.read() as connection:  # at rest nobody who writes waits for us
        if not receipts.is_any_to_be_read(connection, at=datetime.now(UTC)):
            return 0
    with app.database.write() as connection:
        claimed = work_queue.claim(
            connection,
            receipt_table,
            limit=BATCH,
            at=datetime.now(UTC),
            crash_suspects=crash_suspects,
            max_bytes=BATCH_BYTES,
        )
        ambiguous = receipts.claim_with_other_bytes(connection, limit=BATCH)
    outcomes = _read_all(app, _load(app.database, claimed), stopped)
    if len(outcomes) < len(claimed):
        with app.database.write() as connection:
            unread = receipt_table.c.id.in_(set(claimed) - {receipt.number for receipt, _ in outcomes})
            work_queue.requeue(connection, receipt_table, where=unread)
    _record_all(app, outcomes)
    _decide_all(app, ambiguous, stopped)
    return len(claimed) + len(ambiguous)


def _load(database: Database, numbers: list[int]) -> list[Receipt]:
    """Return the receipts of these numbers; one that cannot be loaded is held."""
    try:
        with database.read() as connection:
            return receipts.load(connection, numbers)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are loaded
        require_fault_of_one(error)
        if len(numbers) > 1:
            return [receipt for number in numbers for receipt in _load(database, [number])]
        _hold(database, numbers[0], error)
        return []


def _read_all(app: App, claimed: Sequence[Receipt], stopped: Callable[[], bool]) -> list[tuple[Receipt, _Outcome]]:
    """Return what each receipt says, or why it cannot be read, up to the one at which ``stopped`` became true.

    A data set that recording does not need is dropped at once, as it may be large.
    """
    outcomes = []
    for receipt in claimed:
        try:
            outcome = _read(app, receipt, stopped)
        except StoppedError:
            break
        outcomes.append(
            (receipt if _has_results_beside_pixels(receipt, outcome) else receipt.without_data_set(), outcome)
        )
    return outcomes


def _has_results_beside_pixels(receipt: Receipt, outcome: _Outcome) -> bool:
    """Return whether an image was read, whose pixel data may be dropped later."""
    is_read = isinstance(outcome, Report) or (
        isinstance(outcome, UnreadableReportError) and outcome.reason in IGNORED_REASONS
    )
    return is_read and not receipt.instance.sop_class_uid.startswith(_STRUCTURED_REPORTS)


def _record_all(app: App, outcomes: Sequence[tuple[Receipt, _Outcome]]) -> None:
    """Record all together; where that fails, one by one, and hold what cannot be recorded."""
    if not outcomes:
        return
    try:
        with app.database.write() as connection:
            scanned = [_record(connection, app, receipt, outcome) for receipt, outcome in outcomes]
            for scanner in sorted({number for number in scanned if number is not None}):  # once for a whole history
                stops.update(connection, app.reference_data, scanner, at=datetime.now(UTC))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are recorded
        require_fault_of_one(error)
        if len(outcomes) > 1:
            for alone in outcomes:
                _record_all(app, [alone])
        else:
            _hold(app.database, outcomes[0][0].number, error)


def _hold(database: Database, number: int, error: Exception) -> None:
    detail = describe_error(error)
    with database.write() as connection:
        work_queue.hold(connection, receipt_table, number, reason=UNEXPECTED, detail=detail)
    log.error("held", extra={"receipt": number, "reason": UNEXPECTED, "detail": detail})


def _decide_all(app: App, ambiguous: Sequence[int], stopped: Callable[[], bool]) -> None:
    """Read each receipt that came with other bytes, alone as it may be large, and decide which one counts."""
    for position, number in enumerate(ambiguous):
        loaded = _load(app.database, [number])
        outcomes = _read_all(app, loaded, stopped)
        if len(outcomes) < len(loaded):
            with app.database.write() as connection:
                receipts.requeue_with_other_bytes(connection, ambiguous[position:])
            return
        for receipt, outcome in outcomes:
            try:
                _decide_other_bytes(app, receipt, outcome)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are decided
                require_fault_of_one(error)
                _hold(app.database, receipt.number, error)


def _decide_other_bytes(app: App, receipt: Receipt, outcome: _Outcome) -> None:
    """Record a known instance that came with other bytes if it only corrects the header, or the first is not trusted.

    Else it stays held; and so is the first one, where nothing shows which of two senders is right.
    """
    if not isinstance(outcome, Report) or _comes_from_another(app, receipt, outcome):
        return
    with app.database.write() as connection:
        if readings.is_correction(connection, receipt.number, outcome, receipt.sender):
            _record(connection, app, receipt, outcome)
            return
        counts, held = other_bytes.decide(connection, receipt, outcome.exam.scanner)
        if counts:
            _record(connection, app, receipt, outcome)
        for number in held:
            other_bytes.hold_earlier(connection, number, receipt, at=datetime.now(UTC))
            log.warning("held", extra={"receipt": number, "reason": receipts.OTHER_BYTES})


def read_in_time(app: App, receipt: Receipt, stopped: Callable[[], bool] = _never) -> Report:
    """Return the report of a receipt, as ``read`` does, within the time limit.

    Raises:
        UnreadableReportError: it is not a report we can use, or takes too long; with the reason.
        StoppedError: ``stopped`` became true meanwhile.
    """
    try:
        return run_with_time_limit(MAX_READING_SECONDS, lambda: read(app, receipt), stopped)
    except TimeLimitError:
        raise UnreadableReportError(Reason.TOO_SLOW) from None


def read(app: App, receipt: Receipt) -> Report:
    """Return the report of a receipt.

    Raises:
        UnreadableReportError: it is not a report we can use, with the reason.
    """
    instance = receipt.instance
    elements = read_elements(instance.data_set, instance.transfer_syntax_uid)
    _require_one_identity(elements, instance)
    known = app.reference_data
    report = extract(elements, app.dialects, known.aliases, known.spellings, phantoms=known.phantoms, zone=known.zone)
    if field := placeholder(report.exam.patient, known.clinical.rules):
        raise UnreadableReportError(Reason.PLACEHOLDER_ID, field)
    impossible = implausible_date(report.exam, received_on=receipt.received_at.date())
    if impossible and not _is_confirmed(receipt):
        raise UnreadableReportError(Reason.IMPLAUSIBLE_DATE, impossible)
    return replace(report, name=known_name(report.name, known.clinical.rules)) if report.name else report


def _is_confirmed(receipt: Receipt) -> bool:
    """Return whether an operator has released a report that was held for its dates."""
    return receipt.released_from == Reason.IMPLAUSIBLE_DATE


def _is_of_the_future(receipt: Receipt, phantom: PhantomReportError) -> bool:
    """Return whether a phantom's scan has a date on which it would hide that none is scanned."""
    days = (phantom.scan.performed_at.date() - receipt.received_at.date()).days
    return days > 1 and not _is_confirmed(receipt)


def _is_late(receipt: Receipt, report: Report, *, late_days: int) -> bool:
    """Return whether a live report came so long after its exam that the scanner's clock may have been wrong."""
    days = (receipt.received_at.date() - report.exam.performed_on).days
    return not receipt.historical and not _is_confirmed(receipt) and days > late_days


def _require_one_identity(elements: Elements, instance: receipts.Instance) -> None:
    """Require that the C-STORE request named the instance that it brought (PS3.4 B.2).

    Else one instance could come under several UIDs, and count as several.

    Raises:
        UnreadableReportError: it named another one.
    """
    sent = {"SOPInstanceUID": instance.sop_instance_uid, "SOPClassUID": instance.sop_class_uid}
    for keyword, uid in sent.items():
        if (own_uid := header_text(elements, keyword)) and own_uid != uid.rstrip(" \0"):
            raise UnreadableReportError(Reason.OTHER_UID, f"{keyword} is another than that of the C-STORE request")


_STRUCTURED_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
"""How the UIDs of the SR storage classes begin; any other storage class that is taken may hold an image."""


def _read(app: App, receipt: Receipt, stopped: Callable[[], bool]) -> _Outcome:
    """Return the report of a receipt, or why there is none; no exception is kept that holds its bytes in memory."""
    if receipt.worker_crashes >= work_queue.MAX_WORKER_CRASHES:
        return _Failed(WORKER_LOST, f"its worker ended {receipt.worker_crashes} times")
    try:
        return read_in_time(app, receipt, stopped)
    except StoppedError:
        raise
    except UnreadableReportError as refused:
        refused.__context__ = None
        return refused.with_traceback(None)
    except Exception as error:  # noqa: BLE001 - whatever a report does to its reader, the others are still read
        return _Failed(UNEXPECTED, describe_error(error))  # also MemoryError: it may ask for more than there is


def _comes_from_another(app: App, receipt: Receipt, outcome: Report | PhantomReportError) -> bool:
    """Return whether a live report is of a scanner whose reports its sender may not send."""
    scanner = outcome.exam.scanner if isinstance(outcome, Report) else outcome.scan.scanner
    callers = app.settings.service.listener.caller
    return not receipt.historical and is_bound_to_other_scanners(
        callers, receipt.sender, scanner, app.reference_data.spellings
    )


def _record(connection: Connection, app: App, receipt: Receipt, outcome: _Outcome) -> int | None:
    """Record what a receipt says, and return the number of the scanner whose phantom it shows, if it shows one."""
    service, spellings = app.settings.service, app.reference_data.spellings
    if _has_results_beside_pixels(receipt, outcome):
        pixel_retention.record_pixel_bytes(connection, receipt.number, receipt.instance)
    match outcome:
        case Report() | PhantomReportError() if _comes_from_another(app, receipt, outcome):
            detail = f"its serial number is not among listener.caller.serial_numbers of {receipt.sender}"
            work_queue.hold(connection, receipt_table, receipt.number, reason=OTHER_CALLER, detail=detail)
            log.warning("held", extra={"receipt": receipt.number, "reason": OTHER_CALLER})
        case Report():
            settle = timedelta(seconds=service.exam.settle_seconds)
            exam = readings.record(
                connection,
                receipt.number,
                outcome,
                readings.ReportArrival(
                    seen_at=receipt.received_at,
                    due_at=receipt.received_at + settle,
                    reader_fingerprint=app.reference_data.reader_fingerprint,
                    historical=receipt.historical,
                    sender=receipt.sender,
                    bound=bound_serial_numbers(service.listener.caller, receipt.sender) is not None,
                    late=_is_late(receipt, outcome, late_days=service.exam.late_days),
                ),
                may_reject=lambda sender: may_reject(connection, service, spellings, sender, outcome.exam.scanner),
            )
            if not receipt.historical:
                archives = [to.name for to in service.archives]
                history_queries.enqueue(connection, exam, archives, at=receipt.received_at)
            log.info("extracted", extra={"receipt": receipt.number, "exam": exam})
        case RejectionNoteError():
            apply_rejection_note(connection, service, spellings, receipt, outcome.rejection)
        case PhantomReportError() if _is_of_the_future(receipt, outcome):
            detail = "the phantom was scanned after its report came: is the scanner's clock right?"
            work_queue.hold(connection, receipt_table, receipt.number, reason=Reason.IMPLAUSIBLE_DATE, detail=detail)
            log.warning("held", extra={"receipt": receipt.number, "reason": Reason.IMPLAUSIBLE_DATE})
        case PhantomReportError():
            log.info("phantom", extra={"receipt": receipt.number})
            return phantom_scans.record(connection, receipt.number, outcome.scan, at=receipt.received_at)
        case UnreadableReportError() if outcome.reason in IGNORED_REASONS or receipt.historical:
            work_queue.ignore(connection, receipt_table, receipt.number, reason=outcome.reason, detail=str(outcome))
            log.info("ignored", extra={"receipt": receipt.number, "reason": outcome.reason})
        case UnreadableReportError():
            work_queue.hold(connection, receipt_table, receipt.number, reason=outcome.reason, detail=str(outcome))
            log.warning("held", extra={"receipt": receipt.number, "reason": outcome.reason})
        case _Failed(reason, detail):
            work_queue.hold(connection, receipt_table, receipt.number, reason=reason, detail=detail)
            log.error("held", extra={"receipt": receipt.number, "reason": reason, "detail": detail})
    return None
