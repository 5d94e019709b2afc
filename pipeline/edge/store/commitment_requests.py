"""Storage commitment requests of scanners (N-ACTION), and the result for each object (PS3.4 Annex J, we as SCP)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from pipeline.edge.store import receipt_contents, work_queue
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.inserts import insert_if_absent
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.edge.store.schema import commitment_request, receipt
from pipeline.edge.store.schema_base import State

NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
"""Failure Reason (0008,1197), PS3.3 C.14.1.1."""

NOT_REPORTED = "not_reported"
"""The reason for which a request is held whose result could not be reported to its scanner."""

Reference = tuple[str, str]
"""SOP Class UID and SOP Instance UID of an object, as a scanner names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """One scanner's request for storage commitment, under the Transaction UID it chose.

    ``attempts`` includes this one. ``worker_crashes`` counts the workers that ended while they had it.
    """

    number: int
    calling_ae_title: str
    transaction_uid: str
    requested: tuple[Reference, ...]
    attempts: int
    worker_crashes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentResult:
    """The objects stored byte for byte as received, and the others, each with its Failure Reason."""

    kept: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]


def record(
    connection: Connection, *, calling_ae_title: str, transaction_uid: str, requested: Sequence[Reference], at: datetime
) -> int:
    """Store a request, to be answered, and return its number; a repeated request is answered again."""
    content = {"requested_at": at, "requested": json.dumps(list(requested))}
    waiting = {"state": State.WAITING, "due_at": at, "attempts": 0, "worker_crashes": 0, "reason": None, "detail": None}
    number = insert_if_absent(
        connection,
        commitment_request,
        calling_ae_title=calling_ae_title,
        transaction_uid=transaction_uid,
        state=State.WAITING,
        due_at=at,
        **content,
    )
    if number is None:
        same = (commitment_request.c.calling_ae_title == calling_ae_title) & (
            commitment_request.c.transaction_uid == transaction_uid
        )
        again = update(commitment_request).where(same).values(**content, **waiting).returning(commitment_request.c.id)
        number = connection.execute(again).scalar_one()
    notify(connection)
    return number


def count_waiting(connection: Connection, calling_ae_title: str) -> int:
    """Return how many requests of a scanner are still to be answered."""
    theirs = (commitment_request.c.calling_ae_title == calling_ae_title) & (commitment_request.c.state == State.WAITING)
    return connection.scalar(select(func.count()).select_from(commitment_request).where(theirs)) or 0


def claim(connection: Connection, calling_ae_title: str, *, at: datetime) -> int | None:
    """Claim the longest due request of a scanner, one at a time, as reading its objects back may take long."""
    theirs = commitment_request.c.calling_ae_title == calling_ae_title
    return next(iter(work_queue.claim(connection, commitment_request, limit=1, at=at, where=theirs)), None)


def load(connection: Connection, number: int) -> CommitmentRequest:
    """Return one request."""
    row = connection.execute(select(commitment_request).where(commitment_request.c.id == number)).one()
    return CommitmentRequest(
        number=row.id,
        calling_ae_title=row.calling_ae_title,
        transaction_uid=row.transaction_uid,
        requested=tuple((sop_class, instance) for sop_class, instance in json.loads(row.requested)),
        attempts=row.attempts,
        worker_crashes=row.worker_crashes,
    )


def postpone_due(connection: Connection, calling_ae_title: str, *, at: datetime, until: datetime) -> None:
    """Postpone the other due requests of a scanner that cannot be reached."""
    due = (
        (commitment_request.c.state == State.WAITING)
        & (commitment_request.c.due_at <= at)
        & commitment_request.c.lease_owner.is_(None)
    )
    theirs = commitment_request.c.calling_ae_title == calling_ae_title
    connection.execute(update(commitment_request).where(theirs, due).values(due_at=until))


def failure_reason_of(connection: Connection, sop_class_uid: str, sop_instance_uid: str) -> int | None:
    """Read an object back and return its Failure Reason; ``None`` where it is stored byte for byte as received."""
    same = receipt.c.sop_instance_uid == sop_instance_uid
    columns = (receipt.c.id, receipt.c.sop_class_uid, receipt.c.digest)
    is_of_class = (receipt.c.sop_class_uid != sop_class_uid).asc()
    found = connection.execute(select(*columns).where(same).order_by(is_of_class, receipt.c.id)).all()
    for row in found:
        if _digest(connection, row.id) == row.digest:
            return None if row.sop_class_uid == sop_class_uid else CLASS_INSTANCE_CONFLICT
    return NO_SUCH_OBJECT_INSTANCE


def hold_unreported(connection: Connection, *, asked_before: datetime) -> int:
    """Hold the requests whose result could not be reported for too long, and return their count."""
    old = select(commitment_request.c.id).where(
        commitment_request.c.state == State.WAITING, commitment_request.c.requested_at < asked_before
    )
    numbers = connection.scalars(old).all()
    for number in numbers:
        detail = "its scanner did not hear our answer; see listener.caller.port"
        work_queue.hold(connection, commitment_request, number, reason=NOT_REPORTED, detail=detail)
    return len(numbers)


def _digest(connection: Connection, number: int) -> str | None:
    try:
        return hashlib.sha256(receipt_contents.data_set(connection, number)).hexdigest()
    except DamagedContentError:
        return None
