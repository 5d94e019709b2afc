"""Worker: one thread per queue polls the database and does the work that is due.

A thread is woken by whoever changes the database, and starts a Prefect run only where there is work. An archive that
does not answer delays its own queue and no other.
"""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import partial

from dxatrend.service import rest
from flows.prefect_runner import PrefectRunner
from flows.runtime import run_context
from flows.schedules import Schedules
from flows.shutdown import HANDLE_SECONDS, Stop
from pipeline.edge.alarms.alarm_loop import alarm_loop
from pipeline.edge.app import App
from pipeline.edge.audit.forwarder import AuditForwarder
from pipeline.edge.deliver.commitment_loop import commitment_loop
from pipeline.edge.deliver.commitment_reporter import callers_to_be_called
from pipeline.edge.deliver.outbox_loop import outbox_loop
from pipeline.edge.errors import describe_error
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import AHEAD, claim_due, drain, follow_up
from pipeline.edge.heartbeat import Heartbeat
from pipeline.edge.history.query_loop import query_loop
from pipeline.edge.live_configuration import is_as_in_files
from pipeline.edge.operations import housekeeping, scheduled_backup
from pipeline.edge.reprocess.requested_runs import requested_loop
from pipeline.edge.store import work_queue
from pipeline.edge.store.database import StoreError
from pipeline.edge.store.schema import exam as exam_table
from pipeline.edge.store.schema import receipt as receipt_table
from pipeline.edge.work_loop import RunWork, WorkLoop, nothing_claimed

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
"""How often an idle queue is polled where no change notification comes and nothing falls due: the clock may be set, and
a notification be lost with the network. What nothing announces is seen so much later."""

FILES_SECONDS = 60.0
"""How soon to compare the configuration files again that differ from the configuration of this worker."""

PAUSE_AFTER_FAILURE = 2.0
"""Seconds to wait where the database could not be queried, or a loop failed unexpectedly."""

_FLOWS = ("flows.follow_up", "flows.delivery")

_PREPARE = timedelta(seconds=20)
"""How long before an exam is due Prefect is imported, which takes three seconds."""


class Ending(Enum):
    """Why a worker has ended."""

    STOPPED = auto()
    RESTED = auto()
    FAILED = auto()


@dataclass(slots=True)
class _Queue:
    """A queue that a thread of this worker polls, with what runs its work under Prefect if anything does."""

    loop: WorkLoop
    prefect: PrefectRunner | None
    waits: bool = False
    """Whether it waits for work, so that nothing of it is under way."""


def run_worker(
    current: Callable[[], App], stop: Stop, *, schedules: Schedules | None = None, may_rest: bool = False
) -> Ending:
    """Do what is due until ``stop`` is set, then finish current work; return why it has ended.

    ``current`` returns the application context as it is now: its clinical configuration may be reloaded between polls.
    One worker of an installation also keeps the ``schedules``. One that ``may_rest`` ends as well when it has
    worked and then had no work for a time. It does not where another worker would do otherwise, because the
    configuration files were changed and nobody has had them reloaded, or while a loop is at work: the others would
    stand still until that ends.
    """
    app = current()
    with app.database.write() as connection:
        freed = work_queue.reclaim_from_dead_processes(connection)
    if freed:
        log.info("took over what a worker of this machine had left unfinished", extra={"count": freed})
    _recover(app, stop)
    failed: list[str] = []
    queues = _queues(app, stop)
    threads = [
        threading.Thread(target=_run_loop, args=(current, stop, one, failed), name=one.loop.name) for one in queues
    ]
    if schedules is not None:
        keep = partial(_keep_schedules, schedules, app, stop)
        threads.append(threading.Thread(target=keep, name="schedules"))
    has_rested, compare_at = False, 0.0
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(HANDLE_SECONDS)
            if not may_rest or stop.is_set() or time.monotonic() < compare_at or not _is_quiet(queues, schedules):
                continue
            if not is_as_in_files(current()):
                compare_at = time.monotonic() + FILES_SECONDS
            elif _is_quiet(queues, schedules):
                has_rested = True
                stop.set()
    if failed:
        return Ending.FAILED
    return Ending.RESTED if has_rested else Ending.STOPPED


def _is_quiet(queues: Sequence[_Queue], schedules: Schedules | None) -> bool:
    """Return whether there was work, then none for ``rest.QUIET_SECONDS``, and nothing is under way."""
    used = [one.prefect.used_at for one in queues if one.prefect is not None and one.prefect.used_at is not None]
    return (
        bool(used)
        and time.monotonic() - max(used) > rest.QUIET_SECONDS
        and all(one.waits for one in queues)
        and not (schedules is not None and schedules.are_at_work)
    )


def seconds_until(moment: datetime | None) -> float:
    """Return the seconds until a moment: 0 where it has passed, infinity where there is none."""
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment else math.inf


