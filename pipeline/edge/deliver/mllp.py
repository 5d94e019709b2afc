"""Minimal Lower Layer Protocol (HL7 v2.5.1 appendix C): frames of messages over one TCP connection, plain or TLS."""

import socket
import ssl
import time
from types import TracebackType
from typing import Self

from pipeline.edge.connection_failures import stranger, unavailable
from pipeline.edge.peer_problems import NoAnswerError, PeerError, Problem, place

START, END = b"\x0b", b"\x1c\x0d"

CONNECTION_SECONDS = 5
MOST_BYTES = 64 * 1024
"""The most bytes of an answer, which is a few hundred."""


class MllpConnection:
    """One connection to a receiver, until the end of the block.

    Raises:
        PeerUnavailableError: there is no connection.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._at = place(host, port)
        try:
            self._socket = socket.create_connection((host, port), timeout=CONNECTION_SECONDS)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=host)
        except (OSError, UnicodeError) as error:
            raise unavailable(error, at=self._at, tls=tls is not None) from None
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, message: bytes) -> None:
        """Send one message.

        Raises:
            NoAnswerError: the connection ended, or nobody reads from it.
            PeerUnavailableError: the other side does not accept our certificate.
        """
        try:
            self._socket.settimeout(CONNECTION_SECONDS)
            self._socket.sendall(START + message + END)
        except OSError as error:
            raise self._ended(error) from None

    def receive(self, *, until: float) -> bytes:
        """Return the next frame; ``until`` is a moment of ``time.monotonic``.

        Raises:
            NoAnswerError: none came until then, or what came is no frame.
            PeerUnavailableError: the other side does not accept our certificate.
        """
        while END not in self._received:
            if len(self._received) > MOST_BYTES:
                raise NoAnswerError(Problem.ENDLESS, at=self._at)
            self._received += self._more(until)
            if not self._received.startswith(START):
                found = stranger(self._received, at=self._at, expected="receiver of HL7")
                raise NoAnswerError(found.problem, **found.facts)
        frame, _, self._received = self._received.partition(END)
        return frame.removeprefix(START)

    def _more(self, until: float) -> bytes:
        left = until - time.monotonic()
        if left <= 0:
            raise NoAnswerError(Problem.HL7_NO_ANSWER)
        try:
            self._socket.settimeout(left)
            more = self._socket.recv(4096)
        except TimeoutError:
            raise NoAnswerError(Problem.HL7_NO_ANSWER) from None
        except OSError as error:
            raise self._ended(error) from None
        if not more:
            raise NoAnswerError(Problem.CLOSED, at=self._at)
        return more

    def _ended(self, error: OSError) -> PeerError:
        """Return what an error of the open connection means: with TLS 1.3 a certificate is refused only now."""
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return unavailable(error, at=self._at, tls=True)
        return NoAnswerError(Problem.CLOSED, at=self._at)
