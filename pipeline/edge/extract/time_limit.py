"""A limit on how long a thread may compute, for work that is made by strangers and cannot be trusted to end.

The interpreter raises an exception in the thread between two of its instructions. What counts is the thread's own
processor time: a machine that is busy or was suspended makes nothing too slow. One thread watches over all that is
limited; it is started with the first, and ends with the process.
"""

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import DxatrendError

LOOK_SECONDS = 0.2
"""Between two looks at how long it has taken, and at whether it is time to stop."""

Result = TypeVar("Result")


class TimeLimitError(DxatrendError):
    """The work has used up its time, and was broken off."""


class StoppedError(DxatrendError):
    """It is time to stop, and the work was broken off."""


class _Interruption(BaseException):
    """Breaks the work off; none of its own handlers takes it for a fault of what it works on."""


def within(seconds: float, work: Callable[[], Result], stopped: Callable[[], bool]) -> Result:
    """What ``work`` returns; it must hold nothing that an exception at any place would leave half done.

    Raises:
        TimeLimitError: it takes more than so many seconds of processor time.
        Stopped: it is time to stop.
    """
    limit = _Limit(seconds, stopped)
    try:
        _WATCHER.begin(limit)
        try:
            return work()
        finally:
            _WATCHER.end(limit)
    except _Interruption:
        _end_for_certain(limit)
        raise (StoppedError if limit.is_stopped else TimeLimitError) from None


def _end_for_certain(limit: "_Limit") -> None:
    """End a limit although another interruption may come while that is done."""
    while True:
        try:
            _WATCHER.end(limit)
        except _Interruption:
            continue
        return


class _Limit:
    """How long the thread that made it may go on."""

    def __init__(self, seconds: float, stopped: Callable[[], bool]) -> None:
        self.is_stopped = False
        self._stopped = stopped
        self._worker = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._worker)
        self._until = time.clock_gettime(self._clock) + seconds

    def look(self) -> None:
        """Break the work off if it is time."""
        self.is_stopped = self.is_stopped or self._stopped()
        if self.is_stopped or time.clock_gettime(self._clock) > self._until:
            _raise_in(self._worker, _Interruption)

    def lift(self) -> None:
        """Take back an interruption that the thread has not seen yet."""
        _raise_in(self._worker, None)


class _Watcher:
    """Looks at all limits from a thread of its own, while there are any."""

    def __init__(self) -> None:
        self._limits: set[_Limit] = set()
        self._lock = threading.Lock()
        self._begun = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, limit: _Limit) -> None:
        with self._lock:
            self._limits.add(limit)
            if self._thread is None or not self._thread.is_alive():  # a fork has none
                self._thread = threading.Thread(target=self._watch, name="time limit", daemon=True)
                self._thread.start()
        if not self._begun.is_set():
            self._begun.set()

    def end(self, limit: _Limit) -> None:
        """Look at it no more; an exception that is not raised yet never will be."""
        with self._lock:
            self._limits.discard(limit)
            limit.lift()

    def _watch(self) -> None:
        while True:
            self._begun.wait()
            time.sleep(LOOK_SECONDS)
            with self._lock:
                if not self._limits:
                    self._begun.clear()
                for limit in self._limits:
                    limit.look()


_WATCHER = _Watcher()


def _raise_in(thread: int, what: type[BaseException] | None) -> None:
    raised = None if what is None else ctypes.py_object(what)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
