"""Dispatcher of the outbox: deliver what is due to each destination, and retry until delivery is confirmed.

Each destination has its own outbox. A problem of the destination as a whole is an outage: it is tried with one addendum
at a time, with back-off, and no attempt counts against an addendum. A problem of one addendum makes that one wait, and
the others go on; one that is refused again and again, while others are accepted, is held for a person.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from pipeline.edge.app import App
from pipeline.edge.configuration.destination_settings import Destination
from pipeline.edge.deliver.kinds import sender
from pipeline.edge.deliver.sender import (
    CommitmentAwaitedError,
    DeliveryError,
    DeliveryRefusedError,
    DeliveryUnavailableError,
    DeliveryUnconfirmedError,
    UndeliverableError,
    UnwritableError,
)
from pipeline.edge.dicom_net.client import back_off
from pipeline.edge.errors import UNEXPECTED, WORKER_LOST, describe_error, require_fault_of_one
from pipeline.edge.peer_problems import PeerUnavailableError, Problem
from pipeline.edge.store import destination_outages, outbox, work_queue
from pipeline.edge.store.outbox import Delivery
from pipeline.edge.store.schema import delivery as delivery_table

log = logging.getLogger(__name__)

BATCH = 50
BATCH_BYTES = 64 * 2**20
"""The most bytes of one batch, unless one addendum alone is larger: a page as an image has megabytes."""

COMMITMENT_WAIT = timedelta(minutes=10)
"""How long a destination may take to report its commitment before we store and request again."""

MOST_FAILURES = 10
"""Failures after which an addendum is held, if the destination accepts others; and worker crashes after which it is.

An exam is held after the third crash. An addendum is not: its bytes are our own, and whatever ends a worker finds one
under way.
"""

MOST_REFUSALS = 48
"""Refusals after which an addendum is held in any case: a day and a half of retries."""

OVERTAKING_WAIT = timedelta(seconds=5)
"""How long an addendum waits for an earlier one to the same exam that another worker is sending."""

SUPERSEDED = "superseded"
"""The reason for which a delivery is ignored: a later addendum takes its place in that destination."""

REFUSED = "refused"
UNANSWERED = "unanswered"
UNWRITABLE = "unwritable"
"""The reasons for which a delivery is held.

