"""Turns of one process's threads to write to an SQLite file: in the order in which they came.

SQLite itself lets a writer sleep for longer and longer, up to a tenth of a second at a time, and whoever comes at the
right moment passes all that sleep. A received object would wait for a second where others write again and again.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator

from pipeline.errors import DxatrendError


class StoreLockedError(DxatrendError):
    """Other threads of this process have written for too long."""


class WriteTurns:
    """Who writes now, and who waits for it, each for at most so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.wait_until = 0.0
        """Until when, by the monotonic clock, the one that has its turn may wait for another process."""
        self._lock = threading.Lock()
        """Held for a moment, to look at or change what follows."""
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextlib.contextmanager
    def turn(self, *, first: bool = False) -> Iterator[None]:
        """Write while the block lasts; ``first`` comes before all that wait.

        Raises:
            StoreLockedError: others have written for too long.
        """
        until = time.monotonic() + self._seconds
        self._take(until, first)
        self.wait_until = until
        try:
            yield
        finally:
            self._pass_on()

    def _take(self, until: float, first: bool) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            ours = threading.Event()
            (self._waiting.appendleft if first else self._waiting.append)(ours)
        try:
            ours.wait(until - time.monotonic())
        except BaseException:
            if self._has_come(ours):
                self._pass_on()
            raise
        if not self._has_come(ours):
            raise StoreLockedError

    def _has_come(self, ours: threading.Event) -> bool:
        """Return whether a turn has come; wait for it no more if not."""
        with self._lock:
            if not ours.is_set():
                self._waiting.remove(ours)
            return ours.is_set()

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False
