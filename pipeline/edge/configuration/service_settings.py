"""Settings of ``service.toml``: store, listener, callers, exams, addenda, destinations, Prefect, audit trail, desk."""

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, field_validator, model_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from pipeline.edge.configuration.alarm_settings import AlarmsSettings, MonitorSettings
from pipeline.edge.configuration.desk_settings import DeskSettings
from pipeline.edge.configuration.destination_settings import Destination, DicomDestination, StowDestination
from pipeline.edge.configuration.section import AeTitle, ConfigPath, Name, Port, Section, TlsSettings
from pipeline.edge.configuration.urls import parts_of_url
from pipeline.edge.ip_address import is_ip_address

MEGABYTE = 1_000_000
"""Bytes in one unit of every setting that ends in ``_mb``."""


def _database_url(text: str) -> str:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("not a database URL; try sqlite:///var/dxatrend.sqlite3") from None
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ValueError("only sqlite:/// and postgresql+psycopg:// databases are supported")
    if not text.isprintable() or text != text.strip():
        raise ValueError("there is a character in it that cannot be seen")
    problem = _sqlite_problem(url) if url.drivername == "sqlite" else _postgresql_problem(url)
    if problem:
        raise ValueError(problem)
    return text


def _sqlite_problem(url: URL) -> str | None:
    """Return what would make SQLite open anything but one file that outlasts the process."""
    path = url.database or ""
    if url.host or url.username or url.port:
        return "sqlite:// is followed by a third slash and the path of a file, not by a host"
    if url.query:
        return "a sqlite:/// URL ends with the path of a file; nothing after a question mark is heeded"
    if not path or path.endswith("/") or path.startswith((":", "file:", "~")):
        return "sqlite:/// is followed by the path of a file, and what is in it must outlast the process"
    return None


def _postgresql_problem(url: URL) -> str | None:
    if not url.database or "/" in url.database:
        return "postgresql+psycopg://user@host/ is followed by the name of a database"
    if url.port is not None and not 1 <= url.port <= 65535:
        return "the port is none"
    return None


def _syslog_url(text: str) -> str:
    url = parts_of_url(text, "udp", "tls")
    if url is None or url.path:
        raise ValueError("a syslog receiver is udp://host:port or tls://host:port")
    return text


class StoreSettings(Section):
    """``[store]``: the database; a relative ``url`` is relative to ``folder``, the data folder."""

    folder: ConfigPath | None = None
    url: Annotated[str, AfterValidator(_database_url)] = "sqlite:///var/dxatrend.sqlite3"
    reserve_mb: Annotated[int, Field(ge=0)] = 256


class CallerSettings(Section):
    """``[[listener.caller]]``: an AE that may send; with a port, storage commitment is reported to it there."""

    ae_title: AeTitle
    host: Name | None = None
    certificate: Name | None = None
    port: Port | None = None
    serial_numbers: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    echo_only: bool = False
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _only_echoes(self) -> Self:
        if self.echo_only and (self.port is not None or self.serial_numbers is not None):
            raise ValueError("with echo_only it sends no reports: port and serial_numbers mean nothing")
        return self

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        if self.port is not None and self.host is None:
            raise ValueError("a port needs a host: commitments are reported there")
        if self.tls is not None and self.port is None:
            raise ValueError("tls needs a port: commitments are reported there")
        return self


Engine = Literal["event-driven", "pynetdicom"]
"""What serves the listener's associations: our event-driven server, or pynetdicom's own."""


class ListenerSettings(Section):
    """``[listener]``: the Storage SCP that scanners send to, and its limits."""

    ae_title: AeTitle = "DXATREND"
    host: Name = "127.0.0.1"
    port: Port = 11112
    engine: Engine = "event-driven"
    pictures: bool = True
    caller: tuple[CallerSettings, ...] = ()
    associations: Annotated[int, Field(ge=1, le=500)] = 100
    associations_per_caller: Annotated[int, Field(ge=1, le=500)] = 25
    idle_seconds: Annotated[float, Field(ge=1, le=86_400)] = 60
    largest_object_mb: Annotated[int, Field(ge=1, le=1_000)] = 64
    commitment_references: Annotated[int, Field(ge=1, le=20_000)] = 2_000
    tls: TlsSettings | None = None

    @field_validator("caller")
    @classmethod
    def _are_distinguishable(cls, callers: tuple[CallerSettings, ...]) -> tuple[CallerSettings, ...]:
        """Require an IP address of each caller that shares its AE title with one bound to serial numbers."""
        for title in dict.fromkeys(caller.ae_title for caller in callers):
            same = [caller for caller in callers if caller.ae_title == title]
            bound = len(same) > 1 and any(caller.serial_numbers for caller in same)
            if bound and not all(caller.host and is_ip_address(caller.host) for caller in same):
                raise ValueError(f"several are called {title}: with serial_numbers, each needs an address as host")
        return callers

    @model_validator(mode="after")
    def _has_tls_for_certificates(self) -> Self:
        if self.tls is None and any(caller.certificate for caller in self.caller):
            raise ValueError("caller.certificate needs listener.tls: without it no caller shows a certificate")
        return self


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError("no IANA time zone has this name; one is Europe/Berlin") from None
    return name


TimeZone = Annotated[str, AfterValidator(_time_zone)]


class ExamSettings(Section):
    """``[exam]``: when an exam is due, when it counts as late, and in which time zone the department lives."""

    settle_seconds: Annotated[float, Field(ge=0, le=86_400)] = 30
    history_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60
    late_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    time_zone: TimeZone | None = None

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone that ``time_zone`` names; ``None`` for this machine's own."""
        return None if self.time_zone is None else ZoneInfo(self.time_zone)


