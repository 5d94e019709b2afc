"""Listen for HL7 messages over MLLP from configured addresses, and hand each to a function that answers it.

Connections of others are closed before anything is read. Each sender has few connections, a frame has a limit, and a
connection that says nothing for an hour is closed. One whose other end has gone without a word, as behind a firewall
that forgot it, ends within ``GONE_SECONDS``: a feed may be silent all night, its machine may not.
"""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from pipeline.edge.configuration.service_settings import AdtSettings
from pipeline.edge.dicom_net.host_addresses import HostAddresses
from pipeline.edge.dicom_net.rate_limited_log import RateLimitedLog
from pipeline.edge.dicom_net.tls import for_listener

log = logging.getLogger(__name__)

START, END = b"\x0b", b"\x1c\x0d"
MOST_BYTES = 1_000_000
MOST_CONNECTIONS = 16
IDLE_SECONDS = 3600
GONE_SECONDS = 120
"""How long the kernel asks in vain whether the other end is still there, before it ends the connection."""

FRAME_SECONDS = 30
"""How long a frame may take from its first byte to its last."""

Answer = Callable[[bytes, str], bytes]
"""Answers one message from an address."""


class MllpListener:
    """Accepts connections until ``close``.

    Raises:
        OSError: the address or port cannot be used.
        TlsError: a certificate cannot be used.
    """

    def __init__(self, settings: AdtSettings, answer: Answer) -> None:
        assert settings.port is not None, "without a port nobody listens"
        self._answer = answer
        self._callers = [caller.host for caller in settings.caller]
        self._tls = for_listener(settings.tls) if settings.tls else None
        self._addresses = HostAddresses(self._callers)
        self._log = RateLimitedLog(log)
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._closed = False
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self._server = socket.create_server((settings.host, settings.port), family=family)
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, name="HL7 listener", daemon=True)
        self._acceptor.start()

    @property
    def is_alive(self) -> bool:
        """Whether connections are still accepted."""
        return self._acceptor.is_alive()

    def close(self) -> None:
        """Accept no more, and end what is open once its message is answered."""
        self._closed = True
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            open_now = [*self._connections]
        for connection in open_now:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        for thread in (self._acceptor, *self._threads):
            thread.join(FRAME_SECONDS)
        self._addresses.close()
        self._log.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, (host, *_) = self._server.accept()
            except OSError:
                return
            with self._lock:
                admitted = len(self._connections) < MOST_CONNECTIONS and self._is_caller(host)
                if admitted:
                    self._connections.add(connection)
            if not admitted:
                connection.close()
                self._log.warning(host, "a connection for HL7 from %s was closed: no adt.caller, or too many", host)
                continue
            thread = threading.Thread(target=self._serve, args=(connection, host), name="HL7 connection", daemon=True)
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
            thread.start()

    def _is_caller(self, host: str) -> bool:
        return any(host in self._addresses.of(caller) for caller in self._callers)

    def _serve(self, plain: socket.socket, host: str) -> None:
        connection = plain
        try:
            plain.settimeout(FRAME_SECONDS)
            _keep_alive(plain)
            connection = self._secured(plain)
            with self._lock:
                self._connections.discard(plain)
                self._connections.add(connection)
            self._answer_all(connection, host)
        except (OSError, _NoFrameError) as error:
            if not self._closed:
                self._log.warning(host, "a connection for HL7 from %s ended: %s", host, type(error).__name__)
        finally:
            with self._lock:
                self._connections -= {plain, connection}
            connection.close()

    def _secured(self, connection: socket.socket) -> socket.socket:
        if self._tls is None:
            return connection
        secured: ssl.SSLSocket = self._tls.wrap_socket(connection, server_side=True)
        return secured

    def _answer_all(self, connection: socket.socket, host: str) -> None:
        received = b""
        begun = time.monotonic()
        while not self._closed:
            if not received:
                connection.settimeout(IDLE_SECONDS)
            else:
                connection.settimeout(max(begun + FRAME_SECONDS - time.monotonic(), 0.001))
            more = connection.recv(65536)
            if not more:
                return
            begun = begun if received else time.monotonic()
            received += more
            while END in received:
                frame, _, received = received.partition(END)
                if not frame.startswith(START):
                    raise _NoFrameError
                connection.settimeout(FRAME_SECONDS)
                connection.sendall(START + self._answer(frame.removeprefix(START), host) + END)
                begun = time.monotonic()
            if len(received) > MOST_BYTES or (received and not received.startswith(START)):
                raise _NoFrameError


def _keep_alive(connection: socket.socket) -> None:
    """Let the kernel ask after a minute of silence whether the other end is there, and again until it gives up."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, GONE_SECONDS // 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, GONE_SECONDS // 8)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_SECONDS * 1000)


class _NoFrameError(Exception):
    """What came is no frame, or has no end."""
