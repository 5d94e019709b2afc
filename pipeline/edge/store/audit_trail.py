"""Who did what to which object, when, and can we show that nobody has changed this since?

The trail is only added to, in the transaction of what it tells of; triggers refuse any other change. Soon afterwards
``seal`` chains each row to the one before it. Not at once, because a chain lets one writer in at a time, and nobody who
takes in a report is to wait for another.
"""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, insert, or_, select, text, update

from pipeline.clinical.model import Patient
from pipeline.edge.store import patient_identity, work_queue
from pipeline.edge.store.compiled_statement import CompiledStatement, in_rows, parameters_in_rows
from pipeline.edge.store.schema import addendum, audit, audit_cursor, audit_cut, audit_seal, exam, patient, reading


class Event(StrEnum):
    """What happened."""

    RECEIVED = "received"
    """An instance was answered with success."""
    REFUSED_CALLER = "refused_caller"
    """An association was rejected."""
    COMPARED = "compared"
    """An exam was examined: with which others, by which rules, and with what result."""
    AUTHORED = "authored"
    """An addendum was written and kept."""
    DELIVERED = "delivered"
    """A destination has an addendum, by the proof that is asked of it."""
    QUERIED = "queried"
    """An archive was asked what it has of a patient."""
    RELEASED = "released"
    CONTEXT_LOADED = "context_loaded"
    LOADED = "loaded"
    REPROCESSED = "reprocessed"
    MERGED = "merged"
    SPLIT = "split"
    """The reports of one study were told apart as those of several visits."""
    WITHDRAWN = "withdrawn"
    """An exam, or some of its reports, were taken out of every comparison, or brought back."""
    CONFIRMED = "confirmed"
    """Somebody has confirmed that a caller sends a machine's reports."""
    BACKED_UP = "backed_up"
    RESTORED = "restored"
    EXPORTED = "exported"
    """The trail was looked at."""
    DROPPED = "dropped"
    """Something was kept for as long as the settings say, and is no more."""
    STARTED = "started"
    STOPPED = "stopped"


