"""Follow up the exams that are due: examine each, and issue an addendum where it says something new.

Every exam that is claimed ends with an addendum in the outbox, unchanged, held with a reason, or postponed.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage
from sqlalchemy import Connection

from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.configuration.destination_settings import DestinationSettings
from pipeline.edge.errors import UNEXPECTED, WORKER_LOST, describe_error, require_fault_of_one
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up import renderings
from pipeline.edge.follow_up.examination import Examination, examine
from pipeline.edge.store import audit_trail, exam_summaries, exams, history_queries, outbox, work_queue
from pipeline.edge.store.audit_trail import Entry
from pipeline.edge.store.database import Database
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.exam_summaries import LinkedPatients
from pipeline.edge.store.exams import ExamOnFile
from pipeline.edge.store.outbox import NewAddendum
from pipeline.edge.store.schema import exam as exam_table
from pipeline.sr.author.addendum import author
from pipeline.sr.author.content import section_sizes
from pipeline.sr.dicom.header import UnusableEvidenceError
from pipeline.sr.dicom.writer import Authored

log = logging.getLogger(__name__)

CONTRADICTORY = "contradictory"
"""The reason for which an exam is held whose reports contradict each other."""

UNUSABLE_EVIDENCE = "unusable_evidence"
"""The reason for which an exam is held whose reports an addendum may not quote."""

SOP_CLASS_UIDS = {"comprehensive": ComprehensiveSRStorage, "enhanced": EnhancedSRStorage}
"""The SOP class UID of an addendum by the value of ``addendum.sop_class``."""

AHEAD = timedelta(seconds=0.25)
"""How long before its time an exam may be claimed, to be waited for: about as long as Prefect takes to begin a run."""

CHUNK = 100
"""Exams claimed at once."""


class NotExamined(StrEnum):
    """Why an exam that is due is not examined now."""

    WORKER_LOST = "worker lost"
    """It ended its worker again and again, and is held."""
    HISTORICAL = "historical"
    """It came in as history: a prior for others, without an addendum."""
    WITHDRAWN = "withdrawn"
    """It was withdrawn before it had an addendum that would have to say so."""
    AWAITS_HISTORY = "awaits history"
    """An archive has not answered yet which earlier exams of the patient it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueExam:
    """An exam that is due, as it is on file, with what decides whether it may be examined now."""

    on_file: ExamOnFile
    linked_patients: LinkedPatients
    has_addendum: bool
    """Only known of a withdrawn exam."""
    awaits_history_until: datetime | None
    """Until when it waits for an archive that has not answered."""

    @property
    def number(self) -> int:
        """The number of the exam."""
        return self.on_file.number


def claim_due(database: Database, limit: int, *, crash_suspects: bool = False) -> list[int]:
    """Claim the exams that have been due longest, or one of those whose worker crashed, and return their numbers."""
    with database.write() as connection:
        now = datetime.now(UTC)
        return work_queue.claim(connection, exam_table, limit=limit, at=now, crash_suspects=crash_suspects)


def drain(app: App, stopped: Callable[[], bool], *, most_chunks: float = math.inf) -> ExamCounts:
    """Follow up the exams that are due, chunk by chunk, until none is left or ``stopped`` says so.

    It may be called ``AHEAD`` of the first one's time. What has come until then is extracted before, as it may belong
    to that exam.
    """
    with app.database.read() as connection:
        due = work_queue.next_due(connection, exam_table)
    if due is not None:
        time.sleep(min(max(due - datetime.now(UTC), timedelta()), AHEAD).total_seconds())
    extract_waiting(app, stopped=stopped)
    counts, chunks = ExamCounts(), 0
    while chunks < most_chunks and not stopped() and (numbers := claim_due(app.database, CHUNK)):
        counts, chunks = counts + follow_up(app, numbers, stopped), chunks + 1
    return counts


def follow_up(app: App, numbers: Sequence[int], stopped: Callable[[], bool] = lambda: False) -> ExamCounts:
    """Follow up exams by their numbers; each ends in the outbox, unchanged, postponed, or held with its reason.

    Once ``stopped`` says so, those that are left are given back to the queue.

    Raises:
        StoreError: the database could not be reached; the exams stay due.
    """
    counts = ExamCounts()
    for position, number in enumerate(numbers):
        if stopped():
            with app.database.write() as connection:
                work_queue.requeue(connection, exam_table, where=exam_table.c.id.in_(numbers[position:]))
            break
        counts += _follow_up_or_hold(app, number)
    return counts


