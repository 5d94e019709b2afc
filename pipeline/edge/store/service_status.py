"""Status of the service as ``dxatrend status`` and ``held`` print it: received, waiting, delivered, held."""

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
"""Queue by the letter before a held number; a plain number is a receipt's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerStatus:
    """One scanner on file."""

    manufacturer: str
    model: str
    serial_number: str
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStatus:
    """Deliveries to one destination: delivered in the last 24 hours, waiting (``backlog``) and held.

    ``oldest`` is the time of the first that waits. During an outage, ``away_since`` is its begin and ``next_try`` the
    next attempt.
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
    """Queries for prior reports to one archive: its last response, and how many patients' are unanswered.

    ``unanswered_since`` is the time of the first of these; ``last_problem`` is why its last attempt failed.
    """

    name: str
    last_answer: datetime | None
    unanswered: int
    unanswered_since: datetime | None
    next_try: datetime | None
    last_problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """State of the whole service; ``received`` counts the last 24 hours.

    ``late`` are the numbers of exams received long after their date, which nobody has confirmed.
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
        """Whether nothing waits to be extracted, followed up or delivered; held work does not count."""
        return not (self.to_be_read or self.exams_waiting or any(to.backlog for to in self.destinations))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldWork:
    """One piece of held work; ``number`` is the argument of ``dxatrend release``."""

    number: str
    what: str
    since: datetime
    reason: str
    detail: str
    sender: str
    """Calling AE title and host of its sender; of several reports each sender once."""


def status(
    connection: Connection,
    destinations: Sequence[str],
    at: datetime,
    *,
    reference_data: ReferenceData | None = None,
    archives: Sequence[str] = (),
) -> Status:
    """Return the state of the service now."""
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
    """Return the held work, the longest held first."""
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
    """Return the senders of receipts, requests or exams by number; other work has none."""
    if queue is exam:
        return {number: ", ".join(map(str, of)) for number, of in senders.of_exams(connection, numbers).items()}
    if "calling_ae_title" not in queue.c:
        return {}
    host = queue.c.host if "host" in queue.c else literal("")
    query = select(queue.c.id, queue.c.calling_ae_title, host.label("host")).where(queue.c.id.in_(numbers))
    return {row.id: str(Sender(ae_title=row.calling_ae_title, host=row.host)) for row in connection.execute(query)}


def _held_in(queue: Table) -> Select[tuple[int, datetime, str, str]]:
    held = select(queue.c.id, queue.c.due_at, queue.c.reason, queue.c.detail).where(queue.c.state == State.HELD)
    return held.order_by(queue.c.due_at, queue.c.id)


_LATE = exam.c.late & exam.c.withdrawn.is_(None)


def _destination(connection: Connection, name: str, at: datetime) -> DestinationStatus:
    to_destination = delivery.c.destination == name
    waiting = to_destination & (delivery.c.state == State.WAITING)
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
        delivered=_count(connection, delivery, to_destination & (delivery.c.done_at > at - DAY)),
        backlog=_count(connection, delivery, waiting),
        held=_count(connection, delivery, to_destination & (delivery.c.state == State.HELD)),
        oldest=oldest.authored_at if oldest else None,
        last_problem=outage.detail if outage else oldest.detail if oldest else None,
        away_since=outage.since if outage else None,
        next_try=outage.due_at if outage else None,
    )


def _history(connection: Connection, name: str) -> HistoryStatus:
    to_archive = history_query.c.destination == name
    waiting = to_archive & (history_query.c.state == State.WAITING)
    unanswered = connection.execute(
        select(
            func.count().label("queries"),
            func.min(history_query.c.requested_at).label("since"),
            func.min(history_query.c.due_at).label("next_try"),
        ).where(waiting)
    ).one()
    tried = select(history_query.c.detail).where(waiting, history_query.c.detail.is_not(None))
    return HistoryStatus(
        name=name,
        last_answer=connection.scalar(select(func.max(history_query.c.responded_at)).where(to_archive)),
        unanswered=unanswered.queries,
        unanswered_since=unanswered.since,
        next_try=unanswered.next_try,
        last_problem=connection.scalar(tried.order_by(history_query.c.due_at.desc()).limit(1)),
    )


def _count(connection: Connection, table: Table, which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(which)).scalar_one()
