"""Ask archives once more for a patient's earlier reports; a worker puts the question, and the exams follow."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pipeline.edge.audit import events
from pipeline.edge.store import audit_trail, history_queries
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database


def ask_archives(database: Database, patient_number: int, archives: Sequence[str]) -> None:
    """Make a query about a patient due at archives, by their names; the audit trail has who wanted it."""
    now = datetime.now(UTC)
    with database.write() as connection:
        history_queries.ask_again(connection, patient_number, archives, at=now)
        entry = events.by_operator(Event.ASKED, at=now, patient=patient_number, detail={"archives": list(archives)})
        audit_trail.record(connection, entry)
