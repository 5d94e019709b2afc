"""What has this department told us about its callers, archives, scanners and precision?

Settings are read once, whole, and refused whole: every mistake in one message, each under its key. They come from
``config/*.toml``; any key can be overridden by ``DXATREND_<FILE>__<KEY>``, for example
``DXATREND_SERVICE__LISTENER__PORT``.
"""

import dataclasses
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import date
from decimal import Decimal
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from pipeline.clinical.model import CrossCalibration, Epoch, LeastSignificantChange, QcGap, Scanner
from pipeline.clinical.precision import LSC_FACTOR, MINIMUM_DEGREES_OF_FREEDOM, VERTEBRAE_OF_A_STUDY
from pipeline.clinical.precision_study import FILL_IN
from pipeline.clinical.regions import Region, UnknownRegionError, parse_region
from pipeline.clinical.rules import Rules
from pipeline.edge.configuration.dialects import dialects_in_force
from pipeline.edge.ip_address import is_ip_address
from pipeline.edge.text_files import UnreadableTextError, printable, read_text
from pipeline.errors import DxatrendError
from pipeline.sr.dialects.loader import Dialect, DialectError, normal_manufacturer
from pipeline.sr.extract.scanner_alias import Alias, Spelling, as_spelt_here

MEGABYTE = 1_000_000
"""Bytes of one unit of every setting that ends in ``_mb``."""

ENV_PREFIX = "DXATREND_"
ENV_DELIMITER = "__"

SYSTEM_FOLDER = Path("/etc/dxatrend")
"""Where the configuration lies on a machine that runs the service."""

SYSTEM_DATA_FOLDER = Path("/var/lib/dxatrend")
"""Where what such a service keeps lies (FHS 5.8), unless ``store.folder`` says otherwise."""


class SettingsError(DxatrendError):
    """The configuration cannot be used; ``mistakes`` holds every one, each under its key."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def _ae_title(text: str) -> str:
    """PS3.5 6.2: at most 16 printable characters, no backslash, not all spaces."""
    title = text.strip()
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return title


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
    """What would make SQLite open anything but one file that stays."""
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
    try:
        url = urlsplit(text)
        usable = url.scheme in ("udp", "tls") and bool(url.hostname) and (url.port or 1) > 0 and not url.path
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("a syslog receiver is udp://host:port or tls://host:port")
    return text


def _region(value: object) -> Region:
    if isinstance(value, Region):
        return value
    try:
        return parse_region(str(value))
    except UnknownRegionError as unknown:
        raise ValueError(str(unknown)) from None


AeTitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(min_length=1)]
RegionKey = Annotated[Region, BeforeValidator(_region)]


_FOLDER: ContextVar[Path] = ContextVar("the configuration folder that is being read", default=Path())


def _beside_configuration(path: Path) -> Path:
    """A relative path is relative to the configuration folder, whatever folder a shell is in."""
    return _FOLDER.get() / path


ConfigPath = Annotated[Path, AfterValidator(_beside_configuration)]


class _Section(BaseModel):
    """A part of the configuration in which an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class StoreSettings(_Section):
    """``[store]``: where everything is kept; a relative ``url`` is relative to ``folder``, the data folder."""

    folder: ConfigPath | None = None
    url: Annotated[str, AfterValidator(_database_url)] = "sqlite:///var/dxatrend.sqlite3"
    reserve_mb: Annotated[int, Field(ge=0)] = 256


class TlsSettings(_Section):
    """``[….tls]``: files in PEM; the key is nobody's but the service's, and the authority signs the other side's."""

    certificate: ConfigPath
    key: ConfigPath
    ca: ConfigPath


class CallerSettings(_Section):
    """``[[listener.caller]]``: who may send; nobody else gets in. With a port it is told our commitments there."""

    ae_title: AeTitle
    host: Name | None = None
    certificate: Name | None = None
    port: Port | None = None
    serial_numbers: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        if self.port is not None and self.host is None:
            raise ValueError("a port needs a host: commitments are told there")
        if self.tls is not None and self.port is None:
            raise ValueError("tls needs a port: commitments are told there")
        return self


