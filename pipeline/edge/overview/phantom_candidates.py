"""Patients who look like phantoms: a person is told, and adds them to ``scanners.toml`` if they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.clinical.model import Exam, Scanner
from pipeline.clinical.phantom_candidate import FEWEST_EXAMS, Likeness, likeness_to_phantom
from pipeline.edge.overview.scanner_fitness import phantom_lines
from pipeline.edge.store import exams, scanner_exams
from pipeline.edge.store.exams import ExamOnFile


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomCandidate:
    """A patient whose exams on one scanner look like scans of a phantom; ``patient`` is our number of the patient."""

    patient: int
    patient_id: str
    scanner: Scanner
    exams: tuple[int, ...]
    first: date
    last: date
    likeness: Likeness

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines to add to ``scanners.toml`` once a person has confirmed that it is a phantom."""
        return phantom_lines(patient_id=self.patient_id, region=self.likeness.region, since=self.first)


def phantom_candidates(connection: Connection) -> list[PhantomCandidate]:
    """Return the patients of the latest exams who look like phantoms."""
    found = []
    for patient, numbers in scanner_exams.frequent(connection, fewest=FEWEST_EXAMS):
        on_file = exams.load(connection, numbers)
        candidate = _candidate(patient, on_file)
        if candidate is not None:
            found.append(candidate)
    return found


def _candidate(patient: int, on_file: Sequence[ExamOnFile]) -> PhantomCandidate | None:
    known = sorted(_assembled(on_file), key=lambda exam: exam.performed_at)
    likeness = likeness_to_phantom(
        [(one.performed_on, {measured.region.key: measured.bmd for measured in one.measurements}) for one in known]
    )
    if likeness is None:
        return None
    return PhantomCandidate(
        patient=patient,
        patient_id=known[0].patient.patient_id,
        scanner=known[0].scanner,
        exams=tuple(one.number for one in on_file),
        first=known[0].performed_on,
        last=known[-1].performed_on,
        likeness=likeness,
    )


def _assembled(on_file: Sequence[ExamOnFile]) -> list[Exam]:
    found = []
    for one in on_file:
        try:
            found.append(one.exam())
        except ContradictionError:
            continue
    return found
