"""Check an installation: the configuration, the store, certificates, the Prefect server and each destination.

``dxatrend check`` prints the results, and the page Set-up of the desk shows them.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from dxatrend.precision_reminders import reminders
from flows.prefect_runner import ServerState, prefect_state
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.cross_calibration import cross_calibration_doubts, cross_calibration_objections
from pipeline.clinical.model import CrossCalibration, LeastSignificantChange
from pipeline.clinical.precision import doubts
from pipeline.clinical.precision_register import without_effect
from pipeline.edge.alarms.ways_out import secret_problems, ways_out
from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.alarm_settings import AlarmsSettings
from pipeline.edge.configuration.desk_settings import DeskSettings
from pipeline.edge.configuration.destination_settings import Destination
from pipeline.edge.configuration.dialects import DialectInForce, Origin, dialects_in_force
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.reference_data import reference_data_of
from pipeline.edge.configuration.service_settings import AdtSettings, ListenerSettings, PrefectSettings, ServiceSettings
from pipeline.edge.configuration.settings import Settings
from pipeline.edge.deliver.kinds import sender
from pipeline.edge.dicom_net.client import PeerUnavailableError
from pipeline.edge.dicom_net.tls import TlsError, for_browsers, for_calling, for_listener
from pipeline.edge.live_configuration import outdated
from pipeline.edge.overview.precision_register import register
from pipeline.edge.store import precision_register
from pipeline.edge.store.database import StoreError, StoreInUseError, StoreMissingError, StoreTooNewError
from pipeline.edge.store.precision_register import RegisteredRecords
from pipeline.edge.text_files import printable
from pipeline.sr.dialects.loader import Dialect


class Level(StrEnum):
    """What a result asks of the reader."""

    PROBLEM = "problem"
    """It must be corrected, or does not answer: the check as a whole fails."""
    ADVICE = "advice"
    """The service works, but a person should look at it."""
    FACT = "fact"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line on an installation."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionInUse:
    """The LSCs and cross-calibrations of the files, those of the register, and those that count of both."""

    configured: ClinicalReference
    registered: RegisteredRecords
    counting: ClinicalReference


def check(folder: Path, *, on: date) -> Iterator[CheckResult]:
    """Yield everything there is to say of an installation; each destination is asked whether it answers.

    Raises:
        SettingsError: the configuration has errors; nothing else can be checked then.
    """
    settings, dialects = load_configuration(folder)
    configured = reference_data_of(settings, dialects).clinical
    precision = PrecisionInUse(configured=configured, registered=RegisteredRecords(), counting=configured)
    changed: list[tuple[LeastSignificantChange, str]] = []
    with (
        suppress(StoreError, StoreMissingError, StoreInUseError, StoreTooNewError),  # told of below
        open_app(folder, existing=True) as app,
    ):
        precision = precision_in_use(app)
        changed = [(line.lsc, change) for line in register(app, on=on).counting for change in line.changes]
    yield from check_configuration(folder, settings, dialects, precision, on=on)
    for lsc, change in changed:
        text = f"please repeat the precision study: LSC of {lsc.region} on {lsc.scanner}: {change}"
        yield CheckResult(Level.ADVICE, text)
    for problem in _store_problems(folder):
        yield CheckResult(Level.PROBLEM, problem)
    yield from check_certificates(settings.service.listener)
    yield from check_patient_feed(settings.service.adt)
    yield from check_desk(settings.service.desk)
    yield from check_alarms(settings.service.alarms)
    yield check_prefect(settings.service.prefect)
    for destination in settings.service.destination:
        yield check_destination(destination, settings.service)


def precision_in_use(app: App) -> PrecisionInUse:
    """Return the LSCs and cross-calibrations by which exams are judged now.

    Raises:
        StoreError: the database could not be queried.
    """
    with app.database.read() as connection:
        return PrecisionInUse(
            configured=app.reference_data.clinical,
            registered=precision_register.registered(connection),
            counting=app.reference_in_force(connection).reference_data.clinical,
        )


def check_configuration(
    folder: Path, settings: Settings, dialects: Sequence[Dialect], precision: PrecisionInUse, *, on: date
) -> Iterator[CheckResult]:
    """Yield what the files of a configuration without errors show, and the register beside them."""
    yield CheckResult(
        Level.FACT, f"{printable(folder)}: {len(dialects)} dialects, {len(settings.lscs)} LSC records, no errors"
    )
    yield from map(_dialect, dialects_in_force(folder / "dialects"))
    yield from _precision(precision, on)
    for caller in settings.service.listener.caller:
        if caller.host is None and caller.certificate is None:
            yield CheckResult(
                Level.ADVICE,
                f"listener.caller {caller.ae_title}: without a host its AE title is the only secret: "
                "anyone who knows it can send in its name",
            )


def check_certificates(listener: ListenerSettings) -> Iterator[CheckResult]:
    """Yield which certificates cannot be used, of the listener and for calling scanners."""
    for problem in _tls_problems(listener):
        yield CheckResult(Level.PROBLEM, problem)


def check_patient_feed(settings: AdtSettings) -> Iterator[CheckResult]:
    """Yield what is wrong with the certificates of the listener for merges of patient ids."""
    try:
        if settings.tls:
            for_listener(settings.tls)
    except TlsError as unusable:
        yield CheckResult(Level.PROBLEM, f"adt.{unusable}")


def check_desk(settings: DeskSettings) -> Iterator[CheckResult]:
    """Yield where the desk is, and whether its certificate cannot be used."""
    if not settings.enabled:
        yield CheckResult(Level.FACT, "the desk: dxatrend serve runs none (desk.enabled)")
        return
    yield CheckResult(Level.FACT, f"the desk: {settings.address}")
    try:
        if settings.tls:
            for_browsers(settings.tls.certificate, settings.tls.key)
    except TlsError as unusable:
        yield CheckResult(Level.PROBLEM, f"desk.{unusable}")


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
    return CheckResult(levels.get(state, Level.PROBLEM), f"the Prefect server {state}")


def check_destination(destination: Destination, service: ServiceSettings) -> CheckResult:
    """Ask a destination whether it answers."""
    try:
        sender(destination, service).check()
    except PeerUnavailableError as problem:
        return CheckResult(Level.PROBLEM, f"destination {destination.name}: {problem}")
    return CheckResult(Level.FACT, f"destination {destination.name}: answers")


def _precision(precision: PrecisionInUse, on: date) -> Iterator[CheckResult]:
    """Yield what is doubtful in the LSCs and cross-calibrations that count, and which entries do not."""
    configured, registered, counting = precision.configured, precision.registered, precision.counting
    for lsc in counting.lscs:
        for doubt in doubts(lsc):
            yield CheckResult(Level.ADVICE, f"please check: LSC of {lsc.region} on {lsc.scanner}: {doubt}")
    for one in counting.cross_calibrations:
        for doubt in (*cross_calibration_objections(one), *cross_calibration_doubts(one)):
            text = f"please check: cross-calibration of {one.region} from {one.old} to {one.new}: {doubt}"
            yield CheckResult(Level.ADVICE, text)
    entries: list[LeastSignificantChange | CrossCalibration] = [
        *without_effect(configured.lscs, registered.lscs),
        *without_effect(configured.cross_calibrations, registered.cross_calibrations),
    ]
    for entry in entries:
        yield CheckResult(
            Level.ADVICE,
            f"please check: {entry.region}, {entry.source}: this entry has no effect, as the register has another "
            "record from the same day on; dxatrend precision import proposes it",
        )
    for reminder in reminders(counting.lscs, on):
        yield CheckResult(Level.ADVICE, reminder)


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


def _store_problems(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the store, which is not created here, or with the configuration of its users."""
    try:
        with open_app(folder, existing=True) as app:
            yield from outdated(app)
    except StoreMissingError as missing:
        yield f"store.url: there is no store at {printable(missing)} yet; the service creates it when it first starts"
    except StoreTooNewError:
        yield "store.url: the store was written by a newer version of dxatrend"
    except StoreError as failure:
        yield f"store.url: the database could not be queried: {printable(failure)}"
    except StoreInUseError:
        yield "store.url: a backup is being restored"


def _tls_problems(listener: ListenerSettings) -> Iterator[str]:
    try:
        if listener.tls:
            for_listener(listener.tls)
    except TlsError as unusable:
        yield f"listener.{unusable}"
    for caller in listener.caller:
        try:
            if caller.tls:
                for_calling(caller.tls)
        except TlsError as unusable:
            yield f"listener.caller {caller.ae_title}: {unusable}"
