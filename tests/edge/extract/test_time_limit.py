"""Work that takes too long is broken off, and nothing is broken off any more once it has ended."""

import threading
import time

import pytest

from pipeline.edge.extract import time_limit
from pipeline.edge.extract.time_limit import StoppedError, TimeLimitError, run_with_time_limit


def endless() -> None:
    while True:
        sum(range(100))


def never() -> bool:
    return False


def test_what_ends_in_time_returns_what_it_has() -> None:
    assert run_with_time_limit(1, lambda: 17, never) == 17


def test_what_takes_too_long_is_broken_off() -> None:
    with pytest.raises(TimeLimitError):
        run_with_time_limit(0.01, endless, never)


def test_what_has_time_left_is_broken_off_when_it_is_time_to_stop() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(StoppedError):
        run_with_time_limit(1000, endless, stop.is_set)


def test_a_fault_of_the_work_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        run_with_time_limit(1, lambda: 1 // 0, never)


def test_waiting_uses_up_no_time() -> None:
    run_with_time_limit(0.1, lambda: time.sleep(0.6), never)


def test_one_thread_watches_over_all_work() -> None:
    run_with_time_limit(1, never, never)
    before = threading.active_count()
    most = max(run_with_time_limit(1, threading.active_count, never) for _ in range(100))
    assert most == before


def test_nothing_is_broken_off_once_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where its time is over at the very moment at which it ends."""
    monkeypatch.setattr(time_limit, "POLL_SECONDS", 0.0001)
    outcomes: set[int | None] = set()
    until = time.monotonic() + 3
    longest = time.monotonic() + 120
    while time.monotonic() < until or (len(outcomes) < 2 and time.monotonic() < longest):
        try:
            outcomes.add(run_with_time_limit(0.0001, lambda: sum(range(5000)), never))
        except TimeLimitError:
            outcomes.add(None)
        sum(range(2000))  # an interruption that came late would come here
    assert outcomes == {sum(range(5000)), None}
