"""Start our commands as copies of this process (fork(2)), which share the memory of what is imported already.

Only a process with one thread and no open database may be copied: a lock that another thread holds would never be
released in the copy, and SQLite allows no connection to be carried over.
"""

import ctypes
import gc
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from dxatrend.service.memory import leave_what_is_loaded, share_one_arena
from flows.shutdown import end_with_parent

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_POLL_SECONDS = 0.05
_THREAD_SECONDS = 0.002
_LAST_DESCRIPTOR = 1024
_PR_SET_NAME = 15
_ARGUMENTS_START, _ARGUMENTS_END = 45, 46
"""Places in /proc/self/stat after the command's name (proc(5))."""
_LIBC = ctypes.CDLL(None)

Command = Callable[[], int]
"""A command of dxatrend whose arguments were read: it returns an exit status."""


class ForkedProcess:
    """A child of this process, with what the supervisor uses of ``subprocess.Popen``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal, or ``None`` while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit status.

        Raises:
            subprocess.TimeoutExpired: it has not ended within so many seconds.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(_POLL_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def preload(modules: Sequence[str]) -> None:
    """Import modules for the copies to come.

    What modules make stays, so looking for garbage meanwhile would find little, and take a quarter of the time.
    """
    share_one_arena()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would start threads, which are of no use here
    gc.disable()
    try:
        for module in modules:
            import_module(module)
    finally:
        gc.enable()


def settle_before_copying() -> None:
    """Keep the copies to come from touching, and so copying, what they need not; to be called just before them.

    The garbage collector passes over it. Python's cache of attributes, where each entry of a copy's own would take the
    place of one of ours and release its name, is emptied.
    """
    leave_what_is_loaded()
    empty_cache = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # the former since Python 3.13
    empty_cache()


def is_possible(*, within: float) -> bool:
    """Return whether this process has one thread, or will have within so many seconds."""
    until = time.monotonic() + within
    while len(os.listdir("/proc/self/task")) > 1:
        if time.monotonic() >= until:
            return False
        time.sleep(_THREAD_SECONDS)
    return True


def fork(command: Command, arguments: Sequence[str], environment: Mapping[str, str]) -> ForkedProcess:
    """Run a command in a copy of this process, which ends with this one and is shown with these arguments."""
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _run(command, arguments, environment, parent, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return ForkedProcess(pid)


def _run(
    command: Command,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    parent: int,
    mask: set[signal.Signals | int],
) -> NoReturn:
    """Become the command: whatever happens, the code of the parent must never go on here."""
    status = 1
    try:
        _leave_parent_behind(parent, mask)
        os.environ.update(environment)
        _rename(arguments)
        status = command()
    except BaseException:  # noqa: BLE001 - as said above
        traceback.print_exc()
    finally:
        try:
            logging.shutdown()  # of a sender that has ended the journal does not know the unit
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        finally:
            os._exit(status)


def _leave_parent_behind(parent: int, mask: set[signal.Signals | int]) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    logging.shutdown()  # closed later, a handler's socket would close whatever has its number by then
    os.closerange(3, _LAST_DESCRIPTOR)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    end_with_parent()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if os.getppid() != parent:  # it died before it was watched
        os._exit(1)


def _rename(arguments: Sequence[str]) -> None:
    """Show the command as what this process does, to ``ps`` and everybody else who reads /proc."""
    command = [word for word in arguments if not word.startswith("-")][-1]
    _LIBC.prctl(_PR_SET_NAME, os.fsencode(f"dxatrend {command}"), 0, 0, 0)
    places = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(places[_ARGUMENTS_START]), int(places[_ARGUMENTS_END])
    for words in (["dxatrend", *arguments], ["dxatrend", command]):
        shown = b"".join(os.fsencode(word) + b"\0" for word in words)
        if len(shown) <= end - start:
            ctypes.memmove(start, shown.ljust(end - start, b"\0"), end - start)
            return
