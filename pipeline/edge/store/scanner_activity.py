"""What each scanner has sent: its last exam, how many exams of late, and what became of those received today.

Every question is answered from an index: its cost grows with the exams of a month, not with those on file.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from sqlalchemy import Connection, Row, Select, and_, exists, false, func, select

from pipeline.edge.store.schema import addendum, delivery, exam, reading, receipt, scanner
from pipeline.edge.store.schema_base import State

PERIODS = (1, 7, 30)
"""Days over which the exams of a scanner are counted, the present moment included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerStatus:
    """One scanner on file: when it was last heard of, its last exam in local time, and its exams of so many days.

    ``reports_today`` and ``exams_today`` were received since midnight; of these exams, ``answered_today`` have got an
    addendum since, and ``delivered_today`` have all of theirs in every destination.
    """

    manufacturer: str
    model: str
    serial_number: str
    last_seen_at: datetime
    last_exam_at: datetime | None
    exams_in_days: dict[int, int]
    reports_today: int
    exams_today: int
    answered_today: int
    delivered_today: int


def of_scanners(connection: Connection, at: datetime, zone: tzinfo | None = None) -> list[ScannerStatus]:
    """Return every scanner on file by manufacturer, model and serial number; ``zone`` is that of the department."""
    here = at.astimezone(zone)
    midnight = datetime.combine(here.date(), time.min, zone).astimezone(UTC)
    today = {row.scanner_id: row for row in connection.execute(_today(midnight))}
    return [_status(row, today.get(row.id)) for row in connection.execute(_known(here.replace(tzinfo=None)))]


def _status(row: Row[tuple[object, ...]], today: Row[tuple[object, ...]] | None) -> ScannerStatus:
    values = row._mapping
    return ScannerStatus(
        manufacturer=values["manufacturer"],
        model=values["model"],
        serial_number=values["serial_number"],
        last_seen_at=values["last_seen_at"],
        last_exam_at=values["last_exam_at"],
        exams_in_days={days: values[f"in_{days}"] for days in PERIODS},
        reports_today=today._mapping["reports"] if today else 0,
        exams_today=today._mapping["exams"] if today else 0,
        answered_today=today._mapping["answered"] if today else 0,
        delivered_today=today._mapping["delivered"] if today else 0,
    )


def _known(here: datetime) -> Select[tuple[object, ...]]:
    """Select the scanners, each with its last exam and the counts of a few days; the time is the scanner's own."""
    own = exam.c.scanner_id == scanner.c.id
    last = select(func.max(exam.c.performed_at)).where(own).scalar_subquery().label("last_exam_at")
    counts = [
        select(func.count())
        .select_from(exam)
        .where(own, exam.c.performed_at > here - timedelta(days=days))
        .scalar_subquery()
        .label(f"in_{days}")
        for days in PERIODS
    ]
    columns = (scanner.c.id, scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number, scanner.c.last_seen_at)
    return select(*columns, last, *counts).order_by(scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)


def _today(midnight: datetime) -> Select[tuple[object, ...]]:
    """Select by scanner what was received since a moment, without imported history, and what became of it."""
    received = (
        select(reading.c.exam_id, exam.c.scanner_id, func.count().label("reports"))
        .select_from(receipt)
        .join(reading, reading.c.receipt_id == receipt.c.id)
        .join(exam, exam.c.id == reading.c.exam_id)
        .where(receipt.c.historical == false(), receipt.c.received_at >= midnight)
        .group_by(reading.c.exam_id, exam.c.scanner_id)
        .subquery()
    )
    own = and_(addendum.c.exam_id == received.c.exam_id, addendum.c.authored_at >= midnight)
    answered = exists(select(addendum.c.id).where(own))
    deliveries = select(delivery.c.id).join(addendum, addendum.c.id == delivery.c.addendum_id).where(own)
    on_the_way = exists(deliveries.where(delivery.c.state != State.DONE))
    count = func.count
    return select(
        received.c.scanner_id,
        func.sum(received.c.reports).label("reports"),
        count().label("exams"),
        count().filter(answered).label("answered"),
        count().filter(exists(deliveries) & ~on_the_way).label("delivered"),
    ).group_by(received.c.scanner_id)
