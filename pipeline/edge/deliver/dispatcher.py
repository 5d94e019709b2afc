"""Which addenda wait for an archive, and when do we try again?

Each archive has its own outbox, and two kinds of trouble are told apart. What concerns the archive as a whole is an
outage: it is tried with one addendum at a time, after waits that grow, and no addendum is the worse for it. What
concerns one addendum makes that one wait, and the others go on; one that an archive refuses again and again, while it
takes others, is held for a person.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from pipeline.edge.app import App
from pipeline.edge.configuration.service_settings import DestinationSettings
from pipeline.edge.deliver.storage_scu import (
    CommitmentAwaitedError,
    DeliveryError,
    DeliveryRefusedError,
    DeliveryUnavailableError,
    DeliveryUnconfirmedError,
    UndeliverableError,
    deliver,
)
from pipeline.edge.dicom_net.client import PeerUnavailableError, back_off
from pipeline.edge.errors import UNEXPECTED, WORKER_LOST, describe_error, require_fault_of_one
from pipeline.edge.store import destination_outages, outbox, work_queue
from pipeline.edge.store.outbox import Delivery
from pipeline.edge.store.schema import delivery as delivery_table

log = logging.getLogger(__name__)

BATCH = 50
BATCH_BYTES = 64 * 2**20
"""What is sent at once may be so large in all, unless one alone is larger: a page as a picture has megabytes."""

PROVEN_BY = {"commitment": "commitment", "find": "C-FIND", "none": "answer to C-STORE"}
"""How the audit trail names each kind of proof."""

COMMITMENT_WAIT = timedelta(minutes=10)
"""How long an archive may take to commit itself before we store and ask again."""

MOST_FAILURES = 10
"""An addendum that failed so often, and at last while the archive took others, is held; or that lost so many workers.

