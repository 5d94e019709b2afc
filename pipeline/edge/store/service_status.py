"""Status of the service as ``dxatrend status`` and the desk show it: received, waiting, delivered, held."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, func, select

from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.store import destination_outages, open_work, scanner_activity, scanners, senders, work_queue
from pipeline.edge.store.scanner_activity import ScannerStatus
from pipeline.edge.store.scanners import Respelt, UnidentifiedScanner
from pipeline.edge.store.schema import commitment_request, delivery, exam, history_query, receipt
from pipeline.edge.store.schema_base import State
from pipeline.edge.store.senders import NewSender

DAY = timedelta(hours=24)


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

    The oldest of what waits is told by when it was due; an exam is due a while after its last report.
    ``late`` are the numbers of exams received long after their date, which nobody has confirmed.
    """

    received: int
    to_be_read: int
    exams_waiting: int
    commitments_waiting: int
    oldest_to_be_read: datetime | None
    oldest_exam_waiting: datetime | None
    oldest_commitment_waiting: datetime | None
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


def status(
    connection: Connection,
    destinations: Sequence[str],
    at: datetime,
    *,
    reference_data: ReferenceData | None = None,
    archives: Sequence[str] = (),
) -> Status:
    """Return the state of the service now."""
    recent = receipt.c.received_at > at - DAY
    zone = reference_data.zone if reference_data else None
    reports, exams, commitments = (
        open_work.waiting_in(connection, queue) for queue in (receipt, exam, commitment_request)
    )
    return Status(
        received=_count(connection, receipt, receipt.c.historical.in_([False, True]) & recent),
        to_be_read=reports.count,
        exams_waiting=exams.count,
        commitments_waiting=commitments.count,
        oldest_to_be_read=reports.since,
        oldest_exam_waiting=exams.since,
        oldest_commitment_waiting=commitments.since,
        held=sum(_count(connection, queue, work_queue.waits_for_a_person(queue)) for queue in work_queue.QUEUES),
        late=tuple(connection.scalars(select(exam.c.id).where(_LATE).order_by(exam.c.id))),
        scanners=tuple(scanner_activity.of_scanners(connection, at, zone)),
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


_LATE = exam.c.late & exam.c.withdrawn.is_(None)


def _destination(connection: Connection, name: str, at: datetime) -> DestinationStatus:
    to_destination = delivery.c.destination == name
    waiting = to_destination & (delivery.c.state == State.WAITING)
    oldest = open_work.oldest_delivery(connection, name)
    outage = destination_outages.current(connection, name)
    return DestinationStatus(
        name=name,
        delivered=_count(connection, delivery, to_destination & (delivery.c.done_at > at - DAY)),
        backlog=_count(connection, delivery, waiting),
        held=_count(connection, delivery, to_destination & work_queue.waits_for_a_person(delivery)),
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
