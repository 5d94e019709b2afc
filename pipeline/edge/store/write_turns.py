"""Turns of one process's threads to write to an SQLite file: in the order in which they came.

SQLite itself lets a writer sleep for longer and longer, up to a tenth of a second at a time, and whoever comes at the
right moment passes all that sleep. A received object would wait for a second where others write again and again.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

from pipeline.errors import DxatrendError


class TurnNotReachedError(DxatrendError):
    """Others have written for too long."""


class WriteTurns:
    """Who writes now, and who waits for it, each for at most so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        """Held for a moment, to look at or change what follows."""
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextlib.contextmanager
    def turn(self, *, first: bool = False) -> Iterator[None]:
        """Write while the block lasts; ``first`` comes before all that wait.

        Raises:
            TurnNotReachedError: others have written for too long.
        """
        self._take(first)
        try:
            yield
        finally:
            self._pass_on()

    def _take(self, first: bool) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            ours = threading.Event()
            (self._waiting.appendleft if first else self._waiting.append)(ours)
        if ours.wait(self._seconds):
            return
        with self._lock:
            if not ours.is_set():  # else it came at the last moment
                self._waiting.remove(ours)
                raise TurnNotReachedError

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False
