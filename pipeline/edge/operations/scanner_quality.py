"""Record what people do about the quality control of a scanner: a remedy, or work on it; the audit trail has each."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.quality_control import stops
from pipeline.edge.store import audit_trail, exams, qc_stops, scanners
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.edge.store.qc_stops import Stop
from pipeline.errors import DxatrendError


class QualityRecordError(DxatrendError):
    """A stop, scanner, day or text that cannot be recorded; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedied:
    """A stop after its remedy: still open until a good scan follows, fit again, or annulled."""

    stop: Stop
    exams: int
    """Exams that are due again because it was annulled."""


def record_remedy(app: App, number: int, what: str, *, on: date | None = None, annul: bool = False) -> Remedied:
    """Record what was done about a stop on a day, today unless given.

    With ``annul`` it was not the scanner, as where the phantom lay askew: no exam carries its caution any more.

    Raises:
        QualityRecordError: there is no such stop, it has ended, the text is empty, or the day cannot be.
    """
    now = datetime.now(UTC)
    with app.database.write() as connection:
        stop = qc_stops.find(connection, number)
        day = _day(app, on, now=now, earliest=stop.shown_at.date() if stop else None)
        if stop is None:
            raise QualityRecordError(f"there is no stop of number {number}; dxatrend qc lists them")
        if not stop.is_open:
            raise QualityRecordError(f"stop {number} has ended already")
        text = _text(what, "what was done")
        detail = {"stop": number, "what": text, "on": str(day), "annulled": annul}
        entry = events.by_operator(Event.QC_REMEDIED, at=now, detail=detail)
        qc_stops.remedy(connection, number, what=text, on=day, by=entry.actor, at=now)
        again = 0
        if annul:
            qc_stops.annul(connection, number)
            again = exams.reexamine_scanner(connection, stop.scanner, since=stop.begins, at=now)
        audit_trail.record(connection, entry)
        stops.update(connection, app.reference_data, stop.scanner, at=now)
        after = qc_stops.find(connection, number)
    assert after is not None  # stops are never deleted
    return Remedied(stop=after, exams=again)


def record_service(app: App, scanner_number: int, what: str, *, on: date | None = None) -> date:
    """Record work on a scanner, which its chart shows, and return its day.

    Raises:
        QualityRecordError: the text is empty, or the day is in the future.
    """
    now = datetime.now(UTC)
    day, text = _day(app, on, now=now), _text(what, "what was done")
    with app.database.write() as connection:
        detail = {"scanner": str(scanners.of_number(connection, scanner_number)), "what": text, "on": str(day)}
        entry = events.by_operator(Event.QC_SERVICED, at=now, detail=detail)
        qc_stops.add_mark(connection, scanner_number, day=day, what=text, by=entry.actor, at=now)
        audit_trail.record(connection, entry)
    return day


def scanner_with(database: Database, serial_number: str) -> int:
    """Return the number of the one scanner on file with a serial number.

    Raises:
        QualityRecordError: none has it, or more than one.
    """
    with database.read() as connection:
        found = scanners.with_serial_number(connection, serial_number)
    if len(found) != 1:
        raise QualityRecordError(f"{len(found)} scanners on file have the serial number {serial_number}")
    return found[0]


def _day(app: App, on: date | None, *, now: datetime, earliest: date | None = None) -> date:
    today = now.astimezone(app.reference_data.zone).date()
    day = on or today
    if day > today:
        raise QualityRecordError(f"{day} is in the future")
    if earliest is not None and day < earliest:
        raise QualityRecordError(f"{day} is before the stop of {earliest}")
    return day


def _text(text: str, name: str) -> str:
    found = " ".join(text.split())
    if not found or not found.isprintable():
        raise QualityRecordError(f"say {name}")
    return found
