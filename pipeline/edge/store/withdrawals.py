"""Withdraw exams and reports from every comparison: by hand (``withdraw``) or by a rejection note (``reject``).

A withdrawn exam stays on file and keeps its number. It is no prior and no baseline, and does not count when patients
are told apart. Its addendum is superseded by one that states the withdrawal, and the patient's later exams are
re-examined.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, select, true, update

from pipeline.clinical.model import Scanner
from pipeline.edge.store import exams, patient_identity, readings, shared_scans
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.inserts import insert_absent
from pipeline.edge.store.schema import exam, reading, receipt, rejection, scanner
from pipeline.edge.store.schema_base import State
from pipeline.edge.store.senders import Sender
from pipeline.sr.extract.rejection_note import Rejection

REJECTED = "rejected"
"""The reason for which a held report is ignored: a rejection note names it."""

_BATCH = 1000
"""Instances of a rejection note that are looked up in one statement."""


def withdraw(connection: Connection, number: int, reason: str, *, at: datetime) -> bool:
    """Withdraw an exam from every comparison, and return whether it took part until now."""
    this = (exam.c.id == number) & exam.c.withdrawn.is_(None)
    if connection.execute(update(exam).where(this).values(withdrawn=reason)).rowcount == 0:
        return False
    _reexamine(connection, number, at=at)
    return True


def undo(connection: Connection, number: int, *, at: datetime) -> bool:
    """Let an exam and its rejected reports count again, and return whether any of them did not."""
    was_withdrawn = update(exam).where(exam.c.id == number, exam.c.withdrawn.is_not(None)).values(withdrawn=None)
    theirs = (reading.c.exam_id == number) & reading.c.rejected.is_not(None)
    uids = select(receipt.c.sop_instance_uid).join(reading, reading.c.receipt_id == receipt.c.id).where(theirs)
    notes = update(rejection).where(rejection.c.sop_instance_uid.in_(uids), rejection.c.undone_at.is_(None))
    connection.execute(notes.values(undone_at=at))
    were_rejected = update(reading).where(theirs).values(rejected=None)
    if sum(connection.execute(undone).rowcount for undone in (was_withdrawn, were_rejected)) == 0:
        return False
    _reexamine(connection, number, at=at)
    patient_identity.hold_if_in_doubt(connection, number, at=at)
    shared_scans.hold(connection, number)
    return True


def reject(
    connection: Connection, receipt_number: int, note: Rejection, *, sent_by: Sender | None = None, at: datetime
) -> list[int]:
    """Reject the instances that a rejection note names, and return the numbers of their exams.

    An exam of which nothing is left is withdrawn. An instance not on file is rejected when it is received. Of the held
    reports, whose scanner may be unknown, only those ``sent_by`` a caller are rejected, where one is given.
    """
    own = true() if sent_by is None else _is_from(sent_by)
    found: set[int] = set()
    for uids in _in_batches(note.sop_instance_uids):
        rows = [{"receipt_id": receipt_number, "sop_instance_uid": uid, "title": note.title} for uid in uids]
        insert_absent(connection, rejection, rows, key=rejection.c.sop_instance_uid)
        named = select(receipt.c.id).where(receipt.c.sop_instance_uid.in_(uids))
        taken = update(reading).where(reading.c.receipt_id.in_(named), reading.c.rejected.is_(None))
        found.update(connection.scalars(taken.values(rejected=note.title).returning(reading.c.exam_id)))
        waiting = update(receipt).where(receipt.c.sop_instance_uid.in_(uids), receipt.c.state == State.HELD)
        connection.execute(waiting.where(own).values(state=State.IGNORED, reason=REJECTED, detail=note.title))
    for number in sorted(found):
        readings.count_rejections(connection, number)
        _reexamine(connection, number, at=at)
    return sorted(found)


def scanners_of(connection: Connection, note: Rejection) -> set[Scanner]:
    """Return the scanners whose reports on file a rejection note names."""
    found: set[Scanner] = set()
    for uids in _in_batches(note.sop_instance_uids):
        query = (
            select(scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)
            .join(exam, exam.c.scanner_id == scanner.c.id)
            .join(reading, reading.c.exam_id == exam.c.id)
            .join(receipt, receipt.c.id == reading.c.receipt_id)
            .where(receipt.c.sop_instance_uid.in_(uids))
        )
        rows = connection.execute(query.distinct())
        found.update(Scanner(row.manufacturer, row.model, row.serial_number) for row in rows)
    return found


def _is_from(who: Sender) -> ColumnElement[bool]:
    return and_(receipt.c.calling_ae_title == who.ae_title, receipt.c.host == who.host)


def _in_batches(uids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (uids[first : first + _BATCH] for first in range(0, len(uids), _BATCH))


def _reexamine(connection: Connection, number: int, *, at: datetime) -> None:
    """Make an exam due, its patient's later exams too, and release what was held because of it."""
    in_doubt = (exam.c.state == State.HELD) & exam.c.reason.in_([patient_identity.ID_CONFLICT, shared_scans.SAME_SCAN])
    connection.execute(update(exam).where(exam.c.id == number).values(revision=exam.c.revision + 1))
    due = {"state": State.WAITING, "due_at": at, "attempts": 0, "worker_crashes": 0, "reason": None, "detail": None}
    connection.execute(update(exam).where(exam.c.id == number, ~in_doubt | exam.c.withdrawn.is_not(None)).values(**due))
    row = connection.execute(select(exam.c.patient_id, exam.c.performed_at).where(exam.c.id == number)).one()
    exams.reexamine_since(connection, row.patient_id, since=row.performed_at.date(), at=at)
    patient_identity.release_settled(connection, number, at=at)
    shared_scans.release_settled(connection, at=at)
    notify(connection)
