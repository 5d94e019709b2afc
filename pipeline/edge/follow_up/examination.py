"""Examine one exam: match it with the patient's history, compare, interpret, and draft what its addendum would say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.clinical.interpret import HistoryDoubts, interpret
from pipeline.clinical.model import Exam, Interpretation, Patient
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.clinical.withdrawal import withdrawn
from pipeline.edge.provenance import ProvenanceTracker, parts_of
from pipeline.edge.reference_in_force import ReferenceInForce
from pipeline.edge.store import exams, history_queries, outbox, patients, receipts, senders
from pipeline.edge.store.exam_summaries import LinkedPatients, Provenance
from pipeline.edge.store.exams import ExamOnFile
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.sr.author.addendum import Draft, draft, header_corrections
from pipeline.sr.dicom.content_tree import with_texts
from pipeline.sr.dicom.header import UnusableEvidenceError, check_same_patient, read_header
from pipeline.sr.dicom.reader import Elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What an addendum would say of one exam now, and what that rests on.

    ``sources`` and ``priors`` are the headers of the exam's reports and of those it is compared with.
    """

    interpretation: Interpretation
    history: Sequence[Exam] = ()
    contexts: Sequence[ClinicalContext] = ()
    held: Sequence[date] = ()
    sources: Sequence[Elements]
    priors: Sequence[Elements] = ()
    predecessor: AddendumOnFile | None
    draft: Draft
    provenance: Provenance
    is_corrected: bool = False
    """Whether the reports state patient or study otherwise than the exam's addendum quotes them."""

    @property
    def is_new(self) -> bool:
        """Whether the exam's addendum, if it has one, says something else."""
        return self.predecessor is None or self.predecessor.digest != self.draft.digest or self.is_corrected


def examine(
    connection: Connection,
    on_file: ExamOnFile,
    linked_patients: LinkedPatients,
    reference: ReferenceInForce,
) -> Examination:
    """Match, compare and interpret an exam with all that is on file now.

    Raises:
        ContradictionError: its reports contradict each other.
        UnusableEvidenceError: they lack what an addendum must quote.
    """
    provenance_tracker = reference.provenance_tracker
    if on_file.withdrawn:
        return _examine_withdrawn(connection, on_file, linked_patients, provenance_tracker)
    number = on_file.number
    exam = on_file.exam()
    earlier = exams.history(connection, on_file.patient, but=number)
    contexts = patients.contexts_of(connection, on_file.patient)
    unconfirmed = senders.unconfirmed(connection, [number, *(one.number for one in earlier)])
    history, contradictory = _assembled(earlier)
    held = (*exams.held_days(connection, on_file.patient, but=number), *contradictory)
    doubts = HistoryDoubts(
        held=held,
        archive_silent=history_queries.awaited_since(connection, number) is not None,
        unconfirmed={one.study_instance_uid for one in (on_file, *earlier) if one.number in unconfirmed},
        late={one.study_instance_uid for one in (on_file, *earlier) if one.late},
    )
    clinical = reference.reference_data.clinical
    interpretation = interpret(
        exam, history, clinical, contexts=contexts, vendor_trend=on_file.vendor_trend, doubts=doubts
    )
    sources, predecessor = _headers(connection, [on_file]), outbox.latest(connection, number)
    study = on_file.study_instance_uid
    return Examination(
        interpretation=interpretation,
        history=history,
        contexts=contexts,
        held=held,
        sources=sources,
        priors=_headers(connection, _quoted(interpretation, earlier)),
        predecessor=predecessor,
        draft=draft(interpretation, sources),
        provenance=_provenance(provenance_tracker, number, linked_patients, exam),
        is_corrected=predecessor is not None and bool(header_corrections(predecessor.data_set, sources, study)),
    )


def preview(
    connection: Connection, exam: Exam, reference: ClinicalReference, *, vendor_trend: Sequence[TrendPoint] = ()
) -> Interpretation:
    """Interpret an exam that need not be on file, with the history and the clinical context of its patient."""
    history, contradictory = _assembled(exams.history(connection, exam.patient))
    contexts = patients.contexts_of(connection, exam.patient)
    doubts = HistoryDoubts(held=(*exams.held_days(connection, exam.patient), *contradictory))
    return interpret(exam, history, reference, contexts=contexts, vendor_trend=vendor_trend, doubts=doubts)


def _assembled(earlier: Sequence[ExamOnFile]) -> tuple[list[Exam], list[date]]:
    """Return the exams on file, and the days of those whose reports contradict each other.

    These are held, or will be; what they measured is not known, so nothing may rest on them.
    """
    consistent: list[Exam] = []
    contradictory: list[date] = []
    for one in earlier:
        try:
            consistent.append(one.exam())
        except ContradictionError:
            contradictory.append(one.reports[0][1].exam.performed_on)
    return consistent, contradictory


def _examine_withdrawn(
    connection: Connection,
    on_file: ExamOnFile,
    linked_patients: LinkedPatients,
    provenance_tracker: ProvenanceTracker,
) -> Examination:
    """Draft what an addendum says of a withdrawn exam: that it is withdrawn, and why.

    Its reports may contradict each other by now; those of another patient than the first one's are left out.
    """
    exam = on_file.reports[0][1].exam
    interpretation = withdrawn(exam, on_file.withdrawn)
    sources = [source for source in _headers(connection, [on_file]) if _is_of(source, exam.patient)]
    return Examination(
        interpretation=interpretation,
        sources=sources,
        predecessor=outbox.latest(connection, on_file.number),
        draft=draft(interpretation, sources),
        provenance=_provenance(provenance_tracker, on_file.number, linked_patients, interpretation.exam),
    )


def _provenance(tracker: ProvenanceTracker, number: int, linked_patients: LinkedPatients, exam: Exam) -> Provenance:
    summary = next(summary for summary in linked_patients.summaries if summary.number == number)
    return tracker.provenance(summary, linked_patients, parts_of(exam))


def _is_of(source: Elements, patient: Patient) -> bool:
    """Return whether a report's header names this patient."""
    try:
        check_same_patient([source], patient)
    except UnusableEvidenceError:
        return False
    return True


def _quoted(interpretation: Interpretation, earlier: Sequence[ExamOnFile]) -> list[ExamOnFile]:
    """Return the earlier exams that an interpretation compares with."""
    keys = {prior.key for prior in interpretation.priors}
    return [one for one in earlier if one.key in keys]


def _headers(connection: Connection, on_file: Sequence[ExamOnFile]) -> list[Elements]:
    """Return the headers of exams' reports, under the patient they are taken for."""
    found: list[Elements] = []
    for one in on_file:
        for number, _ in one.reports:  # each alone: an exam of images has more bytes than memory
            (receipt,) = receipts.load(connection, [number])
            header = read_header(receipt.instance.data_set, receipt.instance.transfer_syntax_uid)
            if one.taken_for is not None:
                header = with_texts(header, PatientID=one.taken_for.patient_id, IssuerOfPatientID=one.taken_for.issuer)
            found.append(header)
    return found
