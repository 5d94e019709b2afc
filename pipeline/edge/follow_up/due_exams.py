"""What do we have to say of an exam that is due? Match, compare, interpret, author, and into the outbox with it."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage
from sqlalchemy import Connection

from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.clinical.interpret import HistoryDoubts, interpret
from pipeline.clinical.model import Exam, Interpretation, Patient
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.clinical.withdrawal import withdrawn
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.errors import UNEXPECTED, WORKER_LOST, describe_error, require_fault_of_one
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up import renderings
from pipeline.edge.provenance import parts_of
from pipeline.edge.store import (
    audit_trail,
    exam_summaries,
    exams,
    history_queries,
    outbox,
    patients,
    receipts,
    senders,
    work_queue,
)
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.exam_summaries import LinkedPatients, Provenance
from pipeline.edge.store.exams import ExamOnFile
from pipeline.edge.store.outbox import AddendumOnFile, NewAddendum
from pipeline.edge.store.schema import exam as exam_table
from pipeline.sr.author.addendum import Draft, author, draft, header_corrections
from pipeline.sr.dicom.header import UnusableEvidenceError, check_same_patient, read_header
from pipeline.sr.dicom.writer import Authored

log = logging.getLogger(__name__)

CONTRADICTORY = "contradictory"
"""The reason for which an exam is held whose reports tell different things."""

UNUSABLE_EVIDENCE = "unusable_evidence"
"""The reason for which an exam is held whose reports an addendum may not quote."""


SOP_CLASS_UIDS = {"comprehensive": ComprehensiveSRStorage, "enhanced": EnhancedSRStorage}
"""What an addendum is, by the name of the setting."""

AHEAD = timedelta(seconds=0.25)
"""How long before its time an exam may be taken up, to be waited for: about as long as Prefect takes to begin a run."""

CHUNK = 100
"""Exams claimed at once: two seconds of work, so that whoever is told to stop does so soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What we would say of one exam now, and what that rests on."""

    interpretation: Interpretation
    history: list[ExamOnFile]
    contexts: Sequence[ClinicalContext] = ()
    held: Sequence[date] = ()
    sources: list[Dataset]
    priors: list[Dataset]
    predecessor: AddendumOnFile | None
    drafted: Draft
    provenance: Provenance
    is_corrected: bool = False
    """Whether the reports tell patient or study otherwise than the exam's addendum quotes them."""

    @property
    def says_something_new(self) -> bool:
        """Whether that is not what the exam's addendum says already."""
        return self.predecessor is None or self.predecessor.digest != self.drafted.digest or self.is_corrected


def claim_due(app: App, limit: int, *, crash_suspects: bool = False) -> list[int]:
    """Take the exams that have been due longest, or one of those that have lost a worker; their numbers."""
    with app.database.write() as connection:
        return work_queue.claim(
            connection, exam_table, limit=limit, at=datetime.now(UTC), crash_suspects=crash_suspects
        )


def drain(app: App, stopped: Callable[[], bool], *, most_chunks: float = math.inf) -> ExamCounts:
    """Carry the exams that are due to the outbox, chunk by chunk, until none is left or it is time to stop.

    It may be called ``AHEAD`` of the first one's time. What has come until then is read before, as it may belong to it.
    """
    with app.database.read() as connection:
        due = work_queue.next_due(connection, exam_table)
    if due is not None:
        time.sleep(min(max(due - datetime.now(UTC), timedelta()), AHEAD).total_seconds())
    extract_waiting(app, stopped=stopped)
    tally, chunks = ExamCounts(), 0
    while chunks < most_chunks and not stopped() and (numbers := claim_due(app, CHUNK)):
        tally, chunks = tally + follow_up(app, numbers), chunks + 1
    return tally


def follow_up(app: App, numbers: Sequence[int]) -> ExamCounts:
    """Carry exams from match to the outbox; each one ends there, unchanged, or held with its reason.

    Raises:
        StoreError: the database could not be reached; the exams stay due.
    """
    return sum((_follow_up_one(app, number) for number in numbers), ExamCounts())