def load_due_exam(database: Database, number: int, *, history_wait: timedelta) -> DueExam:
    """Load an exam that is due, which waits so long for the answer of an archive that was asked about its patient."""
    with database.read() as connection:
        # The linked patients come first: what is added after them counts as a change of the inputs.
        linked_patients = exam_summaries.linked_patients_of(connection, number)
        (on_file,) = exams.load(connection, [number])
        live = not (on_file.historical or on_file.withdrawn)
        requested_at = history_queries.awaited_since(connection, number) if live else None
        return DueExam(
            on_file=on_file,
            linked_patients=linked_patients,
            has_addendum=bool(on_file.withdrawn) and outbox.latest(connection, number) is not None,
            awaits_history_until=requested_at + history_wait if requested_at else None,
        )


def must_not_examine(due: DueExam, *, now: datetime) -> NotExamined | None:
    """Return why an exam may not be examined now, if there is a reason."""
    if due.on_file.worker_crashes >= work_queue.MAX_WORKER_CRASHES:
        return NotExamined.WORKER_LOST
    if due.on_file.historical:
        return NotExamined.HISTORICAL
    if due.on_file.withdrawn and not due.has_addendum:
        return NotExamined.WITHDRAWN
    if due.awaits_history_until is not None and now < due.awaits_history_until:
        return NotExamined.AWAITS_HISTORY
    return None


def _follow_up_or_hold(app: App, number: int) -> ExamCounts:
    try:
        while (counts := _follow_up(app, number)) is None:
            pass  # another worker has issued an addendum meanwhile
        return counts
    except ContradictionError as contradiction:
        return _hold(app.database, number, CONTRADICTORY, str(contradiction))
    except UnusableEvidenceError as unusable:
        return _hold(app.database, number, UNUSABLE_EVIDENCE, str(unusable))
    except Exception as error:  # noqa: BLE001 - whatever one exam does, the others are still followed up
        require_fault_of_one(error)
        return _hold(app.database, number, UNEXPECTED, describe_error(error))


def _follow_up(app: App, number: int) -> ExamCounts | None:
    """Follow up one exam; ``None`` where it has to be done again, as it has another addendum than the one loaded.

    Each step closes its transaction before the next begins: nothing is written while a read is open.
    """
    history_wait = timedelta(seconds=app.settings.service.exam.history_seconds)
    due = load_due_exam(app.database, number, history_wait=history_wait)
    if reason := must_not_examine(due, now=datetime.now(UTC)):
        return _settle(app.database, due, reason)
    if due.awaits_history_until is not None:
        log.warning("history is not complete: an archive has not answered yet", extra={"exam": number})
    with app.database.read() as connection:
        reference = app.reference_in_force(connection)
        found = examine(connection, due.on_file, due.linked_patients, reference)
    now = datetime.now(UTC)
    compared = events.compared(due.on_file, found.interpretation, reference.reference_data, issued=found.is_new, at=now)
    if not found.is_new:
        return _record_unchanged(app.database, due, found, compared)
    return _issue(app, due, found, compared, at=now)


def _settle(database: Database, due: DueExam, reason: NotExamined) -> ExamCounts:
    """Hold, postpone or finish an exam that is not examined.

    Raises:
        ContradictionError: the reports of a historical exam contradict each other, so that it is no prior for others.
    """
    match reason:
        case NotExamined.WORKER_LOST:
            return _hold(database, due.number, WORKER_LOST, f"its worker ended {due.on_file.worker_crashes} times")
        case NotExamined.AWAITS_HISTORY:
            return _postpone(database, due)
        case NotExamined.HISTORICAL | NotExamined.WITHDRAWN:
            if not due.on_file.withdrawn:
                due.on_file.exam()
            with database.write() as connection:
                exams.finish_follow_up(connection, due.on_file)
            log.info("withdrawn" if due.on_file.withdrawn else "historical", extra={"exam": due.number})
            return ExamCounts(unchanged=1)
        case _:
            assert_never(reason)