class ListenerSettings(_Section):
    """``[listener]``: where scanners find us."""

    ae_title: AeTitle = "DXATREND"
    host: Name = "127.0.0.1"
    port: Port = 11112
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
    def _told_apart(cls, callers: tuple[CallerSettings, ...]) -> tuple[CallerSettings, ...]:
        """A bound caller shares its AE title only with others whose addresses are known."""
        for title in dict.fromkeys(caller.ae_title for caller in callers):
            same = [caller for caller in callers if caller.ae_title == title]
            bound = len(same) > 1 and any(caller.serial_numbers for caller in same)
            if bound and not all(caller.host and is_ip_address(caller.host) for caller in same):
                raise ValueError(f"several are called {title}: with serial_numbers, each needs an address as host")
        return callers

    @model_validator(mode="after")
    def _certificates_are_seen(self) -> Self:
        if self.tls is None and any(caller.certificate for caller in self.caller):
            raise ValueError("caller.certificate needs listener.tls: without it no caller shows a certificate")
        return self


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError("no IANA time zone has this name; one is Europe/Berlin") from None
    return name


class ExamSettings(_Section):
    """``[exam]``: when an exam is due."""

    settle_seconds: Annotated[float, Field(ge=0, le=86_400)] = 30
    history_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60
    late_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    time_zone: Annotated[str, AfterValidator(_time_zone)] | None = None

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone that ``time_zone`` names; without one this machine's is meant."""
        return None if self.time_zone is None else ZoneInfo(self.time_zone)


class KeepingSettings(_Section):
    """``[keeping]``: for how long what we were sent is kept."""

    pixels_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    audit_days: Annotated[int, Field(ge=30, le=36_500)] | None = None


class ReprocessSettings(_Section):
    """``[reprocess]``: how exams are examined again whose ground has shifted."""

    addenda_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    shards: Annotated[int, Field(ge=1, le=1000)] = 16


def _font(path: Path) -> Path:
    """A TrueType or OpenType file, alone or in a collection, as its first four bytes tell."""
    try:
        with path.open("rb") as file:
            kind = file.read(4)
    except OSError:
        raise ValueError("there is no such file, or it may not be read") from None
    if kind not in (b"\0\1\0\0", b"OTTO", b"ttcf", b"true"):
        raise ValueError("this is no TrueType or OpenType font")
    return path


class AddendumSettings(_Section):
    """``[addendum]``: what kind of structured report every addendum is, and how its faces are drawn."""

    sop_class: Literal["comprehensive", "enhanced"] = "comprehensive"
    preliminary: bool = True
    font: Annotated[ConfigPath, AfterValidator(_font)] | None = None


def _once_each(content: tuple[str, ...]) -> tuple[str, ...]:
    for form in content:
        if content.count(form) > 1:
            raise ValueError(f"{form!r} is listed twice")
    return content


def _can_be_rendered(content: tuple[str, ...]) -> tuple[str, ...]:
    """Images and PDF need matplotlib, which only the extra ``dxatrend[render]`` installs."""
    pages = [form for form in content if form != "sr"]
    if pages and find_spec("matplotlib") is None:
        raise ValueError(f"{' and '.join(pages)} cannot be drawn without matplotlib: install dxatrend[render]")
    return content


Form = Literal["sr", "image", "pdf"]
"""What an addendum may be sent as."""


class DestinationSettings(_Section):
    """``[[destination]]``: a PACS that gets every addendum, in which forms, and what proves that it has it."""

    name: Name
    ae_title: AeTitle
    host: Name
    port: Port
    proof: Literal["commitment", "find", "none"] = "none"
    content: Annotated[
        tuple[Form, ...], Field(min_length=1), AfterValidator(_once_each), AfterValidator(_can_be_rendered)
    ] = ("sr",)
    history: bool = False
    retrieve: Literal["move", "get"] = "move"
    longest_wait_seconds: Annotated[float, Field(ge=1, le=86_400)] = 3600
    tls: TlsSettings | None = None