def examine(app: App, connection: Connection, on_file: ExamOnFile, linked_patients: LinkedPatients) -> Examination:
    """Match, compare and interpret an exam with all that is on file now.

    Raises:
        Contradiction: its reports tell different things.
        UnusableEvidenceError: they lack what an addendum must quote.
    """
    number = on_file.number
    if on_file.withdrawn:
        return _examine_withdrawn(app, connection, on_file, linked_patients)
    exam = on_file.exam()
    history = exams.history(connection, on_file.patient, but=number)
    contexts = patients.contexts_of(connection, on_file.patient)
    held = exams.held_days(connection, on_file.patient, but=number)
    unconfirmed = senders.unconfirmed(connection, [number, *(earlier.number for earlier in history)])
    interpretation = interpret_exam(
        app,
        exam,
        history,
        contexts,
        vendor_trend=on_file.vendor_trend,
        doubts=HistoryDoubts(
            held=held,
            archive_silent=history_queries.awaited_since(connection, number) is not None,
            unconfirmed={one.study_instance_uid for one in (on_file, *history) if one.number in unconfirmed},
            late={one.study_instance_uid for one in (on_file, *history) if one.late},
        ),
    )
    sources, predecessor = _data_sets(connection, [on_file]), outbox.latest(connection, number)
    study = on_file.study_instance_uid
    visit = next(visit for visit in linked_patients.summaries if visit.number == number)
    return Examination(
        interpretation=interpretation,
        history=history,
        contexts=contexts,
        held=held,
        sources=sources,
        priors=_data_sets(connection, _rested_upon(interpretation, history)),
        predecessor=predecessor,
        drafted=draft(interpretation, sources),
        provenance=app.provenance_tracker.provenance(visit, linked_patients, parts_of(exam)),
        is_corrected=predecessor is not None and bool(header_corrections(predecessor.data_set, sources, study)),
    )


def _examine_withdrawn(
    app: App, connection: Connection, on_file: ExamOnFile, linked_patients: LinkedPatients
) -> Examination:
    """What is left to say of a withdrawn exam: that it is, and why.

    Its reports need not agree with each other any more; those of another patient than the first one are left out.
    """
    exam = on_file.reports[0][1].exam
    interpretation = withdrawn(exam, on_file.withdrawn)
    sources = [source for source in _data_sets(connection, [on_file]) if _is_of(source, exam.patient)]
    visit = next(visit for visit in linked_patients.summaries if visit.number == on_file.number)
    return Examination(
        interpretation=interpretation,
        history=[],
        sources=sources,
        priors=[],
        predecessor=outbox.latest(connection, on_file.number),
        drafted=draft(interpretation, sources),
        provenance=app.provenance_tracker.provenance(visit, linked_patients, parts_of(interpretation.exam)),
    )


def interpret_exam(
    app: App,
    exam: Exam,
    history: Sequence[ExamOnFile],
    contexts: Sequence[ClinicalContext],
    *,
    vendor_trend: Sequence[TrendPoint],
    doubts: HistoryDoubts,
) -> Interpretation:
    """What we would say of an exam now, with everything the configuration and the store know."""
    assembled, contradictory = _assembled(history)
    return interpret(
        exam,
        assembled,
        app.reference_data.clinical,
        contexts=contexts,
        vendor_trend=vendor_trend,
        doubts=replace(doubts, held=(*doubts.held, *contradictory)),
    )


def _follow_up_one(app: App, number: int) -> ExamCounts:
    try:
        return _carry(app, number)
    except ContradictionError as contradiction:
        return _hold(app, number, CONTRADICTORY, str(contradiction))
    except UnusableEvidenceError as unusable:
        return _hold(app, number, UNUSABLE_EVIDENCE, str(unusable))
    except Exception as error:  # noqa: BLE001 - whatever one exam does, the others are still carried
        require_fault_of_one(error)
        return _hold(app, number, UNEXPECTED, describe_error(error))


def _carry(app: App, number: int) -> ExamCounts:
    with app.database.read() as connection:
        linked_patients = exam_summaries.linked_patients_of(
            connection, number
        )  # first: what is added from now on shifts the ground
        (on_file,) = exams.load(connection, [number])
        if on_file.worker_crashes >= work_queue.MAX_WORKER_CRASHES:
            return _hold(app, number, WORKER_LOST, f"its worker ended {on_file.worker_crashes} times")
        if on_file.historical or (on_file.withdrawn and outbox.latest(connection, number) is None):
            return _settle(app, on_file)
        requested_at = None if on_file.withdrawn else history_queries.awaited_since(connection, number)
    if requested_at is not None and _waits(app, number, requested_at):
        return ExamCounts()
    with app.database.read() as connection:
        found = examine(app, connection, on_file, linked_patients)
    interpretation, predecessor = found.interpretation, found.predecessor
    now = datetime.now(UTC)
    compared = events.compared(on_file, interpretation, app.reference_data, issued=found.says_something_new, at=now)
    if not found.says_something_new:
        with app.database.write() as connection:
            exams.finish_follow_up(connection, on_file)  # first: it locks the exam
            exam_summaries.record_provenance(connection, number, found.provenance)
            audit_trail.record(connection, compared)
        log.info("unchanged", extra={"exam": number})
        return ExamCounts(unchanged=1)
    addendum = author(
        interpretation,
        sources=found.sources,
        priors=found.priors,
        predecessor=predecessor.data_set if predecessor else None,
        sop_class_uid=SOP_CLASS_UIDS[app.settings.service.addendum.sop_class],
        preliminary=app.settings.service.addendum.preliminary,
        drafted=found.drafted,
    )
    drawn = _renderings(app, addendum, found) if renderings.wanted_forms(app) else ()
    with app.database.write() as connection:
        if outbox.is_superseded(connection, number, predecessor):  # somebody else has followed it up meanwhile
            kept = None
        else:
            kept, *_ = numbers = _issue(app, connection, found, number, (addendum, *drawn), at=now)
            exams.finish_follow_up(connection, on_file)  # first: it locks the exam
            exam_summaries.record_provenance(connection, number, found.provenance)
            issued = zip(numbers, (addendum, *drawn), strict=True)
            authored = [events.authored(n, number, one.sop_instance_uid, one.data_set, at=now) for n, one in issued]
            audit_trail.record(connection, compared, *authored)
    if kept is None:
        return _carry(app, number)
    log.info("authored", extra={"exam": number, "addendum": kept, "overall": interpretation.overall.value})
    return ExamCounts(issued=1)


