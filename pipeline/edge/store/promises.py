"""Which scanner asked us to commit ourselves to which objects, and has it heard our answer?"""

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from pipeline.edge.store import work
from pipeline.edge.store.database import insert_if_absent, ring
from pipeline.edge.store.schema import State, promise, receipt

NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
"""Failure Reasons (PS3.3 C.14.1.1)."""

UNTOLD = "untold"
"""The reason for which a promise is held that its scanner would not hear."""

Reference = tuple[str, str]
"""SOP Class UID and SOP Instance UID of an object, as a scanner names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One scanner's request for our commitment, under its own Transaction UID; ``attempts`` counts this one."""

    number: int
    calling_ae_title: str
    transaction_uid: str
    asked_for: tuple[Reference, ...]
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What of it we keep, byte for byte, and what not, with its Failure Reason."""

    kept: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]


def keep(
    connection: Connection, *, calling_ae_title: str, transaction_uid: str, asked_for: Sequence[Reference], at: datetime
) -> int:
    """Keep a request until it is answered; its number. The same request again is answered again."""
    said = {"asked_at": at, "asked_for": json.dumps(list(asked_for))}
    anew = {"state": State.WAITING, "due_at": at, "attempts": 0, "losses": 0, "reason": None, "detail": None}
    number = insert_if_absent(
        connection,
        promise,
        calling_ae_title=calling_ae_title,
        transaction_uid=transaction_uid,
        state=State.WAITING,
        due_at=at,
        **said,
    )
    if number is None:
        same = (promise.c.calling_ae_title == calling_ae_title) & (promise.c.transaction_uid == transaction_uid)
        again = update(promise).where(same).values(**said, **anew).returning(promise.c.id)
        number = connection.execute(again).scalar_one()
    ring(connection)
    return number


def waiting(connection: Connection, calling_ae_title: str) -> list[Promise]:
    """What a scanner is still to be told, the oldest first."""
    theirs = (promise.c.calling_ae_title == calling_ae_title) & (promise.c.state == State.WAITING)
    return _load(connection, connection.scalars(select(promise.c.id).where(theirs)).all())


def claim(connection: Connection, calling_ae_title: str, *, limit: int, at: datetime) -> list[Promise]:
    """Take what is due to be told to one scanner."""
    theirs = promise.c.calling_ae_title == calling_ae_title
    return _load(connection, work.claim(connection, promise, limit=limit, at=at, where=theirs))


def answer(connection: Connection, to: Promise) -> Answer:
    """Look each object up and read it back: what can be produced byte for byte is kept, anything else is not."""
    kept, failed = [], []
    for reference in to.asked_for:
        reason = _failure(connection, *reference)
        if reason is None:
            kept.append(reference)
        else:
            failed.append((reference, reason))
    return Answer(kept=tuple(kept), failed=tuple(failed))


def give_up(connection: Connection, *, asked_before: datetime) -> int:
    """Hold what could not be told for too long; how many."""
    old = select(promise.c.id).where(promise.c.state == State.WAITING, promise.c.asked_at < asked_before)
    numbers = connection.scalars(old).all()
    for number in numbers:
        detail = "its scanner did not hear our answer; see listener.caller.port"
        work.hold(connection, promise, number, reason=UNTOLD, detail=detail)
    return len(numbers)


def _load(connection: Connection, numbers: Sequence[int]) -> list[Promise]:
    query = select(promise).where(promise.c.id.in_(numbers)).order_by(promise.c.id)
    return [
        Promise(
            number=row.id,
            calling_ae_title=row.calling_ae_title,
            transaction_uid=row.transaction_uid,
            asked_for=tuple((sop_class, instance) for sop_class, instance in json.loads(row.asked_for)),
            attempts=row.attempts,
        )
        for row in connection.execute(query)
    ]


def _failure(connection: Connection, sop_class_uid: str, sop_instance_uid: str) -> int | None:
    columns = (receipt.c.sop_class_uid, receipt.c.digest, receipt.c.content)
    found = connection.execute(select(*columns).where(receipt.c.sop_instance_uid == sop_instance_uid)).all()
    whole = [row for row in found if hashlib.sha256(zlib.decompress(row.content)).hexdigest() == row.digest]
    if not whole:
        return NO_SUCH_OBJECT_INSTANCE
    return None if any(row.sop_class_uid == sop_class_uid for row in whole) else CLASS_INSTANCE_CONFLICT
