"""Patients whose last exam is so long ago that nothing of theirs has to be kept."""

from datetime import date, datetime, time

from sqlalchemy import Connection, func, select

from pipeline.edge.store import patient_merges
from pipeline.edge.store.schema import addendum, delivery, exam, history_query
from pipeline.edge.store.schema_base import State

OF_AGE = 18
"""The years of a child do not count: what is kept of one is kept from this birthday on."""


def expired(connection: Connection, *, years: int, on: date, most: int) -> list[int]:
    """Return some patients, each with all merged with it, whose exams are all older than so many years.

    An exam of a patient is kept as long as a later one is: it may be its prior, or the baseline of the series (R3.2).
    Whoever is waited for is left out.
    """
    cut = datetime.combine(_years_before(on, years), time())
    old = select(exam.c.patient_id).group_by(exam.c.patient_id).having(func.max(exam.c.performed_at) < cut)
    found: set[int] = set()
    for number in connection.scalars(old.order_by(func.max(exam.c.performed_at))):
        together = patient_merges.merged_patients(connection, number)
        if not together & found and _is_expired(connection, together, cut, years=years, on=on):
            found |= together
        if len(found) >= most:
            break
    return sorted(found)


def newest_exam(connection: Connection) -> date | None:
    """Return the day of the newest exam on file; ``None`` where there is none."""
    performed_at: datetime | None = connection.scalar(select(func.max(exam.c.performed_at)))
    return performed_at.date() if performed_at else None


def _is_expired(connection: Connection, patients: set[int], cut: datetime, *, years: int, on: date) -> bool:
    theirs = exam.c.patient_id.in_(patients)
    last, born = connection.execute(
        select(func.max(exam.c.performed_at), func.max(exam.c.birth_date)).where(theirs)
    ).one()
    if last >= cut or (born is not None and _years_before(on, OF_AGE + years) <= born):
        return False
    waiting = select(exam.c.id).where(theirs, exam.c.state == State.WAITING)
    sent = (
        select(delivery.c.id)
        .join(addendum, addendum.c.id == delivery.c.addendum_id)
        .join(exam, exam.c.id == addendum.c.exam_id)
        .where(theirs, delivery.c.state == State.WAITING)
    )
    asked = select(history_query.c.id).where(
        history_query.c.patient_id.in_(patients), history_query.c.state == State.WAITING
    )
    return all(connection.scalar(query.limit(1)) is None for query in (waiting, sent, asked))


def _years_before(day: date, years: int) -> date:
    """Return the day so many years earlier; for 29 February the 28th, so that nothing goes a day too soon."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)
