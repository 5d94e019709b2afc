"""Reprocess exams whose inputs have changed: examine them again, and supersede the addenda that would differ.

A run is divided into shards of linked patients, which any number of workers claim. Each step is in the database when it
is done, so that a run that was killed anywhere is continued by any worker.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.follow_up.due_exams import follow_up
from pipeline.edge.reprocess.differences import differences_of
from pipeline.edge.reprocess.reextract import reextract
from pipeline.edge.reprocess.scope import answered_exams, next_linked_patients
from pipeline.edge.store import (
    audit_trail,
    exam_summaries,
    outbox,
    reprocessing_results,
    reprocessing_runs,
    work_queue,
)
from pipeline.edge.store.database import Database
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_runs import Run, Scope, Shard
from pipeline.edge.store.reprocessing_schema import shard
from pipeline.edge.store.schema import exam as exam_table
from pipeline.edge.store.schema import receipt as receipt_table
from pipeline.edge.store.schema_base import State

MAX_YIELD_SECONDS = 10.0
"""How long one exam lets due work go first; if that takes longer, something else is wrong with it."""

PATIENTS_COMPARED_AT_ONCE = 20
"""Linked patients between two moments at which a dry run lets due work go first."""

_POLL_SECONDS = 0.1


def begin(app: App, scope: Scope) -> int:
    """Return the number of the unfinished run of this scope, or begin a new one, for whoever takes part in it."""
    with app.database.write() as connection:
        shards = app.settings.service.reprocess.shards
        return reprocessing_runs.begin(connection, scope, shards=shards, at=datetime.now(UTC))


def take_part(app: App, run: int, stopped: Callable[[], bool] = lambda: False) -> ExamCounts:
    """Work on shards of a run until none is free or ``stopped`` says so, and return what this process has done.

    Raises:
        StoreError: the database could not be reached; another worker, or a later call, continues the run.
    """
    done = ExamCounts()
    with app.database.write() as connection:
        work_queue.reclaim_from_dead_processes(connection)
        wanted = reprocessing_runs.find(connection, run)
    while not stopped():
        with app.database.write() as connection:
            mine = reprocessing_runs.claim(connection, run, at=datetime.now(UTC))
        if mine is None:
            break
        try:
            done += _work_on(app, mine, wanted, stopped)
        finally:
            with app.database.write() as connection:
                work_queue.requeue(connection, shard, where=shard.c.id == mine.id)
    return done


def progress(database: Database, run: int) -> tuple[ExamCounts, bool]:
    """Return what all workers have done of a run, and whether it is finished."""
    with database.read() as connection:
        return reprocessing_runs.counts(connection, run), reprocessing_runs.is_finished(connection, run)


def _work_on(app: App, mine: Shard, run: Run, stopped: Callable[[], bool]) -> ExamCounts:
    done, after = ExamCounts(), mine.last_linked_patients
    while numbers := next_linked_patients(app.database, run.scope, after, shard=mine):
        step = (_dry_step if run.dry_run else _step)(app, mine, numbers, run, stopped)
        if step is None:
            return done
        after = numbers[-1]
        done += step
        with app.database.write() as connection:
            if not reprocessing_runs.advance(
                connection, mine, last_linked_patients=after, done=step, at=datetime.now(UTC)
            ):
                return done
    with app.database.write() as connection:
        is_last = reprocessing_runs.finish(connection, mine, at=datetime.now(UTC))
        if is_last and run.requested_by and not run.dry_run:
            counts = reprocessing_runs.counts(connection, run.number)
            audit_trail.record(connection, events.reprocessed(run, counts, at=datetime.now(UTC)))
    return done


def _dry_step(
    app: App, mine: Shard, numbers: Sequence[int], run: Run, stopped: Callable[[], bool]
) -> ExamCounts | None:
    """Find the addenda of linked patients that would be superseded; ``None`` if stopped."""
    counts = ExamCounts()
    for first in range(0, len(numbers), PATIENTS_COMPARED_AT_ONCE):
        if stopped():
            return None
        _let_due_work_go_first(app.database)
        compared, found = differences_of(app, numbers[first : first + PATIENTS_COMPARED_AT_ONCE], run.scope)
        held = sum(bool(difference.held) for difference in found)
        counts += ExamCounts(examined=compared, issued=len(found) - held, held=held)
        with app.database.write() as connection:
            if not reprocessing_runs.renew(connection, mine, at=datetime.now(UTC)):
                return None
            reprocessing_results.add(connection, run.number, found)
    return counts


def _step(app: App, mine: Shard, numbers: Sequence[int], run: Run, stopped: Callable[[], bool]) -> ExamCounts | None:
    """Examine the exams of linked patients again whose inputs changed; ``None`` if stopped or the shard is lost."""
    _reextract_stale(app, numbers)
    examined = 0
    changed: list[int] = []
    with app.database.read() as connection:
        provenance_tracker = app.reference_in_force(connection).provenance_tracker
        for summary, linked_patients in answered_exams(connection, numbers, run.scope):
            examined += 1
            if provenance_tracker.changed_inputs(summary, linked_patients):
                changed.append(summary.number)
    counts = ExamCounts(examined=examined)
    per_minute = app.settings.service.reprocess.addenda_per_minute
    for number in changed:
        _let_due_work_go_first(app.database)
        if not _await_turn(app.database, mine, per_minute, stopped):
            return None
        counts += _reexamine(app, number)
    return counts


def _reexamine(app: App, number: int) -> ExamCounts:
    with app.database.write() as connection:
        is_done = (exam_table.c.id == number) & (exam_table.c.state == State.DONE)
        # Counted before: an exam that ends its worker again and again is held, as in the live flow.
        tried = update(exam_table).where(is_done).values(worker_crashes=exam_table.c.worker_crashes + 1)
        if connection.execute(tried).rowcount == 0:
            return ExamCounts()  # it has become due by itself
    return follow_up(app, [number])


def _reextract_stale(app: App, numbers: Sequence[int]) -> None:
    reader_fingerprint = app.reference_data.reader_fingerprint
    with app.database.read() as connection:
        if not exam_summaries.has_stale_readings(connection, reader_fingerprint):
            return
        stale = exam_summaries.stale_exams(connection, numbers, reader_fingerprint)
    for number in stale:
        with app.database.write() as connection:
            reextract(app, connection, [number])


def _let_due_work_go_first(database: Database) -> None:
    until = time.monotonic() + MAX_YIELD_SECONDS
    while time.monotonic() < until and _has_due_work(database):
        time.sleep(_POLL_SECONDS)


def _has_due_work(database: Database) -> bool:
    now = datetime.now(UTC)
    with database.read() as connection:
        for queue in (receipt_table, exam_table):
            waiting = select(queue.c.id).where(queue.c.state == State.WAITING, queue.c.due_at <= now).limit(1)
            if connection.scalar(waiting) is not None:
                return True
    return False


def _await_turn(database: Database, mine: Shard, per_minute: int, stopped: Callable[[], bool]) -> bool:
    """Wait until another addendum may be issued; false if stopped or the shard is lost."""
    while not stopped():
        now = datetime.now(UTC)
        with database.write() as connection:
            if not reprocessing_runs.renew(connection, mine, at=now):
                return False
            if outbox.issued_since(connection, now - timedelta(minutes=1)) < per_minute:
                return True
        time.sleep(_POLL_SECONDS)
    return False
