"""Under which addresses does a configured host call?

Asking the name service can take seconds, and nobody may wait for it with a scanner at the line: names are asked for
once at the start and then every minute, beside everything else. When the name service is silent, its last answer
counts.
"""

import socket
import threading
from collections.abc import Iterable

from pipeline.edge.ip_address import is_ip_address

REFRESH_SECONDS = 60


class Addresses:
    """What the configured names mean at present, until ``close``."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._known = {host: frozenset([host]) for host in hosts}
        self._names = [host for host in self._known if not is_ip_address(host)]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if self._names:
            self._ask()
            self._thread = threading.Thread(target=self._run, name="addresses", daemon=True)
            self._thread.start()

    def of(self, host: str) -> frozenset[str]:
        """The addresses of a configured host."""
        return self._known[host]

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(REFRESH_SECONDS):
            self._ask()

    def _ask(self) -> None:
        for name in self._names:
            try:
                self._known[name] = frozenset(str(info[4][0]) for info in socket.getaddrinfo(name, None))
            except (OSError, UnicodeError):
                continue
