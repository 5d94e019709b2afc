"""Which addenda would say something else today, and what becomes of them?

Only exams whose ground has shifted are examined again; of those only the ones that say something new are issued anew.
What a run has done is in the database after each step, so that it can be killed anywhere and taken up by anybody.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import Connection, select, update

from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.edge.app import App
from pipeline.edge.follow_up.due_exams import follow_up
from pipeline.edge.follow_up.examination import examine
from pipeline.edge.provenance import ChangedInput, is_answered
from pipeline.edge.reprocess.reextract import read_again
from pipeline.edge.store import exam_summaries, exams, outbox, reprocessing_runs, work_queue
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.exam_summaries import ExamSummary, LinkedPatients
from pipeline.edge.store.reprocessing_runs import Scope, Shard
from pipeline.edge.store.schema import State, shard
from pipeline.edge.store.schema import exam as exam_table
from pipeline.edge.store.schema import receipt as receipt_table
from pipeline.sr.author.content import document
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.header import UnusableEvidenceError
from pipeline.sr.dicom.reader import read_elements

PATIENTS_AT_ONCE = 200
"""Persons in one step: what is held in memory at once."""

LONGEST_YIELD = 10.0
"""Seconds for which live exams may go before one that is examined again; after that theirs is another trouble."""

_LOOK_SECONDS = 0.1

BeforeAfter = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An issued addendum that would differ today: why, and what in it, before and after.

    ``regions`` holds by region key and concept what stands there; ``held`` is why nothing could be said today.
    """

    exam: int
    addendum: int
    changed_inputs: tuple[ChangedInput, ...]
    overall: BeforeAfter
    regions: Mapping[str, Mapping[str, BeforeAfter]]
    held: str = ""


def begin(app: App, scope: Scope) -> int:
    """The number of the unfinished run of this scope, or of a new one."""
    with app.database.write() as connection:
        shards = app.settings.service.reprocess.shards
        return reprocessing_runs.begin(connection, scope, shards=shards, at=datetime.now(UTC))


def take_part(app: App, run: int, stopped: Callable[[], bool] = lambda: False) -> ExamCounts:
    """Work on parts of a run until none is free, or it is time to stop; what this process has done.

    Raises:
        StoreError: the database could not be asked; another worker, or a later call, goes on.
    """
    done = ExamCounts()
    with app.database.write() as connection:
        work_queue.reclaim_from_dead_processes(connection)
        scope = reprocessing_runs.scope_of(connection, run)
    while not stopped():
        with app.database.write() as connection:
            mine = reprocessing_runs.claim(connection, run, at=datetime.now(UTC))
        if mine is None:
            break
        try:
            done += _work_on(app, mine, scope, stopped)
        finally:
            with app.database.write() as connection:
                work_queue.requeue(connection, shard, where=shard.c.id == mine.id)
    return done


def standing(app: App, run: int) -> tuple[ExamCounts, bool]:
    """What a run has come to, and whether it is finished."""
    with app.database.read() as connection:
        return reprocessing_runs.counts(connection, run), reprocessing_runs.is_finished(connection, run)


def differences(app: App, scope: Scope) -> Iterator[Difference]:
    """The addenda that would be superseded, person by person; nothing is changed."""
    after = 0
    while numbers := _next(app, scope, after):
        with app.database.read() as connection:
            stale = exam_summaries.has_stale_readings(connection, app.reference_data.reader_fingerprint)
            found = [] if stale else list(_differences(app, connection, numbers, scope))
        for number in numbers if stale else ():  # reports are read again, person by person, for trial
            with app.database.trial() as connection:
                read_again(
                    app,
                    connection,
                    exam_summaries.stale_exams(connection, [number], app.reference_data.reader_fingerprint),
                )
                found += _differences(app, connection, [number], scope)
        yield from found
        after = numbers[-1]


def _work_on(app: App, mine: Shard, scope: Scope, stopped: Callable[[], bool]) -> ExamCounts:
    done, after = ExamCounts(), mine.last_linked_patients
    while numbers := _next(app, scope, after, part=mine):
        step = _step(app, mine, numbers, scope, stopped)
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
        reprocessing_runs.finish(connection, mine, at=datetime.now(UTC))
    return done


def _step(
    app: App, mine: Shard, numbers: Sequence[int], scope: Scope, stopped: Callable[[], bool]
) -> ExamCounts | None:
    """Look at some persons and examine again what has to be; ``None`` when told to stop, or the part is lost."""
    _read_again(app, numbers)
    examined = 0
    shifted: list[ExamSummary] = []
    with app.database.read() as connection:
        for visit, linked_patients in _answered(connection, numbers, scope):
            examined += 1
            if app.provenance_tracker.changed_inputs(visit, linked_patients):
                shifted.append(visit)
    counts = ExamCounts(examined=examined)
    for visit in shifted:
        _give_way(app)
        if not _await_turn(app, mine, stopped):
            return None
        counts += _examine_again(app, visit.number)
    return counts


