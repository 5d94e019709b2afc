"""Settings of ``service.toml`` for alarms and monitors: hold-offs, the calendar, and the ways out of messages."""

from datetime import date, time
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.edge.alarm_kinds import KINDS
from pipeline.edge.configuration.section import ConfigPath, Name, Port, Section
from pipeline.edge.configuration.urls import parts_of_url
from pipeline.edge.ip_address import LOOPBACK

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _http_url(text: str) -> str:
    if parts_of_url(text, "http", "https") is None or not text.isprintable():
        raise ValueError("a URL begins with http:// or https:// and a host")
    return text


def _kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"no alarm is called {name!r}; dxatrend alarms --kinds lists them")
    return name


def _address(text: str) -> str:
    """Require a plain mail address: anything else could add a header or a recipient."""
    name, _, host = text.rpartition("@")
    if not (name and host) or not text.isascii() or any(not c.isprintable() or c in ' ,;:<>()[]"\\' for c in text):
        raise ValueError("a mail address is name@host, without a display name")
    return text


HttpUrl = Annotated[str, AfterValidator(_http_url)]
KindName = Annotated[str, AfterValidator(_kind)]
Address = Annotated[str, AfterValidator(_address)]


class MailSettings(Section):
    """``[alarms.mail]``: the mail server, and who is written to."""

    to: Annotated[tuple[Address, ...], Field(min_length=1)]
    sender: Address
    host: Name
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca: ConfigPath | None = None
    user: Name | None = None
    password: Name | None = None
    password_file: ConfigPath | None = None

    @model_validator(mode="after")
    def _has_one_password(self) -> Self:
        given = (self.password is not None) + (self.password_file is not None)
        if given > 1:
            raise ValueError("give either password or password_file")
        if given != (self.user is not None):
            raise ValueError("user and a password go together")
        if self.user is not None and self.security == "none" and self.host not in LOOPBACK:
            raise ValueError("a password is not sent without TLS: set security to starttls or tls")
        return self


class WebhookSettings(Section):
    """``[alarms.webhook]``: a URL that gets each message as JSON, signed where there is a secret."""

    url: HttpUrl
    ca: ConfigPath | None = None
    secret: Name | None = None
    secret_file: ConfigPath | None = None

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("give either secret or secret_file")
        return self


class AppriseSettings(Section):
    """``[alarms.apprise]``: a service of Apprise's list, by its URL, which holds its secrets."""

    url: Name | None = None
    url_file: ConfigPath | None = None

    @model_validator(mode="after")
    def _has_one_url(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give either url or url_file")
        return self


class HeartbeatSettings(Section):
    """``[alarms.heartbeat]``: a URL that is asked for as long as all is well, and tells others once it is not."""

    url: HttpUrl
    minutes: Annotated[float, Field(gt=0, le=1440)] = 5


class AlarmsSettings(Section):
    """``[alarms]``: what is watched, when the department works, and how it is told."""

    off: tuple[KindName, ...] = ()
    hold_off_minutes: dict[KindName, Annotated[float, Field(ge=0, le=525_600)]] = {}  # noqa: RUF012 - pydantic copies it
    calm_minutes: Annotated[float, Field(ge=0, le=1440)] = 5
    apart_minutes: Annotated[float, Field(ge=0, le=1440)] = 15
    every_seconds: Annotated[float, Field(ge=0.2, le=60)] = 15
    work_days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    work_ends: time = time(18)
    holidays: tuple[date, ...] = ()
    morning: time = time(6, 30)
    desk_url: HttpUrl | None = None
    site: Name | None = None
    mail: MailSettings | None = None
    webhook: WebhookSettings | None = None
    apprise: AppriseSettings | None = None
    heartbeat: HeartbeatSettings | None = None


class MonitorSettings(Section):
    """``[monitor]``: ``/healthz`` and ``/metrics`` for a monitoring system."""

    host: Name = "127.0.0.1"
    port: Port | None = None
    serial_numbers: bool = True
