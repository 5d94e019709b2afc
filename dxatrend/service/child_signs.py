"""What each child says of itself to the supervisor, as it would to systemd: that it is ready, lives, or cannot start.

So the whole service counts as active only when the listener listens, a listener that hangs is restarted, and a child's
reason for not starting is the supervisor's own.
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


class ChildSigns:
    """Hears one child, over a datagram socket of its own, until ``close``."""

    def __init__(self, child: str) -> None:
        self._address = f"dxatrend-{os.getpid()}-{time.monotonic_ns()}-{child.replace(' ', '-')}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.bind(f"\0{self._address}")
        self._heard_at: float | None = None
        self.was_ready = False
        """Whether it has been ready once; its successors then start a service that has run."""
        self.reason = ""
        """Why it could not start, in its own words; empty where it said nothing."""

    def close(self) -> None:
        """Hear it no more."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor of the socket, to be waited for."""
        return self._socket.fileno()

    def environment(self, *, is_watched: bool) -> dict[str, str]:
        """Return the variables with which the child is started anew: systemd's own are not meant for it."""
        self._heard_at, self.reason = None, ""
        microseconds = EVERY_SECONDS * 2_000_000
        return {
            systemd_notify.SOCKET_VARIABLE: f"@{self._address}",
            systemd_notify.WATCHDOG_VARIABLE: str(microseconds) if is_watched else "",
        }

    def hear(self) -> None:
        """Take what the child has said since the last time."""
        with contextlib.suppress(BlockingIOError):
            while True:
                for line in self._socket.recv(65_536).decode(errors="replace").split("\n"):
                    name, _, value = line.partition("=")
                    if name == systemd_notify.CANNOT_START:
                        self.reason = value
                    self.was_ready = self.was_ready or line == "READY=1"
                self._heard_at = time.monotonic()

    def is_silent(self) -> bool:
        """Return whether a child that is watched has said something, and then nothing for too long."""
        return self._heard_at is not None and time.monotonic() - self._heard_at > SILENT_SECONDS


class SystemdSigns:
    """What the supervisor tells systemd of the whole service, until ``close``."""

    def __init__(self) -> None:
        self._is_ready = False
        self._every = systemd_notify.watchdog_seconds()
        self._told_at = time.monotonic()

    def tell(self, *, listens: bool) -> None:
        """Tell that the service is ready, once the listener listens, and that it lives."""
        if listens and not self._is_ready:
            self._is_ready = True
            systemd_notify.notify("READY=1", "STATUS=the listener listens")
        now = time.monotonic()
        if self._every is not None and now - self._told_at >= self._every:
            systemd_notify.notify("WATCHDOG=1")
            self._told_at = now

    def seconds(self) -> float:
        """Return how long the supervisor may wait before it tells again."""
        return self._every if self._every is not None else 60.0

    def close(self) -> None:
        """Tell that the service ends."""
        systemd_notify.notify("STOPPING=1")
