"""Ways out of a message: mail (SMTP), webhook (JSON over HTTP, signed) and Apprise; and the outward heartbeat.

Everything has a time-out. A failure says what failed, never a secret.
"""

import hashlib
import hmac
import json
import logging
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.edge.alarms.secrets import SecretError, secret
from pipeline.edge.configuration.alarm_settings import (
    AlarmsSettings,
    AppriseSettings,
    HeartbeatSettings,
    MailSettings,
    WebhookSettings,
)
from pipeline.edge.cut_off import CutOff
from pipeline.edge.ip_address import LOOPBACK
from pipeline.errors import DxatrendError

SECONDS = 20
"""How long a mail server or a web server may take for each of its answers; a web server is cut off after twice that."""

SIGNATURE = "X-Dxatrend-Signature"
TIMESTAMP = "X-Dxatrend-Timestamp"
"""The headers of a webhook: ``sha256=`` and the HMAC of timestamp, full stop and body; and that timestamp (Unix)."""

_MAIL_PASSWORD = "alarms.mail.password_file"
_WEBHOOK_SECRET = "alarms.webhook.secret_file"
_APPRISE_URL = "alarms.apprise.url_file"

Content = Mapping[str, Any]
Send = Callable[[Content, str], None]
"""Sends a message; the text identifies it, so that a receiver notices one that comes twice."""


class NotSentError(DxatrendError):
    """A message did not get out by one way; the text says why and holds no secret."""


def ways_out(settings: AlarmsSettings) -> dict[str, Send]:
    """Return what sends a message, by the name of each way that is set."""
    ways: dict[str, Send] = {}
    if (mail := settings.mail) is not None:
        ways["mail"] = lambda content, identity: send_mail(mail, content, identity)
    if (webhook := settings.webhook) is not None:
        ways["webhook"] = lambda content, identity: send_webhook(webhook, content, identity)
    if (apprise := settings.apprise) is not None:
        ways["apprise"] = lambda content, identity: send_by_apprise(apprise, content)
    return ways


def secret_problems(settings: AlarmsSettings) -> Iterator[str]:
    """Yield which files with secrets cannot be used."""
    given: list[tuple[str | None, Path | None, str]] = []
    if settings.mail is not None:
        given.append((settings.mail.password, settings.mail.password_file, _MAIL_PASSWORD))
    if settings.webhook is not None:
        given.append((settings.webhook.secret, settings.webhook.secret_file, _WEBHOOK_SECRET))
    if settings.apprise is not None:
        given.append((settings.apprise.url, settings.apprise.url_file, _APPRISE_URL))
    for value, file, setting in given:
        try:
            secret(value, file, setting=setting)
        except SecretError as unusable:
            yield str(unusable)


def send_mail(settings: MailSettings, content: Content, identity: str) -> None:
    """Send a message by mail.

    Raises:
        NotSentError: the mail server did not take it.
    """
    mail = EmailMessage()
    mail["From"], mail["To"] = settings.sender, ", ".join(settings.to)
    mail["Subject"] = " ".join(str(content["subject"]).split())  # a header is one line
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{identity}@{_domain()}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notes come back
    mail.set_content(str(content["text"]))
    try:
        with _connected(settings) as server:
            if settings.user is not None:
                password = secret(settings.password, settings.password_file, setting=_MAIL_PASSWORD)
                server.login(settings.user, password or "")
            refused = server.send_message(mail)
    except SecretError as unusable:
        raise NotSentError(str(unusable)) from None
    except smtplib.SMTPResponseException as answer:
        raise NotSentError(f"the mail server answered {answer.smtp_code} ({type(answer).__name__})") from None
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        raise NotSentError(f"the mail server: {_why(error)}") from None
    if refused:
        logging.getLogger(__name__).warning("the mail server refused some receivers", extra={"count": len(refused)})


def send_webhook(settings: WebhookSettings, content: Content, identity: str) -> None:
    """Post a message as JSON, signed where there is a secret.

    Raises:
        NotSentError: the receiver did not answer with 2xx.
    """
    body = json.dumps({"id": identity, **content}).encode()
    headers = {"Content-Type": "application/json", TIMESTAMP: str(round(datetime.now(UTC).timestamp()))}
    try:
        key = secret(settings.secret, settings.secret_file, setting=_WEBHOOK_SECRET)
    except SecretError as unusable:
        raise NotSentError(str(unusable)) from None
    if key is not None:
        headers[SIGNATURE] = signature(key, headers[TIMESTAMP], body)
    _request("POST", settings.url, ca=settings.ca, content=body, headers=headers)


def signature(key: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a webhook's body (HMAC-SHA256)."""
    return "sha256=" + hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def send_by_apprise(settings: AppriseSettings, content: Content) -> None:
    """Send a message by a service that Apprise knows.

    Raises:
        NotSentError: Apprise does not know the service, or could not send.
    """
    import apprise  # noqa: PLC0415 - slow to import, and few use it

    try:
        url = secret(settings.url, settings.url_file, setting=_APPRISE_URL)
    except SecretError as unusable:
        raise NotSentError(str(unusable)) from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs URLs
    service = apprise.Apprise()
    if not service.add(url or ""):
        raise NotSentError("alarms.apprise.url: Apprise does not know this kind of URL")
    if not service.notify(title=str(content["subject"]), body=str(content["text"])):
        raise NotSentError("Apprise could not send it")


def send_heartbeat(settings: HeartbeatSettings) -> None:
    """Ask for the URL of the outward heartbeat.

    Raises:
        NotSentError: it did not answer with 2xx.
    """
    _request("GET", settings.url)


def _request(method: str, url: str, *, ca: Path | None = None, **given: Any) -> None:
    import httpx  # noqa: PLC0415 - slow to import, and a command that only reads needs none

    host, cut_off = urlsplit(url).hostname or "", CutOff()
    try:
        verify = ssl.create_default_context(cafile=str(ca) if ca else None)
        # A proxy is for the world outside.
        with (
            httpx.Client(timeout=SECONDS, verify=verify, trust_env=host not in LOOPBACK) as client,
            cut_off.after(2 * SECONDS),
            client.stream(method, url, extensions={"trace": cut_off.trace}, **given) as answer,
        ):
            status, is_success = answer.status_code, answer.is_success  # what else it says may have no end
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        raise NotSentError(f"{host}: {_why(error)}") from None
    if not is_success:
        raise NotSentError(f"{host} answered {status}")


def _connected(settings: MailSettings) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
    if settings.security == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, _domain(), timeout=SECONDS, context=context)
    server = smtplib.SMTP(settings.host, settings.port, _domain(), timeout=SECONDS)
    if settings.security == "starttls":
        try:
            server.starttls(context=context)
        except (smtplib.SMTPException, OSError):
            server.close()
            raise
    return server


def _domain() -> str:
    name = socket.gethostname()
    return name if name.isascii() and name else "dxatrend"


def _why(error: Exception) -> str:
    """Return the kind of an error; its text may hold what was sent."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', None) or error.reason or 'unknown'}"
    strerror = getattr(error, "strerror", None)
    return f"{strerror or type(error).__name__}"
