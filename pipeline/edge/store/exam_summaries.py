"""What has each patient had, in a line a visit? Enough to see whether the ground of an addendum has shifted."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from pipeline.edge.store import patient_merges
from pipeline.edge.store.compiled_statement import Prepared
from pipeline.edge.store.patient_merges import Merged
from pipeline.edge.store.schema import context, exam, grounds, patient, reading, scanner
from pipeline.edge.store.schema import person as person_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What a look at an exam rested on: the parts of the body measured, and a digest of each kind of ground."""

    parts: str
    history: str
    knowledge: str
    context: str
    rules: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One exam as its row tells it, and the grounds of the latest look at it."""

    grounds: Grounds | None
    number: int
    patient_number: int
    patient_id: str
    issuer: str
    scanner_number: int
    scanner_key: str
    performed_at: datetime
    birth_date: date | None
    sex: str
    revision: int
    state: str
    historical: bool
    withdrawn: bool
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of clinical context, by its number."""

    number: int
    patient_number: int
    recorded_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Everything on file that may concern one human being, the first visit first."""

    visits: Sequence[Visit]
    records: Sequence[Record]
    merged: Merged


def persons(connection: Connection, numbers: Collection[int]) -> Iterator[Person]:
    """What is on file of these persons, those without a visit left out."""
    values = {"persons": list(numbers)}
    records: dict[int, list[Record]] = {}
    for person_id, number, patient_number, recorded_on in _RECORDS.execute(connection, values):
        record = Record(number=number, patient_number=patient_number, recorded_on=recorded_on)
        records.setdefault(person_id, []).append(record)
    merged = patient_merges.merged(connection, numbers)
    rows = _visits_of_persons().execute(connection, values)
    for person_id, group in groupby(rows, key=lambda row: row[0]):
        visits = [_visit(row[1:]) for row in group]
        yield Person(visits=visits, records=records.get(person_id, ()), merged=merged)


def person_of(connection: Connection, exam_number: int) -> Person:
    """What is on file of the person an exam is of."""
    (found,) = persons(connection, [_PERSON.scalar(connection, {"exam": exam_number})])
    return found


def next_persons(connection: Connection, after: int, limit: int, *, shard: int = 0, shards: int = 1) -> list[int]:
    """The persons after a number whose number leaves a remainder, in order."""
    mine = (person_table.c.id > after) & (person_table.c.id % shards == shard)
    return list(connection.scalars(select(person_table.c.id).where(mine).order_by(person_table.c.id).limit(limit)))


def read_otherwise(connection: Connection, edition: str) -> bool:
    """Whether any report was read by other dialects or aliases than today's."""
    known = select(reading.c.edition)
    first, last = (
        connection.scalar(known.order_by(order).limit(1)) for order in (reading.c.edition, reading.c.edition.desc())
    )
    return not {first, last} <= {edition, None}


def stale_exams(connection: Connection, numbers: Collection[int], edition: str) -> list[int]:
    """The exams of these persons of which a report was read by other dialects or aliases than today's."""
    query = (
        select(exam.c.id)
        .join(patient, patient.c.id == exam.c.patient_id)
        .join(reading, reading.c.exam_id == exam.c.id)
        .where(patient.c.person_id.in_(numbers), reading.c.edition != edition)
        .distinct()
        .order_by(exam.c.id)
    )
    return list(connection.scalars(query))


def keep_grounds(connection: Connection, exam_number: int, found: Grounds) -> None:
    """What the latest look at an exam rested on."""
    values = {name: getattr(found, name) for name in ("parts", "history", "knowledge", "context", "rules")}
    if not _REGROUND.execute(connection, {"exam": exam_number, **values}):
        _GROUND.execute(connection, {"exam_id": exam_number, **values})


_PERSONS = patient.c.person_id.in_(bindparam("persons", expanding=True))
_PERSON = Prepared(
    select(patient.c.person_id).join(exam, exam.c.patient_id == patient.c.id).where(exam.c.id == bindparam("exam"))
)
_RECORDS = Prepared(
    select(patient.c.person_id, context.c.id, context.c.patient_id, context.c.recorded_on)
    .join(patient, patient.c.id == context.c.patient_id)
    .where(_PERSONS)
    .order_by(context.c.id)
)
_REGROUND = Prepared(update(grounds).where(grounds.c.exam_id == bindparam("exam")).returning(grounds.c.exam_id))
_GROUND = Prepared(insert(grounds))


@cache
def _visits_of_persons() -> Prepared:
    return Prepared(_visits().where(_PERSONS).order_by(patient.c.person_id, exam.c.performed_at, exam.c.id))


def _visits() -> Select[Any]:
    return (
        select(
            patient.c.person_id,
            exam.c.id,
            exam.c.patient_id,
            patient.c.patient_id.label("told_id"),
            patient.c.issuer,
            exam.c.scanner_id,
            scanner.c.key,
            exam.c.performed_at,
            exam.c.birth_date,
            exam.c.sex,
            exam.c.revision,
            exam.c.state,
            exam.c.historical,
            exam.c.withdrawn.is_not(None),
            exam.c.late,
            grounds.c.parts,
            grounds.c.history,
            grounds.c.knowledge,
            grounds.c.context,
            grounds.c.rules,
        )
        .select_from(exam)
        .join(patient, patient.c.id == exam.c.patient_id)
        .join(scanner, scanner.c.id == exam.c.scanner_id)
        .outerjoin(grounds, grounds.c.exam_id == exam.c.id)
    )


def _visit(row: Sequence[Any]) -> Visit:
    return Visit(_grounds(*row[14:]), *row[:14])


def _grounds(parts: str | None, history: str, knowledge: str, context: str, rules: str) -> Grounds | None:
    if parts is None:
        return None
    return Grounds(parts=parts, history=history, knowledge=knowledge, context=context, rules=rules)