class PrefectSettings(_Section):
    """``[prefect]``: the server that ``serve`` starts, or ``api_url`` of one that runs elsewhere."""

    host: Name = "127.0.0.1"
    port: Port = 4200
    home: Path = Path("var/prefect")
    password_file: ConfigPath | None = None
    api_url: Name | None = None
    reserve_mb: Annotated[int, Field(ge=0)] = 256


class AuditSettings(_Section):
    """``[audit]``: who is told of what the audit trail says; nobody unless given, for it names patients by their id."""

    syslog: Annotated[str, AfterValidator(_syslog_url)] | None = None
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.tls is None) == (self.syslog is not None and self.syslog.startswith("tls:")):
            raise ValueError("tls:// needs audit.tls, and nothing else does")
        return self


class ServiceSettings(_Section):
    """``service.toml``."""

    store: StoreSettings = StoreSettings()
    listener: ListenerSettings = ListenerSettings()
    exam: ExamSettings = ExamSettings()
    addendum: AddendumSettings = AddendumSettings()
    keeping: KeepingSettings = KeepingSettings()
    audit: AuditSettings = AuditSettings()
    reprocess: ReprocessSettings = ReprocessSettings()
    destination: tuple[DestinationSettings, ...] = ()
    prefect: PrefectSettings = PrefectSettings()

    @field_validator("destination")
    @classmethod
    def _one_name_each(cls, destinations: tuple[DestinationSettings, ...]) -> tuple[DestinationSettings, ...]:
        names = [destination.name for destination in destinations]
        for name in sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two destinations are called {name!r}")
        return destinations


class QcGapSettings(_Section):
    """``[[scanner.unverified]]``: days on which its quality control had failed or was not shown to hold (R7.6)."""

    begins: Annotated[date, Field(alias="from")]
    ends: Annotated[date, Field(alias="until")]
    reason: Name


class AliasSettings(_Section):
    """``[[scanner.alias]]``: by which station or institution name this machine is known that tells no serial number."""

    station_name: str = ""
    institution: str = ""
    begins: Annotated[date, Field(alias="from")] = date.min
    ends: Annotated[date, Field(alias="until")] = date.max

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.station_name.strip() or self.institution.strip()):
            raise ValueError("give station_name or institution, else every machine of the model would be this one")
        return self


class SpellingSettings(_Section):
    """``[[scanner.spelling]]``: how reports of this machine name it as well; what is not given is as above."""

    manufacturer: Name | None = None
    model: Name | None = None
    serial_number: Name | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.manufacturer or self.model or self.serial_number):
            raise ValueError("give what is spelt otherwise: manufacturer, model or serial_number")
        return self


class EpochSettings(_Section):
    """``[[scanner.epoch]]``: from when a machine counts as recalibrated, and whether a phantom bridged it (R2.6)."""

    begins: Annotated[date, Field(alias="from")]
    reason: Name
    cross_calibrated: bool


class ScannerSettings(_Section):
    """``[[scanner]]``: what DICOM cannot tell of a machine."""

    manufacturer: Name
    model: Name
    serial_number: Name
    name: str = ""
    epoch: tuple[EpochSettings, ...] = ()
    unverified: tuple[QcGapSettings, ...] = ()
    alias: tuple[AliasSettings, ...] = ()
    spelling: tuple[SpellingSettings, ...] = ()

    @property
    def scanner(self) -> Scanner:
        """The machine meant."""
        return Scanner(self.manufacturer, self.model, self.serial_number)


class ScannerIdentitySettings(_Section):
    """One machine, named by what its reports say."""

    manufacturer: Name
    model: Name
    serial_number: Name

    @property
    def scanner(self) -> Scanner:
        """The machine meant."""
        return Scanner(self.manufacturer, self.model, self.serial_number)


