"""Call a server over HTTP for DICOMweb or FHIR: TLS, login, and limits of time and size.

No answer is waited for longer than its time in all, however slowly it trickles in, none is read beyond its size, and
no redirection is followed, so that what is sent reaches whom the configuration names and nobody else.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from pipeline.edge.configuration.destination_settings import HttpDestination
from pipeline.edge.configuration.login_settings import LoginError
from pipeline.edge.configuration.section import ClientTlsSettings
from pipeline.edge.connection_failures import first_answer, speaks_tls, stranger, unavailable
from pipeline.edge.cut_off import CutOff
from pipeline.edge.dicom_net.tls import TlsError, for_client
from pipeline.edge.peer_problems import NoAnswerError, PeerUnavailableError, Problem, place

CONNECTION_SECONDS = 5
RESPONSE_SECONDS = 60
"""How long an answer may take; the connection is cut off ``CONNECTION_SECONDS`` later, whatever still comes in."""

MOST_BYTES = 64 * 2**20

MOST_TOLD = 4096
"""Bytes of an answer in which a reason is looked for."""

RETRY = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses that say nothing against what was sent: the server is busy or in trouble."""


_ADVICE = {
    401: Problem.LOGIN_WANTED,
    403: Problem.FORBIDDEN,
    404: Problem.NOT_AT_URL,
    405: Problem.METHOD_REFUSED,
    413: Problem.TOO_LARGE,
    **dict.fromkeys(RETRY, Problem.BUSY),
    **dict.fromkeys((400, 406, 409, 410, 412, 415, 422), Problem.HTTP_REFUSED),
}

_TOLD_IN_PLAIN = (400, 426)
"""HTTP statuses with which servers answer who calls their port for TLS without it; the body then names HTTPS."""


@dataclass(frozen=True, slots=True)
class Response:
    """Status, content type and body of an answer."""

    status: int
    content_type: str
    body: bytes


class HttpClient:
    """A client for one server, until the end of the block.

    Raises:
        PeerUnavailableError: its certificate files or its login cannot be used.
    """

    def __init__(self, to: HttpDestination) -> None:
        try:
            tls = for_client(to.tls or ClientTlsSettings())
            headers = to.login.headers() if to.login else {}
        except (TlsError, LoginError) as unusable:
            raise PeerUnavailableError(Problem.SECRET_UNUSABLE, error=unusable) from None
        timeout = httpx.Timeout(RESPONSE_SECONDS, connect=CONNECTION_SECONDS)
        self._base = to.url.rstrip("/")
        url = urlsplit(to.url)
        self._host, self._is_plain = to.host, url.scheme == "http"
        self._port = url.port or (80 if self._is_plain else 443)
        self._client = httpx.Client(verify=tls, headers=headers, timeout=timeout, trust_env=False)
        self._cut_off = CutOff()

    def __enter__(self) -> "HttpClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Response:
        """Send a request to a path below the server's URL, and return its answer.

        Raises:
            PeerUnavailableError: there is no connection, or no HTTP server at the other end of it.
            NoAnswerError: no whole answer came.
        """
        end = time.monotonic() + RESPONSE_SECONDS
        try:
            with (
                self._cut_off.after(RESPONSE_SECONDS + CONNECTION_SECONDS),
                self._client.stream(
                    method,
                    f"{self._base}{path}",
                    headers=headers,
                    params=parameters,
                    content=content,
                    extensions={"trace": self._cut_off.trace},
                ) as answer,
            ):
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise NoAnswerError(Problem.ENDLESS, at=self._at)
                    if time.monotonic() > end:
                        raise NoAnswerError(Problem.SILENT, at=self._at)
            response = Response(answer.status_code, answer.headers.get("content-type", ""), bytes(body))
        except httpx.TimeoutException as error:
            if isinstance(error, httpx.ConnectTimeout):
                raise unavailable(error, at=self._at, tls=not self._is_plain) from None
            raise NoAnswerError(Problem.SILENT, at=self._at) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._failure(error) from None
        if self._is_plain and response.status in _TOLD_IN_PLAIN and b"HTTPS" in response.body[:MOST_TOLD]:
            raise PeerUnavailableError(Problem.WANTS_TLS, at=self._at)
        return response

    @property
    def _at(self) -> str:
        return place(self._host, self._port)

    def _failure(self, error: Exception) -> PeerUnavailableError | NoAnswerError:
        """Return what a failed request means: a server that has gone, or something that is none."""
        found = unavailable(error, at=self._at, tls=not self._is_plain)
        if not isinstance(error, httpx.ReadError | httpx.WriteError | httpx.RemoteProtocolError):
            return found
        if self._is_plain and speaks_tls(self._host, self._port):
            return PeerUnavailableError(Problem.WANTS_TLS, at=self._at)
        if isinstance(error, httpx.RemoteProtocolError) and self._is_plain:
            first = first_answer(self._host, self._port)
            if first and not first.startswith(b"HTTP/"):
                return stranger(first, at=self._at, expected="web server")
        if found.problem in (Problem.CLOSED, Problem.CLOSED_TLS, Problem.NOT_CONNECTED):
            return NoAnswerError(Problem.CLOSED, at=self._at)
        return found


def problem_of(status: int) -> Problem:
    """Return what an HTTP status says that is not the one that was hoped for."""
    return Problem.REDIRECTED if 300 <= status < 400 else _ADVICE.get(status, Problem.HTTP_STATUS)


def require_welcome(response: Response, request: str) -> None:
    """Require that a server knows the path and lets us in; whatever else it answers is about what was asked.

    Raises:
        PeerUnavailableError: nothing that is sent there would be taken.
    """
    if response.status in (401, 403, 404, 405) or 300 <= response.status < 400:
        raise PeerUnavailableError(problem_of(response.status), request=request, status=response.status)
