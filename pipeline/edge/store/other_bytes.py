"""Decide between instances with one SOP Instance UID and different bytes, of which only one can be right.

The later one is held when it is received, before it is extracted. Once extracted, it may turn out that the earlier one
is an unknown sender's, who guessed the UID; then the earlier one is held and the later one goes on.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from pipeline.clinical.model import Scanner
from pipeline.edge.store import exams, scanners, senders, work_queue
from pipeline.edge.store.receipts import OTHER_BYTES, Receipt
from pipeline.edge.store.schema import exam, reading, receipt
from pipeline.edge.store.schema_base import State


def decide(connection: Connection, later: Receipt, scanner: Scanner) -> tuple[bool, list[int]]:
    """Return whether a later instance, held for its other bytes, goes on, and which earlier ones must be held.

    Of one sender the earlier instance counts. Of different senders the one counts that is known for its scanner, else
    the earlier if it has an addendum already, else neither.
    """
    earlier = _earlier(connection, later)
    if not earlier or any((one.calling_ae_title, one.host) == _pair(later) for one in earlier):
        return False, []
    read = [one for one in earlier if one.exam_id is not None]
    if not read:  # whatever they were, nothing of them is used
        return all(one.state == State.HELD and one.reason != OTHER_BYTES for one in earlier), []
    known = scanners.find(connection, scanner)
    is_known = known is not None and senders.is_known(connection, known, later.sender)
    known_earlier = senders.are_known(
        connection, [one.exam_id for one in read], excluding=[one.exam_id for one in read]
    )
    if is_known != known_earlier:
        return is_known, [one.id for one in read] if is_known else []
    answered = any(one.exam_state == State.DONE for one in read)
    return False, [] if answered else [one.id for one in read]


def hold_earlier(connection: Connection, number: int, later: Receipt, *, at: datetime) -> None:
    """Hold an extracted report: alone where its exam has others, else with its exam."""
    detail = f"the SOP Instance UID (0008,0018) is that of receipt {later.number} ({later.sender}), the content is not"
    of: int = connection.execute(select(reading.c.exam_id).where(reading.c.receipt_id == number)).scalar_one()
    others = select(reading.c.receipt_id).where(reading.c.exam_id == of, reading.c.receipt_id != number).limit(1)
    if connection.scalar(others) is None:
        work_queue.hold(connection, exam, of, reason=OTHER_BYTES, detail=detail)
    else:
        connection.execute(delete(reading).where(reading.c.receipt_id == number))
        connection.execute(update(exam).where(exam.c.id == of).values(revision=exam.c.revision + 1))
        work_queue.hold(connection, receipt, number, reason=OTHER_BYTES, detail=detail)
    exams.reexamine_later_exams(connection, of, at=at)


def _pair(one: Receipt) -> tuple[str, str]:
    return one.sender.ae_title, one.sender.host


def _earlier(connection: Connection, later: Receipt) -> Sequence[Row[Any]]:
    """Return every other instance with the same UID, except ignored history, with its exam if it was extracted."""
    query = (
        select(receipt.c.id, receipt.c.state, receipt.c.reason, receipt.c.calling_ae_title, receipt.c.host)
        .add_columns(reading.c.exam_id, exam.c.state.label("exam_state"))
        .outerjoin(reading, reading.c.receipt_id == receipt.c.id)
        .outerjoin(exam, exam.c.id == reading.c.exam_id)
        .where(receipt.c.sop_instance_uid == later.instance.sop_instance_uid, receipt.c.id != later.number)
        .where(receipt.c.state != State.IGNORED)
        .order_by(receipt.c.id)
    )
    return connection.execute(query).all()
