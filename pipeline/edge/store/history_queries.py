"""Queries to archives for a patient's prior reports, and the exams that wait for their response."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, case, func, select, update

from pipeline.clinical.model import Patient
from pipeline.edge.store import work_queue
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.inserts import insert_if_absent
from pipeline.edge.store.schema import exam, history_query, patient
from pipeline.edge.store.schema_base import State

AWAITS_HISTORY = "awaits_history"
"""The reason of an exam that is due later, because an archive has not responded yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """One query to one archive about one patient; ``attempts`` includes this one."""

    number: int
    attempts: int
    patient: Patient


def enqueue(connection: Connection, exam_number: int, destinations: Collection[str], *, at: datetime) -> None:
    """Enqueue a query about the patient of an exam to each archive that was never queried about that patient."""
    if not destinations:
        return
    patient_number = connection.execute(select(exam.c.patient_id).where(exam.c.id == exam_number)).scalar_one()
    for destination in destinations:
        insert_if_absent(
            connection,
            history_query,
            patient_id=patient_number,
            destination=destination,
            exam_id=exam_number,
            requested_at=at,
            state=State.WAITING,
            due_at=at,
        )


def ask_again(connection: Connection, patient_number: int, destinations: Collection[str], *, at: datetime) -> None:
    """Make a query about a patient to each archive due now, also where it was answered or is held."""
    for destination in destinations:
        due = {"requested_at": at, "state": State.WAITING, "due_at": at}
        new = insert_if_absent(connection, history_query, patient_id=patient_number, destination=destination, **due)
        if new is None:
            this = (history_query.c.patient_id == patient_number) & (history_query.c.destination == destination)
            again = {"attempts": 0, "worker_crashes": 0, "reason": None, "detail": None}
            connection.execute(update(history_query).where(this).values(**due, **again))
    notify(connection)


def claim(connection: Connection, destination: str, *, at: datetime) -> HistoryQuery | None:
    """Claim the longest due query to an archive; ``None`` when there is none."""
    ids = work_queue.claim(connection, history_query, limit=1, at=at, where=history_query.c.destination == destination)
    if not ids:
        return None
    query = select(history_query.c.attempts, patient.c.patient_id, patient.c.issuer).join(
        patient, patient.c.id == history_query.c.patient_id
    )
    row = connection.execute(query.where(history_query.c.id == ids[0])).one()
    who = Patient(patient_id=row.patient_id, issuer=row.issuer)
    return HistoryQuery(number=ids[0], attempts=row.attempts, patient=who)


def record_response(connection: Connection, number: int, *, instances: int, at: datetime) -> None:
    """Record the response of an archive; the patient's exams that wait for it, or went on without it, become due.

    This includes exams that are being followed up at this moment, and a response without instances: an addendum may say
    that the archive has not responded.
    """
    work_queue.done(connection, history_query, [number])
    connection.execute(
        update(history_query).where(history_query.c.id == number).values(instances=instances, responded_at=at)
    )
    patient_number = select(history_query.c.patient_id).where(history_query.c.id == number).scalar_subquery()
    theirs = (exam.c.patient_id == patient_number) & ~exam.c.historical
    due_now = (exam.c.state == State.DONE) | (exam.c.reason == AWAITS_HISTORY)
    connection.execute(
        update(exam)
        .where(theirs, exam.c.state.in_((State.WAITING, State.DONE)))
        .values(state=State.WAITING, due_at=case((due_now, at), else_=exam.c.due_at), revision=exam.c.revision + 1)
    )
    notify(connection)


def awaited_since(connection: Connection, exam_number: int) -> datetime | None:
    """Return since when the response of an archive is awaited for an exam; ``None`` when none is."""
    since: datetime | None = _AWAITED_SINCE.scalar(connection, {"exam": exam_number})
    return since


_AWAITED_SINCE = CompiledStatement(
    select(func.min(history_query.c.requested_at)).where(
        history_query.c.patient_id == select(exam.c.patient_id).where(exam.c.id == bindparam("exam")).scalar_subquery(),
        history_query.c.state.in_((State.WAITING, State.HELD)),  # a held query has no response either
    )
)