class CrossCalibrationSettings(_Section):
    """``[[cross_calibration]]``: an in vivo study that lets two machines be compared (R2.7, R2.10); off unless given.

    ``new BMD = intercept + slope x old BMD``; residual SD and precision errors in g/cm2.
    """

    old: ScannerIdentitySettings
    new: ScannerIdentitySettings
    region: RegionKey
    intercept: Decimal
    slope: Annotated[Decimal, Field(gt=0)]
    residual_sd: Annotated[Decimal, Field(gt=0, lt=1)]
    precision_error_old: Annotated[Decimal, Field(gt=0, lt=1)]
    precision_error_new: Annotated[Decimal, Field(gt=0, lt=1)]
    patients: Annotated[int, Field(ge=30)]
    scans_on_new: Annotated[int, Field(ge=1)]
    valid_from: date
    source: Name

    @property
    def record(self) -> CrossCalibration:
        """The entry as the clinical core knows it."""
        told = {name: getattr(self, name) for name in type(self).model_fields if name not in ("old", "new")}
        return CrossCalibration(old=self.old.scanner, new=self.new.scanner, **told)


class ScannersSettings(_Section):
    """``scanners.toml``."""

    scanner: tuple[ScannerSettings, ...] = ()
    cross_calibration: tuple[CrossCalibrationSettings, ...] = ()

    @field_validator("scanner")
    @classmethod
    def _one_entry_each(cls, entries: tuple[ScannerSettings, ...]) -> tuple[ScannerSettings, ...]:
        for one, other in combinations(entries, 2):
            if one.scanner == other.scanner:
                raise ValueError(f"{one.scanner} is listed twice")
        return entries


class LscSettings(_Section):
    """``[[lsc]]``: one scanner and region, from the facility's own precision study (R1.12)."""

    manufacturer: Name
    model: Name
    serial_number: Name
    region: RegionKey
    same_day: Annotated[bool | None, Field(validate_default=True)] = None
    lsc: Annotated[Decimal, Field(gt=0, lt=1)] | None = None
    precision_error: Annotated[Decimal, Field(gt=0, lt=1)] | None = None
    patients: Annotated[int, Field(ge=2)]
    repeats: Annotated[int, Field(ge=2)]
    valid_from: date
    valid_until: date
    source: Name

    @field_validator("manufacturer", "model", "serial_number")
    @classmethod
    def _filled_in(cls, told: str) -> str:
        if told == FILL_IN:
            raise ValueError(f"{FILL_IN!r} still stands there")
        return told

    @field_validator("same_day")
    @classmethod
    def _told_of_the_whole_spine(cls, told: bool | None, info: ValidationInfo) -> bool | None:
        region: Region | None = info.data.get("region")
        if told is None and region is not None and len(region.vertebrae) == VERTEBRAE_OF_A_STUDY:
            raise ValueError("is missing: true if each patient's scans were made on one day, else false (R1.15)")
        return told

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.lsc is None) == (self.precision_error is None):
            raise ValueError("give either lsc or precision_error, in g/cm2")
        if self.valid_until < self.valid_from:
            raise ValueError("valid_until lies before valid_from")
        freedom = self.patients * (self.repeats - 1)
        if freedom < MINIMUM_DEGREES_OF_FREEDOM:
            raise ValueError(
                f"{self.patients} patients with {self.repeats} scans give {freedom} degrees of freedom;"
                f" a precision study needs {MINIMUM_DEGREES_OF_FREEDOM} (R1.2)"
            )
        return self

    @property
    def record(self) -> LeastSignificantChange:
        """The entry as the clinical core knows it."""
        return LeastSignificantChange(
            scanner=Scanner(self.manufacturer, self.model, self.serial_number),
            region=self.region,
            lsc=self.lsc if self.lsc is not None else self._lsc_from_precision_error(),
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            source=self.source,
            patients=self.patients,
            repeats=self.repeats,
            same_day=self.same_day,
        )

    def _lsc_from_precision_error(self) -> Decimal:
        assert self.precision_error is not None  # _whole saw to it
        return LSC_FACTOR * self.precision_error


