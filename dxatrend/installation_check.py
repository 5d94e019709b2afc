"""Check an installation: the configuration, the store, certificates, the Prefect server and each destination.

``dxatrend check`` prints the results, and the page Set-up of the desk shows them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path

from flows.prefect_home import UnsafeHomeError, require_private_home
from flows.prefect_password import UnusablePasswordError, read_password
from flows.prefect_runner import ServerState, prefect_state
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.edge.alarms.ways_out import secret_problems, ways_out
from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.alarm_settings import AlarmsSettings
from pipeline.edge.configuration.destination_settings import Destination
from pipeline.edge.configuration.dialects import DialectInForce, Origin, dialects_in_force
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.reference_data import reference_data_of
from pipeline.edge.configuration.service_settings import PrefectSettings, ServiceSettings
from pipeline.edge.configuration.settings import Settings
from pipeline.edge.deliver.kinds import sender
from pipeline.edge.dicom_net.peer_certificate import shown_certificate_ends
from pipeline.edge.dicom_net.tls import TlsError, for_browsers, for_calling, for_listener
from pipeline.edge.disk_space import disk_reserve_of
from pipeline.edge.live_configuration import outdated
from pipeline.edge.overview.check_result import CheckResult, Level
from pipeline.edge.overview.configuration_doubts import (
    backup_doubts,
    certificate_doubts,
    configuration_doubts,
    file_problem,
)
from pipeline.edge.overview.expiries import (
    CERTIFICATE_NOTICE,
    certificates_of_callers_running_out,
    certificates_running_out,
)
from pipeline.edge.overview.named_files import named_files
from pipeline.edge.overview.precision_doubts import (
    PrecisionInUse,
    missing_lscs,
    precision_doubts,
    precision_in_use,
    reminders,
    scanner_doubts,
)
from pipeline.edge.overview.precision_register import register
from pipeline.edge.peer_problems import PeerUnavailableError
from pipeline.edge.store.database import StoreError, StoreInUseError, StoreMissingError, StoreTooNewError
from pipeline.edge.store.precision_register import RegisteredRecords
from pipeline.edge.text_files import printable
from pipeline.sr.dialects.model import Dialect


def check(folder: Path, *, on: date) -> Iterator[CheckResult]:
    """Yield everything there is to say of an installation; each destination is asked whether it answers.

    Raises:
        SettingsError: the configuration has errors; nothing else can be checked then.
    """
    settings, dialects = load_configuration(folder)
    found: list[CheckResult] = []
    problem = None
    try:
        with open_app(folder, existing=True) as app:
            found = [
                *check_precision(app, on=on),
                *_missing_lscs(app, on=on),
                *_due_studies(app, on=on),
                *check_store(app, on=on),
            ]
    except (StoreError, StoreMissingError, StoreInUseError, StoreTooNewError) as failure:
        problem = _store_problem(failure)
        configured = reference_data_of(settings, dialects).clinical
        alone = PrecisionInUse(configured=configured, registered=RegisteredRecords(), counting=configured)
        found = [*precision_doubts(alone, on=on), *_reminders(configured, on), CheckResult(Level.PROBLEM, problem)]
    yield from check_configuration(folder, settings, dialects, on=on)
    yield from found
    yield from check_certificates(settings.service)
    yield from check_alarms(settings.service.alarms)
    yield check_prefect(settings.service.prefect)
    for destination in settings.service.destination:
        yield from check_destination(destination, settings.service, on=on)


def check_configuration(
    folder: Path, settings: Settings, dialects: Sequence[Dialect], *, on: date
) -> Iterator[CheckResult]:
    """Yield what the files of a configuration without errors show."""
    yield CheckResult(
        Level.FACT, f"{printable(folder)}: {len(dialects)} dialects, {len(settings.lscs)} LSC records, no errors"
    )
    yield from map(_dialect, dialects_in_force(folder / "dialects"))
    desk = settings.service.desk
    yield CheckResult(
        Level.FACT, f"the desk: {desk.address}" if desk.enabled else "the desk: dxatrend serve runs none (desk.enabled)"
    )
    yield from configuration_doubts(settings.service, os.environ)
    yield from backup_doubts(settings.service.backup.folder)
    yield from certificate_doubts(certificates_running_out(settings.service, on), on=on)


def check_precision(app: App, *, on: date) -> list[CheckResult]:
    """Return what is doubtful in the LSCs and cross-calibrations of the files and the register, and in aliases.

    Raises:
        StoreError: the database could not be queried.
    """
    with app.database.read() as connection:
        known = app.reference_in_force(connection).reference_data
        precision = precision_in_use(app, connection, known)
        return [
            *precision_doubts(precision, on=on),
            *_reminders(precision.counting, on),
            *scanner_doubts(connection, known),
        ]


def check_store(app: App, *, on: date) -> Iterator[CheckResult]:
    """Yield who works with other files, whether the disk of the store is full, and which callers' certificates end.

    Raises:
        StoreError: the database could not be queried.
    """
    with app.database.read() as connection:
        shown = certificates_of_callers_running_out(connection, app.settings.service, on)
    yield from certificate_doubts(shown, on=on)
    for message in outdated(app):
        yield CheckResult(Level.PROBLEM, message)
    disk = disk_reserve_of(app.database, app.settings.service.store.reserve_mb)
    if disk.is_short():
        yield CheckResult(
            Level.PROBLEM,
            f"store.reserve_mb: {disk.free_mb()} MB are free on the disk of the store, and {disk.reserve_mb} MB have "
            "to stay free: scanners are refused",
            "free disk space",
        )


def check_certificates(service: ServiceSettings) -> Iterator[CheckResult]:
    """Yield which certificates and keys cannot be used, though their files can be read."""
    unreadable = tuple(f"{file}{end}" for file in named_files(service) if file_problem(file) for end in (":", ","))
    for problem in _tls_problems(service):
        if not problem.startswith(unreadable):  # which has been told of
            yield CheckResult(Level.PROBLEM, problem)


def _tls_problems(service: ServiceSettings) -> Iterator[str]:
    listener = service.listener
    if listener.tls:
        yield from _tls_problem("listener.", partial(for_listener, listener.tls))
    for caller in listener.caller:
        if caller.tls:
            yield from _tls_problem(f"listener.caller {caller.ae_title}: ", partial(for_calling, caller.tls))
    if service.adt.tls:
        yield from _tls_problem("adt.", partial(for_listener, service.adt.tls))
    if service.desk.enabled and (desk := service.desk.tls):
        yield from _tls_problem("desk.", partial(for_browsers, desk.certificate, desk.key))


def _tls_problem(prefix: str, load: Callable[[], object]) -> Iterator[str]:
    try:
        load()
    except TlsError as unusable:
        yield f"{prefix}{unusable}"


def check_alarms(settings: AlarmsSettings) -> Iterator[CheckResult]:
    """Yield who is told of alarms, and which secrets cannot be used for that; nothing is sent."""
    ways = [*ways_out(settings), *(["an outward heartbeat"] if settings.heartbeat else [])]
    told = f"told by {', '.join(ways)}" if ways else "nobody is told; add [alarms.mail] or [alarms.webhook]"
    yield CheckResult(Level.FACT, f"alarms: {told}")
    for problem in secret_problems(settings):
        yield CheckResult(Level.PROBLEM, problem)


def check_prefect(settings: PrefectSettings) -> CheckResult:
    """Return the state of the Prefect server; one that is away is no problem, as the work goes on without it."""
    state = prefect_state(settings)
    levels = {ServerState.OURS: Level.FACT, ServerState.SILENT: Level.ADVICE}
    return CheckResult(
        levels.get(state, Level.PROBLEM), f"the Prefect server {state}", _what_is_unsafe(settings, state)
    )


def _what_is_unsafe(settings: PrefectSettings, state: ServerState) -> str:
    try:
        require_private_home(settings)
        if state is ServerState.NO_PASSWORD:
            read_password(settings)
    except (UnsafeHomeError, UnusablePasswordError) as reason:
        return str(reason)
    return ""


def check_destination(destination: Destination, service: ServiceSettings, *, on: date) -> Iterator[CheckResult]:
    """Ask a destination whether it answers, and until when the certificate that it shows counts."""
    name = f"destination {destination.name}"
    try:
        sender(destination, service).check()
    except PeerUnavailableError as problem:
        yield CheckResult(Level.PROBLEM, f"{name}: {problem}")
        return
    yield CheckResult(Level.FACT, f"{name}: answers")
    ends = shown_certificate_ends(destination)
    if ends is not None and ends - on <= CERTIFICATE_NOTICE:
        yield CheckResult(
            Level.ADVICE,
            f"{name}: the certificate that it shows ends on {ends}",
            "ask whoever runs it to renew it; after that day nothing is sent there",
        )


def _missing_lscs(app: App, *, on: date) -> list[CheckResult]:
    with app.database.read() as connection:
        return list(missing_lscs(connection, app.reference_in_force(connection).reference_data, on=on))


def _due_studies(app: App, *, on: date) -> Iterator[CheckResult]:
    for line in register(app, on=on).counting:
        for change in line.changes:
            text = f"please repeat the precision study: LSC of {line.lsc.region} on {line.lsc.scanner}: {change}"
            yield CheckResult(Level.ADVICE, text)


def _reminders(clinical: ClinicalReference, on: date) -> Iterator[CheckResult]:
    return (CheckResult(Level.ADVICE, reminder) for reminder in reminders(clinical.lscs, on))


def _dialect(one: DialectInForce) -> CheckResult:
    """Return the result on a dialect: name, version, date and origin, and what to do about an old copy."""
    name = one.dialect if one.dialect.date is None else f"{one.dialect} of {one.dialect.date}"
    if one.path is None:
        return CheckResult(Level.FACT, f"dialect {name}: {one.origin.value}")
    line = f"dialect {name}: {printable(one.path)}, {one.origin.value}"
    changed = f" ({one.shipped} of {one.shipped and one.shipped.date}): take over what has changed"
    advice = {
        Origin.OLDER: changed,
        Origin.UNDATED: changed,
        Origin.SAME: ": remove it, and an upgrade brings the next",
    }
    if one.origin in advice:
        return CheckResult(Level.ADVICE, f"please check: {line}{advice[one.origin]}")
    return CheckResult(Level.FACT, line)


def _store_problem(failure: Exception) -> str:
    """Return what is wrong with the store, which is not created here."""
    match failure:
        case StoreMissingError():
            return (
                f"store.url: there is no store at {printable(failure)} yet; the service creates it when it first starts"
            )
        case StoreTooNewError():
            return "store.url: the store was written by a newer version of dxatrend"
        case StoreInUseError():
            return "store.url: a backup is being restored"
        case _:
            return f"store.url: the database could not be queried: {printable(failure)}"
