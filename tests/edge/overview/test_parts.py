"""Every part that does not run as it should is told, with the reason, before those that do."""

from datetime import timedelta

from pipeline.edge.overview.parts import OFTEN, Part, PartState, parts
from pipeline.edge.store import processes
from pipeline.edge.store.database import Database
from pipeline.edge.store.processes import STALE, ProcessState
from tests.factories.instances import NOW


def found(database: Database) -> list[Part]:
    with database.read() as connection:
        return parts(connection, at=NOW)


def states(database: Database) -> list[tuple[str, PartState]]:
    return [(one.name, one.state) for one in found(database)]


def register(database: Database, part: str, host: str, *, seconds_ago: float = 0) -> None:
    with database.write() as connection:
        at = NOW - timedelta(seconds=seconds_ago)
        processes.register(connection, part, None, at=at, owner=f"{host}/17.1")


def record_end(database: Database, part: str, host: str, state: ProcessState, reason: str = "") -> None:
    with database.write() as connection:
        processes.record_end(connection, part, state, reason=reason, at=NOW, owner=f"{host}/17.1")


def test_a_service_that_never_ran_lacks_listener_and_worker(database: Database) -> None:
    assert states(database) == [("listener", PartState.MISSING), ("worker", PartState.MISSING)]
    assert not any(one.is_as_it_should_be or one.is_alive for one in found(database))


def test_parts_that_run_are_as_they_should_be(database: Database) -> None:
    for part in ("worker", "listener"):
        register(database, part, "a")
    assert [str(one) for one in found(database)] == ["listener on a", "worker on a"]
    assert all(one.is_as_it_should_be and one.is_alive for one in found(database))


def test_a_listener_that_cannot_listen_comes_first_with_its_reason(database: Database) -> None:
    register(database, "desk", "a")
    register(database, "worker", "a")
    record_end(database, "listener", "a", ProcessState.CANNOT_START, "cannot listen: Address already in use")
    first, *others = found(database)
    assert (first.name, first.state) == ("listener", PartState.CANNOT_START)
    assert (first.reason, first.is_missed) == ("cannot listen: Address already in use", True)
    assert [one.name for one in others] == ["desk", "worker"]


def test_a_worker_without_a_heartbeat_is_told_with_the_last_one(database: Database) -> None:
    seconds = STALE.total_seconds() + 1
    register(database, "worker", "a", seconds_ago=seconds)
    register(database, "worker", "b")
    silent, *_ = (one for one in found(database) if one.name == "worker")
    assert (silent.state, silent.host, silent.is_missed) == (PartState.SILENT, "a", False)
    assert silent.since == silent.seen_at == NOW - timedelta(seconds=seconds)


def test_one_that_was_stopped_is_missed_only_where_nobody_else_does_its_work(database: Database) -> None:
    register(database, "listener", "a")
    register(database, "worker", "a")
    record_end(database, "worker", "a", ProcessState.STOPPED)
    assert [(str(one), one.state) for one in found(database) if not one.is_as_it_should_be] == [
        ("worker on a", PartState.STOPPED)
    ]
    register(database, "worker", "b")
    assert all(one.is_as_it_should_be for one in found(database))


def test_one_that_rests_runs_until_another_one_takes_its_place_or_too_long(database: Database) -> None:
    register(database, "listener", "a")
    register(database, "worker", "a")
    record_end(database, "worker", "a", ProcessState.RESTED)
    assert all(one.is_as_it_should_be and one.is_alive for one in found(database))
    with database.read() as connection:
        late = parts(connection, at=NOW + STALE + timedelta(seconds=1))
    assert [(one.name, one.state) for one in late if one.name == "worker"] == [("worker", PartState.SILENT)]
    with database.write() as connection:
        processes.register(connection, "worker", None, at=NOW, owner="a/18.1")
    assert [(one.name, one.pid) for one in found(database)] == [("listener", 17), ("worker", 18)]
    with database.read() as connection:
        assert [one.failures for one in processes.on_file(connection, at=NOW)] == [0, 0]


def test_one_whose_successor_cannot_start_is_told_with_the_reason(database: Database) -> None:
    register(database, "listener", "a")
    register(database, "worker", "a")
    record_end(database, "worker", "a", ProcessState.RESTED)
    record_end(database, "worker", "a", ProcessState.CANNOT_START, "it cannot be started now")
    first, _ = found(database)
    assert (first.state, first.reason) == (PartState.CANNOT_START, "it cannot be started now")


def test_one_that_keeps_failing_is_not_as_it_should_be_while_it_runs(database: Database) -> None:
    register(database, "listener", "a")
    for _ in range(OFTEN):
        register(database, "worker", "a")
        record_end(database, "worker", "a", ProcessState.ENDED, "it was ended by SIGKILL")
        with database.write() as connection:
            processes.register(connection, "worker", None, at=NOW, owner="a/18.1")
            processes.record_end(connection, "worker", ProcessState.ENDED, reason="it", at=NOW, owner="a/18.1")
    register(database, "worker", "a")
    first, _ = found(database)
    assert (first.name, first.state, first.is_alive) == ("worker", PartState.UNSTEADY, True)
    assert "started again" in first.reason
