"""Limit the processor time of a call, for reading data sets that were made to keep a reader busy for ever.

The interpreter raises an exception in the thread between two of its instructions. Only the processor time of that
thread counts: a computer that is busy or was suspended makes no report too slow. One thread watches all limits; it
starts with the first, and ends with the process.
"""

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import DxatrendError

POLL_SECONDS = 0.2
"""Seconds between two checks of the time used, and of ``stopped``."""

Result = TypeVar("Result")


class TimeLimitError(DxatrendError):
    """A call that was interrupted as it had used up its time."""


class StoppedError(DxatrendError):
    """A call that was interrupted as the service stops."""


class _Interruption(BaseException):
    """Interrupts a call; no handler in it takes this for a fault of the data it reads."""


def run_with_time_limit(seconds: float, work: Callable[[], Result], stopped: Callable[[], bool]) -> Result:
    """Return what ``work`` returns; it must hold nothing that an exception at any place would leave half done.

    Raises:
        TimeLimitError: it takes more than so many seconds of processor time.
        StoppedError: ``stopped`` became true while it ran.
    """
    limit = _Limit(seconds, stopped)
    try:
        _WATCHER.begin(limit)
        try:
            return work()
        finally:
            _WATCHER.end(limit)
    except _Interruption:
        _end_despite_interruption(limit)
        raise (StoppedError if limit.is_stopped else TimeLimitError) from None


def _end_despite_interruption(limit: "_Limit") -> None:
    """End a limit, although another interruption may come meanwhile."""
    while True:
        try:
            _WATCHER.end(limit)
        except _Interruption:
            continue
        return


class _Limit:
    """The processor time up to which the thread that made it may go on."""

    def __init__(self, seconds: float, stopped: Callable[[], bool]) -> None:
        self.is_stopped = False
        self._stopped = stopped
        self._worker = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._worker)
        self._until = time.clock_gettime(self._clock) + seconds

    def check(self) -> None:
        """Interrupt the thread if its time is used up, or ``stopped`` says so."""
        self.is_stopped = self.is_stopped or self._stopped()
        if self.is_stopped or time.clock_gettime(self._clock) > self._until:
            _raise_in(self._worker, _Interruption)

    def cancel(self) -> None:
        """Withdraw an interruption that the thread has not seen yet."""
        _raise_in(self._worker, None)


class _Watcher:
    """Checks all limits in a thread of its own, while there are any."""

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
        """Stop checking a limit; an exception that is not raised yet never will be."""
        with self._lock:
            self._limits.discard(limit)
            limit.cancel()

    def _watch(self) -> None:
        while True:
            self._begun.wait()
            time.sleep(POLL_SECONDS)
            with self._lock:
                if not self._limits:
                    self._begun.clear()
                for limit in self._limits:
                    limit.check()


_WATCHER = _Watcher()


def _raise_in(thread: int, what: type[BaseException] | None) -> None:
    raised = None if what is None else ctypes.py_object(what)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
