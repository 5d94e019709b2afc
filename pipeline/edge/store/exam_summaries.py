"""What has each patient had, in a line a visit? Enough to see whether the ground of an addendum has shifted."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from pipeline.edge.store import patient_merges
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.patient_merges import Merged
from pipeline.edge.store.schema import clinical_context, exam, patient, provenance, reading, scanner
from pipeline.edge.store.schema import linked_patients as linked_patients_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a look at an exam rested on: the parts of the body measured, and a digest of each kind of ground."""

    parts: str
    history: str
    reference_data: str
    context: str
    rules: str


@dataclass(frozen=True, slots=True)
class ExamSummary:
    """One exam as its row tells it, and the grounds of the latest look at it."""

    provenance: Provenance | None
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
class LinkedPatients:
    """Everything on file that may concern one human being, the first visit first."""

    summaries: Sequence[ExamSummary]
    records: Sequence[Record]
    merged: Merged


def all_linked_patients(connection: Connection, numbers: Collection[int]) -> Iterator[LinkedPatients]:
    """What is on file of these persons, those without a visit left out."""
    values = {"persons": list(numbers)}
    records: dict[int, list[Record]] = {}
    for linked_patients_id, number, patient_number, recorded_on in _RECORDS.execute(connection, values):
        record = Record(number=number, patient_number=patient_number, recorded_on=recorded_on)
        records.setdefault(linked_patients_id, []).append(record)
    merged = patient_merges.merged(connection, numbers)
    rows = _summaries_of_linked_patients().execute(connection, values)
    for linked_patients_id, group in groupby(rows, key=lambda row: row[0]):
        summaries = [_exam_summary(row[1:]) for row in group]
        yield LinkedPatients(summaries=summaries, records=records.get(linked_patients_id, ()), merged=merged)


def linked_patients_of(connection: Connection, exam_number: int) -> LinkedPatients:
    """What is on file of the person an exam is of."""
    (found,) = all_linked_patients(connection, [_LINKED_PATIENTS.scalar(connection, {"exam": exam_number})])
    return found


def next_linked_patients(
    connection: Connection, after: int, limit: int, *, shard: int = 0, shards: int = 1
) -> list[int]:
    """The persons after a number whose number leaves a remainder, in order."""
    mine = (linked_patients_table.c.id > after) & (linked_patients_table.c.id % shards == shard)
    return list(
        connection.scalars(
            select(linked_patients_table.c.id).where(mine).order_by(linked_patients_table.c.id).limit(limit)
        )
    )


def has_stale_readings(connection: Connection, reader_fingerprint: str) -> bool:
    """Whether any report was read by other dialects or aliases than today's."""
    known = select(reading.c.reader_fingerprint)
    first, last = (
        connection.scalar(known.order_by(order).limit(1))
        for order in (reading.c.reader_fingerprint, reading.c.reader_fingerprint.desc())
    )
    return not {first, last} <= {reader_fingerprint, None}


def stale_exams(connection: Connection, numbers: Collection[int], reader_fingerprint: str) -> list[int]:
    """The exams of these persons of which a report was read by other dialects or aliases than today's."""
    query = (
        select(exam.c.id)
        .join(patient, patient.c.id == exam.c.patient_id)
        .join(reading, reading.c.exam_id == exam.c.id)
        .where(patient.c.linked_patients_id.in_(numbers), reading.c.reader_fingerprint != reader_fingerprint)
        .distinct()
        .order_by(exam.c.id)
    )
    return list(connection.scalars(query))


def record_provenance(connection: Connection, exam_number: int, found: Provenance) -> None:
    """What the latest look at an exam rested on."""
    values = {name: getattr(found, name) for name in ("parts", "history", "reference_data", "context", "rules")}
    if not _FORGET_PROVENANCE.execute(connection, {"exam": exam_number, **values}):
        _RECORD_PROVENANCE.execute(connection, {"exam_id": exam_number, **values})


_ALL_LINKED_PATIENTS = patient.c.linked_patients_id.in_(bindparam("persons", expanding=True))
_LINKED_PATIENTS = CompiledStatement(
    select(patient.c.linked_patients_id)
    .join(exam, exam.c.patient_id == patient.c.id)
    .where(exam.c.id == bindparam("exam"))
)
_RECORDS = CompiledStatement(
    select(
        patient.c.linked_patients_id,
        clinical_context.c.id,
        clinical_context.c.patient_id,
        clinical_context.c.recorded_on,
    )
    .join(patient, patient.c.id == clinical_context.c.patient_id)
    .where(_ALL_LINKED_PATIENTS)
    .order_by(clinical_context.c.id)
)
_FORGET_PROVENANCE = CompiledStatement(
    update(provenance).where(provenance.c.exam_id == bindparam("exam")).returning(provenance.c.exam_id)
)
_RECORD_PROVENANCE = CompiledStatement(insert(provenance))


@cache
def _summaries_of_linked_patients() -> CompiledStatement:
    return CompiledStatement(
        _exam_summaries()
        .where(_ALL_LINKED_PATIENTS)
        .order_by(patient.c.linked_patients_id, exam.c.performed_at, exam.c.id)
    )


def _exam_summaries() -> Select[Any]:
    return (
        select(
            patient.c.linked_patients_id,
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
            provenance.c.parts,
            provenance.c.history,
            provenance.c.reference_data,
            provenance.c.context,
            provenance.c.rules,
        )
        .select_from(exam)
        .join(patient, patient.c.id == exam.c.patient_id)
        .join(scanner, scanner.c.id == exam.c.scanner_id)
        .outerjoin(provenance, provenance.c.exam_id == exam.c.id)
    )


def _exam_summary(row: Sequence[Any]) -> ExamSummary:
    return ExamSummary(_provenance(*row[14:]), *row[:14])


def _provenance(parts: str | None, history: str, reference_data: str, context: str, rules: str) -> Provenance | None:
    if parts is None:
        return None
    return Provenance(parts=parts, history=history, reference_data=reference_data, context=context, rules=rules)
