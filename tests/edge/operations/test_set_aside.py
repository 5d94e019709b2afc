"""What a person sets aside asks for no decision any more, stays held in every other respect, and can be taken back."""

from pathlib import Path

from pipeline.edge.audit import events
from pipeline.edge.audit.events import Operator
from pipeline.edge.operations.release import PrintedNumber, parse_printed_number, release_destination, release_held
from pipeline.edge.operations.set_aside import set_aside, take_back
from pipeline.edge.store import audit_trail, held_work, receipts, service_status, work_queue
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.edge.store.held_work import SetAside
from pipeline.edge.store.schema import receipt
from pipeline.edge.store.schema_base import State
from tests.factories import outboxes
from tests.factories.held_things import hold_things
from tests.factories.instances import NOW, instance


def hold(database: Database, *, uid: str = "2.25.1", reason: str = "no_bmd") -> PrintedNumber:
    with database.write() as connection:
        number, _ = receipts.store(connection, instance(uid=uid), calling_ae_title="SCANNER", at=NOW)
        work_queue.hold(connection, receipt, number, reason=reason, detail="a lateral spine")
    return PrintedNumber("", number)


def waiting(database: Database) -> list[str]:
    with database.read() as connection:
        found = [one.number for one in held_work.held(connection)]
        assert service_status.status(connection, [], NOW).held == len(found)
        assert sum(one.count for one in held_work.by_reason(connection)) == len(found)
        return found


def aside(database: Database) -> list[SetAside]:
    with database.read() as connection:
        return held_work.set_aside_work(connection, limit=10)


def test_it_leaves_the_list_and_is_listed_with_who_and_why(database: Database) -> None:
    held, other = hold(database), hold(database, uid="2.25.2")
    with events.acting(Operator(name="m.meier", host="desk")):
        assert set_aside(database, held, "nothing to compare")
    assert waiting(database) == [str(other)]
    (found,) = aside(database)
    assert (found.work.number, found.work.reason, found.work.detail) == (str(held), "no_bmd", "a lateral spine")
    assert (found.actor, found.reason) == ("m.meier", "nothing to compare")
    with database.read() as connection:
        (entry,) = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.SET_ASIDE]
    assert (entry.actor, entry.receipt) == ("m.meier", held.number)
    assert entry.detail == {"number": str(held), "reason": "nothing to compare", "undo": False}


def test_it_is_set_aside_only_once(database: Database) -> None:
    held = hold(database)
    assert set_aside(database, held, "nothing to compare")
    assert not set_aside(database, held, "again")
    assert [one.reason for one in aside(database)] == ["nothing to compare"]


def test_what_is_not_held_cannot_be_set_aside(database: Database) -> None:
    held = hold(database)
    assert release_held(database, held)
    assert not set_aside(database, held, "too late")
    assert aside(database) == []


def test_it_can_be_taken_back(database: Database) -> None:
    held = hold(database)
    assert not take_back(database, held)
    assert set_aside(database, held, "nothing to compare")
    assert take_back(database, held)
    assert (waiting(database), aside(database)) == ([str(held)], [])


def test_it_can_be_released(database: Database) -> None:
    held = hold(database)
    set_aside(database, held, "nothing to compare")
    assert release_held(database, held)
    assert aside(database) == []
    with database.read() as connection:
        assert service_status.status(connection, [], NOW).to_be_read == 1


def test_it_asks_again_when_it_is_held_anew(database: Database) -> None:
    held = hold(database)
    set_aside(database, held, "nothing to compare")
    with database.write() as connection:
        work_queue.hold(connection, receipt, held.number, reason="id_conflict", detail="")
    assert (waiting(database), aside(database)) == ([str(held)], [])


def test_it_is_still_held(database: Database) -> None:
    held = hold(database)
    set_aside(database, held, "nothing to compare")
    with database.read() as connection:
        assert connection.scalar(receipt.select().with_only_columns(receipt.c.state)) == State.HELD


def test_a_delivery_that_was_set_aside_is_not_sent_when_its_destination_is_tried(tmp_path: Path) -> None:
    destination = f'[[destination]]\nname = "pacs"\nkind = "folder"\nfolder = "{tmp_path}"'
    with outboxes.outbox_of(tmp_path, destination) as app:
        outboxes.receive(app, outboxes.visit(2024))
        delivery = parse_printed_number(hold_things(app).delivery)
        assert set_aside(app.database, delivery, "the PACS will never take it")
        assert release_destination(app.database, "pacs") == 0
        assert take_back(app.database, delivery)
        assert release_destination(app.database, "pacs") == 1
