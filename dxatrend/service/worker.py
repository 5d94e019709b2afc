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
from pipeline.edge.app import House
from pipeline.edge.audit.forwarder import AuditFeed
from pipeline.edge.configuration.settings import CallerSettings, DestinationSettings
from pipeline.edge.deliver import dispatcher
from pipeline.edge.errors import where_it_happened
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import AHEAD, claim_due, drain, follow_up
from pipeline.edge.history import query_retrieve
from pipeline.edge.operations import housekeeping
from pipeline.edge.receive import storage_commitment_scp
from pipeline.edge.store import work_queue
from pipeline.edge.store.database import StoreFailed
from pipeline.edge.store.schema import delivery as delivery_table
from pipeline.edge.store.schema import exam as exam_table
from pipeline.edge.store.schema import inquiry as inquiry_table
from pipeline.edge.store.schema import promise as promise_table
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
    do: Callable[[House, Orchestration], datetime | None]
    give_back: Callable[[House], None]


def run_worker(current: Callable[[], House], stop: Stop) -> bool:
    """Do what is due until ``stop`` is set, then finish what is under way; whether nothing unforeseen ended it.

    ``current`` gives the house as it is now: its clinical configuration may be read anew between two looks.
    """
    house = current()
    with house.database.write() as connection:
        freed = work_queue.reclaim_from_the_dead(connection)
    if freed:
        log.info("took over what a worker of this machine had left unfinished", extra={"count": freed})
    _recover(house, stop)
    looks = [_Look("follow-up", partial(_look_at_exams, stop), _give_back_exams)]
    for name in (destination.name for destination in house.settings.service.destination):
        looks.append(
            _Look(f"outbox of {name}", partial(_look_at_outbox, stop, name), partial(_give_back_deliveries, name))
        )
    for caller in storage_commitment_scp.callers_to_be_called(house.settings.service.listener.caller):
        look = partial(_look_at_promises, caller)
        looks.append(_Look(f"promises to {caller.ae_title}", look, partial(_give_back_promises, caller)))
    for archive in (to for to in house.settings.service.destination if to.history):
        look = partial(_look_for_history, archive)
        looks.append(_Look(f"history in {archive.name}", look, partial(_give_back_inquiries, archive.name)))
    feed = AuditFeed(house)
    looks.append(_Look("audit trail", lambda _house, _orchestration: feed.look(), lambda _house: None))
    mishaps: list[str] = []
    threads = [threading.Thread(target=_loop, args=(current, stop, look, mishaps)) for look in looks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return not mishaps


def _recover(house: House, stop: Stop) -> None:
    """Read and follow up, one by one, what a worker had when it died: should one of them end us too, it is known."""
    while not stop.is_set() and extract_waiting(house, suspects=True, stopped=stop.is_set):
        pass
    while not stop.is_set() and (numbers := claim_due(house, 1, suspects=True)):
        follow_up(house, numbers)


def _loop(current: Callable[[], House], stop: Stop, look: _Look, mishaps: list[str]) -> None:
    """Look for work, do it, wait to be woken; until told to stop."""
    try:
        _keep_looking(current, stop, look)
    except Exception as error:  # noqa: BLE001 - a loop that stood still would be a silent gap: the process begins anew
        log.critical("%s: unforeseen, ending this worker: %s", look.name, where_it_happened(error))
        mishaps.append(look.name)
        stop.set()


def _keep_looking(current: Callable[[], House], stop: Stop, look: _Look) -> None:
    orchestration = Orchestration(current().settings.service.prefect)
    bell = current().database.bell()
    failed = False
    while not stop.is_set():
        house = current()
        try:
            if failed:
                look.give_back(house)
                log.info("%s: goes on", look.name)
                failed = False
            due = look.do(house, orchestration)
            bell.wait(min(LONGEST_LOOK, seconds_until(due)))
        except StoreFailed as failure:
            log.error("%s: the database could not be asked (%s); trying again", look.name, failure)
            failed = True
            stop.wait(PAUSE_AFTER_FAILURE)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong here, the other loops go on
            log.critical("%s: unforeseen, trying again: %s", look.name, where_it_happened(error))
            failed = True
            stop.wait(PAUSE_AFTER_FAILURE)
    bell.close()
    orchestration.close()


def _look_at_exams(stop: Stop, house: House, orchestration: Orchestration) -> datetime | None:
    """Read what came, follow up what is due or nearly so; when there will be more to do.

    Prefect takes a while to begin a run: this one is begun ``AHEAD`` of the time and waits there.
    """
    now = datetime.now(UTC)
    housekeeping.heed_clock(house, now)
    if extract_waiting(house, stopped=stop.is_set):
        return now
    with house.database.read() as connection:
        due = work_queue.next_due(connection, exam_table)
    begin = due - AHEAD if due is not None else None
    if begin is not None and begin <= now:
        orchestration.run(_follow_up_flow, partial(drain, house, stop.is_set), lambda: _give_back_exams(house))
        return now
    if housekeeping.is_overdue(house, now):
        log.warning("housekeeping is overdue, its schedule must have failed; doing it now")
        with contextlib.suppress(housekeeping.DamagedStore):  # which the log has told
            housekeeping.keep_house(house)
    return begin


def _look_at_outbox(stop: Stop, destination: str, house: House, orchestration: Orchestration) -> datetime | None:
    """Send what is due; when there will be more to send."""
    with house.database.read() as connection:
        due = dispatcher.next_due(connection, destination)
    if due is None or due > datetime.now(UTC):
        return due
    orchestration.run(
        partial(_delivery_flow, destination),
        partial(dispatcher.empty, house, destination, stop.is_set),
        lambda: _give_back_deliveries(destination, house),
    )
    return datetime.now(UTC)


def _follow_up_flow() -> None:
    from flows.follow_up import follow_up as flow  # noqa: PLC0415 - Prefect is imported once its server answers

    flow()


def _delivery_flow(destination: str) -> None:
    from flows.delivery import delivery  # noqa: PLC0415 - as above

    delivery(destination)


def _look_at_promises(caller: CallerSettings, house: House, _: Orchestration) -> datetime | None:
    """Tell a scanner what it asked for; when there will be more to tell."""
    due = storage_commitment_scp.next_due(house, caller)
    if due is None or due > datetime.now(UTC):
        return due
    storage_commitment_scp.tell_due(house, caller)
    return datetime.now(UTC)


def _look_for_history(archive: DestinationSettings, house: House, _: Orchestration) -> datetime | None:
    """Ask an archive for what it has of a patient; when there will be more to ask."""
    with house.database.read() as connection:
        due = work_queue.next_due(connection, inquiry_table, where=inquiry_table.c.destination == archive.name)
    if due is None or due > datetime.now(UTC):
        return due
    query_retrieve.answer_due(house, archive)
    return datetime.now(UTC)


def _give_back_inquiries(archive: str, house: House) -> None:
    with house.database.write() as connection:
        work_queue.give_back(connection, inquiry_table, where=inquiry_table.c.destination == archive)


def _give_back_exams(house: House) -> None:
    with house.database.write() as connection:
        work_queue.give_back(connection, receipt_table)
        work_queue.give_back(connection, exam_table)


def _give_back_promises(caller: CallerSettings, house: House) -> None:
    theirs = promise_table.c.calling_ae_title == caller.ae_title
    with house.database.write() as connection:
        work_queue.give_back(connection, promise_table, where=theirs)


def _give_back_deliveries(destination: str, house: House) -> None:
    with house.database.write() as connection:
        work_queue.give_back(connection, delivery_table, where=delivery_table.c.destination == destination)


def seconds_until(moment: datetime | None) -> float:
    """How long until a moment, none at all when it has passed, for ever when there is none."""
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment else math.inf
