"""How does a flood of the same complaint stay a few lines of log?"""

import logging
import threading
import time

AT_ONCE = 5
"""So many lines of one kind are told as they happen."""

PER_SECONDS = 60.0
"""Then the rest is counted, and told as a number when so many seconds are over."""

MOST_KINDS = 200
"""Strangers choose their names; so many kinds of complaint are remembered at once."""


class RateLimitedLog:
    """A logger in which each kind of warning has its measure."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._told: dict[str, tuple[float, int]] = {}

    def warning(self, kind: str, message: str, *arguments: object) -> None:
        """Tell, unless enough of this kind has been told."""
        with self._lock:
            now = time.monotonic()
            if kind not in self._told and len(self._told) >= MOST_KINDS:
                kind = "of other kinds"
            began, count = self._told.get(kind, (now, 0))
            kept_back = 0
            if now - began > PER_SECONDS:
                began, count, kept_back = now, 0, max(0, count - AT_ONCE)
            self._told[kind] = (began, count + 1)
        if kept_back:
            self._log.warning("%d more like the next line were not told", kept_back)
        if count < AT_ONCE:
            self._log.warning(message, *arguments)

    def close(self) -> None:
        """Tell how many were not told."""
        with self._lock:
            kept_back = sum(max(0, count - AT_ONCE) for _, count in self._told.values())
            self._told.clear()
        if kept_back:
            self._log.warning("%d more complaints of the network were not told one by one", kept_back)
