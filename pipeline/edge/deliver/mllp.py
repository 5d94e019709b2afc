"""Minimal Lower Layer Protocol (HL7 v2.5.1 appendix C): frames of messages over one TCP connection, plain or TLS."""

import socket
import ssl
import time
from types import TracebackType
from typing import Self

from pipeline.edge.dicom_net.client import PeerUnavailableError
from pipeline.edge.errors import describe_error
from pipeline.errors import DxatrendError

START, END = b"\x0b", b"\x1c\x0d"

CONNECTION_SECONDS = 5
MOST_BYTES = 64 * 1024
"""The most bytes of an answer, which is a few hundred."""


class NoAnswerError(DxatrendError):
    """No frame came in time: the connection ended, or there is something else on it."""


class MllpConnection:
    """One connection to a receiver, until the end of the block.

    Raises:
        PeerUnavailableError: there is no connection.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout=CONNECTION_SECONDS)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=host)
        except ssl.SSLError as error:
            raise PeerUnavailableError(f"no connection over TLS: {error.reason or type(error).__name__}") from None
        except (OSError, UnicodeError) as error:
            raise PeerUnavailableError(f"no connection: {describe_error(error)}") from None
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
        """
        try:
            self._socket.settimeout(CONNECTION_SECONDS)
            self._socket.sendall(START + message + END)
        except OSError as error:
            raise NoAnswerError(f"the connection ended ({type(error).__name__})") from None

    def receive(self, *, until: float) -> bytes:
        """Return the next frame; ``until`` is a moment of ``time.monotonic``.

        Raises:
            NoAnswerError: none came until then, or what came is none.
        """
        while END not in self._received:
            if len(self._received) > MOST_BYTES:
                raise NoAnswerError("its answer does not end")
            self._received += self._more(until)
        frame, _, self._received = self._received.partition(END)
        if not frame.startswith(START):
            raise NoAnswerError("its answer is not framed as MLLP asks for")
        return frame.removeprefix(START)

    def _more(self, until: float) -> bytes:
        left = until - time.monotonic()
        if left <= 0:
            raise NoAnswerError("no answer in time")
        try:
            self._socket.settimeout(left)
            more = self._socket.recv(4096)
        except TimeoutError:
            raise NoAnswerError("no answer in time") from None
        except OSError as error:
            raise NoAnswerError(f"the connection ended ({type(error).__name__})") from None
        if not more:
            raise NoAnswerError("it closed the connection without an answer")
        return more
