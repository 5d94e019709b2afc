"""Threads write in the order in which they came, but what was received goes first, and none waits for ever."""

import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.sqlite_engine import BEGIN_WRITING, _begin_writing
from pipeline.edge.store.write_turns import StoreLockedError, WriteTurns
from tests import peers


@contextmanager
def _waiting(turns: WriteTurns, name: str, wrote: list[str], *, first: bool = False) -> Iterator[None]:
    """Another thread that waits for its turn while the block lasts, and notes its name when it has it."""

    def write() -> None:
        with turns.turn(first=first):
            wrote.append(name)

    before = len(turns._waiting)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        peers.wait_until(lambda: len(turns._waiting) > before)
        yield
    finally:
        thread.join()


def test_who_came_first_writes_first_but_what_was_received_comes_before_all() -> None:
    turns = WriteTurns(60)
    wrote: list[str] = []
    with turns.turn():
        others = [("one", False), ("another", False), ("received", True)]
        opened = [_waiting(turns, name, wrote, first=first) for name, first in others]
        for one in opened:
            one.__enter__()
    for one in opened:
        one.__exit__(None, None, None)
    assert wrote == ["received", "one", "another"]


def test_who_waits_too_long_is_told_and_nobody_waits_for_it() -> None:
    turns = WriteTurns(0.01)
    with turns.turn():
        failed = threading.Event()

        def write() -> None:
            with pytest.raises(StoreLockedError), turns.turn():
                pass
            failed.set()

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert failed.is_set()
    with turns.turn():
        pass


def test_who_is_interrupted_while_it_waits_is_waited_for_by_nobody() -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError

    turns, may_go = WriteTurns(60), threading.Event()

    def hold() -> None:
        with turns.turn():
            may_go.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    peers.wait_until(lambda: turns._is_taken)

    def interrupt_the_main_thread() -> None:
        peers.wait_until(lambda: turns._waiting)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        interrupter = threading.Thread(target=interrupt_the_main_thread)
        interrupter.start()
        with pytest.raises(InterruptedError), turns.turn():
            pytest.fail("two wrote at once")
        interrupter.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    may_go.set()
    holder.join()
    with turns.turn():
        pass


def test_another_process_is_waited_for_no_longer_than_is_left_after_other_threads() -> None:
    turns = WriteTurns(60)
    until: list[float] = []

    def write() -> None:
        with turns.turn():
            until.append(turns.wait_until)

    thread = threading.Thread(target=write)
    with turns.turn():
        thread.start()
        peers.wait_until(lambda: turns._waiting)
        gone_on_at = time.monotonic()
    thread.join()
    assert until[0] <= gone_on_at + 60


def test_a_log_that_another_process_is_recovering_is_waited_for(tmp_path: Path) -> None:
    class Recovering(sqlite3.Connection):
        """To which the log is busy twice."""

        times = 2

        def execute(self, sql: str, *of: Any) -> sqlite3.Cursor:
            if sql == BEGIN_WRITING and self.times:
                self.times -= 1
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
                raise error
            return super().execute(sql, *of)

    with contextlib.closing(Recovering(tmp_path / "store.db", isolation_level=None)) as connection:
        _begin_writing(connection, time.monotonic() + 60)
        assert connection.in_transaction


def test_a_turn_ends_with_an_error_as_well() -> None:
    turns = WriteTurns(0.01)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), turns.turn():
            raise ZeroDivisionError


def test_another_process_that_writes_is_waited_for_and_no_longer_than_a_store_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.edge.store.database.SQLITE_BUSY_SECONDS", 0.05)
    ours, theirs = (Database(f"sqlite:///{tmp_path / 'store.db'}") for _ in range(2))
    try:
        with theirs.write() as connection:
            connection.execute(text("CREATE TABLE anything (name TEXT)"))
            with pytest.raises(StoreError, match="SQLITE_BUSY"), ours.write():
                pytest.fail("two wrote at once")
        with ours.write() as connection:
            connection.execute(text("INSERT INTO anything VALUES ('ours')"))
    finally:
        ours.close()
        theirs.close()
