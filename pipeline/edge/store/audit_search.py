"""Search the audit trail as a person reads it: the newest entry first, page by page, by day, kind, actor or patient."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select, text

from pipeline.edge.store.audit_schema import BESIDES_THE_USUAL, audit
from pipeline.edge.store.audit_trail import BATCH, Event, SealedEntry, sealed_entry, with_seals
from pipeline.edge.store.schema import addendum, exam, reading

USUAL = frozenset({Event.RECEIVED, Event.COMPARED, Event.AUTHORED, Event.DELIVERED})
"""What every report adds to the trail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which entries are asked for; what is left out restricts nothing."""

    since: datetime | None = None
    until: datetime | None = None
    event: Event | None = None
    with_usual: bool = True
    """Whether the entries are asked for that every report adds."""
    actor: str = ""
    patient: int | None = None
    """Our number of a patient, for entries about the patient's exams, receipts and addenda too."""


def page(connection: Connection, search: Search, *, before: int | None, most: int) -> list[SealedEntry]:
    """Return the newest entries that a search finds, or those that were made before the one with a number."""
    query = _found(search).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(most)
    if before is not None:
        at = connection.scalar(select(audit.c.at).where(audit.c.id == before))
        if at is None:
            return []
        query = query.where(or_(audit.c.at < at, and_(audit.c.at == at, audit.c.id < before)))
    return [sealed_entry(row) for row in connection.execute(query)]


def every(connection: Connection, search: Search) -> Iterator[SealedEntry]:
    """Yield every entry that a search finds, the oldest first."""
    query = _found(search).order_by(audit.c.at, audit.c.id)
    for row in connection.execute(query.execution_options(yield_per=BATCH)):
        yield sealed_entry(row)


def _found(search: Search) -> Select[Any]:
    query = with_seals()
    if search.since is not None:
        query = query.where(audit.c.at >= search.since)
    if search.until is not None:
        query = query.where(audit.c.at < search.until)
    if search.event is not None:
        query = query.where(audit.c.event == search.event.value)
    if not search.with_usual or (search.event is not None and search.event not in USUAL):
        query = query.where(text(f"audit.{BESIDES_THE_USUAL}"))
    if search.actor:
        query = query.where(audit.c.actor == search.actor)
    if search.patient is not None:
        exams = select(exam.c.id).where(exam.c.patient_id == search.patient)
        query = query.where(
            or_(
                audit.c.patient_id == search.patient,
                audit.c.exam_id.in_(exams),
                audit.c.receipt_id.in_(select(reading.c.receipt_id).where(reading.c.exam_id.in_(exams))),
                audit.c.addendum_id.in_(select(addendum.c.id).where(addendum.c.exam_id.in_(exams))),
            )
        )
    return query
