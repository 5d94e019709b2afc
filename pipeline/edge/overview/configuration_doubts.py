"""What is doubtful in settings that have no mistake: who may send, who gets addenda, ports, files, certificates.

``check`` prints it, ``status`` and the desk's pages show it. Nobody is called.
"""

import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path

from pipeline.edge.configuration.destination_settings import (
    Destination,
    DicomDestination,
    FolderDestination,
    Hl7Destination,
)
from pipeline.edge.configuration.environment import unheeded_variables
from pipeline.edge.configuration.service_settings import ListenerSettings, ServiceSettings
from pipeline.edge.ip_address import LOOPBACK
from pipeline.edge.overview.check_result import CheckResult, Level
from pipeline.edge.overview.expiries import Expiry
from pipeline.edge.overview.named_files import NamedFile, named_files
from pipeline.edge.private_paths import who_else_can_change
from pipeline.edge.text_files import printable

_EVERY_ADDRESS = ("0.0.0.0", "::", "")


def configuration_doubts(service: ServiceSettings, environment: Mapping[str, str]) -> list[CheckResult]:
    """Return what is doubtful in the settings and the environment."""
    return [
        *_callers(service.listener),
        *_destinations(service),
        *_ports(service),
        *(_missing(file, why) for file in named_files(service) if (why := file_problem(file)) is not None),
        *(CheckResult(Level.ADVICE, one) for one in unheeded_variables(environment)),
    ]


def certificate_doubts(certificates: Iterable[Expiry], *, on: date) -> list[CheckResult]:
    """Return what to do about certificates that end soon, or have ended."""
    return [_ending(one, on) for one in certificates]


def backup_doubts(folder: Path | None) -> Iterator[CheckResult]:
    """Yield that no backup can be written, or that others could put something else in the place of one.

    systemd lets a service write where its unit says, and nowhere else. The folder may wait for another machine whose
    disk that is, so no page that is always open asks it.
    """
    if folder is None:
        return
    there = next(one for one in (folder, *folder.parents) if os.path.exists(one))  # Path.exists may raise
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        yield CheckResult(
            Level.PROBLEM,
            f"backup.folder: {printable(folder)}: nothing can be written there, the file system is read-only",
            "mount it for writing; under systemd name it as ReadWritePaths (systemctl edit dxatrend)",
        )
    if clause := who_else_can_change(folder):
        yield CheckResult(
            Level.ADVICE,
            f"backup.folder: {printable(clause)}, and so put another file in the place of a backup",
            "let only the service's user write there",
        )


def file_problem(file: NamedFile) -> str | None:
    """Return why a file that is needed cannot be read; ``None`` where it can, or where the service makes it itself."""
    if file.key == "prefect.password_file":
        return None
    try:
        kind = file.path.stat().st_mode
    except OSError as error:
        return error.strerror or type(error).__name__
    if stat.S_ISDIR(kind):
        return os.strerror(errno.EISDIR)
    return None if os.access(file.path, os.R_OK) else "the user who runs this may not read it"


def _missing(file: NamedFile, why: str) -> CheckResult:
    return CheckResult(Level.PROBLEM, f"{file}: {printable(file.path)}: {why}")


def _ending(one: Expiry, on: date) -> CheckResult:
    left = one.days_left(on)
    if left < 0:
        return CheckResult(Level.PROBLEM, f"{one.what}: this certificate has ended on {one.last_day}", "renew it")
    days = "today" if left == 0 else f"in {left} day{'s' if left > 1 else ''}, on {one.last_day}"
    return CheckResult(Level.ADVICE, f"{one.what}: this certificate ends {days}", "renew it")


def _callers(listener: ListenerSettings) -> Iterator[CheckResult]:
    if not any(not caller.echo_only for caller in listener.caller):
        yield CheckResult(
            Level.ADVICE,
            "listener.caller: no scanner may send, as no [[listener.caller]] is listed",
            "add one for each; once one was rejected, dxatrend status and the page Set-up have its lines",
        )
    for caller in listener.caller:
        if caller.host is None and caller.certificate is None:
            yield CheckResult(
                Level.ADVICE,
                f"listener.caller {caller.ae_title}: without a host its AE title is the only secret: "
                "anyone who knows it can send in its name",
            )


def _destinations(service: ServiceSettings) -> Iterator[CheckResult]:
    if not service.destination:
        yield CheckResult(
            Level.ADVICE, "destination: addenda go nowhere, as no [[destination]] is listed", "add the PACS"
        )
    for to in service.destination:
        is_here = isinstance(to, DicomDestination) and to.host in (*LOOPBACK, socket.gethostname())
        if isinstance(to, DicomDestination) and is_here and to.port == service.listener.port:
            yield CheckResult(
                Level.PROBLEM,
                f"destination {to.name}: this is our own listener: every addendum would come back",
                "enter the address and port of the PACS",
            )
    for one, other in combinations(service.destination, 2):
        if _target(one) == _target(other):
            yield CheckResult(
                Level.ADVICE,
                f"destination {one.name} and {other.name}: both are the same system, which gets every addendum twice",
                "remove one of them",
            )


def _target(to: Destination) -> tuple[object, ...]:
    """Return what makes two destinations one; those of different kinds never are."""
    match to:
        case DicomDestination():
            return ("dicom", to.host.lower(), to.port, to.ae_title)
        case FolderDestination():
            return ("folder", to.folder)
        case Hl7Destination():
            return ("hl7", to.host.lower(), to.port)
        case _:
            return (to.kind, to.url.lower().rstrip("/"))


@dataclass(frozen=True, slots=True)
class _Listening:
    """A port of ours, and the address that it is listened to on."""

    key: str
    host: str
    port: int | None

    def collides_with(self, other: "_Listening") -> bool:
        is_one_address = self.host in LOOPBACK and other.host in LOOPBACK
        is_every = self.host in _EVERY_ADDRESS or other.host in _EVERY_ADDRESS
        return self.port == other.port and (is_every or is_one_address or self.host == other.host)


def _ports(service: ServiceSettings) -> Iterator[CheckResult]:
    listening: Sequence[_Listening] = [
        _Listening("listener.port", service.listener.host, service.listener.port),
        _Listening("adt.port", service.adt.host, service.adt.port),
        _Listening("desk.port", service.desk.host, service.desk.port if _has_port(service) else None),
        _Listening("prefect.port", service.prefect.host, None if service.prefect.api_url else service.prefect.port),
        _Listening("monitor.port", service.monitor.host, service.monitor.port),
    ]
    for one, other in combinations([one for one in listening if one.port is not None], 2):
        if one.collides_with(other):
            yield CheckResult(
                Level.PROBLEM,
                f"{one.key} and {other.key}: both are {one.port}, and only one of them can listen there",
                "give one of them another port",
            )


def _has_port(service: ServiceSettings) -> bool:
    return service.desk.enabled and service.desk.socket is None
