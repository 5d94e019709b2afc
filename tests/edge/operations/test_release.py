"""What an operator releases is tried again, whichever queue holds it, and the audit trail has who did it."""

import pytest
from sqlalchemy import insert, select

from pipeline.edge.operations.release import NotAPrintedNumberError, PrintedNumber, parse_printed_number, release_held
from pipeline.edge.store import audit_trail, held_work, patients, receipts, work_queue
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import history_query
from pipeline.edge.store.schema_base import State
from tests.factories.instances import NOW, instance


def _held(database: Database) -> list[str]:
    with database.read() as connection:
        return [one.number for one in held_work.held(connection)]


def _released(database: Database) -> list[Entry]:
    with database.read() as connection:
        return [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.RELEASED]


def test_a_held_query_to_an_archive_is_released_as_a_held_receipt_is(database: Database) -> None:
    with database.write() as connection:
        receipt, _ = receipts.store(connection, instance(), calling_ae_title="SCANNER", at=NOW)
        patient = patients.number_of(connection, "P1", "")
        asked = {"destination": "PACS", "patient_id": patient, "requested_at": NOW, "due_at": NOW}
        connection.execute(insert(history_query).values(state=State.WAITING, **asked))
        query = connection.scalars(select(history_query.c.id)).one()
        work_queue.hold(connection, held_work.KINDS[""], receipt, reason="unexpected", detail="")
        work_queue.hold(connection, history_query, query, reason="unexpected", detail="")
    assert sorted(_held(database)) == [f"{receipt}", f"Q{query}"]
    for number in (f"q{query}", f"{receipt}"):
        assert release_held(database, parse_printed_number(number))
        assert not release_held(database, parse_printed_number(number)), "it is held no more"
    assert _held(database) == []
    entries = _released(database)
    assert {entry.detail["number"]: entry.receipt for entry in entries} == {f"Q{query}": None, f"{receipt}": receipt}


@pytest.mark.parametrize("text", ["", "E", "X12", "E1.2", "-3", "E-3", "E٣", "9" * 19, "PACS"])
def test_a_text_of_another_form_names_nothing(text: str) -> None:
    with pytest.raises(NotAPrintedNumberError):
        parse_printed_number(text)


def test_a_printed_number_is_read_as_it_was_printed() -> None:
    for number in (PrintedNumber("", 12), PrintedNumber("E", 12), PrintedNumber("C", 1)):
        assert parse_printed_number(str(number)) == number
