"""Exams and reports taken out of every comparison: by hand (``withdraw``), or by a rejection note (``reject``).

A withdrawn exam stays on file and keeps its number. It is no prior and no baseline, and says nothing of whose another
exam is; its addendum is superseded by one that says so, and the later exams of its patient are looked at again.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, select, true, update

from pipeline.clinical.model import Scanner
from pipeline.edge.store import exams, patient_identity, shared_scans
from pipeline.edge.store.database import insert_absent, notify
from pipeline.edge.store.schema import State, exam, reading, receipt, rejection, scanner
from pipeline.edge.store.senders import Sender
from pipeline.sr.extract.rejection_note import Rejection

REJECTED = "rejected"
"""The reason for which a report that waited for a person is put aside: a rejection note has named it."""

_AT_ONCE = 1000
"""How many instances of a rejection note are looked up in one statement."""


def withdraw(connection: Connection, number: int, reason: str, *, at: datetime) -> bool:
    """Take an exam out of every comparison; whether it took part until now."""
    this = (exam.c.id == number) & exam.c.withdrawn.is_(None)
    if connection.execute(update(exam).where(this).values(withdrawn=reason)).rowcount == 0:
        return False
    _look_again(connection, number, at=at)
    return True


def undo(connection: Connection, number: int, *, at: datetime) -> bool:
    """Let an exam, and its rejected reports, count again; whether any of them did not."""
    was_withdrawn = update(exam).where(exam.c.id == number, exam.c.withdrawn.is_not(None)).values(withdrawn=None)
    theirs = (reading.c.exam_id == number) & reading.c.rejected.is_not(None)
    uids = select(receipt.c.sop_instance_uid).join(reading, reading.c.receipt_id == receipt.c.id).where(theirs)
    notes = update(rejection).where(rejection.c.sop_instance_uid.in_(uids), rejection.c.undone_at.is_(None))
    connection.execute(notes.values(undone_at=at))
    were_rejected = update(reading).where(theirs).values(rejected=None)
    if sum(connection.execute(undone).rowcount for undone in (was_withdrawn, were_rejected)) == 0:
        return False
    _look_again(connection, number, at=at)
    patient_identity.hold_if_in_doubt(connection, number, at=at)
    shared_scans.hold(connection, number)
    return True


def reject(
    connection: Connection, receipt_number: int, note: Rejection, *, sent_by: Sender | None = None, at: datetime
) -> list[int]:
    """Take the instances that a rejection note names out of their exams; the numbers of these exams.

    An exam of which nothing is left is withdrawn. What is named and not on file is rejected when it comes. Of the
    reports that wait for a person, whose machine may be unknown, only those count that were ``sent_by`` a caller,
    where one is given.
    """
    own = true() if sent_by is None else _is_from(sent_by)
    found: set[int] = set()
    for uids in _in_turn(note.sop_instance_uids):
        rows = [{"receipt_id": receipt_number, "sop_instance_uid": uid, "title": note.title} for uid in uids]
        insert_absent(connection, rejection, rows, key=rejection.c.sop_instance_uid)
        named = select(receipt.c.id).where(receipt.c.sop_instance_uid.in_(uids))
        taken = update(reading).where(reading.c.receipt_id.in_(named), reading.c.rejected.is_(None))
        found.update(connection.scalars(taken.values(rejected=note.title).returning(reading.c.exam_id)))
        waiting = update(receipt).where(receipt.c.sop_instance_uid.in_(uids), receipt.c.state == State.HELD)
        connection.execute(waiting.where(own).values(state=State.IGNORED, reason=REJECTED, detail=note.title))
    for number in sorted(found):
        exams.count_rejections(connection, number)
        _look_again(connection, number, at=at)
    return sorted(found)


def scanners_of(connection: Connection, note: Rejection) -> set[Scanner]:
    """The machines whose reports on file a rejection note names."""
    found: set[Scanner] = set()
    for uids in _in_turn(note.sop_instance_uids):
        query = (
            select(scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)
            .join(exam, exam.c.scanner_id == scanner.c.id)
            .join(reading, reading.c.exam_id == exam.c.id)
            .join(receipt, receipt.c.id == reading.c.receipt_id)
            .where(receipt.c.sop_instance_uid.in_(uids))
        )
        found.update(Scanner(*row) for row in connection.execute(query.distinct()))
    return found


def _is_from(who: Sender) -> ColumnElement[bool]:
    return and_(receipt.c.calling_ae_title == who.ae_title, receipt.c.host == who.host)


def _in_turn(uids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (uids[first : first + _AT_ONCE] for first in range(0, len(uids), _AT_ONCE))


def _look_again(connection: Connection, number: int, *, at: datetime) -> None:
    """Make an exam due for what has become of it, its patient's later exams too, and what was held because of it."""
    in_doubt = (exam.c.state == State.HELD) & exam.c.reason.in_([patient_identity.ID_CONFLICT, shared_scans.SAME_SCAN])
    connection.execute(update(exam).where(exam.c.id == number).values(revision=exam.c.revision + 1))
    due = {"state": State.WAITING, "due_at": at, "attempts": 0, "worker_crashes": 0, "reason": None, "detail": None}
    connection.execute(update(exam).where(exam.c.id == number, ~in_doubt | exam.c.withdrawn.is_not(None)).values(**due))
    row = connection.execute(select(exam.c.patient_id, exam.c.performed_at).where(exam.c.id == number)).one()
    exams.reexamine_since(connection, row.patient_id, since=row.performed_at.date(), at=at)
    patient_identity.release_settled(connection, number, at=at)
    shared_scans.release_settled(connection, at=at)
    notify(connection)
