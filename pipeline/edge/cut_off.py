"""Cut an HTTP connection off in the end: a time-out of each read does not help where an answer trickles in for ever."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")
"""The ends of the events that tell of a new socket, to a server or through a proxy to one."""


class CutOff:
    """The connection that a client of httpx uses one request after the other; ``trace`` is its trace extension."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def trace(self, event: str, information: Mapping[str, Any]) -> None:
        """Note the socket of a connection."""
        if event.endswith(_CONNECTED):
            self._socket = information["return_value"].get_extra_info("socket")

    @contextmanager
    def after(self, seconds: float) -> Iterator[None]:
        """Cut the connection off unless the block ends in time; whoever waits for it then hears that it ended."""
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # the base class: TLS is another thread's
