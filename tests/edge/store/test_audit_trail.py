"""The audit trail is only added to, hangs together, and shows where somebody has changed it all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from pipeline.clinical.model import Patient
from pipeline.edge.store import audit_chain, audit_trail, readings, receipts, work_queue
from pipeline.edge.store.audit_trail import Entry, Event, Outcome
from pipeline.edge.store.database import Database, StoreError
from tests.factories.instances import NOW, instance, report


def _entry(number: int = 0, **of: object) -> Entry:
    given = {"event": Event.RECEIVED, "at": NOW + timedelta(seconds=number), "actor": f"SCANNER{number}", **of}
    return Entry(**given)  # type: ignore[arg-type]  # a test names what it is about


def _recorded(database: Database, count: int) -> None:
    with database.write() as connection:
        audit_trail.record(
            connection, *(_entry(number, detail={"digest": str(number)}) for number in range(1, count + 1))
        )


def _sealed(database: Database) -> int:
    with database.write() as connection:
        return audit_chain.seal(connection)


def _chain(database: Database) -> audit_chain.Chain:
    with database.read() as connection:
        return audit_chain.verify(connection)


@contextmanager
def _without_triggers(database: Database) -> Iterator[Connection]:
    """What whoever owns the database can do."""
    with database.write() as connection:
        if database.is_sqlite:
            connection.execute(text("DROP TRIGGER audit_is_never_changed"))
            connection.execute(text("DROP TRIGGER audit_is_never_dropped"))
            connection.execute(text("DROP TRIGGER audit_seal_is_never_changed"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
            connection.execute(text("ALTER TABLE audit_seal DISABLE TRIGGER ALL"))
        yield connection


def test_what_is_recorded_comes_back_as_it_was(database: Database) -> None:
    entry = _entry(
        outcome=Outcome.MINOR_FAILURE,
        host="127.0.0.1",
        patient=1,
        receipt=2,
        exam=3,
        addendum=4,
        detail={"lsc": ["0.028", None], "größe": "µ"},
    )
    with database.write() as connection:
        audit_trail.record(connection, entry)
    with database.read() as connection:
        (found,) = audit_trail.find(connection)
    assert (found.entry, found.position) == (entry, None)


def test_an_entry_stands_or_falls_with_what_it_tells_of(database: Database) -> None:
    class CrashError(Exception):
        pass

    def interrupted() -> None:
        with database.write() as connection:
            audit_trail.record(connection, _entry())
            raise CrashError

    with pytest.raises(CrashError):
        interrupted()
    with database.read() as connection:
        assert list(audit_trail.find(connection)) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'NOBODY'",
        "DELETE FROM audit",
        "UPDATE audit_seal SET digest = ''",
        "DELETE FROM audit_seal",
    ],
)
def test_the_database_refuses_to_change_or_to_drop_an_entry(database: Database, statement: str) -> None:
    _recorded(database, 3)
    _sealed(database)
    with pytest.raises(StoreError), database.write() as connection:
        connection.execute(text(statement))
    assert _chain(database) == audit_chain.Chain(
        sealed=3, unsealed=0, last_digest=_chain(database).last_digest, broken_at=None
    )


def test_every_entry_is_sealed_once_and_in_order(database: Database) -> None:
    _recorded(database, 5)
    assert (_sealed(database), _sealed(database)) == (5, 0)
    _recorded(database, 2)
    assert _sealed(database) == 2
    with database.read() as connection:
        assert [found.position for found in audit_trail.find(connection)] == [1, 2, 3, 4, 5, 6, 7]
    assert (_chain(database).sealed, _chain(database).broken_at) == (7, None)


def test_an_entry_that_was_committed_late_is_sealed_after_those_it_came_before(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL numbers rows as they are written, not as they are committed."""
    monkeypatch.setattr(audit_chain, "_RECENT", 2)
    with database.write() as connection:
        audit_trail.record(connection, *(_entry(number) for number in range(9)))
        connection.execute(
            text(
                "INSERT INTO audit_seal (position, audit_id, digest)"
                " SELECT 1, id, 'd' FROM audit ORDER BY id DESC LIMIT 1"
            )
        )
        assert audit_chain.seal(connection) == 1, "only what is recent is looked for"
        assert audit_chain.seal(connection, all_of_it=True) == 7


@pytest.mark.parametrize(
    ("tamper", "shows_at"),
    [
        ("UPDATE audit SET actor = 'SOMEBODY ELSE' WHERE id = 3", 3),
        ("UPDATE audit SET detail = '{}' WHERE id = 4", 4),
        ("UPDATE audit SET receipt_id = 7 WHERE id = 1", 1),
        ("DELETE FROM audit WHERE id = 2", 2),
        ("UPDATE audit_seal SET digest = '" + "0" * 64 + "' WHERE position = 2", 2),
    ],
)
def test_what_was_changed_behind_the_triggers_breaks_the_chain_where_it_was_changed(
    database: Database, tamper: str, shows_at: int
) -> None:
    _recorded(database, 5)
    _sealed(database)
    with _without_triggers(database) as connection:
        connection.execute(text(tamper))
    assert _chain(database).broken_at == shows_at


