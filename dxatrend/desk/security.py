"""Security of every request and answer of the desk: headers, limits of size, and the host names it is called by."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dxatrend.desk.error_pages import ErrorPages
from pipeline.edge.configuration.desk_settings import DeskSettings
from pipeline.errors import DxatrendError

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing but our own files is loaded, no script or style stands in a page, and no other site may frame one."""

LONGEST_TARGET = 2_048
"""Bytes of path and query."""

LARGEST_BODY = 64 * 1024
"""Bytes of a form."""

LARGEST_UPLOAD = 8_000_000
"""Bytes of a form with a file, at the paths that take one."""

_UTF_8 = re.compile(rb";\s*charset=\"?utf-8\"?")
"""The encoding of every form of ours. Another one that a request names would be used: some of them take very long."""

_ONE_YEAR = 31_536_000
_HEADERS = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class BodyTooLargeError(DxatrendError):
    """More was sent than a form may have; raised where the form is read."""


class Guard:
    """Checks each request before anything else sees it, and completes the headers of each answer."""

    def __init__(self, inner: ASGIApp, settings: DeskSettings, errors: ErrorPages, uploads: Sequence[str] = ()) -> None:
        self._inner, self._errors = inner, errors
        self._hosts = frozenset(urlsplit(address).netloc for address in settings.addresses)
        self._headers = dict(_HEADERS)
        if settings.is_https:
            self._headers[b"strict-transport-security"] = f"max-age={_ONE_YEAR}".encode()
        self._uploads = [compile_path(path)[0] for path in uploads]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        takes_file = any(path.match(scope["path"]) for path in self._uploads)
        largest = LARGEST_UPLOAD if takes_file else LARGEST_BODY

        async def bounded() -> Message:
            nonlocal largest
            message = await receive()
            largest -= len(message.get("body", b""))
            if largest < 0:
                raise BodyTooLargeError
            return message

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in self._headers.items() if name not in given]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        refusal = self._refusal(scope, largest)
        if refusal is not None:
            await refusal(scope, receive, complete)
            return
        await self._inner(scope, bounded, complete)

    def _refusal(self, scope: Scope, largest: int) -> ASGIApp | None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_TARGET:
            return self._errors.response(414)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return self._errors.response(405)
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or hosts[0].decode("latin-1").lower() not in self._hosts:
            return self._errors.response(421)
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        if any(b"charset" in _UTF_8.sub(b"", kind.lower()) for kind in kinds):
            return self._errors.response(400)
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if any(not value.isdigit() or int(value[:20]) > largest for value in lengths):
            return self._errors.response(413)
        return None


def comes_from_our_page(headers: Sequence[tuple[bytes, bytes]], settings: DeskSettings) -> bool:
    """Return whether a browser says that a form was sent from a page of ours; one that says neither is not believed."""
    sites = [value for name, value in headers if name == b"sec-fetch-site"]
    if sites:
        return sites == [b"same-origin"]
    origins = [value.decode("latin-1").lower() for name, value in headers if name == b"origin"]
    return len(origins) == 1 and origins[0] in settings.addresses
