"""Call the API of the Prefect server over HTTP with what Python itself has, because a worker does so around the clock.

httpx takes four megabytes once it is imported, and each of its clients loads certificates for two thirds of one, also
where the server is on this machine and speaks no TLS.
"""

import base64
import functools
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTP_PORT, HTTPS_PORT, HTTPConnection, HTTPException, HTTPSConnection
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import DxatrendError

_MOST_BYTES = 1 << 20
"""How much of an answer is read: none that is asked for here is longer."""


class PrefectSilentError(DxatrendError):
    """The server did not answer, or not with what it was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the server did what it was asked to."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> Any:
        """Return what the server has told.

        Raises:
            PrefectSilentError: it refused, or told something else than JSON.
        """
        if not self.is_success:
            raise PrefectSilentError(f"status {self.status}")
        try:
            return json.loads(self.body)
        except ValueError:
            raise PrefectSilentError("no JSON") from None


def log_in(password: str) -> dict[str, str]:
    """Return the headers of a question that show the password."""
    return {"Authorization": f"Basic {base64.b64encode(password.encode('ascii')).decode('ascii')}"}


class PrefectCalls:
    """Calls on one connection, which is made for the first of them and ends with ``close``."""

    def __init__(self, url: str, *, seconds: float) -> None:
        self._url = url.rstrip("/")
        self._seconds = seconds
        self._connection: HTTPConnection | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def get(self, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> Answer:
        """Return the answer to a question.

        Raises:
            PrefectSilentError: none came.
        """
        return self._call("GET", path, headers)

    def post(self, path: str, content: object, headers: Mapping[str, str] = MappingProxyType({})) -> Answer:
        """Return the answer to a question that is sent as JSON.

        Raises:
            PrefectSilentError: none came.
        """
        return self._call("POST", path, {**headers, "Content-Type": "application/json"}, json.dumps(content).encode())

    def _call(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        try:
            url = urlsplit(f"{self._url}{path}")
            self._connection = self._connection or _connection(url.scheme, url.hostname or "", url.port, self._seconds)
            target = f"{url.path}?{url.query}" if url.query else url.path
            self._connection.request(method, target, body, dict(headers))
            answer = self._connection.getresponse()
            return Answer(answer.status, answer.read(_MOST_BYTES))
        except (OSError, HTTPException, ValueError) as error:  # the last is what an impossible host or port raises
            raise PrefectSilentError(type(error).__name__) from None


def _connection(scheme: str, host: str, port: int | None, seconds: float) -> HTTPConnection:
    # Without a port, the last group of an IPv6 address would be taken for one.
    if scheme == "https":
        return HTTPSConnection(host, port or HTTPS_PORT, timeout=seconds, context=_tls())
    return HTTPConnection(host, port or HTTP_PORT, timeout=seconds)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return what is trusted: the authorities of httpx, on which Prefect's own client is built, and no others."""
    from httpx import create_ssl_context  # noqa: PLC0415 - only a server on another machine has TLS

    return create_ssl_context(trust_env=False)
