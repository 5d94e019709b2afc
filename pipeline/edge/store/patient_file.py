"""What is on file about linked patients: their ids and merges, exams, reports, addenda, deliveries and queries.

Each question is answered by indexes, so that a page costs the same however many exams are on file.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from pipeline.clinical.model import Scanner
from pipeline.edge.store.schema import (
    addendum,
    delivery,
    exam,
    history_query,
    patient,
    patient_merge,
    reading,
    receipt,
    scanner,
)

MOST_FOUND = 50
"""Most patients that a search returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientOnFile:
    """One id and issuer, by our own number, and the linked patients it belongs to."""

    number: int
    patient_id: str
    issuer: str
    linked_patients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOnFile:
    """A merge of two patients by number; it counts until ``undone_at``."""

    old: int
    new: int
    merged_at: datetime
    undone_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamRow:
    """One exam without its reports: its state, and why it waits, is held or was withdrawn."""

    number: int
    patient: int
    scanner: Scanner
    study_instance_uid: str
    visit: int
    performed_at: datetime
    birth_date: date | None
    sex: str
    state: str
    due_at: datetime
    reason: str
    detail: str
    historical: bool
    late: bool
    withdrawn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One received report of an exam; ``rejected`` is the title of the rejection note that names it."""

    receipt: int
    sop_class_uid: str
    sop_instance_uid: str
    received_at: datetime
    caller: str
    host: str
    size: int
    digest: str
    rejected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddendumRow:
    """One addendum or rendering without its content."""

    number: int
    exam: int
    predecessor: int | None
    rendering_of: int | None
    sop_class_uid: str
    sop_instance_uid: str
    overall: str
    authored_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """The delivery of one addendum to one destination."""

    number: int
    addendum: int
    destination: str
    state: str
    reason: str
    detail: str
    attempts: int
    due_at: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQueryRow:
    """The question to one archive about one patient, and its answer."""

    number: int
    patient: int
    destination: str
    requested_at: datetime
    responded_at: datetime | None
    instances: int
    state: str
    due_at: datetime
    detail: str


def find(connection: Connection, text: str, issuer: str = "") -> list[PatientOnFile]:
    """Return the patients with this id, or with an exam of this accession number or Study Instance UID.

    With an ``issuer`` only those of it; by the issuer alone nobody is found.
    """
    if not text:
        return []
    by_accession = select(reading.c.exam_id).where(reading.c.accession_number == text, reading.c.accession_number != "")
    found: set[int] = set()
    for which in (
        select(patient.c.id).where(patient.c.patient_id == text),
        select(exam.c.patient_id).where(exam.c.study_instance_uid == text),
        select(exam.c.patient_id).where(exam.c.id.in_(by_accession)),
    ):
        found.update(connection.scalars(which.limit(MOST_FOUND)))
    rows = patients_of(connection, found)
    return [row for row in rows if not issuer or row.issuer == issuer][:MOST_FOUND]


def patients_of(connection: Connection, numbers: Collection[int]) -> list[PatientOnFile]:
    """Return patients by their numbers; a number that nobody has is left out."""
    return _patients(connection, patient.c.id.in_(numbers)) if numbers else []


def linked(connection: Connection, linked_patients: int) -> list[PatientOnFile]:
    """Return all who may be one human being: they share an id, or were merged."""
    return _patients(connection, patient.c.linked_patients_id == linked_patients)


def merges_among(connection: Connection, numbers: Collection[int]) -> list[MergeOnFile]:
    """Return the merges of these patients, the latest first, also those that were undone."""
    either = or_(patient_merge.c.old_id.in_(numbers), patient_merge.c.new_id.in_(numbers))
    query = select(patient_merge).where(either).order_by(patient_merge.c.id.desc())
    return [
        MergeOnFile(old=row.old_id, new=row.new_id, merged_at=row.merged_at, undone_at=row.undone_at)
        for row in connection.execute(query)
    ]


def exams_of(connection: Connection, patients: Collection[int], *, most: int) -> list[ExamRow]:
    """Return the exams of patients, the latest first, at most so many."""
    query = _exams().where(exam.c.patient_id.in_(patients))
    return _exam_rows(connection, query.order_by(exam.c.performed_at.desc(), exam.c.id.desc()).limit(most))


def exam_row(connection: Connection, number: int) -> ExamRow | None:
    """Return one exam by its number."""
    return next(iter(_exam_rows(connection, _exams().where(exam.c.id == number))), None)


def reports_of(connection: Connection, exam_number: int) -> list[ReportRow]:
    """Return the reports of an exam in the order received."""
    query = select(
        *(receipt.c.id, receipt.c.sop_class_uid, receipt.c.sop_instance_uid, receipt.c.received_at, receipt.c.host),
        *(receipt.c.calling_ae_title, receipt.c.size, receipt.c.digest, reading.c.rejected),
    ).join(reading, reading.c.receipt_id == receipt.c.id)
    return [
        ReportRow(
            receipt=row.id,
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            received_at=row.received_at,
            caller=row.calling_ae_title,
            host=row.host,
            size=row.size,
            digest=row.digest,
            rejected=row.rejected or "",
        )
        for row in connection.execute(query.where(reading.c.exam_id == exam_number).order_by(receipt.c.id))
    ]


def addenda_of(connection: Connection, exams: Collection[int]) -> list[AddendumRow]:
    """Return every addendum and rendering of exams, the first one first."""
    return _addenda(connection, addendum.c.exam_id.in_(exams))


def addendum_row(connection: Connection, number: int) -> AddendumRow | None:
    """Return one addendum by its number."""
    return next(iter(_addenda(connection, addendum.c.id == number)), None)


def deliveries_of(connection: Connection, addenda: Collection[int]) -> list[DeliveryRow]:
    """Return the deliveries of addenda, by destination."""
    query = select(delivery).where(delivery.c.addendum_id.in_(addenda))
    return [
        DeliveryRow(
            number=row.id,
            addendum=row.addendum_id,
            destination=row.destination,
            state=row.state,
            reason=row.reason or "",
            detail=row.detail or "",
            attempts=row.attempts,
            due_at=row.due_at,
            done_at=row.done_at,
        )
        for row in connection.execute(query.order_by(delivery.c.addendum_id, delivery.c.destination))
    ]


def history_queries_of(connection: Connection, patients: Collection[int]) -> list[HistoryQueryRow]:
    """Return the queries to archives about patients, by destination."""
    query = select(history_query).where(history_query.c.patient_id.in_(patients))
    return [
        HistoryQueryRow(
            number=row.id,
            patient=row.patient_id,
            destination=row.destination,
            requested_at=row.requested_at,
            responded_at=row.responded_at,
            instances=row.instances,
            state=row.state,
            due_at=row.due_at,
            detail=row.detail or "",
        )
        for row in connection.execute(query.order_by(history_query.c.destination, history_query.c.patient_id))
    ]


def exam_of_report(connection: Connection, receipt_number: int) -> int | None:
    """Return the exam that a received report belongs to."""
    number: int | None = connection.scalar(select(reading.c.exam_id).where(reading.c.receipt_id == receipt_number))
    return number


def _patients(connection: Connection, which: ColumnElement[bool]) -> list[PatientOnFile]:
    query = select(patient).where(which).order_by(patient.c.id)
    return [
        PatientOnFile(
            number=row.id, patient_id=row.patient_id, issuer=row.issuer, linked_patients=row.linked_patients_id
        )
        for row in connection.execute(query)
    ]


def _exams() -> Select[tuple[object, ...]]:
    return select(exam, scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number).join(
        scanner, scanner.c.id == exam.c.scanner_id
    )


def _exam_rows(connection: Connection, query: Select[tuple[object, ...]]) -> list[ExamRow]:
    return [
        ExamRow(
            number=row.id,
            patient=row.patient_id,
            scanner=Scanner(row.manufacturer, row.model, row.serial_number),
            study_instance_uid=row.study_instance_uid,
            visit=row.visit,
            performed_at=row.performed_at,
            birth_date=row.birth_date,
            sex=row.sex,
            state=row.state,
            due_at=row.due_at,
            reason=row.reason or "",
            detail=row.detail or "",
            historical=row.historical,
            late=row.late,
            withdrawn=row.withdrawn or "",
        )
        for row in connection.execute(query)
    ]


def _addenda(connection: Connection, which: ColumnElement[bool]) -> list[AddendumRow]:
    query = select(
        *(addendum.c.id, addendum.c.exam_id, addendum.c.predecessor_id, addendum.c.rendering_of_id),
        *(addendum.c.sop_class_uid, addendum.c.sop_instance_uid, addendum.c.overall, addendum.c.authored_at),
    )
    return [
        AddendumRow(
            number=row.id,
            exam=row.exam_id,
            predecessor=row.predecessor_id,
            rendering_of=row.rendering_of_id,
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            overall=row.overall,
            authored_at=row.authored_at,
        )
        for row in connection.execute(query.where(which).order_by(addendum.c.id))
    ]
