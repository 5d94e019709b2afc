"""Set held work aside that a person has decided not to try again, and take that back.

What is set aside stays held in every respect: it is kept, and compared with nothing. It no longer asks for a decision,
until it is held anew.
"""

from datetime import UTC, datetime
from typing import Any

from pipeline.edge.audit import events
from pipeline.edge.operations.release import PrintedNumber
from pipeline.edge.store import audit_trail, work_queue
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import exam, receipt


def set_aside(database: Database, held: PrintedNumber, reason: str) -> bool:
    """Set held work aside for a reason, and return whether it waited for a person until now; the audit trail has it."""
    now = datetime.now(UTC)
    with database.write() as connection:
        done = work_queue.set_aside(
            connection, held.queue, held.number, actor=events.operator().name, reason=reason, at=now
        )
        if done:
            audit_trail.record(connection, _entry(held, now, reason=reason, undo=False))
    return done


def take_back(database: Database, held: PrintedNumber) -> bool:
    """Let work that was set aside wait for a person again, and return whether it was set aside."""
    now = datetime.now(UTC)
    with database.write() as connection:
        done = work_queue.take_back(connection, held.queue, held.number)
        if done:
            audit_trail.record(connection, _entry(held, now, reason="", undo=True))
    return done


def _entry(held: PrintedNumber, at: datetime, **detail: Any) -> audit_trail.Entry:
    about: dict[str, Any] = {held.queue.name: held.number} if held.queue in (receipt, exam) else {}
    return events.by_operator(Event.SET_ASIDE, at=at, detail={"number": str(held), **detail}, **about)
