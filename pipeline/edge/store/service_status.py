"""How do things stand: received, waiting, delivered, held, and since when?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, Table, func, literal, select

from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.store import destination_outages, scanners, senders, work_queue
from pipeline.edge.store.scanners import Respelt, UnidentifiedScanner
from pipeline.edge.store.schema import (
    State,
    addendum,
    commitment_request,
    delivery,
    exam,
    history_query,
    receipt,
    scanner,
)
from pipeline.edge.store.senders import NewSender, Sender

DAY = timedelta(hours=24)

KINDS: dict[str, Table] = {"": receipt, "E": exam, "D": delivery, "C": commitment_request, "Q": history_query}
"""What a letter before a held number means; a plain number is a receipt's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerStatus:
    """One machine we have heard of."""

    manufacturer: str
    model: str
    serial_number: str
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStatus:
    """One archive: what it got in the last 24 hours, what it still has to get and since when that waits.

    ``held`` of its deliveries wait for a person; while it takes nothing, ``away_since`` and ``next_try`` say since when
    and when it is tried again.
    """

    name: str
    delivered: int
    backlog: int
    held: int
    oldest: datetime | None
    last_problem: str | None
    away_since: datetime | None
    next_try: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStatus:
    """One archive that is asked for earlier reports: when it last answered, and of how many patients it still has to.

    ``unanswered_since`` is when the first of these was asked about; ``last_problem`` why it was in vain.
    """

    name: str
    last_answer: datetime | None
    unanswered: int
    unanswered_since: datetime | None
    next_try: datetime | None
    last_problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything an administrator asks at 7 in the morning; ``received`` is of the last 24 hours.

    ``late`` are the numbers of the exams that came long after their date, which nobody has confirmed.
    """

    received: int
    to_be_read: int
    exams_waiting: int
    held: int
    late: tuple[int, ...]
    scanners: tuple[ScannerStatus, ...]
    unidentified: tuple[UnidentifiedScanner, ...]
    respelt: tuple[Respelt, ...]
    new_senders: tuple[NewSender, ...]
    destinations: tuple[DestinationStatus, ...]
    history: tuple[HistoryStatus, ...]

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be read, followed up or delivered; what is held waits for a person."""
        return not (self.to_be_read or self.exams_waiting or any(to.backlog for to in self.destinations))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldWork:
    """One thing that waits for a person; ``number`` is what ``dxatrend release`` takes."""

    number: str
    what: str
    since: datetime
    reason: str
    detail: str
    sender: str
    """Who sent it: calling AE title and host, of several reports each sender once."""


def status(
    connection: Connection,
    destinations: Sequence[str],
    at: datetime,
    *,
    reference_data: ReferenceData | None = None,
    archives: Sequence[str] = (),
) -> Status:
    """How things stand now."""
    known = select(scanner).order_by(scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)
    return Status(
        received=_count(connection, receipt, receipt.c.received_at > at - DAY),
        to_be_read=_count(connection, receipt, receipt.c.state == State.WAITING),
        exams_waiting=_count(connection, exam, exam.c.state == State.WAITING),
        held=sum(_count(connection, queue, queue.c.state == State.HELD) for queue in work_queue.QUEUES),
        late=tuple(connection.scalars(select(exam.c.id).where(_LATE).order_by(exam.c.id))),
        scanners=tuple(
            ScannerStatus(
                manufacturer=row.manufacturer,
                model=row.model,
                serial_number=row.serial_number,
                last_seen_at=row.last_seen_at,
            )
            for row in connection.execute(known)
        ),
        unidentified=tuple(scanners.not_identified(connection, reference_data.aliases if reference_data else ())),
        respelt=tuple(
            scanners.respelt(
                connection, reference_data.scanners, reference_data.spellings, reference_data.clinical.epochs
            )
            if reference_data
            else ()
        ),
        new_senders=tuple(senders.unconfirmed_senders(connection)),
        destinations=tuple(_destination(connection, name, at) for name in destinations),
        history=tuple(_history(connection, name) for name in archives),
    )


def held(connection: Connection) -> list[HeldWork]:
    """What waits for a person, the longest first."""
    found = [
        HeldWork(
            number=f"{letter}{row.id}",
            what=queue.name,
            since=row.due_at,
            reason=row.reason or "",
            detail=row.detail or "",
            sender=sent_by.get(row.id, ""),
        )
        for letter, queue in KINDS.items()
        for rows in (connection.execute(_held_in(queue)).all(),)
        for sent_by in (_senders(connection, queue, [row.id for row in rows]),)
        for row in rows
    ]
    return sorted(found, key=lambda work: work.since)


def _senders(connection: Connection, queue: Table, numbers: Sequence[int]) -> dict[int, str]:
    """By number who sent a receipt or a request, or the reports of an exam; the rest is our own."""
    if queue is exam:
        return {number: ", ".join(map(str, of)) for number, of in senders.of_exams(connection, numbers).items()}
    if "calling_ae_title" not in queue.c:
        return {}
    host = queue.c.host if "host" in queue.c else literal("")
    query = select(queue.c.id, queue.c.calling_ae_title, host).where(queue.c.id.in_(numbers))
    return {number: str(Sender(ae_title=title, host=host)) for number, title, host in connection.execute(query)}


def _held_in(queue: Table) -> Select[tuple[int, datetime, str, str]]:
    held = select(queue.c.id, queue.c.due_at, queue.c.reason, queue.c.detail).where(queue.c.state == State.HELD)
    return held.order_by(queue.c.due_at, queue.c.id)


_LATE = exam.c.late & exam.c.withdrawn.is_(None)


def _destination(connection: Connection, name: str, at: datetime) -> DestinationStatus:
    mine = delivery.c.destination == name
    waiting = mine & (delivery.c.state == State.WAITING)
    oldest = connection.execute(
        select(addendum.c.authored_at, delivery.c.detail)
        .join(addendum, addendum.c.id == delivery.c.addendum_id)
        .where(waiting)
        .order_by(delivery.c.id)
        .limit(1)
    ).one_or_none()
    outage = destination_outages.current(connection, name)
    return DestinationStatus(
        name=name,
        delivered=_count(connection, delivery, mine & (delivery.c.done_at > at - DAY)),
        backlog=_count(connection, delivery, waiting),
        held=_count(connection, delivery, mine & (delivery.c.state == State.HELD)),
        oldest=oldest.authored_at if oldest else None,
        last_problem=outage.detail if outage else oldest.detail if oldest else None,
        away_since=outage.since if outage else None,
        next_try=outage.due_at if outage else None,
    )


def _history(connection: Connection, name: str) -> HistoryStatus:
    theirs = history_query.c.destination == name
    waiting = theirs & (history_query.c.state == State.WAITING)
    unanswered = connection.execute(
        select(func.count(), func.min(history_query.c.requested_at), func.min(history_query.c.due_at)).where(waiting)
    ).one()
    tried = select(history_query.c.detail).where(waiting, history_query.c.detail.is_not(None))
    return HistoryStatus(
        name=name,
        last_answer=connection.scalar(select(func.max(history_query.c.responded_at)).where(theirs)),
        unanswered=unanswered[0],
        unanswered_since=unanswered[1],
        next_try=unanswered[2],
        last_problem=connection.scalar(tried.order_by(history_query.c.due_at.desc()).limit(1)),
    )


def _count(connection: Connection, table: Table, which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(which)).scalar_one()
