"""One commit stores many instances, and what is wrong with one of them concerns no other."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, func, select

from pipeline.edge.receive.group_commit import MOST_BYTES_HERE, GroupCommit
from pipeline.edge.store import audit_trail, held_work, receipt_contents, receipts
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import receipt
from pipeline.edge.store.senders import Sender
from tests.factories.instances import instance

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


SENDER = Sender(ae_title="SCANNER1", host="127.0.0.1")


def _instance(number: int) -> Instance:
    return instance(b"%d" % number, uid=f"2.25.{number}")


def _count(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(receipt)) or 0


class _SlowDatabase(Database):
    """A database whose first transaction waits until ``go`` is set."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.began, self.go = threading.Event(), threading.Event()

    @property
    def is_sqlite(self) -> bool:
        return self._database.is_sqlite

    @contextmanager
    def write(self, *, keep: bool = False) -> Iterator[Connection]:
        self.began.set()
        assert self.go.wait(10)
        with self._database.write(keep=keep) as connection:
            yield connection


class _Held:
    """A group commit whose first commit waits until ``let_go``, so that the other instances gather behind it."""

    def __init__(self, database: Database) -> None:
        self._database = _SlowDatabase(database)
        self.group_commit = GroupCommit(self._database)
        (self.first,) = self.store(instance(b"first", uid="2.25.99"))
        assert self._database.began.wait(10)

    def store(self, *instances: Instance) -> "list[Future[tuple[int, bool]]]":
        return [self.group_commit.store(one, SENDER, at=NOW) for one in instances]

    def go(self) -> None:
        self._database.go.set()

    def let_go(self) -> None:
        self.go()
        self.group_commit.close()


def test_what_gathers_shares_a_commit_and_costs_as_many_statements_as_one(database: Database) -> None:
    statements: list[str] = []
    event.listen(database._engine, "before_cursor_execute", lambda *of: statements.append(of[2].split()[0]))
    held = _Held(database)
    stored = held.store(*(_instance(number) for number in range(20)))
    held.let_go()
    assert [done.result(0)[1] for done in stored] == [True] * 20
    assert len({done.result(0)[0] for done in stored}) == 20
    assert _count(database) == 21
    assert statements.count("INSERT") == 2 * 3, (
        "of the first alone and of all others: the instances, their bytes, the audit trail"
    )


def test_a_uid_that_comes_several_times_in_one_commit_is_kept_as_if_they_came_one_after_another(
    database: Database,
) -> None:
    sent = [instance(data_set, uid="2.25.1") for data_set in (b"one", b"one", b"other", b"one", b"other")]
    held = _Held(database)
    one, again, other, one_more, other_again = (done for done in held.store(*sent))
    held.let_go()
    number, other_number = one.result(0)[0], other.result(0)[0]
    assert one.result(0) == (number, True)
    assert again.result(0) == one_more.result(0) == (number, False)
    assert other.result(0) == (other_number, True)
    assert other_again.result(0) == (other_number, False)
    with database.read() as connection:
        (waiting,) = held_work.held(connection)
        trail = [found.entry for found in audit_trail.find(connection)]
    assert (waiting.number, waiting.reason) == (str(other_number), receipts.OTHER_BYTES)
    assert f"that of receipt {number} (SCANNER1 at 127.0.0.1)," in waiting.detail
    assert [entry.detail["new"] for entry in trail if entry.receipt in (number, other_number)] == [
        True,
        False,
        True,
        False,
        False,
    ]


def test_an_instance_that_cannot_be_kept_does_not_fail_its_neighbours(database: Database) -> None:
    refused_by_the_database = replace(_instance(3), sop_class_uid=None)  # type: ignore[arg-type]
    no_bytes = replace(_instance(4), data_set="a text")  # type: ignore[arg-type]
    held = _Held(database)
    before, poisoned, broken, after = held.store(_instance(1), refused_by_the_database, no_bytes, _instance(2))
    held.let_go()
    assert isinstance(poisoned.exception(0), StoreError)
    assert isinstance(broken.exception(0), TypeError)
    assert all(done.result(0)[1] for done in (held.first, before, after))
    assert _count(database) == 3


def test_two_listeners_that_receive_the_same_at_once_keep_it_once(database: Database) -> None:
    """Their batches hold the same instances in opposite order: on PostgreSQL each would wait for the other."""
    instances = [_instance(number) for number in range(40)]
    one, other = _Held(database), _Held(database)
    stored = one.store(*instances), other.store(*reversed(instances))
    one.go()
    other.let_go()
    one.let_go()
    numbers = [[done.result(0)[0] for done in stored[0]], [done.result(0)[0] for done in reversed(stored[1])]]
    assert numbers[0] == numbers[1]
    assert sum(done.result(0)[1] for listener in stored for done in listener) == 40
    assert _count(database) == 41