class KeepingSettings(Section):
    """``[keeping]``: for how many days pixel data and the audit trail are kept, and for how many years exams."""

    pixels_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    audit_days: Annotated[int, Field(ge=30, le=36_500)] | None = None
    exams_years: Annotated[int, Field(ge=1, le=200)] | None = None


_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _time_of_day(text: str) -> str:
    if not _TIME_OF_DAY.fullmatch(text):
        raise ValueError('has to be a time of day in quotes, as "02:30"')
    return text


class BackupSettings(Section):
    """``[backup]``: the folder of nightly backups, how many are kept, and when they begin (``exam.time_zone``)."""

    folder: ConfigPath | None = None
    keep: Annotated[int, Field(ge=1, le=10_000)] = 14
    at: Annotated[str, AfterValidator(_time_of_day)] = "02:30"

    @property
    def cron(self) -> str:
        """When it begins, as a cron expression in the time zone of the department, or UTC where none is named."""
        begin = time.fromisoformat(self.at)
        return f"{begin.minute} {begin.hour} * * *"


class QualityControlSettings(Section):
    """``[quality_control]``: after how many days without a phantom scan there is a notice, and an alarm."""

    phantom_notice_days: Annotated[int, Field(ge=1, le=365)] = 7
    phantom_alarm_days: Annotated[int, Field(ge=1, le=365)] = 14

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.phantom_alarm_days < self.phantom_notice_days:
            raise ValueError("phantom_alarm_days is less than phantom_notice_days")
        return self


class ReprocessSettings(Section):
    """``[reprocess]``: the pace at which exams whose inputs have changed are examined again."""

    addenda_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    shards: Annotated[int, Field(ge=1, le=1000)] = 16


def _font(path: Path) -> Path:
    """Require a TrueType or OpenType file, alone or in a collection, by its first four bytes."""
    try:
        with path.open("rb") as file:
            kind = file.read(4)
    except OSError:
        raise ValueError("there is no such file, or it may not be read") from None
    if kind not in (b"\0\1\0\0", b"OTTO", b"ttcf", b"true"):
        raise ValueError("this is no TrueType or OpenType font")
    return path


class AddendumSettings(Section):
    """``[addendum]``: the SOP class and the Preliminary Flag of every addendum, and the font of its renderings."""

    sop_class: Literal["comprehensive", "enhanced"] = "comprehensive"
    preliminary: bool = True
    font: Annotated[ConfigPath, AfterValidator(_font)] | None = None


class AdtCallerSettings(Section):
    """``[[adt.caller]]``: a system of the hospital that may send patient administration messages."""

    host: Name


class AdtSettings(Section):
    """``[adt]``: the HL7 listener for merges of patient ids (ADT^A40); off unless it has a port."""

    host: Name = "127.0.0.1"
    port: Port | None = None
    caller: tuple[AdtCallerSettings, ...] = ()
    assigning_authority: Name | None = None
    issuer: str = ""
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _has_callers(self) -> Self:
        if self.port is not None and not self.caller:
            raise ValueError("a port needs at least one adt.caller: nobody else may send")
        return self


class PrefectSettings(Section):
    """``[prefect]``: the server that ``serve`` starts, or ``api_url`` of one that runs elsewhere."""

    host: Name = "127.0.0.1"
    port: Port = 4200
    home: Path = Path("private/prefect")
    password_file: ConfigPath | None = None
    api_url: Name | None = None
    reserve_mb: Annotated[int, Field(ge=0)] = 256


class AuditSettings(Section):
    """``[audit]``: the syslog receiver of audit messages, which hold patient ids; none unless given."""

    syslog: Annotated[str, AfterValidator(_syslog_url)] | None = None
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _has_tls_where_needed(self) -> Self:
        if (self.tls is None) == (self.syslog is not None and self.syslog.startswith("tls:")):
            raise ValueError("tls:// needs audit.tls, and nothing else does")
        return self


class ServiceSettings(Section):
    """``service.toml``."""

    store: StoreSettings = StoreSettings()
    listener: ListenerSettings = ListenerSettings()
    exam: ExamSettings = ExamSettings()
    addendum: AddendumSettings = AddendumSettings()
    keeping: KeepingSettings = KeepingSettings()
    backup: BackupSettings = BackupSettings()
    audit: AuditSettings = AuditSettings()
    adt: AdtSettings = AdtSettings()
    reprocess: ReprocessSettings = ReprocessSettings()
    quality_control: QualityControlSettings = QualityControlSettings()
    destination: tuple[Destination, ...] = ()
    prefect: PrefectSettings = PrefectSettings()
    desk: DeskSettings = DeskSettings()
    alarms: AlarmsSettings = AlarmsSettings()
    monitor: MonitorSettings = MonitorSettings()

    @field_validator("destination")
    @classmethod
    def _one_name_each(cls, destinations: tuple[Destination, ...]) -> tuple[Destination, ...]:
        names = [destination.name for destination in destinations]
        for name in sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two destinations are called {name!r}")
        return destinations

    @property
    def dicom_destinations(self) -> tuple[DicomDestination, ...]:
        """The destinations that are called over DICOM."""
        return tuple(to for to in self.destination if isinstance(to, DicomDestination))

    @property
    def archives(self) -> tuple[DicomDestination | StowDestination, ...]:
        """The destinations that are asked for a patient's earlier reports."""
        return tuple(to for to in self.destination if isinstance(to, DicomDestination | StowDestination) and to.history)