It is not held after the third, as an exam is: its bytes are our own, and whatever ends a worker finds one under way.
"""

MOST_REFUSALS = 48
"""An addendum that was refused so often is held, whatever the archive does with others: a day and a half of trying."""

REFUSED = "refused"
UNANSWERED = "unanswered"
"""The reasons for which a delivery is held: the archive said no to it, or broke off whenever it was sent."""


def next_due(connection: Connection, destination: str) -> datetime | None:
    """When the next delivery to an archive is to be tried; ``None`` when nothing waits for it."""
    due = work_queue.next_due(connection, delivery_table, where=delivery_table.c.destination == destination)
    outage = destination_outages.current(connection, destination)
    return max(due, outage.due_at) if due and outage else due


def empty(app: App, destination: str, stopped: Callable[[], bool]) -> tuple[int, int]:
    """Send all that is due for a destination, by its name, or until it is time to stop.

    How many it has now, and how many wait for something.
    """
    (to,) = (to for to in app.settings.service.destination if to.name == destination)
    delivered = postponed = 0
    while not stopped() and (more := deliver_due(app, to)) != (0, 0):
        delivered, postponed = delivered + more[0], postponed + more[1]
    return delivered, postponed


def deliver_due(app: App, destination: DestinationSettings) -> tuple[int, int]:
    """Send one batch of what is due for a destination; how many it has now, and how many wait for something."""
    with app.database.write() as connection:
        outage = destination_outages.current(connection, destination.name)
        if outage and outage.due_at > datetime.now(UTC):
            return 0, 0
        limit = 1 if outage else BATCH
        now = datetime.now(UTC)
        claimed = outbox.claim(connection, destination.name, limit=limit, at=now, max_bytes=BATCH_BYTES)
    fit, lost = _apart(_load(app, claimed, destination))
    for waiting in lost:
        names = {"addendum": waiting.addendum.number, "destination": destination.name}
        _hold(app, waiting.number, names, WORKER_LOST, f"its worker ended {waiting.worker_crashes} times")
    return _Batch(app, destination, fit).send() if fit else (0, len(claimed))


def _load(app: App, numbers: Sequence[int], to: DestinationSettings) -> list[Delivery]:
    """The deliveries of these numbers; one that cannot be loaded is held."""
    try:
        with app.database.read() as connection:
            return outbox.deliveries(connection, numbers)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are loaded
        require_fault_of_one(error)
        if len(numbers) > 1:
            return [delivery for number in numbers for delivery in _load(app, [number], to)]
        _hold(app, numbers[0], {"destination": to.name}, UNEXPECTED, describe_error(error))
        return []


class _Batch:
    """Deliveries that go to one archive over one association."""

    def __init__(self, app: App, destination: DestinationSettings, claimed: Sequence[Delivery]) -> None:
        self._app, self._to, self._claimed = app, destination, claimed
        self._delivered = self._postponed = 0

    def send(self) -> tuple[int, int]:
        """Send them; how many the archive has now, and how many wait for something."""
        answers = deliver(
            [waiting.addendum for waiting in self._claimed],
            self._to,
            self._app.settings.service.listener.ae_title,
            attempt=max(waiting.attempts for waiting in self._claimed),
        )
        answered = False
        problem: DeliveryError | None = None
        try:
            with closing(answers):
                for waiting, problem in zip(self._claimed, answers, strict=False):
                    self._record_or_hold(waiting, problem)
                    answered = answered or not isinstance(problem, DeliveryUnavailableError)
        except PeerUnavailableError as unavailable:
            self._conclude(unavailable)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one archive, the others get theirs
            require_fault_of_one(error)
            self._conclude(PeerUnavailableError(f"{UNEXPECTED}: {describe_error(error)}"))
        else:
            self._conclude(None if answered else problem or PeerUnavailableError("the association ended"))
        return self._delivered, self._postponed

    def _record_or_hold(self, waiting: Delivery, problem: DeliveryError | None) -> None:
        try:
            self._record(waiting, problem)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are recorded
            require_fault_of_one(error)
            names = {"addendum": waiting.addendum.number, "destination": self._to.name}
            _hold(self._app, waiting.number, names, UNEXPECTED, describe_error(error))

    def _record(self, waiting: Delivery, problem: DeliveryError | None) -> None:
        now = datetime.now(UTC)
        names = {"addendum": waiting.addendum.number, "destination": self._to.name}
        with self._app.database.write() as connection:
            if problem is None:
                outbox.record_delivery(connection, waiting.number, proof=PROVEN_BY[self._to.proof], at=now)
                self._delivered += 1
                log.info("delivered", extra=names)
                return
            self._postponed += 1
            reason, detail = type(problem).__name__, str(problem)
            if (held_for := self._hopeless(connection, waiting, problem, now)) is None:
                until = now + self._wait(waiting, problem)
                work_queue.postpone(
                    connection, delivery_table, waiting.number, until=until, reason=reason, detail=detail
                )
        if held_for is not None:
            _hold(self._app, waiting.number, names, held_for, detail)
        else:
            level = logging.INFO if isinstance(problem, CommitmentAwaitedError) else logging.WARNING
            log.log(level, "not delivered yet", extra={**names, "reason": reason, "detail": detail})

    def _conclude(self, problem: DeliveryError | PeerUnavailableError | None) -> None:
        """Give back what was not tried, and note whether the archive answers at all."""
        name, now = self._to.name, datetime.now(UTC)
        with self._app.database.write() as connection:
            mine = delivery_table.c.id.in_([waiting.number for waiting in self._claimed])
            work_queue.requeue(connection, delivery_table, where=mine)
            outage = destination_outages.current(connection, name)
            if problem is not None:
                wait = back_off(outage.attempts + 1 if outage else 1, self._longest)
                destination_outages.record_failure(connection, name, wait=wait, detail=str(problem), at=now)
            elif outage is not None:
                destination_outages.end(connection, name)
        if problem is not None:
            extra = {"destination": name, "detail": str(problem), "seconds": round(wait.total_seconds())}
            log.warning("takes nothing at present; trying again later", extra=extra)
        elif outage is not None:
            log.info("takes addenda again", extra={"destination": name, "attempts": outage.attempts})

    def _hopeless(self, connection: Connection, waiting: Delivery, problem: DeliveryError, now: datetime) -> str | None:
        """The reason to hold it, if it is this addendum and not the archive that is in trouble."""
        if isinstance(problem, UndeliverableError):
            return UNEXPECTED
        if isinstance(problem, DeliveryUnconfirmedError) or waiting.attempts < MOST_FAILURES:
            return None
        refused = isinstance(problem, DeliveryRefusedError)
        lately = now - 2 * self._wait(waiting, problem)
        if (refused and waiting.attempts >= MOST_REFUSALS) or outbox.has_delivered_since(
            connection, self._to.name, since=lately
        ):
            return REFUSED if refused else UNANSWERED
        return None

    def _wait(self, waiting: Delivery, problem: DeliveryError) -> timedelta:
        if isinstance(problem, CommitmentAwaitedError):
            return COMMITMENT_WAIT
        return back_off(waiting.attempts, self._longest)

    @property
    def _longest(self) -> timedelta:
        return timedelta(seconds=self._to.longest_wait_seconds)


def _apart(claimed: Sequence[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    lost = [waiting for waiting in claimed if waiting.worker_crashes >= MOST_FAILURES]
    return [waiting for waiting in claimed if waiting not in lost], lost


def _hold(app: App, number: int, names: Mapping[str, object], reason: str, detail: str) -> None:
    with app.database.write() as connection:
        work_queue.hold(connection, delivery_table, number, reason=reason, detail=detail)
    log.error("held", extra={**names, "reason": reason, "detail": detail})