def _renderings(app: App, addendum: Authored, found: Examination) -> tuple[Authored, ...]:
    history, contradictory = _assembled(found.history)
    held = (*found.held, *contradictory)
    return renderings.render(app, addendum, found.interpretation, history, contexts=found.contexts, held=held)


def _issue(
    app: App,
    connection: Connection,
    found: Examination,
    exam_number: int,
    instances: Sequence[Authored],
    *,
    at: datetime,
) -> list[int]:
    """Put an addendum, which comes first, and its faces into the outbox; their numbers."""
    numbers: list[int] = []
    for instance in instances:
        addendum = NewAddendum(
            exam_number=exam_number,
            predecessor=found.predecessor.number if found.predecessor and not numbers else None,
            rendering_of=numbers[0] if numbers else None,
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            digest=found.drafted.digest,
            overall=found.interpretation.overall,
            data_set=instance.data_set,
        )
        number = outbox.issue(connection, addendum, renderings.destinations_of(app, instance), at=at)
        numbers.append(number)
    return numbers


def _waits(app: App, number: int, requested_at: datetime) -> bool:
    """Whether an exam still waits for what an archive has of its patient; not longer than the department wants."""
    until = requested_at + timedelta(seconds=app.settings.service.exam.history_seconds)
    if until <= datetime.now(UTC):
        log.warning("history is not complete: an archive has not answered yet", extra={"exam": number})
        return False
    with app.database.write() as connection:
        detail = "an archive is asked for the patient's earlier reports"
        work_queue.postpone(
            connection, exam_table, number, until=until, reason=history_queries.AWAITS_HISTORY, detail=detail
        )
    return True


def _settle(app: App, on_file: ExamOnFile) -> ExamCounts:
    """A historical exam is a prior for others if its reports agree, and gets no addendum; nor does a withdrawn one."""
    if not on_file.withdrawn:
        on_file.exam()
    with app.database.write() as connection:
        exams.finish_follow_up(connection, on_file)
    log.info("withdrawn" if on_file.withdrawn else "historical", extra={"exam": on_file.number})
    return ExamCounts(unchanged=1)


def _hold(app: App, number: int, reason: str, detail: str) -> ExamCounts:
    with app.database.write() as connection:
        work_queue.hold(connection, exam_table, number, reason=reason, detail=detail)
        exams.reexamine_later_exams(connection, number, at=datetime.now(UTC))
    log.warning("held", extra={"exam": number, "reason": reason})
    return ExamCounts(held=1)


def _assembled(history: Sequence[ExamOnFile]) -> tuple[list[Exam], list[date]]:
    """The exams of a history, and the days of those whose reports contradict each other.

    These are, or will be, held themselves; what they measured is not known, so nothing may rest on them.
    """
    assembled: list[Exam] = []
    contradictory: list[date] = []
    for other in history:
        try:
            assembled.append(other.exam())
        except ContradictionError:
            contradictory.append(other.reports[0][1].exam.performed_on)
    return assembled, contradictory


def _is_of(source: Dataset, patient: Patient) -> bool:
    """Whether a report's header is this patient's."""
    try:
        check_same_patient([source], patient)
    except UnusableEvidenceError:
        return False
    return True


def _rested_upon(interpretation: Interpretation, history: Sequence[ExamOnFile]) -> list[ExamOnFile]:
    keys = {prior.key for prior in interpretation.priors}
    return [earlier for earlier in history if earlier.key in keys]


def _data_sets(connection: Connection, on_file: Sequence[ExamOnFile]) -> list[Dataset]:
    """The headers of exams' reports, under the patient they are taken for."""
    found: list[Dataset] = []
    for one in on_file:
        for number, _ in one.reports:  # each alone: an exam of pictures has more bytes than memory
            (receipt,) = receipts.load(connection, [number])
            header = read_header(receipt.instance.data_set, receipt.instance.transfer_syntax_uid)
            if one.taken_for is not None:
                header.PatientID, header.IssuerOfPatientID = one.taken_for.patient_id, one.taken_for.issuer
            found.append(header)
    return found
