"""One exam: its stages, its reports, its addenda with what changed between them, and where each was delivered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from pipeline.clinical.rules import Rules
from pipeline.edge.overview.addendum_text import Sentence, changes, read_addendum
from pipeline.edge.overview.patient import patient_name
from pipeline.edge.overview.results import RegionResult, measured, stated
from pipeline.edge.overview.stages import Stage, StageSources, stages_of
from pipeline.edge.store import audit_trail, exams, outbox, patient_file, patients
from pipeline.edge.store.audit_trail import Event, SealedEntry
from pipeline.edge.store.patient_file import AddendumRow, DeliveryRow, ExamRow, PatientOnFile, ReportRow
from pipeline.edge.store.schema_base import State

MOST_ENTRIES = 40
"""Entries of the audit trail on one page, the latest ones."""

MOST_ADDENDA = 20
"""Addenda of an exam with their text on one page, the latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One delivery, and how it was proven that the destination has the addendum."""

    row: DeliveryRow
    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedAddendum:
    """One addendum with its text, compared with its predecessor's, its renderings and its deliveries.

    ``number_in_series`` counts the addenda of the exam from 1. ``note`` says in a line what it replaces, and why.
    """

    row: AddendumRow
    number_in_series: int
    sentences: tuple[Sentence, ...]
    note: str
    regions: tuple[RegionResult, ...]
    renderings: tuple[AddendumRow, ...]
    deliveries: tuple[Delivered, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOfExam:
    """One received report: how it was read, and the regions it contains; a later analysis replaces ``superseded``."""

    row: ReportRow
    dialect: str
    regions: tuple[str, ...]
    superseded: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamOverview:
    """What is on file of an exam; ``addenda`` the latest first, ``name`` the patient's as its report has it."""

    row: ExamRow
    patient: PatientOnFile
    name: str
    stages: tuple[Stage, ...]
    reports: tuple[ReportOfExam, ...]
    regions: tuple[RegionResult, ...]
    addenda: tuple[IssuedAddendum, ...]
    entries: tuple[SealedEntry, ...]


def exam_overview(connection: Connection, number: int, rules: Rules) -> ExamOverview | None:
    """Return what is on file of an exam; ``None`` where no exam has the number."""
    row = patient_file.exam_row(connection, number)
    if row is None:
        return None
    reports = patient_file.reports_of(connection, number)
    rows = patient_file.addenda_of(connection, [number])
    deliveries = patient_file.deliveries_of(connection, [one.number for one in rows])
    compared = audit_trail.latest_about(connection, [], [number], most=1, event=Event.COMPARED)
    delivered = audit_trail.latest_about(connection, [], [number], most=1000, event=Event.DELIVERED)
    sources = StageSources(
        exam=row,
        reports=reports,
        compared=compared[0] if compared else None,
        addenda=rows,
        deliveries=deliveries,
    )
    silent = row.state == State.HELD or bool(row.withdrawn)
    (on_file,) = exams.load(connection, [number])
    addenda = tuple(_addenda(connection, number, rows, deliveries, delivered))
    regions = addenda[0].regions if addenda else ()
    if not (addenda or silent):
        regions = measured(on_file, patients.contexts_of(connection, on_file.patient), rules)
    (patient,) = patient_file.patients_of(connection, [row.patient])
    return ExamOverview(
        row=row,
        patient=patient,
        name=patient_name(connection, number),
        stages=stages_of(sources),
        reports=tuple(_reports(on_file, reports)),
        regions=() if silent else regions,
        addenda=addenda,
        entries=tuple(audit_trail.latest_about(connection, [], [number], most=MOST_ENTRIES)),
    )


def _reports(on_file: exams.ExamOnFile, rows: Sequence[ReportRow]) -> Iterator[ReportOfExam]:
    read = dict((*on_file.reports, *on_file.rejected))
    superseded = on_file.superseded()
    for row in rows:
        report = read[row.receipt]
        yield ReportOfExam(
            row=row,
            dialect=report.dialect,
            regions=tuple(measurement.region.key for measurement in report.exam.measurements),
            superseded=superseded.get(row.receipt, ()),
            remarks=report.remarks,
        )


def _addenda(
    connection: Connection,
    exam: int,
    rows: Sequence[AddendumRow],
    deliveries: Sequence[DeliveryRow],
    delivered: Sequence[SealedEntry],
) -> Iterator[IssuedAddendum]:
    own = [row for row in rows if row.rendering_of is None]
    texts = {one.number: read_addendum(one.data_set) for one in outbox.addenda(connection, exam)}
    proofs = {(one.entry.addendum, one.entry.actor): str(one.entry.detail.get("proof", "")) for one in delivered}
    for position in reversed(range(max(0, len(own) - MOST_ADDENDA), len(own))):
        row = own[position]
        before = texts.get(row.predecessor) if row.predecessor is not None else None
        text = texts[row.number]
        renderings = tuple(one for one in rows if one.rendering_of == row.number)
        numbers = {row.number, *(one.number for one in renderings)}
        yield IssuedAddendum(
            row=row,
            number_in_series=position + 1,
            sentences=changes(text.sentences, before.sentences if before else text.sentences),
            note=text.note,
            regions=stated(text),
            renderings=renderings,
            deliveries=tuple(
                Delivered(row=one, proof=proofs.get((one.addendum, one.destination), ""))
                for one in deliveries
                if one.addendum in numbers
            ),
        )
