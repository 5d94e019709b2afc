"""Archives are asked once more for a patient's earlier reports when a person wants it, and the trail has who."""

from datetime import UTC, datetime

from pipeline.edge.operations.archive_questions import ask_archives
from pipeline.edge.store import audit_trail, history_queries, patient_file, patients
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database


def test_a_question_that_was_answered_is_put_again(database: Database) -> None:
    with database.write() as connection:
        number = patients.number_of(connection, "P1", "")
    ask_archives(database, number, ["pacs", "other"])
    with database.write() as connection:
        query = history_queries.claim(connection, "pacs", at=datetime.now(UTC))
        assert query is not None
        history_queries.record_response(connection, query.number, instances=3, at=datetime.now(UTC))
        assert history_queries.claim(connection, "pacs", at=datetime.now(UTC)) is None
    ask_archives(database, number, ["pacs"])
    with database.write() as connection:
        again = history_queries.claim(connection, "pacs", at=datetime.now(UTC))
        rows = patient_file.history_queries_of(connection, [number])
        entries = [one.entry for one in audit_trail.find(connection)]
    assert again is not None
    assert again.attempts == 1
    assert [(row.destination, row.state) for row in rows] == [("other", "waiting"), ("pacs", "waiting")]
    assert [(entry.event, entry.detail["archives"]) for entry in entries] == [
        (Event.ASKED, ["pacs", "other"]),
        (Event.ASKED, ["pacs"]),
    ]
