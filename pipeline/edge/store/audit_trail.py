"""Audit trail: append-only entries of who did what to which object and when, sealed in a SHA-256 hash chain.

An entry is added in the transaction that does what it records; triggers refuse any other change. Soon afterwards
``seal`` chains each entry to the one before it. That is not done at once, because only one writer at a time can extend
a chain, and receiving must not wait.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, insert, or_, select, text, update

from pipeline.clinical.model import Patient
from pipeline.edge.store import patient_identity, work_queue
from pipeline.edge.store.audit_schema import audit, audit_cursor, audit_cut, audit_seal
from pipeline.edge.store.compiled_statement import CompiledStatement, in_rows, parameters_in_rows
from pipeline.edge.store.schema import addendum, exam, patient, reading


class Event(StrEnum):
    """Kind of an audit event."""

    RECEIVED = "received"
    """An instance was received and answered with success."""
    REFUSED_CALLER = "refused_caller"
    """An association was rejected."""
    COMPARED = "compared"
    """An exam was compared: with which others, by which rules, and with what result."""
    AUTHORED = "authored"
    """An addendum was authored and stored."""
    DELIVERED = "delivered"
    """A destination has an addendum, with the configured proof."""
    QUERIED = "queried"
    """An archive was queried for a patient's prior reports."""
    ASKED = "asked"
    """A person wants archives to be queried for a patient's prior reports; each query is an event of its own."""
    RELEASED = "released"
    SET_ASIDE = "set_aside"
    """A person has set held work aside, or taken that back."""
    CONTEXT_LOADED = "context_loaded"
    LOADED = "loaded"
    REPROCESSED = "reprocessed"
    MERGED = "merged"
    SPLIT = "split"
    """The reports of one study were split into several visits."""
    WITHDRAWN = "withdrawn"
    """An exam, or some of its reports, was withdrawn from every comparison, or brought back."""
    SHELVED = "shelved"
    """A person wants to hear nothing of an alarm until a day, or to hear of it again."""
    CONFIRMED = "confirmed"
    """A person has confirmed that a caller sends the reports of a scanner."""
    REGISTERED = "registered"
    """A record of the precision register was proposed, imported, accepted, declined or withdrawn."""
    QC_JUDGED = "qc_judged"
    """A scanner was stopped by its phantom, or is fit again."""
    QC_REMEDIED = "qc_remedied"
    """A person has recorded what was done about a stop, or that it was not the scanner."""
    QC_SERVICED = "qc_serviced"
    """A person has recorded work on a scanner."""
    QC_IMPORTED = "qc_imported"
    """A person has loaded phantom scans from a table."""
    BACKED_UP = "backed_up"
    RESTORED = "restored"
    EXPORTED = "exported"
    """The audit trail was read."""
    DROPPED = "dropped"
    """Something was deleted at the end of its retention time."""
    STARTED = "started"
    STOPPED = "stopped"
    LOGGED_IN = "logged_in"
    LOGGED_OUT = "logged_out"
    LOG_IN_REFUSED = "log_in_refused"
    """A wrong password at the desk, or an attempt before the next one was due."""
    VIEWED = "viewed"
    """A person has looked at a patient's data at the desk."""
    ACCOUNT_CHANGED = "account_changed"
    """An account of the desk was added or removed, or has another password or role."""


class Outcome(IntEnum):
    """Event Outcome Indicator (PS3.15 A.5.2)."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One audit event; ``actor`` is an AE title, a destination or the user of a command, on ``host``.

    ``detail`` holds further JSON values. It may contain patient data and is read by operators only.
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
    """One entry on file, with its position in the hash chain once it is sealed."""

    number: int
    entry: Entry
    position: int | None
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Result of verifying the hash chain: the counts of sealed and unsealed entries, and the first break."""

    sealed: int
    unsealed: int
    last_digest: str
    broken_at: int | None
    """The number of the first entry that was changed, is missing, or stands in the wrong place."""