@pytest.mark.parametrize("where", ["threads of commits", "thread that receives"])
def test_success_is_answered_after_the_commit_and_never_before(where: str, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/dxatrend.sqlite3")
    database.migrate()
    group_commit = GroupCommit(database)
    seen: list[int] = []

    def count(_: "Future[tuple[int, bool]]") -> None:
        with closing(sqlite3.connect(tmp_path / "dxatrend.sqlite3")) as other:
            seen.append(other.execute("SELECT count(*) FROM receipt").fetchone()[0])

    for number in range(5):
        if where == "threads of commits":
            group_commit.store(_instance(number), SENDER, at=NOW).add_done_callback(count)
        else:
            group_commit.defer(_instance(number), SENDER, at=NOW).add_done_callback(count)
            group_commit.do_here()
            assert len(seen) == number + 1
    group_commit.close()
    database.close()
    assert len(seen) == 5
    assert all(count >= number + 1 for number, count in enumerate(seen))


def test_what_is_deferred_is_committed_by_the_thread_that_says_so(database: Database) -> None:
    group_commit = GroupCommit(database)
    stored = [group_commit.defer(_instance(number), SENDER, at=NOW) for number in range(3)]
    assert _count(database) == 0
    threads: list[int] = []
    stored[0].add_done_callback(lambda _: threads.append(threading.get_ident()))
    group_commit.do_here()
    assert not group_commit.is_waiting
    assert [done.result(0)[1] for done in stored] == [True] * 3
    assert threads == [threading.get_ident()]
    group_commit.close()
    assert _count(database) == 3


def test_what_is_large_and_what_would_wait_for_another_commit_goes_to_the_thread_of_commits(database: Database) -> None:
    held = _Held(database)
    group_commit = held.group_commit
    small = group_commit.defer(_instance(1), SENDER, at=NOW)
    group_commit.do_here()
    assert not small.done()
    held.go()
    assert small.result(30)[1]
    threads: list[int] = []
    large = group_commit.defer(instance(bytes(MOST_BYTES_HERE + 1), uid="2.25.50"), SENDER, at=NOW)
    large.add_done_callback(lambda _: threads.append(threading.get_ident()))
    group_commit.do_here()
    held.let_go()
    assert large.result(0)[1]
    assert threads != [threading.get_ident()]


def test_what_is_deferred_while_another_thread_commits_disturbs_it_in_nothing(database: Database) -> None:
    """The thread that receives was slow, so the other one took its place and receives meanwhile."""
    group_commit = GroupCommit(database)
    meanwhile = iter(range(3, 5))
    others: list[Future[tuple[int, bool]]] = []

    class Slow(bytes):
        def __len__(self) -> int:
            if number := next(meanwhile, None):
                others.append(group_commit.store(_instance(number), SENDER, at=NOW))
            return super().__len__()

    slow = [instance(Slow(b"%d" % number), uid=f"2.25.{number}") for number in range(1, 3)]
    here = [group_commit.defer(one, SENDER, at=NOW) for one in slow]
    group_commit.do_here()
    group_commit.close()
    assert len(others) == 2
    assert all(done.result(0)[1] for done in (*here, *others))
    assert _count(database) == 4


def test_a_report_does_not_wait_until_a_large_object_is_compressed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go = threading.Event(), threading.Event()
    compress = receipt_contents.compress

    def slowly(data_set: bytes) -> bytes | bytearray:
        if len(data_set) > MOST_BYTES_HERE:
            began.set()
            assert go.wait(30)
        return compress(data_set)

    monkeypatch.setattr(receipt_contents, "compress", slowly)
    group_commit = GroupCommit(database)
    large = group_commit.store(instance(bytes(MOST_BYTES_HERE + 1), uid="2.25.50"), SENDER, at=NOW)
    assert began.wait(30)
    assert group_commit.store(_instance(1), SENDER, at=NOW).result(30)[1]
    assert not large.done()
    go.set()
    group_commit.close()
    assert large.result(0)[1]


def test_a_locked_database_fails_all_at_once_and_none_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waiting in vain on its own would hold all scanners up for minutes."""
    monkeypatch.setattr("pipeline.edge.store.database.SQLITE_BUSY_SECONDS", 0.2)
    database = Database(f"sqlite:///{tmp_path}/dxatrend.sqlite3")
    database.migrate()
    group_commit = GroupCommit(database)
    with closing(sqlite3.connect(tmp_path / "dxatrend.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        stored = [group_commit.store(_instance(0), SENDER, at=NOW)]
        time.sleep(0.05)  # it waits for the lock, and the others gather behind it
        stored += [group_commit.store(_instance(number), SENDER, at=NOW) for number in range(1, 20)]
        began = time.monotonic()
        failures = [done.exception(10) for done in stored]
    assert time.monotonic() - began < 2, "20 waits of 0.2 s would take twice as long"
    group_commit.close()
    database.close()
    assert {str(failure) for failure in failures} == {"OperationalError SQLITE_BUSY"}
