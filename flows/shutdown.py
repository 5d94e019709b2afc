"""The end of a process: with its parent, by a stop request, or by whoever started it.

A stop request is set by SIGTERM or SIGINT, and waited for by any number of threads.

``threading.Event`` will not do: a signal is handled in the main thread, and when that thread waits for the event, it
may hold the very lock that setting the event needs. A pipe has no lock.
"""

import ctypes
import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Protocol

log = logging.getLogger(__name__)

HANDLE_SECONDS = 1.0
"""How long the main thread may be in one system call, during which Python handles no signal."""


_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class Stop:
    """A request to stop; once set, it stays set."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def on_signals(self) -> None:
        """Set it when this process gets SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.set())

    def set(self) -> None:
        """Wake everyone who waits, now and later."""
        os.write(self._writer, b".")

    def is_set(self) -> bool:
        """Return whether it is time to stop."""
        return self.wait(0)

    def fileno(self) -> int:
        """Return a descriptor that can be read from once it is set, to be waited for together with others."""
        return self._reader

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is set, at most so many seconds; return whether it is set.

        A signal that comes just before the system call does not interrupt it, so that none lasts for ever: Python
        handles the signal between two of them.
        """
        while seconds is None:
            if self.wait(HANDLE_SECONDS):
                return True
        ready = select.poll()
        ready.register(self._reader, select.POLLIN)
        return bool(ready.poll(seconds * 1000))


def stop_on_signals() -> Stop:
    """Return the stop request of this process, set by SIGTERM and SIGINT."""
    stop = Stop()
    stop.on_signals()
    return stop


def end_with_parent() -> None:
    """Make the kernel end this process, which is about to become another one, when its parent dies."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it handles it, it has not read its configuration yet
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Process(Protocol):
    """A process that we have started."""

    def terminate(self) -> None:
        """Ask it to end."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; raise ``TimeoutExpired`` if that takes too long."""

    def kill(self) -> None:
        """End it at once."""


def end_processes(processes: Sequence[tuple[str, Process]], *, seconds: float) -> None:
    """End processes, each with its name: all together have so many seconds to finish their current work."""
    for _, process in processes:
        process.terminate()
    until = time.monotonic() + seconds
    for name, process in processes:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("%s did not stop in time and was killed", name)
            process.kill()
            process.wait()
