"""A process that died is on file until another one of its part and host takes its place."""

import os
import socket
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from pipeline.edge.store import processes, work_queue
from pipeline.edge.store.database import Database
from pipeline.edge.store.processes import STALE, Fingerprint, ProcessOnFile, ProcessState
from tests.factories.instances import NOW

CONFIGURATION = Fingerprint(clinical="c", service="s")
LATER = NOW + STALE + timedelta(seconds=1)
OTHER_HOST = "elsewhere/17.1"


def register(database: Database, part: str, *, at: datetime = NOW, owner: str | None = None) -> None:
    with database.write() as connection:
        processes.register(connection, part, CONFIGURATION, at=at, owner=owner)


def record_end(
    database: Database, state: ProcessState, reason: str, *, at: datetime = NOW, owner: str | None = None
) -> None:
    with database.write() as connection:
        processes.record_end(connection, "worker", state, reason=reason, at=at, owner=owner)


def on_file(database: Database, *, at: datetime = NOW) -> list[ProcessOnFile]:
    with database.read() as connection:
        return processes.on_file(connection, at=at)


@pytest.fixture
def dead() -> str:
    """The owner's name of a process of this host that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = work_queue.owner(process.pid)
        process.communicate(b"\n")
    return name


def test_a_process_is_on_file_with_its_host_its_id_and_since_when(database: Database) -> None:
    register(database, "worker")
    (worker,) = on_file(database)
    assert (worker.part, worker.host, worker.pid) == ("worker", socket.gethostname(), os.getpid())
    assert (worker.state, worker.since, worker.is_alive) == (ProcessState.RUNNING, NOW, True)


def test_a_process_that_renews_nothing_is_not_alive_and_stays_on_file(database: Database) -> None:
    register(database, "worker", owner=OTHER_HOST)
    with database.write() as connection:
        assert processes.renew(connection, "worker", at=NOW + timedelta(seconds=15), owner=OTHER_HOST)
    assert [one.is_alive for one in on_file(database, at=LATER)] == [True]
    (worker,) = on_file(database, at=LATER + timedelta(seconds=15))
    assert (worker.is_alive, worker.state, worker.seen_at) == (False, ProcessState.RUNNING, NOW + timedelta(seconds=15))


def test_a_process_of_this_host_that_was_killed_is_dead_at_once(database: Database, dead: str) -> None:
    register(database, "worker", owner=dead)
    assert [one.is_alive for one in on_file(database)] == [False]


def test_a_new_process_takes_the_place_of_a_dead_one_and_counts_the_failure(database: Database, dead: str) -> None:
    register(database, "worker", owner=dead)
    register(database, "worker", owner=OTHER_HOST)
    register(database, "worker", at=LATER)
    here, there = sorted(on_file(database, at=LATER), key=lambda one: one.host == "elsewhere")
    assert (here.pid, here.failures, here.since) == (os.getpid(), 1, LATER)
    assert not there.is_alive


def test_one_that_was_stopped_is_no_failure(database: Database, dead: str) -> None:
    register(database, "worker", owner=dead)
    record_end(database, ProcessState.STOPPED, "", owner=dead)
    register(database, "worker")
    assert [one.failures for one in on_file(database)] == [0]


def test_failures_are_forgotten_once_a_process_has_run_for_a_while(database: Database, dead: str) -> None:
    register(database, "worker", owner=dead)
    register(database, "worker")
    later = NOW + processes.STEADY + timedelta(seconds=1)
    with database.write() as connection:
        processes.renew(connection, "worker", at=later)
    assert [one.failures for one in on_file(database, at=later)] == [0]


def test_one_that_cannot_start_says_why_and_since_when_however_often_it_is_tried(database: Database, dead: str) -> None:
    record_end(database, ProcessState.CANNOT_START, "cannot listen: Address already in use", owner=dead)
    record_end(database, ProcessState.CANNOT_START, "cannot listen: Address already in use", at=LATER)
    (worker,) = on_file(database, at=LATER)
    assert (worker.state, worker.reason) == (ProcessState.CANNOT_START, "cannot listen: Address already in use")
    assert (worker.since, worker.failures, worker.is_alive) == (NOW, 1, False)


def test_its_supervisor_does_not_replace_what_a_process_said_of_its_end(database: Database, dead: str) -> None:
    record_end(database, ProcessState.CANNOT_START, "cannot listen", owner=dead)
    record_end(database, ProcessState.ENDED, "it ended with status 1", owner=dead)
    assert [one.reason for one in on_file(database)] == ["cannot listen"]


def test_a_late_word_of_a_supervisor_is_not_taken_for_the_successor(database: Database, dead: str) -> None:
    register(database, "worker", owner=dead)
    register(database, "worker", at=LATER)
    record_end(database, ProcessState.ENDED, "it was ended by SIGKILL", at=NOW, owner=dead)
    assert [(one.pid, one.state) for one in on_file(database, at=LATER)] == [(os.getpid(), ProcessState.RUNNING)]


def test_dead_processes_are_forgotten_in_the_end_and_stopped_ones_sooner(database: Database) -> None:
    register(database, "worker", owner=OTHER_HOST)
    register(database, "worker", owner="third/18.1")
    record_end(database, ProcessState.STOPPED, "", owner="third/18.1")
    register(database, "listener", at=NOW + timedelta(days=2))
    assert [one.host for one in on_file(database) if one.part == "worker"] == ["elsewhere"]
    register(database, "listener", at=NOW + processes.FORGOTTEN + timedelta(days=1))
    assert [one.part for one in on_file(database)] == ["listener"]


def test_only_processes_that_read_our_configuration_are_asked_to_reload_it(database: Database) -> None:
    register(database, "worker")
    with database.write() as connection:
        processes.register(connection, "supervisor", None, at=NOW)
        assert processes.request_reload(connection, at=NOW) == 1
        assert [one.part for one in processes.live(connection, at=NOW)] == ["worker"]


def test_a_part_of_which_a_store_has_one_is_refused_while_another_lives_and_not_once_that_is_dead(
    database: Database, dead: str
) -> None:
    def alone(*, at: datetime = NOW) -> ProcessOnFile | None:
        with database.write() as connection:
            return processes.register_alone(connection, "supervisor", at=at)

    register(database, "supervisor", owner=dead)
    register(database, "worker", owner=OTHER_HOST)
    assert alone() is None
    assert alone() is None, "it is no other process than itself"
    register(database, "supervisor", owner=OTHER_HOST)
    other = alone()
    assert other is not None
    assert (other.host, other.pid) == ("elsewhere", 17)
    assert alone(at=LATER) is None, "that machine has been silent for a minute"