def test_old_entries_are_dropped_in_order_and_the_chain_goes_on_from_there(database: Database) -> None:
    _recorded(database, 9)
    _sealed(database)
    end = _chain(database).last_digest
    with database.write() as connection:
        assert audit_chain.drop_entries(connection, before=NOW + timedelta(seconds=5), at=NOW) == 4
        assert audit_chain.drop_entries(connection, before=NOW + timedelta(seconds=5), at=NOW) == 0
    with database.read() as connection:
        assert [found.entry.actor for found in audit_trail.find(connection)] == [
            f"SCANNER{number}" for number in range(5, 10)
        ]
    assert _chain(database) == audit_chain.Chain(sealed=5, unsealed=0, last_digest=end, broken_at=None)
    _recorded(database, 1)
    _sealed(database)
    assert _chain(database).broken_at is None


def test_nothing_is_dropped_that_is_not_sealed_or_that_a_receiver_has_not_had(database: Database) -> None:
    _recorded(database, 4)
    much_later = NOW + timedelta(days=9)
    with database.write() as connection:
        assert audit_chain.drop_entries(connection, before=much_later, at=NOW) == 0
    _sealed(database)
    with database.write() as connection:
        audit_chain.add_receiver(connection, "syslog", at=NOW)
        audit_chain.record_sent(connection, "syslog", 3, at=NOW)
        assert audit_chain.drop_entries(connection, before=much_later, at=NOW, receivers=["syslog"]) == 3


def test_a_receiver_gets_every_sealed_entry_once_and_in_order(database: Database) -> None:
    with database.write() as connection:
        audit_chain.add_receiver(connection, "syslog", at=NOW)
    _recorded(database, 3)
    with database.write() as connection:
        audit_chain.add_receiver(connection, "syslog", at=NOW)
        assert audit_chain.unsent(connection, "syslog") == []
        audit_chain.seal(connection)
        waiting = audit_chain.unsent(connection, "syslog")
        assert [one.entry.actor for one in waiting] == ["SCANNER1", "SCANNER2", "SCANNER3"]
        audit_chain.record_sent(connection, "syslog", 2, at=NOW)
        assert [one.position for one in audit_chain.unsent(connection, "syslog")] == [3]


def test_a_receiver_is_told_what_happens_from_when_it_is_named(database: Database) -> None:
    _recorded(database, 3)
    _sealed(database)
    with database.write() as connection:
        audit_chain.add_receiver(connection, "syslog", at=NOW)
        assert audit_chain.unsent(connection, "syslog") == []


def test_of_several_workers_one_tells_a_receiver_until_its_lease_runs_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as connection:
        audit_chain.add_receiver(connection, "syslog", at=NOW)
        assert audit_chain.lease_receiver(connection, "syslog", at=NOW)
        assert audit_chain.lease_receiver(connection, "syslog", at=NOW), "the same one goes on"
        monkeypatch.setattr(work_queue, "owner", lambda: "another")
        assert not audit_chain.lease_receiver(connection, "syslog", at=NOW)
        assert audit_chain.lease_receiver(connection, "syslog", at=NOW + work_queue.LEASE)


def test_the_trail_of_one_patient_is_what_concerns_their_exams_receipts_and_addenda(database: Database) -> None:
    with database.write() as connection:
        for patient_id, uid in (("P1", "2.25.1"), ("P2", "2.25.2")):
            number, _ = receipts.store(connection, instance(uid=uid), calling_ae_title="SCANNER1", at=NOW)
            told = report(patient_id=patient_id, uid=uid, study=f"{uid}.1")
            exam = readings.record(connection, number, told, readings.ReportArrival(due_at=NOW, seen_at=NOW))
            audit_trail.record(
                connection,
                _entry(actor=f"sent for {patient_id}", receipt=number),
                _entry(actor=f"compared for {patient_id}", exam=exam, event=Event.COMPARED),
            )
        audit_trail.record(connection, _entry(actor="nobody's", event=Event.STARTED))
    with database.read() as connection:
        found = [one.entry.actor for one in audit_trail.find(connection, about=Patient(patient_id="P1"))]
        assert [actor for actor in found if "for" in actor] == ["sent for P1", "compared for P1"]
        assert list(audit_trail.find(connection, about=Patient(patient_id="P3"))) == []
        assert list(audit_trail.find(connection, since=NOW + timedelta(seconds=1))) == []
