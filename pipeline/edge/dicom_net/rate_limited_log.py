"""Rate-limited log of warnings that peers can provoke: a flood of one kind stays a few lines.

The first lines of a kind are logged as they happen; the rest of that minute is counted, and logged as a number.
"""

import logging
import threading
import time

AT_ONCE = 5
"""Lines of one kind that are logged as they happen."""

PER_SECONDS = 60.0
"""The period after which lines of a kind are logged as they happen again."""

MOST_KINDS = 200
"""Kinds that are distinguished at once: peers choose the names in them."""


class RateLimitedLog:
    """A logger that limits each kind of warning, until ``close``."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[float, int]] = {}
        """By kind, when its period began, and how many warnings came since."""

    def warning(self, kind: str, message: str, *arguments: object) -> None:
        """Log a warning, unless enough of its kind have been logged."""
        with self._lock:
            now = time.monotonic()
            if kind not in self._counts and len(self._counts) >= MOST_KINDS:
                kind = "of other kinds"
            began, count = self._counts.get(kind, (now, 0))
            suppressed = 0
            if now - began > PER_SECONDS:
                began, count, suppressed = now, 0, max(0, count - AT_ONCE)
            self._counts[kind] = (began, count + 1)
        if suppressed:
            self._log.warning("%d more like the next line were not logged", suppressed)
        if count < AT_ONCE:
            self._log.warning(message, *arguments)

    def close(self) -> None:
        """Log how many warnings were suppressed."""
        with self._lock:
            suppressed = sum(max(0, count - AT_ONCE) for _, count in self._counts.values())
            self._counts.clear()
        if suppressed:
            self._log.warning("%d more warnings about peers were not logged", suppressed)
