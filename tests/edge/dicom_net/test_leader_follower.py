"""Whatever blocks in the thread that leads, the loop goes on in the other one."""

import functools
import threading
from collections.abc import Callable, Iterator

import pytest

from pipeline.edge.dicom_net.leader_follower import LeaderFollower
from tests import peers


class _Loop:
    """A loop that counts its turns, and in one of them does the work it is given."""

    def __init__(self) -> None:
        self.turns, self.threads = 0, set[int]()
        self.work: Callable[[], None] | None = None
        self.is_over = False
        self.both = LeaderFollower(self._run, name="loop")
        self.both.start()

    def _run(self) -> None:
        while not self.is_over:
            self.turns += 1
            self.threads.add(threading.get_ident())
            work, self.work = self.work, None
            if work is not None and self.both.may_block and not self.both.run_blocking(work):
                return
            threading.Event().wait(0.001)

    def goes_on(self) -> bool:
        seen = self.turns
        peers.wait_until(lambda: self.turns > seen + 3, seconds=30, what="the loop turns")
        return True


def _hang(began: threading.Event, go: threading.Event) -> None:
    began.set()
    assert go.wait(60)


@pytest.fixture
def loop() -> Iterator[_Loop]:
    loop = _Loop()
    yield loop
    loop.is_over = True
    loop.both.join()
    assert not loop.both.is_alive


def test_one_thread_leads_as_long_as_nothing_blocks(loop: _Loop) -> None:
    done = threading.Event()
    loop.work = done.set
    assert done.wait(30)
    assert loop.goes_on()
    assert len(loop.threads) == 1


def test_the_other_thread_leads_once_work_blocks_and_lets_none_block_it_for_a_while(loop: _Loop) -> None:
    began, go, done = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        _hang(began, go)
        done.set()

    loop.work = hang
    assert began.wait(30)
    peers.wait_until(lambda: len(loop.threads) == 2, seconds=30, what="the other thread leads")
    assert loop.goes_on()
    assert not loop.both.may_block
    assert not done.is_set()
    go.set()
    assert done.wait(30)
    assert loop.goes_on()


def test_a_thread_that_was_stuck_takes_over_in_its_turn(loop: _Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.edge.dicom_net.leader_follower.CALM_SECONDS", 0)
    for _ in range(3):
        loop.threads.clear()
        loop.goes_on()
        (leader,) = loop.threads
        began, go = threading.Event(), threading.Event()
        loop.work = functools.partial(_hang, began, go)
        assert began.wait(30)
        loop.threads.clear()
        assert loop.goes_on()
        assert leader not in loop.threads
        go.set()
