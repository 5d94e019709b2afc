"""One commit for many, and everyone's own fate."""

import sqlite3
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from pipeline.edge.keeper import Keeper
from pipeline.edge.store import receipts
from pipeline.edge.store.database import Database, StoreFailed
from pipeline.edge.store.schema import receipt
from tests.edge.make import instance

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def _keep(number: int):
    return lambda connection: receipts.keep(
        connection, instance(b"%d" % number, uid=f"2.25.{number}"), calling_ae_title="SCANNER1", at=NOW
    )


def _count(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(receipt)) or 0


class _Held:
    """A keeper whose first write lasts until it is let go, so that the others gather behind it."""

    def __init__(self, database: Database) -> None:
        self.keeper: Keeper[Any] = Keeper(database)
        self._go = threading.Event()
        began = threading.Event()

        def wait(_: Connection) -> None:
            began.set()
            self._go.wait(10)

        self.keeper.write(wait)
        assert began.wait(10)

    def let_go(self) -> None:
        self._go.set()
        self.keeper.close()


def test_what_gathers_during_a_commit_shares_the_next(database: Database) -> None:
    held = _Held(database)
    connections: list[Connection] = []

    def write(number: int):
        def _write(connection: Connection) -> object:
            connections.append(connection)
            return _keep(number)(connection)

        return _write

    kept = [held.keeper.write(write(number)) for number in range(20)]
    held.let_go()
    assert len({id(connection) for connection in connections}) == 1
    assert [done.result(0)[1] for done in kept] == [True] * 20
    assert _count(database) == 20


def test_a_write_that_fails_does_not_fail_its_neighbours(database: Database) -> None:
    def poison(connection: Connection) -> None:
        connection.execute(text("INSERT INTO receipt (id) VALUES (1)"))  # it lacks nearly everything

    def bug(_: Connection) -> None:
        raise ZeroDivisionError

    held = _Held(database)
    before, poisoned, broken, after = (held.keeper.write(write) for write in (_keep(1), poison, bug, _keep(2)))
    held.let_go()
    assert isinstance(poisoned.exception(0), StoreFailed)
    assert isinstance(broken.exception(0), ZeroDivisionError)
    assert before.result(0)[1]
    assert after.result(0)[1]
    assert _count(database) == 2


def test_nobody_is_told_success_before_the_commit(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/dxatrend.sqlite3")
    database.migrate()
    keeper: Keeper[Any] = Keeper(database)
    seen: list[int] = []

    def look(_: "Future[object]") -> None:
        with closing(sqlite3.connect(tmp_path / "dxatrend.sqlite3")) as other:
            seen.append(other.execute("SELECT count(*) FROM receipt").fetchone()[0])

    for number in range(5):
        keeper.write(_keep(number)).add_done_callback(look)
    keeper.close()
    database.close()
    assert len(seen) == 5
    assert all(count >= number + 1 for number, count in enumerate(seen))


def test_a_locked_database_fails_all_at_once_and_none_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waiting in vain on its own would hold all scanners up for minutes."""
    monkeypatch.setattr("pipeline.edge.store.database.SQLITE_BUSY_SECONDS", 0.2)
    database = Database(f"sqlite:///{tmp_path}/dxatrend.sqlite3")
    database.migrate()
    keeper: Keeper[Any] = Keeper(database)
    with closing(sqlite3.connect(tmp_path / "dxatrend.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        kept = [keeper.write(_keep(0))]
        time.sleep(0.05)  # it waits for the lock, and the others gather behind it
        kept += [keeper.write(_keep(number)) for number in range(1, 20)]
        began = time.monotonic()
        failures = [done.exception(10) for done in kept]
    assert time.monotonic() - began < 2, "20 waits of 0.2 s would take twice as long"
    keeper.close()
    database.close()
    assert {str(failure) for failure in failures} == {"OperationalError SQLITE_BUSY"}
