"""Exam summaries: one row per exam, with the provenance of its latest examination, to detect changed inputs."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from pipeline.edge.store import patient_merges
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.patient_merges import MergedIdentities
from pipeline.edge.store.schema import clinical_context, exam, patient, provenance, reading, scanner
from pipeline.edge.store.schema import linked_patients as linked_patients_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The inputs of the latest examination of an exam: the body parts measured, and a digest of each kind of input."""

    parts: str
    history: str
    reference_data: str
    context: str
    rules: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSummary:
    """One exam without its reports; ``provenance`` is ``None`` until it has been examined."""

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
class ContextRecord:
    """One record of clinical context, by its number."""

    number: int
    patient_number: int
    recorded_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedPatients:
    """Everything on file that may concern one human being; exams in the order they were performed."""

    summaries: Sequence[ExamSummary]
    records: Sequence[ContextRecord]
    merged: MergedIdentities


def all_linked_patients(connection: Connection, numbers: Collection[int]) -> Iterator[LinkedPatients]:
    """Yield what is on file of these linked patients, without those that have no exam."""
    values = {"linked_patients": list(numbers)}
    records: dict[int, list[ContextRecord]] = {}
    for row in _CONTEXT_RECORDS.execute(connection, values):
        record = ContextRecord(number=row.id, patient_number=row.patient_id, recorded_on=row.recorded_on)
        records.setdefault(row.linked_patients_id, []).append(record)
    merged = patient_merges.merged(connection, numbers)
    found = _EXAM_SUMMARIES.execute(connection, values)
    for linked_patients_id, rows in groupby(found, key=lambda row: row.linked_patients_id):
        yield LinkedPatients(
            summaries=[_exam_summary(row) for row in rows], records=records.get(linked_patients_id, ()), merged=merged
        )


def linked_patients_of(connection: Connection, exam_number: int) -> LinkedPatients:
    """Return what is on file of the linked patients that an exam belongs to."""
    number: int = _LINKED_PATIENTS.scalar(connection, {"exam": exam_number})
    (found,) = all_linked_patients(connection, [number])
    return found


def next_linked_patients(
    connection: Connection, after: int, limit: int, *, shard: int = 0, shards: int = 1
) -> list[int]:
    """Return the next numbers of linked patients after one, in order, of those that belong to a shard."""
    mine = (linked_patients_table.c.id > after) & (linked_patients_table.c.id % shards == shard)
    return list(
        connection.scalars(
            select(linked_patients_table.c.id).where(mine).order_by(linked_patients_table.c.id).limit(limit)
        )
    )


def has_stale_readings(connection: Connection, reader_fingerprint: str) -> bool:
    """Return whether any report was extracted with other dialects or aliases than today's."""
    known = select(reading.c.reader_fingerprint)
    first, last = (
        connection.scalar(known.order_by(order).limit(1))
        for order in (reading.c.reader_fingerprint, reading.c.reader_fingerprint.desc())
    )
    return not {first, last} <= {reader_fingerprint, None}


def stale_exams(connection: Connection, numbers: Collection[int], reader_fingerprint: str) -> list[int]:
    """Return the exams of these linked patients with a report extracted with other dialects or aliases than today's."""
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
    """Record the inputs of the latest examination of an exam."""
    values = {name: getattr(found, name) for name in ("parts", "history", "reference_data", "context", "rules")}
    if not _UPDATE_PROVENANCE.execute(connection, {"exam": exam_number, **values}):
        _INSERT_PROVENANCE.execute(connection, {"exam_id": exam_number, **values})


_LINKED_PATIENTS = CompiledStatement(
    select(patient.c.linked_patients_id)
    .join(exam, exam.c.patient_id == patient.c.id)
    .where(exam.c.id == bindparam("exam"))
)
_AMONG = patient.c.linked_patients_id.in_(bindparam("linked_patients", expanding=True))
_CONTEXT_RECORDS = CompiledStatement(
    select(
        patient.c.linked_patients_id,
        clinical_context.c.id,
        clinical_context.c.patient_id,
        clinical_context.c.recorded_on,
    )
    .join(patient, patient.c.id == clinical_context.c.patient_id)
    .where(_AMONG)
    .order_by(clinical_context.c.id)
)
_EXAM_SUMMARIES = CompiledStatement(
    select(
        patient.c.linked_patients_id,
        patient.c.patient_id.label("sent_patient_id"),
        patient.c.issuer,
        exam.c.id,
        exam.c.patient_id,
        exam.c.scanner_id,
        exam.c.performed_at,
        exam.c.birth_date,
        exam.c.sex,
        exam.c.revision,
        exam.c.state,
        exam.c.historical,
        exam.c.withdrawn,
        exam.c.late,
        scanner.c.key.label("scanner_key"),
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
    .where(_AMONG)
    .order_by(patient.c.linked_patients_id, exam.c.performed_at, exam.c.id)
)
_UPDATE_PROVENANCE = CompiledStatement(
    update(provenance).where(provenance.c.exam_id == bindparam("exam")).returning(provenance.c.exam_id)
)
_INSERT_PROVENANCE = CompiledStatement(insert(provenance))


def _exam_summary(row: Row[Any]) -> ExamSummary:
    return ExamSummary(
        provenance=_provenance(row),
        number=row.id,
        patient_number=row.patient_id,
        patient_id=row.sent_patient_id,
        issuer=row.issuer,
        scanner_number=row.scanner_id,
        scanner_key=row.scanner_key,
        performed_at=row.performed_at,
        birth_date=row.birth_date,
        sex=row.sex,
        revision=row.revision,
        state=row.state,
        historical=row.historical,
        withdrawn=row.withdrawn is not None,
        late=row.late,
    )


def _provenance(row: Row[Any]) -> Provenance | None:
    if row.parts is None:  # no row of the outer join
        return None
    return Provenance(
        parts=row.parts,
        history=row.history,
        reference_data=row.reference_data,
        context=row.context,
        rules=row.rules,
    )