def _postpone(database: Database, due: DueExam) -> ExamCounts:
    assert due.awaits_history_until is not None
    with database.write() as connection:
        work_queue.postpone(
            connection,
            exam_table,
            due.number,
            until=due.awaits_history_until,
            reason=history_queries.AWAITS_HISTORY,
            detail="an archive is asked for the patient's earlier reports",
        )
    return ExamCounts()


def _hold(database: Database, number: int, reason: str, detail: str) -> ExamCounts:
    with database.write() as connection:
        work_queue.hold(connection, exam_table, number, reason=reason, detail=detail)
        exams.reexamine_later_exams(connection, number, at=datetime.now(UTC))
    log.warning("held", extra={"exam": number, "reason": reason})
    return ExamCounts(held=1)


def _record_unchanged(database: Database, due: DueExam, found: Examination, compared: Entry) -> ExamCounts:
    with database.write() as connection:
        _finish(connection, due, found, compared)
    log.info("unchanged", extra={"exam": due.number})
    return ExamCounts(unchanged=1)


def _issue(app: App, due: DueExam, found: Examination, compared: Entry, *, at: datetime) -> ExamCounts | None:
    """Write an addendum with its renderings and put them into the outbox; ``None`` if another came first."""
    addendum = author(
        found.interpretation,
        sources=found.sources,
        priors=found.priors,
        predecessor=found.predecessor.data_set if found.predecessor else None,
        sop_class_uid=SOP_CLASS_UIDS[app.settings.service.addendum.sop_class],
        preliminary=app.settings.service.addendum.preliminary,
        drafted=found.draft,
    )
    instances = (addendum, *_renderings(app, addendum, found))
    with app.database.write() as connection:
        if outbox.is_superseded(connection, due.number, found.predecessor):
            return None
        numbers = _put_into_outbox(connection, due.number, found, instances, app.settings.service.destination, at=at)
        authored = [
            events.authored(number, due.number, one.sop_instance_uid, one.data_set, at=at)
            for number, one in zip(numbers, instances, strict=True)
        ]
        _finish(connection, due, found, compared, *authored)
    overall = found.interpretation.overall.value
    log.info("authored", extra={"exam": due.number, "addendum": numbers[0], "overall": overall})
    return ExamCounts(issued=1)


def _finish(connection: Connection, due: DueExam, found: Examination, *entries: Entry) -> None:
    """Record that an exam was followed up, what that rested on, and the entries of the audit trail."""
    exams.finish_follow_up(connection, due.on_file)  # first, as it locks the exam
    exam_summaries.record_provenance(connection, due.number, found.provenance)
    audit_trail.record(connection, *entries)


def _renderings(app: App, addendum: Authored, found: Examination) -> tuple[Authored, ...]:
    service = app.settings.service
    forms = renderings.wanted_forms(service.destination)
    if not forms:
        return ()
    return renderings.render(
        addendum,
        found.interpretation,
        found.history,
        forms,
        font=service.addendum.font,
        epochs=app.reference_data.clinical.epochs,
        contexts=found.contexts,
        held=found.held,
    )


def _put_into_outbox(
    connection: Connection,
    exam_number: int,
    found: Examination,
    instances: Sequence[Authored],
    destinations: Sequence[DestinationSettings],
    *,
    at: datetime,
) -> list[int]:
    """Put an addendum, which comes first, and its renderings into the outbox; return their numbers."""
    numbers: list[int] = []
    for instance in instances:
        addendum = NewAddendum(
            exam_number=exam_number,
            predecessor=found.predecessor.number if found.predecessor and not numbers else None,
            rendering_of=numbers[0] if numbers else None,
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            digest=found.draft.digest,
            overall=found.interpretation.overall,
            sections=section_sizes(found.interpretation.narrative) if not numbers else {},
            without_lsc=found.interpretation.regions_without_lsc if not numbers else (),
            data_set=instance.data_set,
        )
        names = renderings.destinations_of(destinations, instance)
        numbers.append(outbox.issue(connection, addendum, names, at=at))
    return numbers
