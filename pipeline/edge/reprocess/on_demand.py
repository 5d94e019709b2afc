"""Reprocess the exams that an operator names: of a patient, of a scanner, from a day on."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

from pipeline.clinical.model import Patient
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.reprocess import reprocessing
from pipeline.edge.store import audit_trail, patients, scanners
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.errors import DxatrendError


class ScopeNotFoundError(DxatrendError):
    """A patient of whom nothing is on file, or a serial number that no scanner has, or more than one."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The number of a run, what all its workers have done so far, and whether nothing of it is left to do."""

    run: int
    counts: ExamCounts
    finished: bool


def find_scope(
    database: Database, *, patient: Patient | None = None, serial_number: str | None = None, since: date | None = None
) -> Scope:
    """Return the scope of a patient (and all linked to it), of one scanner, and of exams from a day on; each optional.

    Raises:
        ScopeNotFoundError: nothing is on file about the patient, or not exactly one scanner has the serial number.
    """
    linked_patients = scanner = None
    with database.read() as connection:
        if patient is not None:
            linked_patients = patients.linked_patients_of(connection, patient.patient_id, patient.issuer)
            if linked_patients is None:
                raise ScopeNotFoundError("nothing is on file about this patient")
        if serial_number is not None:
            found = scanners.with_serial_number(connection, serial_number)
            if len(found) != 1:
                raise ScopeNotFoundError(f"{len(found)} scanners on file have the serial number {serial_number}")
            (scanner,) = found
    return Scope(linked_patients=linked_patients, scanner=scanner, since=since)


def reprocess(app: App, scope: Scope, stopped: Callable[[], bool]) -> RunSummary:
    """Take part in the run over a scope, beginning one where none is unfinished; the audit trail has it.

    Raises:
        StoreError: the database could not be asked; the same call goes on with the run.
    """
    run = reprocessing.begin(app, scope)
    reprocessing.take_part(app, run, stopped)
    counts, finished = reprocessing.progress(app.database, run)
    with app.database.write() as connection:
        detail = {"run": run, "finished": finished, **asdict(counts)}
        audit_trail.record(connection, events.by_operator(Event.REPROCESSED, at=datetime.now(UTC), detail=detail))
    return RunSummary(run, counts, finished)


def reexamine_patients(app: App, linked_patients: Iterable[int]) -> ExamCounts:
    """Examine again what has changed for some linked patients, as after a merge, and return what became of it.

    Raises:
        StoreError: the database could not be asked; the nightly run does what is left.
    """
    counts = ExamCounts()
    for number in linked_patients:
        run = reprocessing.begin(app, Scope(linked_patients=number))
        counts += reprocessing.take_part(app, run)
    return counts
