"""Audit trail: append-only entries of who did what to which object and when, sealed in a SHA-256 hash chain.

An entry is added in the transaction that does what it records; triggers refuse any other change. ``audit_chain.py``
seals it soon afterwards.
"""

import functools
import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, or_, select

from pipeline.clinical.model import Patient
from pipeline.edge.store import patient_identity
from pipeline.edge.store.audit_schema import audit, audit_seal
from pipeline.edge.store.change_notification import notify
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
    UPGRADED = "upgraded"
    """The store was migrated to a later schema, after a backup."""
    EXPORTED = "exported"
    """The audit trail was read."""
    PATIENT_EXPORTED = "patient_exported"
    """Everything on file about a patient was written into files."""
    ANONYMISED = "anonymised"
    """A received report was written into a file without identity, for support."""
    ERASED = "erased"
    """Everything on file about patients was erased; names them by our numbers alone."""
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


BATCH = 1000
"""Entries that are sealed, sent or dropped in one transaction."""

_ENCODER = json.JSONEncoder(sort_keys=True, default=str)
"""Writes the detail of an entry, in ASCII and always in the same bytes."""


def record(connection: Connection, *entries: Entry) -> None:
    """Add entries to the audit trail for what this transaction does."""
    if entries:
        rows = [values_of(entry) for entry in entries]
        _insert(len(rows)).execute(connection, in_rows(rows))
        notify(connection)  # they are to be sealed


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


def last_number(connection: Connection) -> int:
    """Return the number of the last entry."""
    return connection.scalar(select(func.max(audit.c.id))) or 0


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


def values_of(entry: Entry) -> dict[str, object]:
    """Return the row of a new entry; the salt keeps the hash of its detail from being guessed."""
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
        "detail": _ENCODER.encode(entry.detail),
        "salt": secrets.token_hex(16),
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
