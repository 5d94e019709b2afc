"""What peers can provoke is logged within bounds."""

import logging

import pytest

from pipeline.edge.dicom_net import rate_limited_log
from pipeline.edge.dicom_net.rate_limited_log import AT_ONCE, MOST_KINDS, MOST_REMEMBERED, Novelty, RateLimitedLog


def test_a_thing_is_new_once() -> None:
    seen = Novelty()
    assert [seen.is_new(thing) for thing in (("SCANNER1", "CT"), ("SCANNER1", "CT"), ("SCANNER2", "CT"))] == [
        True,
        False,
        True,
    ]


def test_the_oldest_things_are_forgotten_so_that_no_peer_fills_the_memory() -> None:
    seen = Novelty()
    assert all(seen.is_new(number) for number in range(2 * MOST_REMEMBERED))
    assert not seen.is_new(2 * MOST_REMEMBERED - 1)
    assert seen.is_new(0)


class _Messages(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


def test_kinds_whose_time_is_over_make_room_for_others_and_what_was_not_logged_of_them_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, messages = logging.Logger("of its own"), _Messages()
    log.addHandler(messages)
    limited = RateLimitedLog(log)
    for number in range(MOST_KINDS):
        limited.warning(f"kind {number}", "one of the first")
    for _ in range(2 * AT_ONCE):
        limited.warning("kind 0", "again")
        limited.warning("late", "too many kinds")
    assert messages.seen.count("too many kinds") == AT_ONCE
    monkeypatch.setattr(rate_limited_log, "PER_SECONDS", 0.0)
    messages.seen.clear()
    limited.warning("later", "there is room again")
    suppressed = f"{AT_ONCE + 1 + AT_ONCE} more warnings about peers were not logged"
    assert messages.seen == [suppressed, "there is room again"]
