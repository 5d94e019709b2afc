"""IP addresses of configured host names, resolved in the background every minute.

A name service can take seconds, and no association may wait for it. When it does not answer, its last answer counts.
"""

import socket
import threading
from collections.abc import Iterable

from pipeline.edge.ip_address import is_ip_address

REFRESH_SECONDS = 60


class HostAddresses:
    """The present addresses of the configured hosts, until ``close``."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._addresses = {host: frozenset([host]) for host in hosts}
        self._names = [host for host in self._addresses if not is_ip_address(host)]
        self._stop = threading.Event()
        if self._names:
            self._resolve()
            threading.Thread(target=self._run, name="host-addresses", daemon=True).start()

    def of(self, host: str) -> frozenset[str]:
        """Return the addresses of a configured host; of a name that was never resolved, the name itself."""
        return self._addresses[host]

    def close(self) -> None:
        """Resolve names no more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(REFRESH_SECONDS):
            self._resolve()

    def _resolve(self) -> None:
        for name in self._names:
            try:
                self._addresses[name] = frozenset(str(info[4][0]) for info in socket.getaddrinfo(name, None))
            except (OSError, UnicodeError):
                continue
