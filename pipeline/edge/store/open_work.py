"""Open work: what waits at each stage since when, and the days on which each scanner made exams."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import Connection, Table, func, select

from pipeline.edge.store import phantom_scans
from pipeline.edge.store.schema import addendum, delivery, exam, history_query, reading, receipt, scanner
from pipeline.edge.store.schema_base import State

STAGES: dict[str, Table] = {"extract": receipt, "compare": exam, "deliver": delivery}
"""The queue of each stage."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits at a stage: how much, and since when the first of it is due."""

    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class OldestDelivery:
    """The delivery that waits longest for a destination: when its addendum was authored, and why it was not taken."""

    authored_at: datetime
    reason: str
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerDays:
    """The days on which a scanner made exams, in order; when it was last heard of; and its last phantom scan."""

    number: int
    manufacturer: str
    model: str
    serial_number: str
    last_seen_at: datetime
    last_phantom_at: datetime | None
    days: tuple[date, ...] = ()

    def __str__(self) -> str:
        return f"{self.model} {self.serial_number or 'without a serial number'}".strip()


def waiting(connection: Connection) -> dict[str, Waiting]:
    """Return what waits at each stage."""
    return {stage: waiting_in(connection, queue) for stage, queue in STAGES.items()}


def waiting_in(connection: Connection, queue: Table) -> Waiting:
    """Return what waits in one queue."""
    query = select(func.count().label("number"), func.min(queue.c.due_at).label("since"))
    row = connection.execute(query.where(queue.c.state == State.WAITING)).one()
    return Waiting(row.number, row.since)


def oldest_delivery(connection: Connection, destination: str) -> OldestDelivery | None:
    """Return the delivery that waits longest for a destination."""
    row = connection.execute(
        select(addendum.c.authored_at, delivery.c.reason, delivery.c.detail)
        .join(addendum, addendum.c.id == delivery.c.addendum_id)
        .where(delivery.c.destination == destination, delivery.c.state == State.WAITING)
        .order_by(delivery.c.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else OldestDelivery(row.authored_at, row.reason or "", row.detail)


def oldest_question(connection: Connection, archive: str) -> datetime | None:
    """Return when the question was asked that waits longest for an answer of an archive."""
    query = select(func.min(history_query.c.requested_at)).where(
        history_query.c.destination == archive, history_query.c.state == State.WAITING
    )
    found: datetime | None = connection.scalar(query)
    return found


def scanner_days(connection: Connection, *, since: date) -> list[ScannerDays]:
    """Return each scanner's days with exams from a day on."""
    begin = datetime.combine(since, datetime.min.time())
    day = func.date(reading.c.performed_at)
    query = (
        select(exam.c.scanner_id, day.label("day"))
        .join(exam, exam.c.id == reading.c.exam_id)
        .where(reading.c.performed_at >= begin, exam.c.withdrawn.is_(None))
        .distinct()
    )
    days: dict[int, set[date]] = {}
    for row in connection.execute(query):
        days.setdefault(row.scanner_id, set()).add(_date(row.day))
    return [replace(one, days=tuple(sorted(days.get(one.number, ())))) for one in scanners_seen(connection)]


def scanners_seen(connection: Connection) -> list[ScannerDays]:
    """Return each scanner, when it was last heard of, and its last phantom scan."""
    phantoms = phantom_scans.last_performed_at(connection)
    known = select(scanner).order_by(scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)
    return [
        ScannerDays(
            number=row.id,
            manufacturer=row.manufacturer,
            model=row.model,
            serial_number=row.serial_number,
            last_seen_at=row.last_seen_at,
            last_phantom_at=phantoms.get(row.id),
        )
        for row in connection.execute(known)
    ]


def last_seen(connection: Connection) -> dict[int, datetime]:
    """Return when each scanner was last heard of, by its number."""
    return {row.id: row.last_seen_at for row in connection.execute(select(scanner.c.id, scanner.c.last_seen_at))}


def receipts_since(connection: Connection, since: datetime) -> int:
    """Return how many instances were received from a moment on."""
    return connection.execute(
        select(func.count()).select_from(receipt).where(receipt.c.received_at >= since)
    ).scalar_one()


def first_receipt_at(connection: Connection) -> datetime | None:
    """Return when the first instance was received."""
    found: datetime | None = connection.scalar(select(func.min(receipt.c.received_at)))
    return found


def _date(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value
