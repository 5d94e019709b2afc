"""Rate-limited log of warnings that peers can provoke: a flood of one kind stays a few lines.

The first lines of a kind are logged as they happen; the rest of that minute is counted, and logged as a number.
"""

import logging
import threading
import time
from collections.abc import Hashable

AT_ONCE = 5
"""Lines of one kind that are logged as they happen."""

PER_SECONDS = 60.0
"""The period after which lines of a kind are logged as they happen again."""

MOST_KINDS = 200
"""Kinds that are distinguished at once: peers choose the names in them."""

MOST_REMEMBERED = 2000
"""Things that are remembered to have been logged; whatever is seen after them is told again."""


class RateLimitedLog:
    """A logger that limits each kind of warning, until ``close``."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[float, int]] = {}
        """By kind, when its period began, and how many warnings came since."""

    def warning(self, kind: str, message: str, *arguments: object) -> None:
        """Log a warning, unless enough of its kind have been logged."""
        forgotten = suppressed = 0
        with self._lock:
            now = time.monotonic()
            if kind not in self._counts and len(self._counts) >= MOST_KINDS:
                forgotten = self._forget({one for one, (began, _) in self._counts.items() if now - began > PER_SECONDS})
                if len(self._counts) >= MOST_KINDS:
                    kind = "of other kinds"
            began, count = self._counts.get(kind, (now, 0))
            if now - began > PER_SECONDS:
                began, count, suppressed = now, 0, max(0, count - AT_ONCE)
            self._counts[kind] = (began, count + 1)
        self._tell(forgotten)
        if suppressed:
            self._log.warning("%d more like the next line were not logged", suppressed)
        if count < AT_ONCE:
            self._log.warning(message, *arguments)

    def close(self) -> None:
        """Log how many warnings were suppressed."""
        with self._lock:
            suppressed = self._forget(set(self._counts))
        self._tell(suppressed)

    def _forget(self, kinds: set[str]) -> int:
        """Forget kinds, and return how many of their warnings were suppressed."""
        return sum(max(0, self._counts.pop(kind)[1] - AT_ONCE) for kind in kinds)

    def _tell(self, suppressed: int) -> None:
        if suppressed:
            self._log.warning("%d more warnings about peers were not logged", suppressed)


class Novelty:
    """Tells what is seen for the first time, so that it is logged once; the memory is bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Hashable, None] = {}

    def is_new(self, thing: Hashable) -> bool:
        """Return whether a thing was not seen before, and remember it."""
        with self._lock:
            if thing in self._seen:
                return False
            if len(self._seen) >= MOST_REMEMBERED:
                del self._seen[next(iter(self._seen))]
            self._seen[thing] = None
            return True
