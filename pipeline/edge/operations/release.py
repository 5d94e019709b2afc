"""Release held work, so that it is tried again, and deliveries that wait for a destination.

What is held has a printed number: ``12`` is a receipt, ``E12`` an exam, ``D12`` a delivery, ``C12`` a request for
storage commitment, ``Q12`` a query to an archive.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table

from pipeline.edge.audit import events
from pipeline.edge.store import audit_trail, exams, outbox, work_queue
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.database import Database
from pipeline.edge.store.held_work import KINDS
from pipeline.edge.store.schema import exam, receipt
from pipeline.errors import DxatrendError

MOST_DIGITS = 18
"""A longer number fits into no database, and nothing on file has it."""


class NotAPrintedNumberError(DxatrendError):
    """A text that is not the printed number of a receipt, an exam, a delivery, a request or a query."""


@dataclass(frozen=True, slots=True)
class PrintedNumber:
    """One piece of work, by its queue and its number there, as ``held``, ``show`` and ``audit`` print it."""

    letter: str
    number: int

    def __str__(self) -> str:
        return f"{self.letter}{self.number}"

    @property
    def queue(self) -> Table:
        """The table that the letter stands for."""
        return KINDS[self.letter]


def parse_printed_number(text: str) -> PrintedNumber:
    """Return the work that a printed number names, whether it is on file or not; a letter may be a small one.

    Raises:
        NotAPrintedNumberError: the text has another form.
    """
    letter = text[:1].upper() if text[:1].isalpha() else ""
    digits = text[1:] if letter else text
    if letter not in KINDS or not (digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS):
        raise NotAPrintedNumberError(f"{text} is not a number that dxatrend held prints")
    return PrintedNumber(letter, int(digits))


def release_held(database: Database, held: PrintedNumber) -> bool:
    """Try one piece of held work again, and return whether there was something to release; the audit trail has it.

    An exam that came long after its date counts as confirmed, held or not, and its patient's later exams become due.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        released = work_queue.release(connection, held.queue, held.number, at=now)
        if held.queue is exam:
            released = exams.confirm_date(connection, held.number, at=now) or released
        if released:
            about: dict[str, Any] = {held.queue.name: held.number} if held.queue in (receipt, exam) else {}
            entry = events.by_operator(Event.RELEASED, at=now, detail={"number": str(held)}, **about)
            audit_trail.record(connection, entry)
        if released and held.queue is exam:
            exams.reexamine_later_exams(connection, held.number, at=now)
    return released


def release_destination(database: Database, destination: str) -> int:
    """Try the deliveries that wait for a destination now, and return their count; the audit trail has it."""
    now = datetime.now(UTC)
    with database.write() as connection:
        due = outbox.retry_now(connection, destination, at=now)
        audit_trail.record(connection, events.by_operator(Event.RELEASED, at=now, detail={"number": destination}))
    return due


def latest_decision(database: Database, held: PrintedNumber, *, since: datetime) -> Entry | None:
    """Return what a person has last decided on a piece of work since a moment, for another who comes too late."""
    with database.read() as connection:
        decisions = {Event.RELEASED, Event.SET_ASIDE}
        return audit_trail.latest(connection, decisions, lambda one: one.detail.get("number") == str(held), since=since)
