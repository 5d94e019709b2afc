"""Callers that the listener rejects are in the store within seconds, and gone from there once they are admitted."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from pipeline.edge.configuration.service_settings import CallerSettings, Engine, ListenerSettings
from pipeline.edge.receive.listener import Listener
from pipeline.edge.receive.rejected_callers import MOST_OF_ONE_HOST, RejectedCallers
from pipeline.edge.store import audit_trail, rejected_callers
from pipeline.edge.store.database import Database
from pipeline.edge.store.rejected_callers import RejectedCaller, RejectedFor
from tests import peers


@contextmanager
def _listener(database: Database, engine: Engine, *callers: str) -> Iterator[int]:
    port = peers.free_port()
    settings = ListenerSettings(port=port, engine=engine, caller=tuple(CallerSettings(ae_title=ae) for ae in callers))
    with closing(Listener(settings, database)):
        yield port


def _call(port: int, calling: str, called: str = "DXATREND") -> bool:
    ae = AE(ae_title=calling)
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", port, ae_title=called)
    established: bool = association.is_established
    if established:
        association.release()
    return established


def _on_file(database: Database) -> list[RejectedCaller]:
    with database.read() as connection:
        return rejected_callers.all_of_them(connection)


def _has_times(database: Database, times: int) -> bool:
    return [one.times for one in _on_file(database)] == [times]


def test_a_rejected_caller_is_on_file_while_the_listener_runs_and_forgotten_once_it_is_admitted(
    database: Database, engine: Engine
) -> None:
    with _listener(database, engine) as port:
        assert not _call(port, "SCANNER7")
        assert not _call(port, "SCANNER7")
        peers.wait_until(lambda: sum(one.times for one in _on_file(database)) == 2, what="both are on file")
        assert not _call(port, "SCANNER7", called="ANOTHER")
        peers.wait_until(lambda: len(_on_file(database)) == 2, what="a later one is on file soon as well")
    assert {(one.calling_ae_title, one.host, one.called_ae_title, one.reason) for one in _on_file(database)} == {
        ("SCANNER7", "127.0.0.1", "DXATREND", RejectedFor.NOT_CONFIGURED),
        ("SCANNER7", "127.0.0.1", "ANOTHER", RejectedFor.OTHER_CALLED),
    }
    with _listener(database, engine, "SCANNER7") as port:
        assert _call(port, "SCANNER7")
        peers.wait_until(lambda: not _on_file(database), what="it is forgotten")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_titles_that_one_host_makes_up_hide_no_other_host(database: Database) -> None:
    with closing(RejectedCallers(database)) as callers:
        for number in range(50):
            callers.note(f"T{number}", "192.0.2.66", "DXATREND", RejectedFor.NOT_CONFIGURED)
        callers.note("SCANNER7", "192.0.2.17", "DXATREND", RejectedFor.NOT_CONFIGURED)
    found = _on_file(database)
    assert "SCANNER7" in {one.calling_ae_title for one in found}
    assert len(found) == MOST_OF_ONE_HOST + 1
    with database.read() as connection:
        audited = [one.entry for one in audit_trail.find(connection)]
    assert "SCANNER7" in {entry.actor for entry in audited}
    assert sum(entry.detail["times"] for entry in audited) == 51, "the audit trail counts those it does not name"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_audit_trail_gets_one_entry_a_minute_and_the_store_each_second(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.edge.receive.rejected_callers.FIRST_SECONDS", 0.01)
    with closing(RejectedCallers(database)) as callers:
        for times in (1, 2, 3):
            callers.note("SCANNER7", "192.0.2.17", "DXATREND", RejectedFor.NOT_CONFIGURED)
            peers.wait_until(partial(_has_times, database, times))
        with database.read() as connection:
            assert [one.entry.detail["times"] for one in audit_trail.find(connection)] == [1]
    with database.read() as connection:
        assert [one.entry.detail["times"] for one in audit_trail.find(connection)] == [1, 2]