It was refused, the connection ended whenever it was sent, or a letter of it is not in the destination's character set.
"""


def next_due(connection: Connection, destination: str) -> datetime | None:
    """Return when the next delivery to a destination is due; ``None`` when nothing waits for it."""
    due = work_queue.next_due(connection, delivery_table, destination=destination)
    if due is None:
        return None
    outage = destination_outages.current(connection, destination)
    return max(due, outage.due_at) if outage else due


def send_due(app: App, destination: str, stopped: Callable[[], bool]) -> tuple[int, int]:
    """Deliver all that is due to a destination, by its name, until ``stopped`` returns true.

    Returns how many were delivered, and how many were postponed.
    """
    (to,) = (to for to in app.settings.service.destination if to.name == destination)
    delivered = postponed = 0
    while not stopped() and (more := deliver_batch(app, to)) != (0, 0):
        delivered, postponed = delivered + more[0], postponed + more[1]
    return delivered, postponed


def deliver_batch(app: App, destination: Destination) -> tuple[int, int]:
    """Deliver one batch of what is due to a destination; return how many were delivered and how many postponed."""
    with app.database.write() as connection:
        outage = destination_outages.current(connection, destination.name)
        if outage and outage.due_at > datetime.now(UTC):
            return 0, 0
        limit = 1 if outage else BATCH
        now = datetime.now(UTC)
        claimed = outbox.claim(connection, destination.name, limit=limit, at=now, max_bytes=BATCH_BYTES)
    loaded = _load(app, claimed, destination)
    if destination.takes_replacements:
        loaded = _without_replaced(app, loaded, destination)
    deliverable, suspects = _separate_crash_suspects(loaded)
    for waiting in suspects:
        names = {"addendum": waiting.addendum.number, "destination": destination.name}
        _hold(app, waiting.number, names, WORKER_LOST, f"its worker ended {waiting.worker_crashes} times")
    return _Batch(app, destination, deliverable).send() if deliverable else (0, len(claimed))


def _load(app: App, numbers: Sequence[int], to: Destination) -> list[Delivery]:
    """Load deliveries by their numbers; hold one that cannot be loaded."""
    try:
        with app.database.read() as connection:
            return outbox.deliveries(connection, numbers)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are loaded
        require_fault_of_one(error)
        if len(numbers) > 1:
            return [delivery for number in numbers for delivery in _load(app, [number], to)]
        _hold(app, numbers[0], {"destination": to.name}, UNEXPECTED, describe_error(error))
        return []


def _without_replaced(app: App, loaded: Sequence[Delivery], to: Destination) -> list[Delivery]:
    """Settle the deliveries whose addendum has been superseded, and postpone those that might overtake an earlier one.

    In such a destination the addendum that comes last is the one that counts, so the order must be that of authoring
    also where several workers deliver.
    """
    numbers = [waiting.number for waiting in loaded]
    with app.database.write() as connection:
        superseded = outbox.superseded(connection, to.name, numbers)
        for number in superseded:
            work_queue.ignore(
                connection, delivery_table, number, reason=SUPERSEDED, detail="a later one takes its place"
            )
        overtaking = outbox.overtaking(connection, to.name, numbers)
        for number in overtaking:
            until = datetime.now(UTC) + OVERTAKING_WAIT
            detail = "an earlier addendum to the exam is being sent"
            work_queue.postpone(connection, delivery_table, number, until=until, reason=SUPERSEDED, detail=detail)
    return [waiting for waiting in loaded if waiting.number not in superseded | overtaking]


class _Batch:
    """Deliveries that go to one destination over one connection."""

    def __init__(self, app: App, destination: Destination, claimed: Sequence[Delivery]) -> None:
        self._app, self._to, self._claimed = app, destination, claimed
        self._sender = sender(destination, app.settings.service, app.database)
        self._delivered = self._postponed = 0

    def send(self) -> tuple[int, int]:
        """Send them; return how many were delivered, and how many were postponed."""
        attempt = max(waiting.attempts for waiting in self._claimed)
        problems = self._sender.deliver([waiting.addendum for waiting in self._claimed], attempt=attempt)
        answered = False
        problem: DeliveryError | None = None
        try:
            with closing(problems):
                for waiting, problem in zip(self._claimed, problems, strict=False):
                    self._record_or_hold(waiting, problem)
                    answered = answered or not isinstance(problem, DeliveryUnavailableError)
        except PeerUnavailableError as unavailable:
            self._finish(unavailable)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one destination, the others get theirs
            require_fault_of_one(error)
            self._finish(PeerUnavailableError(Problem.UNEXPECTED, error=describe_error(error)))
        else:
            self._finish(None if answered else problem or PeerUnavailableError(Problem.ASSOCIATION_ENDED))
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
                outbox.record_delivery(connection, waiting.number, proof=self._sender.proof, at=now)
                self._delivered += 1
                log.info("delivered", extra={**names, "proof": self._sender.proof})
                return
            self._postponed += 1
            reason, detail = problem.problem.key, str(problem)
            if (held_for := self._reason_to_hold(connection, waiting, problem, now)) is None:
                until = now + self._wait(waiting, problem)
                work_queue.postpone(
                    connection, delivery_table, waiting.number, until=until, reason=reason, detail=detail
                )
        if held_for is not None:
            _hold(self._app, waiting.number, names, held_for, detail)
        else:
            level = logging.INFO if isinstance(problem, CommitmentAwaitedError) else logging.WARNING
            log.log(level, "not delivered yet", extra={**names, "reason": reason, "detail": detail})

    def _finish(self, problem: DeliveryError | PeerUnavailableError | None) -> None:
        """Requeue what was not tried, and record an outage or its end."""
        name, now = self._to.name, datetime.now(UTC)
        with self._app.database.write() as connection:
            own = delivery_table.c.id.in_([waiting.number for waiting in self._claimed])
            work_queue.requeue(connection, delivery_table, where=own)
            outage = destination_outages.current(connection, name)
            if problem is not None:
                wait = back_off(outage.attempts + 1 if outage else 1, self._longest)
                destination_outages.record_failure(connection, name, wait=wait, detail=str(problem), at=now)
            elif outage is not None:
                destination_outages.end(connection, name)
        if problem is not None:
            seconds = round(wait.total_seconds())
            extra = {"destination": name, "reason": problem.problem.key, "detail": str(problem), "seconds": seconds}
            log.warning("takes nothing at present; trying again later", extra=extra)
        elif outage is not None:
            log.info("takes addenda again", extra={"destination": name, "attempts": outage.attempts})

    def _reason_to_hold(
        self, connection: Connection, waiting: Delivery, problem: DeliveryError, now: datetime
    ) -> str | None:
        """Return the reason to hold an addendum, if the problem is its own and not the destination's."""
        if isinstance(problem, UnwritableError):
            return UNWRITABLE
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


def _separate_crash_suspects(claimed: Sequence[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    suspects = [waiting for waiting in claimed if waiting.worker_crashes >= MOST_FAILURES]
    return [waiting for waiting in claimed if waiting not in suspects], suspects


def _hold(app: App, number: int, names: Mapping[str, object], reason: str, detail: str) -> None:
    with app.database.write() as connection:
        work_queue.hold(connection, delivery_table, number, reason=reason, detail=detail)
    log.error("held", extra={**names, "reason": reason, "detail": detail})
