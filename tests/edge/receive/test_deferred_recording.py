"""What is noted is recorded within the seconds that were asked for, and by ``close`` at the latest."""

import threading

from pipeline.edge.receive.deferred_recording import DeferredRecording

LATER = 3600.0
"""Seconds that no test waits."""

PATIENCE = 30.0
"""Seconds after which a test has failed."""


def test_a_recording_asked_for_sooner_does_not_wait_for_one_asked_for_later() -> None:
    recorded = threading.Event()
    recording = DeferredRecording(recorded.set)
    recording.within(LATER)
    recording.within(0.01)
    assert recorded.wait(PATIENCE)
    recording.close()


def test_a_recording_may_ask_for_the_next() -> None:
    recorded = threading.Semaphore(0)

    def record() -> None:
        recorded.release()
        recording.within(0.01)

    recording = DeferredRecording(record)
    recording.within(0.01)
    for _ in range(3):
        assert recorded.acquire(timeout=PATIENCE)
    recording.close()


def test_closing_records_once_what_is_left_and_nothing_after_it() -> None:
    recorded: list[bool] = []
    recording = DeferredRecording(lambda: recorded.append(recording.is_closed))
    for _ in range(3):
        recording.within(LATER)
    recording.close()
    recording.within(0.0)
    assert recorded == [True]


def test_closing_waits_for_a_recording_that_is_under_way() -> None:
    under_way, go_on = threading.Event(), threading.Event()
    recorded: list[str] = []

    def record() -> None:
        recorded.append("begins")
        under_way.set()
        go_on.wait(PATIENCE)
        recorded.append("ends")

    recording = DeferredRecording(record)
    recording.within(0.0)
    assert under_way.wait(PATIENCE)
    closing = threading.Thread(target=recording.close)
    closing.start()
    closing.join(0.1)  # if it did not wait, its own recording would begin now
    go_on.set()
    closing.join(PATIENCE)
    assert recorded == ["begins", "ends", "begins", "ends"]
