"""Take out of their exams the reports that a rejection note (IHE IOCM) names, where its sender may take them back.

An archive may take back anything: a destination, or a caller that sends no scanner's reports. A caller that does may
take back only the reports of scanners that are its own: those it is bound to, or else is confirmed for.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.extract.caller_scanners import OTHER_CALLER, bound_serial_numbers, is_bound_to_other_scanners
from pipeline.edge.store import audit_trail, scanners, senders, withdrawals, work_queue
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.receipts import Receipt
from pipeline.edge.store.schema import receipt as receipt_table
from pipeline.edge.store.senders import Sender
from pipeline.sr.dicom.unreadable import Reason
from pipeline.sr.extract.rejection_note import Rejection
from pipeline.sr.extract.scanner_alias import Spelling

log = logging.getLogger(__name__)


def apply_rejection_note(
    connection: Connection, service: ServiceSettings, spellings: Sequence[Spelling], receipt: Receipt, note: Rejection
) -> None:
    """Reject the reports that a note names, or hold the note where one of them is not its sender's to take back."""
    if not receipt.historical and (detail := _reason_to_hold(connection, service, spellings, receipt, note)):
        work_queue.hold(connection, receipt_table, receipt.number, reason=OTHER_CALLER, detail=detail)
        log.warning("held", extra={"receipt": receipt.number, "reason": OTHER_CALLER})
        return
    now = datetime.now(UTC)
    alone = not (receipt.historical or _is_archive(connection, service, receipt.sender))
    numbers = withdrawals.reject(connection, receipt.number, note, sent_by=receipt.sender if alone else None, at=now)
    exams = ", ".join(f"E{number}" for number in numbers) or "no exam on file; what comes later is rejected as well"
    detail = f"{note.title}: {len(note.sop_instance_uids)} instances, of {exams}"
    work_queue.ignore(connection, receipt_table, receipt.number, reason=Reason.REJECTION_NOTE, detail=detail)
    audit_trail.record(
        connection,
        *(
            Entry(
                event=Event.WITHDRAWN,
                at=now,
                actor=receipt.sender.ae_title,
                receipt=receipt.number,
                exam=number,
                detail={"reason": note.title, "undo": False},
            )
            for number in numbers
        ),
    )
    log.info("rejection note", extra={"receipt": receipt.number, "exams": numbers})


def may_reject(
    connection: Connection, service: ServiceSettings, spellings: Sequence[Spelling], sender: Sender, scanner: Scanner
) -> bool:
    """Return whether a caller may take back the reports of a scanner."""
    callers = service.listener.caller
    if is_bound_to_other_scanners(callers, sender, scanner, spellings):
        return False
    if bound_serial_numbers(callers, sender) is not None or _is_archive(connection, service, sender):
        return True
    known = scanners.find(connection, scanner)
    return known is None or not scanner.identified or senders.is_confirmed(connection, known, sender)


def _reason_to_hold(
    connection: Connection, service: ServiceSettings, spellings: Sequence[Spelling], receipt: Receipt, note: Rejection
) -> str:
    """Return why a note must be held; empty where its sender may take back all it names, or somebody released it."""
    callers = service.listener.caller
    for scanner in withdrawals.scanners_of(connection, note):
        if is_bound_to_other_scanners(callers, receipt.sender, scanner, spellings):
            return f"it rejects reports of a scanner not among listener.caller.serial_numbers of {receipt.sender}"
        if receipt.released_from != OTHER_CALLER and not may_reject(
            connection, service, spellings, receipt.sender, scanner
        ):
            return f"it rejects reports of a scanner for which {receipt.sender} is not confirmed"
    return ""


def _is_archive(connection: Connection, service: ServiceSettings, sender: Sender) -> bool:
    """Return whether a sender is a destination or this computer, or is bound to no scanner and has sent of none."""
    if not sender.host or any(to.ae_title == sender.ae_title for to in service.dicom_destinations):
        return True
    return bound_serial_numbers(service.listener.caller, sender) is None and not senders.is_scanner(connection, sender)
