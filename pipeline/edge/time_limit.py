"""A limit on how long a thread may compute, for work that is made by strangers and cannot be trusted to end.

The interpreter raises an exception in the thread between two of its instructions. What counts is the thread's own
processor time: a machine that is busy or was suspended makes nothing too slow.
"""

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

LOOK_SECONDS = 0.2
"""Between two looks at how long it has taken, and at whether it is time to stop."""

Result = TypeVar("Result")


class TookTooLong(Exception):
    """The work has used up its time, and was broken off."""


class Stopped(Exception):
    """It is time to stop, and the work was broken off."""


class _Interruption(BaseException):
    """Breaks the work off; none of its own handlers takes it for a fault of what it works on."""


def within(seconds: float, work: Callable[[], Result], stopped: Callable[[], bool]) -> Result:
    """What ``work`` returns; it must hold nothing that an exception at any place would leave half done.

    Raises:
        TookTooLong: it takes more than so many seconds of processor time.
        Stopped: it is time to stop.
    """
    watch = _Watch(seconds, stopped)
    try:
        watch.begin()
        try:
            return work()
        finally:
            watch.end()
    except _Interruption:
        raise (Stopped if watch.is_stopped else TookTooLong) from None


class _Watch:
    """Looks at the thread that made it, from another one."""

    def __init__(self, seconds: float, stopped: Callable[[], bool]) -> None:
        self.is_stopped = False
        self._stopped = stopped
        self._worker = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._worker)
        self._until = time.clock_gettime(self._clock) + seconds
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def begin(self) -> None:
        threading.Thread(target=self._look, name="time limit", daemon=True).start()

    def end(self) -> None:
        """Look no more; an exception that is not raised yet never will be."""
        with self._lock:
            self._ended.set()
            _raise_in(self._worker, None)

    def _look(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            with self._lock:
                if self._ended.is_set():
                    return
                self.is_stopped = self.is_stopped or self._stopped()
                if self.is_stopped or time.clock_gettime(self._clock) > self._until:
                    _raise_in(self._worker, _Interruption)


def _raise_in(thread: int, what: type[BaseException] | None) -> None:
    raised = None if what is None else ctypes.py_object(what)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
