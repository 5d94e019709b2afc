"""Who does the work that is due: one loop reads receipts and follows exams up, one per destination empties its outbox.

The loops look at the database, woken by whoever changed it, and start a Prefect run only when there is work. A dead
archive keeps its own loop waiting and no other.
"""

import contextlib
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from flows.prefect_runner import Orchestration
from flows.shutdown import Stop
from pipeline.edge.app import App
from pipeline.edge.audit.forwarder import AuditForwarder
from pipeline.edge.configuration.service_settings import CallerSettings, DestinationSettings
from pipeline.edge.deliver import commitment_reporter, dispatcher
from pipeline.edge.errors import describe_error
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import AHEAD, claim_due, drain, follow_up
from pipeline.edge.history import query_retrieve
from pipeline.edge.operations import housekeeping
from pipeline.edge.store import work_queue
from pipeline.edge.store.database import StoreError
from pipeline.edge.store.schema import commitment_request as promise_table
from pipeline.edge.store.schema import delivery as delivery_table
from pipeline.edge.store.schema import exam as exam_table
from pipeline.edge.store.schema import history_query as inquiry_table
from pipeline.edge.store.schema import receipt as receipt_table

log = logging.getLogger(__name__)

LONGEST_LOOK = 1.0
"""Seconds between two looks at an idle database."""

PAUSE_AFTER_FAILURE = 2.0
"""Seconds to wait when the database could not be asked, or a loop failed in a way that nobody foresaw."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What one loop does: ``do`` what is due and tell when more will be, ``give_back`` what it has claimed."""

    name: str
    do: Callable[[App, Orchestration], datetime | None]
    requeue: Callable[[App], None]