class Outcome(IntEnum):
    """How it went (PS3.15 A.5.2, Event Outcome Indicator)."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened; ``actor`` is an AE title, a destination, or who typed a command, ``host`` from where.

    ``detail`` holds what else JSON can hold. It may name what is in the store and is read by nobody but its operators.
    """

    event: Event
    at: datetime
    actor: str
    host: str = ""
    outcome: Outcome = Outcome.SUCCESS
    patient: int | None = None
    receipt: int | None = None
    exam: int | None = None
    addendum: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEntry:
    """One entry on file, and its place in the chain once it is sealed."""

    number: int
    entry: Entry
    position: int | None
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What following the whole chain found: how much is sealed, how much not yet, and where it does not fit."""

    sealed: int
    unsealed: int
    last_digest: str
    broken_at: int | None
    """The number of the first entry that was changed, is missing, or stands in the wrong place."""


BATCH = 1000
"""How many entries are sealed, sent or dropped in one transaction."""

_START = "0" * 64
_LOCK = 7_311_003

_RECENT = 1000
"""How far back an entry is looked for whose transaction ended after that of a later one; ``all_of_it`` finds any."""


def record(connection: Connection, *entries: Entry) -> None:
    """Add to the trail what this transaction does."""
    if entries:
        rows = [_values(entry) for entry in entries]
        _insert(len(rows)).execute(connection, in_rows(rows))


def seal(connection: Connection, *, all_of_it: bool = False) -> int:
    """Chain up to a batch of entries that are committed and not sealed yet; how many there were."""
    if connection.dialect.name == "postgresql":  # where a writer does not already keep others out
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    position, digest = _end(connection)
    sealed = select(audit_seal.c.audit_id).where(audit_seal.c.audit_id == audit.c.id)
    waiting = select(audit).where(~sealed.exists()).order_by(audit.c.id).limit(BATCH)
    if not all_of_it:
        last = connection.scalar(select(func.max(audit_seal.c.audit_id))) or 0
        waiting = waiting.where(audit.c.id > last - _RECENT)
    seals = []
    for row in connection.execute(waiting):
        position, digest = position + 1, _digest(digest, row.id, _entry(row))
        seals.append({"position": position, "audit_id": row.id, "digest": digest})
    if seals:
        connection.execute(insert(audit_seal), seals)
    return len(seals)


def has_unsealed(connection: Connection) -> bool:
    """Whether anything recent waits to be sealed; cheap enough to be asked every second."""
    last = connection.scalar(select(func.max(audit_seal.c.audit_id))) or 0
    sealed = select(audit_seal.c.audit_id).where(audit_seal.c.audit_id == audit.c.id)
    recent = select(audit.c.id).where(audit.c.id > last - _RECENT, ~sealed.exists())
    return connection.scalar(recent.order_by(audit.c.id.desc()).limit(1)) is not None


def verify(connection: Connection) -> Chain:
    """Follow the chain from its beginning, or from where it was last cut, to its end."""
    position, digest = _cut(connection)
    sealed, broken_at = 0, None
    chain = (
        select(audit_seal.c.position, audit_seal.c.audit_id, audit_seal.c.digest.label("said"), audit)
        .outerjoin(audit, audit.c.id == audit_seal.c.audit_id)
        .where(audit_seal.c.position > position)
        .order_by(audit_seal.c.position)
    )
    for row in connection.execute(chain.execution_options(yield_per=BATCH)):
        fits = row.id is not None and row.position == position + 1 and row.said == _digest(digest, row.id, _entry(row))
        if not fits and broken_at is None:
            broken_at = int(row.audit_id)
        position, digest, sealed = row.position, row.said, sealed + 1
    entries: int = connection.execute(select(func.count()).select_from(audit)).scalar_one()
    return Chain(sealed=sealed, unsealed=max(0, entries - sealed), last_digest=digest, broken_at=broken_at)


def find(
    connection: Connection, *, since: datetime | None = None, about: Patient | None = None
) -> Iterator[SealedEntry]:
    """The trail in the order it was written: from a moment on, about one patient, or all of it."""
    query = _with_seals().order_by(audit.c.id)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if about is not None:
        query = query.where(_concerns(about))
    for row in connection.execute(query.execution_options(yield_per=BATCH)):
        yield _sealed(row)


def unsent(connection: Connection, receiver: str) -> list[SealedEntry]:
    """Up to a batch of sealed entries that a receiver has not had, in the order of the chain."""
    query = (
        _with_seals()
        .where(audit_seal.c.position > _sent(connection, receiver))
        .order_by(audit_seal.c.position)
        .limit(BATCH)
    )
    return [_sealed(row) for row in connection.execute(query)]


def add_receiver(connection: Connection, receiver: str, *, at: datetime) -> None:
    """Let a receiver that was never told anything have what happens from now on."""
    known = connection.scalar(select(audit_cursor.c.name).where(audit_cursor.c.name == receiver))
    if known is None:
        connection.execute(insert(audit_cursor).values(name=receiver, position=_end(connection)[0], at=at))


def lease_receiver(connection: Connection, receiver: str, *, at: datetime) -> bool:
    """Whether this worker, and no other, is to tell a receiver now."""
    free = or_(
        audit_cursor.c.leased_until.is_(None),
        audit_cursor.c.leased_until <= at,
        audit_cursor.c.lease_owner == work_queue.owner(),
    )
    taken = connection.execute(
        update(audit_cursor)
        .where(audit_cursor.c.name == receiver, free)
        .values(lease_owner=work_queue.owner(), leased_until=at + work_queue.LEASE)
    )
    return taken.rowcount == 1


def record_sent(connection: Connection, receiver: str, position: int, *, at: datetime) -> None:
    """Remember that a receiver has had the chain up to a position."""
    connection.execute(update(audit_cursor).where(audit_cursor.c.name == receiver).values(position=position, at=at))


def drop_entries(connection: Connection, *, before: datetime, at: datetime, receivers: Sequence[str] = ()) -> int:
    """Drop up to a batch of the oldest entries, all of them from before a moment; how many.

    What a receiver has not had yet stays, and so does whatever is not sealed.
    """
    start, _ = _cut(connection)
    until = start + BATCH
    young = (
        select(audit_seal.c.position)
        .join(audit, audit.c.id == audit_seal.c.audit_id)
        .where(audit.c.at >= before, audit_seal.c.position > start)
        .order_by(audit_seal.c.position)
        .limit(1)
    )
    first_young: int | None = connection.scalar(young)
    end = min([until, *(_sent(connection, receiver) for receiver in receivers)])
    if first_young is not None:
        end = min(end, first_young - 1)
    old = (audit_seal.c.position > start) & (audit_seal.c.position <= end)
    last = connection.execute(
        select(audit_seal.c.position, audit_seal.c.digest).where(old).order_by(audit_seal.c.position.desc()).limit(1)
    ).one_or_none()
    if last is None:
        return 0
    connection.execute(insert(audit_cut).values(position=last.position, digest=last.digest, before=before, at=at))
    gone = connection.execute(delete(audit).where(audit.c.id.in_(select(audit_seal.c.audit_id).where(old))))
    connection.execute(delete(audit_seal).where(old))
    return gone.rowcount


@functools.cache
def _insert(count: int) -> CompiledStatement:
    columns = [column.name for column in audit.c if column is not audit.c.id]
    return CompiledStatement(insert(audit).values(parameters_in_rows(audit, columns, count)))


def _values(entry: Entry) -> dict[str, object]:
    return {
        "at": entry.at,
        "event": entry.event.value,
        "outcome": entry.outcome.value,
        "actor": entry.actor.replace("\0", ""),  # PostgreSQL keeps no such character, and a caller may send one
        "host": entry.host,
        "patient_id": entry.patient,
        "receipt_id": entry.receipt,
        "exam_id": entry.exam,
        "addendum_id": entry.addendum,
        "detail": json.dumps(entry.detail, sort_keys=True, ensure_ascii=True, default=str),
    }


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        event=Event(row.event),
        at=row.at,
        actor=row.actor,
        host=row.host,
        outcome=Outcome(row.outcome),
        patient=row.patient_id,
        receipt=row.receipt_id,
        exam=row.exam_id,
        addendum=row.addendum_id,
        detail=json.loads(row.detail),
    )


def _sealed(row: Row[Any]) -> SealedEntry:
    return SealedEntry(number=row.id, entry=_entry(row), position=row.position, digest=row.digest)


def _digest(before: str, number: int, entry: Entry) -> str:
    content = {**_values(entry), "id": number, "at": entry.at.isoformat(timespec="microseconds")}
    return hashlib.sha256(f"{before}{json.dumps(content, sort_keys=True)}".encode("ascii")).hexdigest()


def _with_seals() -> Select[Any]:
    return select(audit, audit_seal.c.position, audit_seal.c.digest).outerjoin(
        audit_seal, audit_seal.c.audit_id == audit.c.id
    )


def _end(connection: Connection) -> tuple[int, str]:
    """Where the chain ends."""
    last = connection.execute(
        select(audit_seal.c.position, audit_seal.c.digest).order_by(audit_seal.c.position.desc()).limit(1)
    ).one_or_none()
    return (last.position, last.digest) if last else _cut(connection)


def _cut(connection: Connection) -> tuple[int, str]:
    """After which position the chain begins."""
    last = connection.execute(
        select(audit_cut.c.position, audit_cut.c.digest).order_by(audit_cut.c.position.desc()).limit(1)
    ).one_or_none()
    return (last.position, last.digest) if last else (0, _START)


def _sent(connection: Connection, receiver: str) -> int:
    return connection.scalar(select(audit_cursor.c.position).where(audit_cursor.c.name == receiver)) or 0


def _concerns(about: Patient) -> ColumnElement[bool]:
    """Entries on a patient, on any of their exams, on what was received for them, and on what was answered."""
    patients = select(patient.c.id).where(patient_identity.same_patient(about.patient_id, about.issuer or None))
    exams = select(exam.c.id).where(exam.c.patient_id.in_(patients))
    receipts = select(reading.c.receipt_id).where(reading.c.exam_id.in_(exams))
    addenda = select(addendum.c.id).where(addendum.c.exam_id.in_(exams))
    return or_(
        audit.c.patient_id.in_(patients),
        audit.c.exam_id.in_(exams),
        audit.c.receipt_id.in_(receipts),
        audit.c.addendum_id.in_(addenda),
    )