class PrecisionSettings(_Section):
    """``precision.toml``."""

    lsc: tuple[LscSettings, ...] = ()

    @field_validator("lsc")
    @classmethod
    def _one_at_a_time(cls, entries: tuple[LscSettings, ...]) -> tuple[LscSettings, ...]:
        for (i, one), (j, other) in combinations(enumerate(entries), 2):
            same = one.record.scanner == other.record.scanner and one.region == other.region
            if same and one.valid_from <= other.valid_until and other.valid_from <= one.valid_until:
                raise ValueError(f"entries {i} and {j} are both valid for {one.region} of one scanner at the same time")
        return entries


if TYPE_CHECKING:

    class RulesSettings(_Section):
        """``rules.toml``: the clinical decisions a department may take differently, each named as in the core."""

else:
    _HINTS = get_type_hints(Rules)
    RulesSettings = create_model(
        "RulesSettings",
        __base__=_Section,
        **{field.name: (_HINTS[field.name], field.default) for field in dataclasses.fields(Rules)},
    )


class Settings(BaseSettings):
    """The whole configuration; made by ``load``."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        hide_input_in_errors=True,
    )

    service: ServiceSettings = ServiceSettings()
    scanners: ScannersSettings = ScannersSettings()
    precision: PrecisionSettings = PrecisionSettings()
    rules: RulesSettings = RulesSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides what the files say; nothing else is read."""
        return env_settings, init_settings

    @property
    def clinical_rules(self) -> Rules:
        """The department's own decisions, as the clinical core knows them."""
        return Rules(**self.rules.model_dump())

    @property
    def lscs(self) -> tuple[LeastSignificantChange, ...]:
        """Every LSC on file."""
        return tuple(entry.record for entry in self.precision.lsc)

    @property
    def aliases(self) -> tuple[Alias, ...]:
        """Every name by which a machine without serial number is known."""
        return tuple(
            Alias(scanner=entry.scanner, **alias.model_dump())
            for entry in self.scanners.scanner
            for alias in entry.alias
        )

    @property
    def spellings(self) -> tuple[Spelling, ...]:
        """Every other name under which a machine is known."""
        return tuple(
            Spelling(
                scanner=entry.scanner,
                told=Scanner(
                    spelling.manufacturer or entry.manufacturer,
                    spelling.model or entry.model,
                    spelling.serial_number or entry.serial_number,
                ),
            )
            for entry in self.scanners.scanner
            for spelling in entry.spelling
        )

    @property
    def cross_calibrations(self) -> tuple[CrossCalibration, ...]:
        """Every cross-calibration on file."""
        return tuple(entry.record for entry in self.scanners.cross_calibration)

    @property
    def qc_gaps(self) -> tuple[QcGap, ...]:
        """Every span of days whose quality control does not hold."""
        return tuple(
            QcGap(scanner=entry.scanner, begins=days.begins, ends=days.ends, reason=days.reason)
            for entry in self.scanners.scanner
            for days in entry.unverified
        )

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """Every calibration epoch on file."""
        return tuple(
            Epoch(
                scanner=entry.scanner,
                begins=epoch.begins,
                reason=epoch.reason,
                cross_calibrated=epoch.cross_calibrated,
            )
            for entry in self.scanners.scanner
            for epoch in entry.epoch
        )


