"""Split an exam whose Study Instance UID a scanner has used for several visits into one exam per visit, by hand."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Connection, func, insert, select, update

from pipeline.clinical.model import LONGEST_EXAM
from pipeline.edge.store import exams, patient_identity, readings
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.schema import exam, reading
from pipeline.edge.store.schema_base import State

_Part = tuple[datetime, int]
"""The time of one report's scans, and its receipt."""


def split(connection: Connection, number: int, *, at: datetime) -> list[tuple[int, date]]:
    """Make each visit of an exam an exam of its own, and return their numbers and days.

    The visit whose report came first keeps the number and is returned first, as an addendum is of that report. Returns
    nothing, and changes nothing, where all reports are of one visit.
    """
    (on_file,) = exams.load(connection, [number])
    reports = [*on_file.reports, *on_file.rejected]
    visits = _visits(sorted((report.exam.performed_at, receipt) for receipt, report in reports))
    if len(visits) == 1:
        return []
    row = connection.execute(select(exam).where(exam.c.id == number)).one()
    same_study = (exam.c.patient_id == row.patient_id) & (exam.c.study_instance_uid == row.study_instance_uid)
    same = same_study & (exam.c.scanner_id == row.scanner_id)
    last: int = connection.execute(select(func.max(exam.c.visit)).where(same)).scalar_one()
    due = {"state": State.WAITING, "due_at": at}
    first, *others = sorted(visits, key=lambda parts: min(receipt for _, receipt in parts))
    fresh = due | {"attempts": 0, "worker_crashes": 0, "reason": None, "detail": None, "revision": row.revision + 1}
    connection.execute(update(exam).where(exam.c.id == number).values(performed_at=first[0][0], **fresh))
    numbers = [(number, first[0][0].date())]
    kept = ("patient_id", "scanner_id", "study_instance_uid", "birth_date", "sex", "historical", "withdrawn")
    for visit, parts in enumerate(others, last + 1):
        values = {name: getattr(row, name) for name in kept} | due
        made = insert(exam).values(visit=visit, performed_at=parts[0][0], revision=1, **values).returning(exam.c.id)
        new: int = connection.execute(made).scalar_one()
        receipts = [receipt for _, receipt in parts]
        connection.execute(update(reading).where(reading.c.receipt_id.in_(receipts)).values(exam_id=new))
        numbers.append((new, parts[0][0].date()))
    for one, _ in numbers:
        readings.count_rejections(connection, one)
        patient_identity.hold_if_in_doubt(connection, one, at=at)
    exams.reexamine_since(connection, row.patient_id, since=min(day for _, day in numbers), at=at)
    notify(connection)
    return numbers


def _visits(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Group reports, given in the order of their scans, by visit."""
    visits: list[list[_Part]] = []
    for moment, receipt in parts:
        if visits and moment - visits[-1][0][0] <= LONGEST_EXAM:
            visits[-1].append((moment, receipt))
        else:
            visits.append([(moment, receipt)])
    return visits