def _queues(app: App, stop: Stop) -> list[_Queue]:
    """Return every queue, with the loop that polls it."""
    service = app.settings.service
    prefect = PrefectRunner(service.prefect)
    run = _under_prefect(prefect, _follow_up_flow, stop)
    follow_ups = exam_loop(run=run, prepare=partial(prefect.prepare, _FLOWS), stopped=stop.is_set)
    queues = [_Queue(follow_ups, prefect)]
    for destination in service.destination:
        prefect = PrefectRunner(service.prefect)
        run = _under_prefect(prefect, partial(_delivery_flow, destination.name), stop)
        queues.append(_Queue(outbox_loop(destination.name, run=run, stopped=stop.is_set), prefect))
    loops = [commitment_loop(caller) for caller in callers_to_be_called(service.listener.caller)]
    loops += [query_loop(archive) for archive in service.archives]
    loops.append(requested_loop(stop.is_set))
    forwarder = AuditForwarder(app)
    loops.append(WorkLoop(name="audit trail", poll=lambda _: forwarder.poll(), requeue=nothing_claimed))
    loops.append(alarm_loop(app))
    return queues + [_Queue(loop, None) for loop in loops]


def exam_loop(*, run: RunWork, prepare: Callable[[], None], stopped: Callable[[], bool]) -> WorkLoop:
    """Return the loop that reads what was received, follows up exams, and does overdue housekeeping.

    Prefect takes a while to begin a run: one is begun ``AHEAD`` of the time an exam is due and waits there. What the
    run needs is loaded before, by ``prepare``.
    """

    def poll(app: App) -> datetime | None:
        now = datetime.now(UTC)
        housekeeping.adjust_to_clock(app.database, now)
        if extract_waiting(app, stopped=stopped):
            return now
        with app.database.read() as connection:
            due = work_queue.next_due(connection, exam_table)
        begin = due - AHEAD if due is not None else None
        if begin is not None and begin <= now:
            run(app, partial(drain, app, stopped), partial(requeue, app))
            return now
        if begin is not None and begin - now < _PREPARE:
            prepare()
        if housekeeping.is_overdue(app.database, now):
            log.warning("housekeeping is overdue, so its schedule must have failed; doing it now")
            with contextlib.suppress(housekeeping.DamagedStoreError):  # which has been logged
                housekeeping.run_housekeeping(app)
        if scheduled_backup.is_overdue(app, now):
            log.warning("the backup is overdue, so its schedule must have failed; doing it now")
            with contextlib.suppress(scheduled_backup.BackupFailedError):  # which has been logged
                scheduled_backup.back_up_by_schedule(app)
        return begin

    def requeue(app: App) -> None:
        with app.database.write() as connection:
            work_queue.requeue(connection, receipt_table)
            work_queue.requeue(connection, exam_table)

    return WorkLoop(name="follow-up", poll=poll, requeue=requeue)


def _under_prefect(prefect: PrefectRunner, flow: Callable[[], None], stop: Stop) -> RunWork:
    """Return what runs a flow that does the same work, while the Prefect server answers."""

    def run(app: App, work: Callable[[], object], requeue: Callable[[], None]) -> None:
        with run_context(app, stop.is_set):
            prefect.run(flow, work, requeue)

    return run


def _follow_up_flow() -> None:
    from flows.follow_up import follow_up as flow  # noqa: PLC0415 - Prefect is imported once its server answers

    flow()


def _delivery_flow(destination: str) -> None:
    from flows.delivery import delivery  # noqa: PLC0415 - as above

    delivery(destination)


def _recover(app: App, stop: Stop) -> None:
    """Do what a worker had claimed when it died one by one: should one of them end us too, it is known which."""
    while not stop.is_set() and extract_waiting(app, crash_suspects=True, stopped=stop.is_set):
        pass
    while not stop.is_set() and (numbers := claim_due(app.database, 1, crash_suspects=True)):
        follow_up(app, numbers)


def _run_loop(current: Callable[[], App], stop: Stop, queue: _Queue, failed: list[str]) -> None:
    """Poll a queue until it is time to stop; an error that nothing here handles ends the whole worker."""
    try:
        with contextlib.closing(queue.prefect) if queue.prefect else contextlib.nullcontext():
            _keep_polling(current, stop, queue)
    except Exception as error:  # noqa: BLE001 - a loop that stood still would be a silent gap: the process restarts
        log.critical("%s: unexpected error, ending this worker: %s", queue.loop.name, describe_error(error))
        failed.append(queue.loop.name)
        stop.set()


def _keep_schedules(schedules: Schedules, app: App, stop: Stop) -> None:
    """Keep the schedules until it is time to stop."""
    with Heartbeat(app.database, "schedules").kept():
        while not stop.is_set():
            try:
                schedules.keep(stop)
            except Exception as error:  # noqa: BLE001 - whatever is wrong here, the queues are worked on
                log.critical("schedules: unexpected error, trying again: %s", describe_error(error))
                stop.wait(PAUSE_AFTER_FAILURE)


def _keep_polling(current: Callable[[], App], stop: Stop, queue: _Queue) -> None:
    loop = queue.loop
    with contextlib.closing(current().database.change_notification(stop)) as change_notification:
        failed = False
        while not stop.is_set():
            queue.waits = False
            app = current()
            try:
                if failed:
                    loop.requeue(app)
                    log.info("%s: works again", loop.name)
                    failed = False
                due = loop.poll(app)
                queue.waits = True
                change_notification.wait(min(POLL_SECONDS, seconds_until(due)))
            except StoreError as failure:
                log.error("%s: the database could not be queried (%s); trying again", loop.name, failure)
                failed = True
                stop.wait(PAUSE_AFTER_FAILURE)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong here, the other loops go on
                log.critical("%s: unexpected error, trying again: %s", loop.name, describe_error(error))
                failed = True
                stop.wait(PAUSE_AFTER_FAILURE)
