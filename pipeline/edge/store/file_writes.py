"""Wait until somebody writes to a file, without polling it (inotify(7)).

Only writes made on this machine are seen, which is where all users of an SQLite database with a write-ahead log are.
"""

import contextlib
import ctypes
import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.edge.store.stop_request import StopRequest

_LIBC = ctypes.CDLL(None, use_errno=True)
_IN_MODIFY = 0x2
_IN_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_HEADER = 16
"""Bytes of an event before the name, the last four of which are the length of the name."""


class FileWrites:
    """Writes to one file, which need not exist yet, until ``close``.

    Raises:
        OSError: the system does not tell of writes, or not to another listener.
    """

    def __init__(self, path: Path, stop: StopRequest) -> None:
        self._name = os.fsencode(path.name)
        self._events = _checked(_LIBC.inotify_init1(_IN_NONBLOCK_CLOEXEC))
        try:  # the folder, because the file itself may be deleted and made again
            _checked(_LIBC.inotify_add_watch(self._events, os.fsencode(path.parent), _IN_MODIFY))
        except OSError:
            self.close()
            raise
        self._poll = select.poll()
        for descriptor in (self._events, stop):
            self._poll.register(descriptor, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Wait for an event or the stop, at most so many seconds; return whether the file was written to."""
        self._poll.poll(seconds * 1000)
        written = False
        with contextlib.suppress(BlockingIOError):
            while True:
                written = self._name in _names(os.read(self._events, 8192)) or written
        return written

    def close(self) -> None:
        """Stop listening."""
        os.close(self._events)


def _names(events: bytes) -> Iterator[bytes]:
    """Yield the names of the files that were written to."""
    at = 0
    while at < len(events):
        end = at + _HEADER + int.from_bytes(events[at + _HEADER - 4 : at + _HEADER], sys.byteorder)
        yield events[at + _HEADER : end].rstrip(b"\0")
        at = end


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
