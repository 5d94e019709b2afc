"""Outbox: issued addenda with their renderings, and their deliveries to each destination."""

import hashlib
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, func, insert, select, update

from pipeline.edge.peer_problems import Problem
from pipeline.edge.store import audit_trail, destination_outages, work_queue
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.schema import addendum, delivery, exam
from pipeline.edge.store.schema_base import State


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddendum:
    """One addendum, or a rendering of the addendum ``rendering_of``, to be issued.

    ``digest`` is of its content. ``data_set`` is in Explicit VR Little Endian. ``predecessor`` is the number of the
    addendum it supersedes. ``sections`` says how many of its sentences belong to each section, in their order.
    ``without_lsc`` are the regions whose change it does not judge for want of an LSC (R1.13).
    """

    exam_number: int
    predecessor: int | None
    rendering_of: int | None = None
    sop_class_uid: str
    sop_instance_uid: str
    digest: str
    overall: str
    sections: Mapping[str, int] = field(default_factory=dict)
    without_lsc: Sequence[str] = ()
    data_set: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddendumOnFile:
    """One addendum, or a rendering of one, as it was authored; its data set is in Explicit VR Little Endian."""

    number: int
    exam_number: int
    sop_class_uid: str
    sop_instance_uid: str
    digest: str
    overall: str
    authored_at: datetime
    sections: Mapping[str, int] = field(default_factory=dict)
    data_set: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The delivery of one addendum to one destination; ``attempts`` includes this one."""

    number: int
    attempts: int
    worker_crashes: int
    addendum: AddendumOnFile


def latest(connection: Connection, exam_number: int) -> AddendumOnFile | None:
    """Return the latest addendum of an exam."""
    rows = _LATEST.execute(connection, {"exam": exam_number})
    return _addendum(rows[0]) if rows else None


def is_superseded(connection: Connection, exam_number: int, known: AddendumOnFile | None) -> bool:
    """Return whether an exam has a later addendum than the one known, and lock the exam against another one."""
    _LOCK_EXAM.execute(connection, {"exam": exam_number})
    now = _LATEST_NUMBER.scalar(connection, {"exam": exam_number})
    return bool(now != (known.number if known else None))


def issue(connection: Connection, new: NewAddendum, destinations: Sequence[str], *, at: datetime) -> int:
    """Store an addendum or a rendering, make it due for each destination, and return its number."""
    values = {
        "exam_id": new.exam_number,
        "predecessor_id": new.predecessor,
        "rendering_of_id": new.rendering_of,
        "sop_class_uid": new.sop_class_uid,
        "sop_instance_uid": new.sop_instance_uid,
        "digest": new.digest,
        "overall": new.overall,
        "authored_at": at,
        "sections": json.dumps(dict(new.sections)) if new.sections else None,
        "without_lsc": json.dumps(list(new.without_lsc)) if new.without_lsc else None,
        "content": zlib.compress(new.data_set, 1),
    }
    number: int = _INSERT.scalar(connection, values)
    waiting = {"addendum_id": number, "size": len(new.data_set), "state": State.WAITING, "due_at": at}
    for destination in destinations:
        _INSERT_DELIVERY.execute(connection, {**waiting, "destination": destination})
    notify(connection)
    return number


def regions_without_lsc(connection: Connection, exam_numbers: Collection[int]) -> dict[int, frozenset[str]]:
    """Return the keys of the regions whose change the latest addendum of each exam does not judge, where it has any."""
    of_them = addendum.c.exam_id.in_(exam_numbers) & addendum.c.rendering_of_id.is_(None)
    query = select(addendum.c.exam_id, addendum.c.without_lsc).where(of_them).order_by(addendum.c.id)
    latest_of = {row.exam_id: row.without_lsc for row in connection.execute(query)}
    return {exam_number: frozenset(json.loads(regions)) for exam_number, regions in latest_of.items() if regions}


def issued_since(connection: Connection, moment: datetime) -> int:
    """Return how many addenda were issued since a moment, without their renderings."""
    since = (addendum.c.authored_at > moment) & addendum.c.rendering_of_id.is_(None)
    query = select(func.count()).select_from(addendum).where(since)
    return connection.execute(query).scalar_one()


def claim(
    connection: Connection, destination: str, *, limit: int, at: datetime, max_bytes: int | None = None
) -> list[int]:
    """Claim the longest due deliveries to a destination, of at most ``max_bytes`` in all, and return their numbers."""
    to_destination = delivery.c.destination == destination
    return work_queue.claim(connection, delivery, limit=limit, at=at, where=to_destination, max_bytes=max_bytes)


def deliveries(connection: Connection, numbers: Sequence[int]) -> list[Delivery]:
    """Return these deliveries with their addenda, in the order they were authored."""
    query = (
        _addenda()
        .add_columns(delivery.c.id.label("delivery_id"), delivery.c.attempts, delivery.c.worker_crashes)
        .join(delivery, delivery.c.addendum_id == addendum.c.id)
        .where(delivery.c.id.in_(numbers))
        .order_by(addendum.c.id)
    )
    return [
        Delivery(
            number=row.delivery_id, attempts=row.attempts, worker_crashes=row.worker_crashes, addendum=_addendum(row)
        )
        for row in connection.execute(query)
    ]


def record_delivery(connection: Connection, number: int, *, proof: str, at: datetime) -> None:
    """Record that a destination has an addendum, and the proof of it."""
    work_queue.done(connection, delivery, [number])
    connection.execute(update(delivery).where(delivery.c.id == number).values(done_at=at))
    query = _addenda().add_columns(delivery.c.destination).join(delivery, delivery.c.addendum_id == addendum.c.id)
    row = connection.execute(query.where(delivery.c.id == number)).one()
    sent = _addendum(row)
    detail = {
        "sop_class_uid": sent.sop_class_uid,
        "sop_instance_uid": sent.sop_instance_uid,
        "digest": hashlib.sha256(sent.data_set).hexdigest(),
        "proof": proof,
    }
    audit_trail.record(
        connection,
        Entry(
            event=Event.DELIVERED,
            at=at,
            actor=row.destination,
            exam=sent.exam_number,
            addendum=sent.number,
            detail=detail,
        ),
    )


def superseded(connection: Connection, destination: str, numbers: Collection[int]) -> set[int]:
    """Return those of these deliveries to whose exam the destination has, or will get, a later addendum."""
    later, its_delivery = addendum.alias("later"), delivery.alias("its_delivery")
    query = (
        select(delivery.c.id)
        .join(addendum, addendum.c.id == delivery.c.addendum_id)
        .join(later, (later.c.exam_id == addendum.c.exam_id) & (later.c.id > addendum.c.id))
        .join(its_delivery, (its_delivery.c.addendum_id == later.c.id) & (its_delivery.c.destination == destination))
        .where(delivery.c.id.in_(numbers), its_delivery.c.state != State.HELD)
    )
    return set(connection.scalars(query))


def overtaking(connection: Connection, destination: str, numbers: Collection[int]) -> set[int]:
    """Return those of these deliveries that would overtake an earlier one to the same exam, claimed by someone else."""
    earlier, its_delivery = addendum.alias("earlier"), delivery.alias("its_delivery")
    query = (
        select(delivery.c.id)
        .join(addendum, addendum.c.id == delivery.c.addendum_id)
        .join(earlier, (earlier.c.exam_id == addendum.c.exam_id) & (earlier.c.id < addendum.c.id))
        .join(its_delivery, (its_delivery.c.addendum_id == earlier.c.id) & (its_delivery.c.destination == destination))
        .where(
            delivery.c.id.in_(numbers),
            its_delivery.c.id.not_in(numbers),
            its_delivery.c.state == State.WAITING,
            its_delivery.c.lease_owner.is_not(None),
        )
    )
    return set(connection.scalars(query))


def has_delivered_since(connection: Connection, destination: str, *, since: datetime) -> bool:
    """Return whether an archive has accepted anything since a moment."""
    query = select(delivery.c.id).where(delivery.c.destination == destination, delivery.c.done_at > since).limit(1)
    return connection.scalar(query) is not None


def retry_now(connection: Connection, destination: str, *, at: datetime) -> int:
    """Make everything a destination lacks due now, unless it was set aside, and return the count."""
    destination_outages.end(connection, destination)
    lacks = (delivery.c.state == State.WAITING) | work_queue.waits_for_a_person(delivery)
    result = connection.execute(
        update(delivery)
        .where(delivery.c.destination == destination, lacks)
        .values(state=State.WAITING, due_at=at, attempts=0, worker_crashes=0, reason=None, detail=None)
    )
    notify(connection)
    return result.rowcount


def record_commitment(
    connection: Connection, destinations: Collection[str], sop_instance_uids: Collection[str], at: datetime
) -> list[tuple[int, str]]:
    """Record the storage commitment of archives for these addenda; return addendum and destination of what it ends."""
    ids = _under_way(connection, destinations, sop_instance_uids)
    for number in ids:
        record_delivery(connection, number, proof="commitment", at=at)
    return _named(connection, ids)


def record_commitment_failure(
    connection: Connection, destinations: Collection[str], sop_instance_uids: Collection[str], at: datetime
) -> list[tuple[int, str]]:
    """Make due again what archives refused to commit themselves to; return addendum and destination of each."""
    ids = _under_way(connection, destinations, sop_instance_uids)
    problem = Problem.COMMITMENT_REFUSED
    for number in ids:
        work_queue.postpone(connection, delivery, number, until=at, reason=problem.key, detail=problem.describe())
    if ids:
        notify(connection)
    return _named(connection, ids)


def addenda(connection: Connection, exam_number: int) -> list[AddendumOnFile]:
    """Return every addendum of an exam, the first one first."""
    query = _of_exam(exam_number).order_by(addendum.c.id)
    return [_addendum(row) for row in connection.execute(query)]


def earlier(connection: Connection, after: AddendumOnFile, destination: str) -> list[AddendumOnFile]:
    """Return the addenda before this one to the same exam that were meant for a destination, the first one first."""
    query = (
        _of_exam(after.exam_number)
        .join(delivery, delivery.c.addendum_id == addendum.c.id)
        .where(delivery.c.destination == destination, addendum.c.id < after.number)
        .order_by(addendum.c.id)
    )
    return [_addendum(row) for row in connection.execute(query)]


def renderings(connection: Connection, number: int) -> list[AddendumOnFile]:
    """Return every rendering of an addendum, in the order of its pages."""
    of_exam = addendum.c.exam_id == select(addendum.c.exam_id).where(addendum.c.id == number).scalar_subquery()
    query = _addenda().where(of_exam, addendum.c.rendering_of_id == number).order_by(addendum.c.id)
    return [_addendum(row) for row in connection.execute(query)]


def _of_exam(exam_number: int | BindParameter[int]) -> Select[Any]:
    return _addenda().where(addendum.c.exam_id == exam_number, addendum.c.rendering_of_id.is_(None))


def _addenda() -> Select[Any]:
    return select(
        addendum.c.id,
        addendum.c.exam_id,
        addendum.c.sop_class_uid,
        addendum.c.sop_instance_uid,
        addendum.c.digest,
        addendum.c.overall,
        addendum.c.authored_at,
        addendum.c.sections,
        addendum.c.content,
    )


_LATEST = CompiledStatement(_of_exam(bindparam("exam")).order_by(addendum.c.id.desc()).limit(1))
_LATEST_NUMBER = CompiledStatement(
    select(func.max(addendum.c.id)).where(addendum.c.exam_id == bindparam("exam"), addendum.c.rendering_of_id.is_(None))
)
_LOCK_EXAM = CompiledStatement(select(exam.c.id).where(exam.c.id == bindparam("exam")).with_for_update())
_INSERT = CompiledStatement(insert(addendum).returning(addendum.c.id))
_INSERT_DELIVERY = CompiledStatement(insert(delivery))


def _addendum(row: Row[Any]) -> AddendumOnFile:
    return AddendumOnFile(
        number=row.id,
        exam_number=row.exam_id,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        digest=row.digest,
        overall=row.overall,
        authored_at=row.authored_at,
        sections=json.loads(row.sections) if row.sections else {},
        data_set=zlib.decompress(row.content),
    )


def _named(connection: Connection, ids: Collection[int]) -> list[tuple[int, str]]:
    query = select(delivery.c.addendum_id, delivery.c.destination).where(delivery.c.id.in_(ids)).order_by(delivery.c.id)
    return [(row.addendum_id, row.destination) for row in connection.execute(query)]


def _under_way(
    connection: Connection, destinations: Collection[str], sop_instance_uids: Collection[str]
) -> Sequence[int]:
    query = (
        select(delivery.c.id)
        .join(addendum, addendum.c.id == delivery.c.addendum_id)
        .where(
            delivery.c.destination.in_(destinations),
            delivery.c.state == State.WAITING,
            addendum.c.sop_instance_uid.in_(sop_instance_uids),
        )
    )
    return connection.scalars(query).all()
