"""Tell systemd that a process is ready, and that it still lives (sd_notify(3)): datagrams to a socket it names.

Started by anything else, a process has no such socket, and nothing is sent.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SOCKET_VARIABLE = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE = "WATCHDOG_USEC"

CANNOT_START = "X_DXATREND_CANNOT_START"
"""What a part says to the supervisor that started it; systemd leaves out what begins with ``X_``."""


def notify(*lines: str) -> bool:
    """Send assignments such as ``READY=1`` to systemd; return whether there is one and it takes them."""
    address = os.environ.get(SOCKET_VARIABLE, "")
    if not address.startswith(("/", "@")):
        return False
    name = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.connect(name)
            to.sendall("\n".join(lines).encode())
    except OSError:  # systemd then does what it does with a unit that is not ready
        return False
    return True


def cannot_start(reason: str) -> None:
    """Tell the supervisor, or systemd, why this process cannot start."""
    line = " ".join(reason.split())
    notify(f"STATUS={line}", f"{CANNOT_START}={line}")


def watchdog_seconds() -> float | None:
    """Return how often systemd wants to hear of this process: twice within its limit; ``None`` where it does not."""
    limit = os.environ.get(WATCHDOG_VARIABLE, "")
    return int(limit) / 2_000_000 if limit.isdecimal() and int(limit) else None


@contextmanager
def ready(status: str, *, is_alive: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Tell systemd that this process is ready, and for as long as the block lasts and ``is_alive``, that it lives.

    A thread of its own tells it: a process that is frozen, or whose interpreter is stuck, falls silent and is
    restarted.
    """
    notify("READY=1", f"STATUS={status}")
    ended = threading.Event()
    every = watchdog_seconds()
    thread = threading.Thread(target=_keep_telling, args=(ended, every, is_alive), name="watchdog", daemon=True)
    if every is not None:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        notify("STOPPING=1")
        if every is not None:
            thread.join()


def _keep_telling(ended: threading.Event, every: float, is_alive: Callable[[], bool]) -> None:
    while not ended.wait(every):
        if is_alive():
            notify("WATCHDOG=1")
