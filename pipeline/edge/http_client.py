"""Call a server over HTTP for DICOMweb or FHIR: TLS, login, and limits of time and size.

No answer is waited for longer than its time in all, however slowly it trickles in, none is read beyond its size, and
no redirection is followed, so that what is sent reaches whom the configuration names and nobody else.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from pipeline.edge.configuration.destination_settings import HttpDestination
from pipeline.edge.configuration.login_settings import LoginError
from pipeline.edge.configuration.section import ClientTlsSettings
from pipeline.edge.cut_off import CutOff
from pipeline.edge.dicom_net.client import PeerUnavailableError
from pipeline.edge.dicom_net.tls import TlsError, for_client
from pipeline.errors import DxatrendError

CONNECTION_SECONDS = 5
RESPONSE_SECONDS = 60
"""How long an answer may take; the connection is cut off ``CONNECTION_SECONDS`` later, whatever still comes in."""

MOST_BYTES = 64 * 2**20

RETRY = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses that say nothing against what was sent: the server is busy or in trouble."""


class NoResponseError(DxatrendError):
    """The connection was there, and no whole answer came."""


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
            raise PeerUnavailableError(str(unusable)) from None
        timeout = httpx.Timeout(RESPONSE_SECONDS, connect=CONNECTION_SECONDS)
        self._base = to.url.rstrip("/")
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
            PeerUnavailableError: there is no connection.
            NoResponseError: no whole answer came.
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
                        raise NoResponseError("its answer does not end")
                    if time.monotonic() > end:
                        raise NoResponseError("no whole answer in time")
                return Response(answer.status_code, answer.headers.get("content-type", ""), bytes(body))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise PeerUnavailableError(f"no connection ({type(error.__cause__ or error).__name__})") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise NoResponseError(f"no answer ({type(error).__name__})") from None


def require_welcome(response: Response, request: str) -> None:
    """Require that a server knows the path and lets us in; whatever else it answers is about what was asked.

    Raises:
        PeerUnavailableError: nothing that is sent there would be taken.
    """
    advice = {
        401: "it asks for a login",
        403: "the login may not do that",
        404: "there is nothing at this URL",
        405: "it does not offer that at this URL",
    }
    if response.status in advice or 300 <= response.status < 400:
        problem = advice.get(response.status, "it redirects elsewhere")
        raise PeerUnavailableError(f"{request} was answered with HTTP {response.status}: {problem}")