BATCH = 1000
"""Entries that are sealed, sent or dropped in one transaction."""

_START = "0" * 64
_LOCK = 7_311_003

_RECENT = 1000
"""How many entries back to look for one whose transaction ended after a later one's; with ``all_of_it``, all."""


def record(connection: Connection, *entries: Entry) -> None:
    """Add entries to the audit trail for what this transaction does."""
    if entries:
        rows = [_values(entry) for entry in entries]
        _insert(len(rows)).execute(connection, in_rows(rows))


def seal(connection: Connection, *, all_of_it: bool = False) -> int:
    """Seal up to a batch of entries that are committed and not sealed yet, and return their count."""
    if connection.dialect.name == "postgresql":  # on SQLite a writer excludes others already
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
    """Return whether a recent entry is not sealed yet; cheap enough to be called every second."""
    last = connection.scalar(select(func.max(audit_seal.c.audit_id))) or 0
    sealed = select(audit_seal.c.audit_id).where(audit_seal.c.audit_id == audit.c.id)
    recent = select(audit.c.id).where(audit.c.id > last - _RECENT, ~sealed.exists())
    return connection.scalar(recent.order_by(audit.c.id.desc()).limit(1)) is not None


def verify(connection: Connection) -> Chain:
    """Verify the hash chain from its beginning, or its last cut, to its end."""
    position, digest = _cut(connection)
    sealed, broken_at = 0, None
    chain = (
        select(audit_seal.c.position, audit_seal.c.audit_id, audit_seal.c.digest.label("stored_digest"), audit)
        .outerjoin(audit, audit.c.id == audit_seal.c.audit_id)
        .where(audit_seal.c.position > position)
        .order_by(audit_seal.c.position)
    )
    for row in connection.execute(chain.execution_options(yield_per=BATCH)):
        fits = (
            row.id is not None
            and row.position == position + 1
            and row.stored_digest == _digest(digest, row.id, _entry(row))
        )
        if not fits and broken_at is None:
            broken_at = int(row.audit_id)
        position, digest, sealed = row.position, row.stored_digest, sealed + 1
    entries: int = connection.execute(select(func.count()).select_from(audit)).scalar_one()
    return Chain(sealed=sealed, unsealed=max(0, entries - sealed), last_digest=digest, broken_at=broken_at)


def find(
    connection: Connection, *, since: datetime | None = None, about: Patient | None = None
) -> Iterator[SealedEntry]:
    """Yield entries in the order they were added: from a moment on, about one patient, or all."""
    query = with_seals().order_by(audit.c.id)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if about is not None:
        query = query.where(_concerns(about))
    for row in connection.execute(query.execution_options(yield_per=BATCH)):
        yield sealed_entry(row)


def latest_about(
    connection: Connection, patients: Collection[int], exams: Collection[int], *, most: int, event: Event | None = None
) -> list[SealedEntry]:
    """Return the latest entries that name one of these patients or exams by number, the latest first."""
    found: dict[int, SealedEntry] = {}
    for column, numbers in ((audit.c.patient_id, patients), (audit.c.exam_id, exams)):
        query = with_seals().where(column.in_(numbers), column.is_not(None)).order_by(audit.c.id.desc()).limit(most)
        if event is not None:
            query = query.where(audit.c.event == event.value)
        for row in connection.execute(query) if numbers else ():
            found[row.id] = sealed_entry(row)
    return [found[number] for number in sorted(found, reverse=True)[:most]]


def latest(
    connection: Connection, events: Collection[Event], is_meant: Callable[[Entry], bool], *, since: datetime
) -> Entry | None:
    """Return the latest entry since a moment, of certain kinds and of what is meant."""
    recent = select(audit).where(audit.c.at >= since, audit.c.event.in_([event.value for event in events]))
    entries = (_entry(row) for row in connection.execute(recent.order_by(audit.c.id.desc())))
    return next(filter(is_meant, entries), None)