def _examine_again(app: App, number: int) -> ExamCounts:
    with app.database.write() as connection:
        settled = (exam_table.c.id == number) & (exam_table.c.state == State.DONE)
        # One that ends its worker is held in the end, as in the live flow.
        tried = update(exam_table).where(settled).values(worker_crashes=exam_table.c.worker_crashes + 1)
        if connection.execute(tried).rowcount == 0:
            return ExamCounts()  # it has become due by itself
    return follow_up(app, [number])


def _answered(
    connection: Connection, numbers: Sequence[int], scope: Scope
) -> Iterator[tuple[ExamSummary, LinkedPatients]]:
    for linked_patients in exam_summaries.all_linked_patients(connection, numbers):
        for visit in linked_patients.summaries:
            if is_answered(visit) and _is_in(visit, scope):
                yield visit, linked_patients


def _is_in(visit: ExamSummary, scope: Scope) -> bool:
    if scope.scanner is not None and visit.scanner_number != scope.scanner:
        return False
    return scope.since is None or visit.performed_at.date() >= scope.since


def _next(app: App, scope: Scope, after: int, *, part: Shard | None = None) -> list[int]:
    if scope.linked_patients is not None:
        return [scope.linked_patients] if after < scope.linked_patients else []
    number, shards = (part.number, part.shards) if part else (0, 1)
    with app.database.read() as connection:
        return exam_summaries.next_linked_patients(connection, after, PATIENTS_AT_ONCE, shard=number, shards=shards)


def _read_again(app: App, numbers: Sequence[int]) -> None:
    reader_fingerprint = app.reference_data.reader_fingerprint
    with app.database.read() as connection:
        if not exam_summaries.has_stale_readings(connection, reader_fingerprint):
            return
        stale = exam_summaries.stale_exams(connection, numbers, reader_fingerprint)
    for number in stale:
        with app.database.write() as connection:
            read_again(app, connection, [number])


def _give_way(app: App) -> None:
    """Let whatever is live go first."""
    until = time.monotonic() + LONGEST_YIELD
    while time.monotonic() < until and _is_busy(app):
        time.sleep(_LOOK_SECONDS)


def _is_busy(app: App) -> bool:
    now = datetime.now(UTC)
    with app.database.read() as connection:
        for queue in (receipt_table, exam_table):
            waiting = select(queue.c.id).where(queue.c.state == State.WAITING, queue.c.due_at <= now).limit(1)
            if connection.scalar(waiting) is not None:
                return True
    return False


def _await_turn(app: App, mine: Shard, stopped: Callable[[], bool]) -> bool:
    """Wait until another addendum may be issued; whether to go on and the part is still ours."""
    most = app.settings.service.reprocess.addenda_per_minute
    while not stopped():
        now = datetime.now(UTC)
        with app.database.write() as connection:
            if not reprocessing_runs.renew(connection, mine, at=now):
                return False
            if outbox.issued_since(connection, now - timedelta(minutes=1)) < most:
                return True
        time.sleep(_LOOK_SECONDS)
    return False


def _differences(app: App, connection: Connection, numbers: Sequence[int], scope: Scope) -> Iterator[Difference]:
    for visit, linked_patients in _answered(connection, numbers, scope):
        changed_inputs = app.provenance_tracker.changed_inputs(visit, linked_patients)
        difference = _difference(app, connection, visit, linked_patients, changed_inputs) if changed_inputs else None
        if difference is not None:
            yield difference


def _difference(
    app: App,
    connection: Connection,
    visit: ExamSummary,
    linked_patients: LinkedPatients,
    changed_inputs: tuple[ChangedInput, ...],
) -> Difference | None:
    (on_file,) = exams.load(connection, [visit.number])
    issued = outbox.latest(connection, visit.number)
    if issued is None:
        return None
    before = read_back(read_tree(read_elements(issued.data_set, ExplicitVRLittleEndian)))
    try:
        found = examine(connection, on_file, linked_patients, app.reference_data.clinical, app.provenance_tracker)
    except (ContradictionError, UnusableEvidenceError) as problem:
        kept = (before.overall, before.overall)
        return Difference(
            exam=visit.number,
            addendum=issued.number,
            changed_inputs=changed_inputs,
            overall=kept,
            regions={},
            held=str(problem),
        )
    if not found.is_new:
        return None
    after = read_back(document(found.interpretation))
    return Difference(
        exam=visit.number,
        addendum=issued.number,
        changed_inputs=changed_inputs,
        overall=(before.overall, after.overall),
        regions=_regions(before, after),
    )


def _regions(before: ReadBack, after: ReadBack) -> dict[str, dict[str, BeforeAfter]]:
    pairs: dict[str, dict[str, BeforeAfter]] = {}
    for key in sorted(before.regions.keys() | after.regions.keys()):
        was, is_now = before.regions.get(key, {}), after.regions.get(key, {})
        names = [name for name in sorted(was.keys() | is_now.keys()) if was.get(name) != is_now.get(name)]
        if names:
            pairs[key] = {name: (_told(was.get(name)), _told(is_now.get(name))) for name in names}
    flags = (", ".join(before.flags), ", ".join(after.flags))
    return pairs if flags[0] == flags[1] else {"": {"FLAG": flags}, **pairs}


def _told(values: Sequence[str] | None) -> str:
    return ", ".join(values or ())