def load(folder: Path) -> tuple[Settings, tuple[Dialect, ...]]:
    """Read a configuration folder and the environment.

    Raises:
        SettingsError: anything is missing, unknown, contradictory or not TOML.
    """
    mistakes: list[str] = []
    files: dict[str, Any] = {}
    if not folder.is_dir():
        raise SettingsError((f"{printable(folder)}: there is no such configuration folder",))
    for path in sorted(folder.glob("*.toml")):
        if path.stem not in Settings.model_fields:
            mistakes.append(f"{printable(path.name)}: no part of the configuration has this name")
            continue
        try:
            files[path.stem] = tomllib.loads(read_text(path), parse_float=Decimal)
        except (UnreadableTextError, tomllib.TOMLDecodeError) as error:
            mistakes.append(f"{path.name}: {error}")
        except RecursionError:
            mistakes.append(f"{path.name}: one array in another goes too deep")
    mistakes += _unknown_variables(os.environ)
    settings = None
    reading = _FOLDER.set(folder.resolve())
    try:
        settings = _located(Settings(**files), folder.resolve())
    except ValidationError as error:
        mistakes += _mistakes(error)
    finally:
        _FOLDER.reset(reading)
    dialects: tuple[Dialect, ...] = ()
    try:
        dialects = tuple(one.dialect for one in dialects_in_force(folder / "dialects"))
    except DialectError as error:
        mistakes += [f"dialects/{mistake}" for mistake in error.mistakes]
    if settings is not None:
        mistakes += _spelt_amiss(settings, dialects)
    if mistakes or settings is None:
        raise SettingsError(tuple(mistakes))
    return settings, dialects


def _located(settings: Settings, folder: Path) -> Settings:
    """The settings with store and Prefect where they are, in the data folder of this configuration folder."""
    service = settings.service
    data = service.store.folder or (SYSTEM_DATA_FOLDER if folder == SYSTEM_FOLDER else folder.parent)
    store = {"folder": data, "url": _in_folder(service.store.url, data)}
    located = {
        "store": service.store.model_copy(update=store),
        "prefect": service.prefect.model_copy(update={"home": data / service.prefect.home}),
    }
    return settings.model_copy(update={"service": service.model_copy(update=located)})


def _in_folder(url: str, folder: Path) -> str:
    """A database URL whose file, if it is one, is in a folder unless its path is absolute."""
    made = make_url(url)
    if made.drivername != "sqlite":
        return url
    assert made.database is not None  # _sqlite_problem saw to it
    return f"sqlite:///{folder / made.database}"


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environment):
        part, delimiter, _ = name.upper().removeprefix(ENV_PREFIX).partition(ENV_DELIMITER)
        if name.upper().startswith(ENV_PREFIX) and delimiter and part.lower() not in Settings.model_fields:
            yield f"{name}: no part of the configuration is called {part.lower()!r}"


def _mistakes(error: ValidationError) -> Iterator[str]:
    for mistake in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(step) for step in mistake["loc"])
        yield f"{key}: {mistake['msg'].removeprefix('Value error, ')}"


def _spelt_amiss(settings: Settings, dialects: Sequence[Dialect]) -> Iterator[str]:
    """Spellings that would make one of two machines, or give one machine two LSCs for a day."""

    def named(scanner: Scanner) -> Scanner:
        return replace(scanner, manufacturer=normal_manufacturer(scanner.manufacturer, dialects))

    spellings = [Spelling(scanner=named(one.scanner), told=named(one.told)) for one in settings.spellings]
    listed = {named(entry.scanner) for entry in settings.scanners.scanner}
    meant: dict[Scanner, Scanner] = {}
    for spelling in spellings:
        if spelling.told in listed - {spelling.scanner} or meant.setdefault(spelling.told, spelling.scanner) != (
            spelling.scanner
        ):
            yield f"scanners.scanner.spelling: {spelling.told} is told to be two machines"
    lscs = [(named(lsc.scanner), lsc) for lsc in settings.lscs]
    for (told, one), (told_too, other) in combinations(lscs, 2):
        same = as_spelt_here(told, spellings) == as_spelt_here(told_too, spellings) and one.region == other.region
        if told != told_too and same and one.valid_from <= other.valid_until and other.valid_from <= one.valid_until:
            yield f"precision.lsc: by its spellings one scanner has two entries for {one.region} at the same time"