def run_worker(current: Callable[[], App], stop: Stop) -> bool:
    """Do what is due until ``stop`` is set, then finish what is under way; whether nothing unforeseen ended it.

    ``current`` gives the house as it is now: its clinical configuration may be read anew between two looks.
    """
    app = current()
    with app.database.write() as connection:
        freed = work_queue.reclaim_from_dead_processes(connection)
    if freed:
        log.info("took over what a worker of this machine had left unfinished", extra={"count": freed})
    _recover(app, stop)
    looks = [_Look("follow-up", partial(_look_at_exams, stop), _requeue_exams)]
    for name in (destination.name for destination in app.settings.service.destination):
        looks.append(
            _Look(f"outbox of {name}", partial(_look_at_outbox, stop, name), partial(_requeue_deliveries, name))
        )
    for caller in commitment_reporter.callers_to_be_called(app.settings.service.listener.caller):
        look = partial(_poll_commitment_requests, caller)
        looks.append(_Look(f"promises to {caller.ae_title}", look, partial(_requeue_commitment_requests, caller)))
    for archive in (to for to in app.settings.service.destination if to.history):
        look = partial(_look_for_history, archive)
        looks.append(_Look(f"history in {archive.name}", look, partial(_requeue_history_queries, archive.name)))
    forwarder = AuditForwarder(app)
    looks.append(_Look("audit trail", lambda _app, _orchestration: forwarder.look(), lambda _app: None))
    unexpected_errors: list[str] = []
    threads = [threading.Thread(target=_loop, args=(current, stop, look, unexpected_errors)) for look in looks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return not unexpected_errors


def _recover(app: App, stop: Stop) -> None:
    """Read and follow up, one by one, what a worker had when it died: should one of them end us too, it is known."""
    while not stop.is_set() and extract_waiting(app, crash_suspects=True, stopped=stop.is_set):
        pass
    while not stop.is_set() and (numbers := claim_due(app.database, 1, crash_suspects=True)):
        follow_up(app, numbers)


def _loop(current: Callable[[], App], stop: Stop, look: _Look, unexpected_errors: list[str]) -> None:
    """Look for work, do it, wait to be woken; until told to stop."""
    try:
        _keep_looking(current, stop, look)
    except Exception as error:  # noqa: BLE001 - a loop that stood still would be a silent gap: the process begins anew
        log.critical("%s: unforeseen, ending this worker: %s", look.name, describe_error(error))
        unexpected_errors.append(look.name)
        stop.set()


def _keep_looking(current: Callable[[], App], stop: Stop, look: _Look) -> None:
    orchestration = Orchestration(current().settings.service.prefect)
    change_notification = current().database.change_notification()
    failed = False
    while not stop.is_set():
        app = current()
        try:
            if failed:
                look.requeue(app)
                log.info("%s: goes on", look.name)
                failed = False
            due = look.do(app, orchestration)
            change_notification.wait(min(LONGEST_LOOK, seconds_until(due)))
        except StoreError as failure:
            log.error("%s: the database could not be asked (%s); trying again", look.name, failure)
            failed = True
            stop.wait(PAUSE_AFTER_FAILURE)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong here, the other loops go on
            log.critical("%s: unforeseen, trying again: %s", look.name, describe_error(error))
            failed = True
            stop.wait(PAUSE_AFTER_FAILURE)
    change_notification.close()
    orchestration.close()


def _look_at_exams(stop: Stop, app: App, orchestration: Orchestration) -> datetime | None:
    """Read what came, follow up what is due or nearly so; when there will be more to do.

    Prefect takes a while to begin a run: this one is begun ``AHEAD`` of the time and waits there.
    """
    now = datetime.now(UTC)
    housekeeping.heed_clock(app, now)
    if extract_waiting(app, stopped=stop.is_set):
        return now
    with app.database.read() as connection:
        due = work_queue.next_due(connection, exam_table)
    begin = due - AHEAD if due is not None else None
    if begin is not None and begin <= now:
        orchestration.run(_follow_up_flow, partial(drain, app, stop.is_set), lambda: _requeue_exams(app))
        return now
    if housekeeping.is_overdue(app, now):
        log.warning("housekeeping is overdue, its schedule must have failed; doing it now")
        with contextlib.suppress(housekeeping.DamagedStoreError):  # which the log has told
            housekeeping.run_housekeeping(app)
    return begin


def _look_at_outbox(stop: Stop, destination: str, app: App, orchestration: Orchestration) -> datetime | None:
    """Send what is due; when there will be more to send."""
    with app.database.read() as connection:
        due = dispatcher.next_due(connection, destination)
    if due is None or due > datetime.now(UTC):
        return due
    orchestration.run(
        partial(_delivery_flow, destination),
        partial(dispatcher.empty, app, destination, stop.is_set),
        lambda: _requeue_deliveries(destination, app),
    )
    return datetime.now(UTC)


def _follow_up_flow() -> None:
    from flows.follow_up import follow_up as flow  # noqa: PLC0415 - Prefect is imported once its server answers

    flow()


def _delivery_flow(destination: str) -> None:
    from flows.delivery import delivery  # noqa: PLC0415 - as above

    delivery(destination)


def _poll_commitment_requests(caller: CallerSettings, app: App, _: Orchestration) -> datetime | None:
    """Tell a scanner what it asked for; when there will be more to tell."""
    due = commitment_reporter.next_due(app, caller)
    if due is None or due > datetime.now(UTC):
        return due
    commitment_reporter.report_due(app, caller)
    return datetime.now(UTC)


def _look_for_history(archive: DestinationSettings, app: App, _: Orchestration) -> datetime | None:
    """Ask an archive for what it has of a patient; when there will be more to ask."""
    with app.database.read() as connection:
        due = work_queue.next_due(connection, inquiry_table, where=inquiry_table.c.destination == archive.name)
    if due is None or due > datetime.now(UTC):
        return due
    query_retrieve.answer_due(app, archive)
    return datetime.now(UTC)


def _requeue_history_queries(archive: str, app: App) -> None:
    with app.database.write() as connection:
        work_queue.requeue(connection, inquiry_table, where=inquiry_table.c.destination == archive)


def _requeue_exams(app: App) -> None:
    with app.database.write() as connection:
        work_queue.requeue(connection, receipt_table)
        work_queue.requeue(connection, exam_table)


def _requeue_commitment_requests(caller: CallerSettings, app: App) -> None:
    theirs = promise_table.c.calling_ae_title == caller.ae_title
    with app.database.write() as connection:
        work_queue.requeue(connection, promise_table, where=theirs)


def _requeue_deliveries(destination: str, app: App) -> None:
    with app.database.write() as connection:
        work_queue.requeue(connection, delivery_table, where=delivery_table.c.destination == destination)


def seconds_until(moment: datetime | None) -> float:
    """How long until a moment, none at all when it has passed, for ever when there is none."""
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment else math.inf