def rejections(connection: Connection, *, since: datetime) -> list[Entry]:
    """Return the entries of rejected associations from a moment on, the oldest first."""
    query = select(audit).where(audit.c.at >= since, audit.c.event == Event.REFUSED_CALLER.value)
    return [_entry(row) for row in connection.execute(query.order_by(audit.c.at, audit.c.id))]


def unsent(connection: Connection, receiver: str) -> list[SealedEntry]:
    """Return up to a batch of sealed entries that a receiver has not got yet, in the order of the chain."""
    query = (
        with_seals()
        .where(audit_seal.c.position > _sent(connection, receiver))
        .order_by(audit_seal.c.position)
        .limit(BATCH)
    )
    return [sealed_entry(row) for row in connection.execute(query)]


def add_receiver(connection: Connection, receiver: str, *, at: datetime) -> None:
    """Add a receiver, unless it is known, that gets entries from now on."""
    known = connection.scalar(select(audit_cursor.c.name).where(audit_cursor.c.name == receiver))
    if known is None:
        connection.execute(insert(audit_cursor).values(name=receiver, position=_end(connection)[0], at=at))


def lease_receiver(connection: Connection, receiver: str, *, at: datetime) -> bool:
    """Lease a receiver to this worker, and return whether no other worker has it."""
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
    """Record that a receiver has got the chain up to a position."""
    connection.execute(update(audit_cursor).where(audit_cursor.c.name == receiver).values(position=position, at=at))


def drop_entries(connection: Connection, *, before: datetime, at: datetime, receivers: Sequence[str] = ()) -> int:
    """Drop up to a batch of the oldest entries, all from before a moment, and return their count.

    Entries that a receiver has not got yet stay, and so do entries that are not sealed.
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


def with_seals() -> Select[Any]:
    """Return the query of every entry with its seal, if it has one yet."""
    return select(audit, audit_seal.c.position, audit_seal.c.digest).outerjoin(
        audit_seal, audit_seal.c.audit_id == audit.c.id
    )


def sealed_entry(row: Row[Any]) -> SealedEntry:
    """Return the entry of a row of ``with_seals``."""
    return SealedEntry(number=row.id, entry=_entry(row), position=row.position, digest=row.digest)


@functools.cache
def _insert(count: int) -> CompiledStatement:
    columns = [column.name for column in audit.c if column is not audit.c.id]
    return CompiledStatement(insert(audit).values(parameters_in_rows(audit, columns, count)))


def _values(entry: Entry) -> dict[str, object]:
    return {
        "at": entry.at,
        "event": entry.event.value,
        "outcome": entry.outcome.value,
        "actor": entry.actor.replace("\0", ""),  # PostgreSQL cannot store it, and a caller may send it
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


def _digest(before: str, number: int, entry: Entry) -> str:
    content = {**_values(entry), "id": number, "at": entry.at.isoformat(timespec="microseconds")}
    return hashlib.sha256(f"{before}{json.dumps(content, sort_keys=True)}".encode("ascii")).hexdigest()


def _end(connection: Connection) -> tuple[int, str]:
    """Return the position and digest of the last seal."""
    last = connection.execute(
        select(audit_seal.c.position, audit_seal.c.digest).order_by(audit_seal.c.position.desc()).limit(1)
    ).one_or_none()
    return (last.position, last.digest) if last else _cut(connection)


def _cut(connection: Connection) -> tuple[int, str]:
    """Return the position and digest after which the chain begins."""
    last = connection.execute(
        select(audit_cut.c.position, audit_cut.c.digest).order_by(audit_cut.c.position.desc()).limit(1)
    ).one_or_none()
    return (last.position, last.digest) if last else (0, _START)


def _sent(connection: Connection, receiver: str) -> int:
    return connection.scalar(select(audit_cursor.c.position).where(audit_cursor.c.name == receiver)) or 0


def _concerns(about: Patient) -> ColumnElement[bool]:
    """Return the condition of an entry about a patient, or an exam, receipt or addendum of that patient."""
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
