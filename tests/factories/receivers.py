"""Receivers of the alarms' messages: a real mail server (aiosmtpd) and a real web server, each on a free port."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests import peers

USER, PASSWORD = "alarms", "correct horse"


@dataclass
class MailServer:
    """What a mail server has taken; with ``refuses`` it answers each message with that reply."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    refuses: str | None = None

    async def handle_DATA(self, server: object, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Take a mail."""
        if self.refuses:
            return self.refuses
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default))
        self.was_encrypted.append(session.ssl is not None)
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        """The subjects of the mails, without the name of the machine."""
        return [mail["Subject"].partition("] ")[2] for mail in self.mails]

    @property
    def text(self) -> str:
        """The text of all mails."""
        return "\n".join(mail.get_content() for mail in self.mails)


@contextmanager
def mail_server(*, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    """A mail server on loopback; with ``tls`` or ``starttls`` it asks for encryption and a log-in."""
    server = MailServer(peers.free_port())

    def authenticate(_server: object, _session: object, _envelope: object, _mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and given == LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    options: dict[str, Any] = {}
    if starttls is not None:
        options = {"tls_context": starttls, "require_starttls": True}
    if tls is not None:
        options = {"ssl_context": tls, "auth_require_tls": False}
    if options:
        options |= {"authenticator": authenticate, "auth_required": True}
    controller = Controller(server, hostname="127.0.0.1", port=server.port, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@dataclass
class WebServer:
    """What a web server was asked; it answers with ``status``."""

    url: str
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200


@contextmanager
def web_server(port: int | None = None) -> Iterator[WebServer]:
    """A web server on loopback that keeps each request: method and path, headers, body."""
    port = port or peers.free_port()
    kept = WebServer(f"http://127.0.0.1:{port}")

    class Handler(BaseHTTPRequestHandler):
        def _keep(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept.requests.append((f"{self.command} {self.path}", dict(self.headers), body))
            self.send_response(kept.status)
            self.end_headers()

        do_GET = do_POST = _keep  # noqa: N815 - the names of http.server

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
