"""Shelve an alarm until a day: a named person wants to hear nothing of it. It stays listed; the audit trail has it."""

from datetime import date, datetime, time

from pipeline.edge.alarm_kinds import KINDS
from pipeline.edge.alarms.calendar import Calendar
from pipeline.edge.audit import events
from pipeline.edge.store import alarms, audit_trail
from pipeline.edge.store.alarms import Shelf
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.errors import DxatrendError

LONGEST_DAYS = 366
"""An alarm that nobody wants to hear of for longer belongs into ``alarms.off``."""


class NotShelvedError(DxatrendError):
    """An alarm that cannot be shelved; the text says why."""


def parse_name(text: str) -> tuple[str, str]:
    """Return kind and subject of an alarm named ``kind`` or ``kind:subject``.

    Raises:
        NotShelvedError: there is no such kind.
    """
    kind, _, subject = text.partition(":")
    if kind not in KINDS:
        raise NotShelvedError(f"no alarm is called {kind!r}; dxatrend alarms --kinds lists them")
    return kind, subject


def shelve(
    database: Database,
    kind: str,
    subject: str,
    *,
    until: date,
    reason: str,
    calendar: Calendar,
    at: datetime,
) -> None:
    """Shelve an alarm, or every one of its kind where the subject is empty, until the end of a day.

    Raises:
        NotShelvedError: the day is past or too far away, or the reason is missing.
    """
    today = calendar.local(at).date()
    if not today <= until or (until - today).days > LONGEST_DAYS:
        raise NotShelvedError(f"until is a day from {today} on, at most a year away")
    if not reason.strip():
        raise NotShelvedError("a reason is needed: others want to know why they hear nothing")
    end = datetime.combine(until, time.max).replace(tzinfo=calendar.zone).astimezone()
    detail = {"alarm": kind, "subject": subject, "until": str(until), "reason": reason.strip()}
    entry = events.by_operator(Event.SHELVED, at=at, detail=detail)
    shelf = Shelf(kind=kind, subject=subject, until=end, shelved_at=at, shelved_by=entry.actor, reason=reason.strip())
    with database.write() as connection:
        alarms.shelve(connection, shelf)
        audit_trail.record(connection, entry)


def unshelve(database: Database, kind: str, subject: str, *, at: datetime) -> bool:
    """Hear of an alarm again; return whether it was shelved."""
    detail = {"alarm": kind, "subject": subject, "until": None}
    with database.write() as connection:
        was_shelved = alarms.unshelve(connection, kind, subject)
        if was_shelved:
            audit_trail.record(connection, events.by_operator(Event.SHELVED, at=at, detail=detail))
    return was_shelved
