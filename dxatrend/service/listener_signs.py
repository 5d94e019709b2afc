"""Signs of life that the listener gives its supervisor, as it would give them to systemd: a datagram socket of ours.

So the whole service counts as active only when the listener listens, and a listener that hangs is restarted.
"""

import contextlib
import os
import socket
import time

from dxatrend.service import systemd_notify

EVERY_SECONDS = 20
"""How often the listener says that it lives."""

SILENT_SECONDS = 90
"""A listener that listens and has said nothing for so long hangs."""

_NOT_FOR_CHILDREN = {systemd_notify.SOCKET_VARIABLE: "", systemd_notify.WATCHDOG_VARIABLE: ""}


class ListenerSigns:
    """Hears the listener, and tells systemd that the service is ready once it listens, until ``close``."""

    def __init__(self) -> None:
        self._name = f"dxatrend-supervisor-{os.getpid()}-{time.monotonic_ns()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.bind(f"\0{self._name}")
        self._heard_at: float | None = None
        self._is_ready = False
        self._every = systemd_notify.watchdog_seconds()
        self._told_at = time.monotonic()

    def close(self) -> None:
        """Tell systemd that the service ends."""
        systemd_notify.notify("STOPPING=1")
        self._socket.close()

    def environment_of(self, child: str) -> dict[str, str]:
        """Return the variables with which a child is started: systemd's own are not meant for it."""
        if child != "listener":
            return _NOT_FOR_CHILDREN
        self._heard_at = None
        microseconds = EVERY_SECONDS * 2_000_000
        return {
            systemd_notify.SOCKET_VARIABLE: f"@{self._name}",
            systemd_notify.WATCHDOG_VARIABLE: str(microseconds),
        }

    def hear(self) -> bool:
        """Take what the listener has said, pass it on to systemd, and return whether it hangs."""
        now = time.monotonic()
        with contextlib.suppress(BlockingIOError):
            while True:
                said = self._socket.recv(4096).split(b"\n")
                self._heard_at = now
                if b"READY=1" in said and not self._is_ready:
                    self._is_ready = True
                    systemd_notify.notify("READY=1", "STATUS=the listener listens")
        if self._every is not None and now - self._told_at >= self._every:
            systemd_notify.notify("WATCHDOG=1")
            self._told_at = now
        return self._heard_at is not None and now - self._heard_at > SILENT_SECONDS
