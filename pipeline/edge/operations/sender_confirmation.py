"""Confirm that a caller which is new to a scanner may send its reports."""

from datetime import UTC, datetime

from pipeline.edge.audit import events
from pipeline.edge.store import audit_trail, exams, senders
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database


def confirm_sender(database: Database, number: int) -> int | None:
    """Confirm a caller by the number that ``status`` prints, and return how many exams are due again for it.

    ``None`` where no caller with this number waits to be confirmed. The audit trail has the confirmation.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        sent = senders.confirm(connection, number, at=now)
        if sent is None:
            return None
        audit_trail.record(connection, events.by_operator(Event.CONFIRMED, at=now, detail={"sender": number}))
        return sum(exams.reexamine_later_exams(connection, exam, at=now) for exam in sent)
