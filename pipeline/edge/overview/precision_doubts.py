"""What is doubtful in the LSCs and cross-calibrations that count, and which scanners lack an LSC.

``check`` prints it, ``status`` and the desk's pages show it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.cross_calibration import cross_calibration_doubts, cross_calibration_objections
from pipeline.clinical.model import CrossCalibration, LeastSignificantChange
from pipeline.clinical.precision import doubts, running_out
from pipeline.clinical.precision_register import without_effect
from pipeline.edge.app import App
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.configuration.suggestions import did_you_mean
from pipeline.edge.overview.check_result import CheckResult, Level
from pipeline.edge.overview.scanner_gaps import without_lsc
from pipeline.edge.store import precision_register, scanners
from pipeline.edge.store.precision_register import RegisteredRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionInUse:
    """The LSCs and cross-calibrations of the files, those of the register, and those that count of both."""

    configured: ClinicalReference
    registered: RegisteredRecords
    counting: ClinicalReference


def precision_in_use(app: App, connection: Connection, known: ReferenceData) -> PrecisionInUse:
    """Return the LSCs and cross-calibrations by which exams are judged now; ``known`` is what is in force."""
    return PrecisionInUse(
        configured=app.reference_data.clinical,
        registered=precision_register.registered(connection),
        counting=known.clinical,
    )


def precision_doubts(precision: PrecisionInUse, *, on: date) -> Iterator[CheckResult]:
    """Yield what is doubtful in the LSCs and cross-calibrations that count, and which entries do not count."""
    configured, registered, counting = precision.configured, precision.registered, precision.counting
    for lsc in counting.lscs:
        for doubt in doubts(lsc):
            yield CheckResult(Level.ADVICE, f"please check: LSC of {lsc.region} on {lsc.scanner}: {doubt}")
        if lsc.valid_from > on and not _judged(counting.lscs, lsc, on):
            what = f"LSC of {lsc.region} on {lsc.scanner} begins on {lsc.valid_from}, which is in the future"
            yield CheckResult(Level.ADVICE, f"please check: {what}", "until then no change of this region is judged")
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
            "record from the same day on",
            "dxatrend precision import proposes it",
        )


def missing_lscs(connection: Connection, known: ReferenceData, *, on: date) -> Iterator[CheckResult]:
    """Yield the scanners on file without an LSC; one whose LSC has expired within a year is among the ``reminders``."""
    reminded = {lsc.scanner for lsc in running_out(known.clinical.lscs, on)}
    for one in without_lsc(connection, known, on=on):
        if one.scanner not in reminded:
            yield CheckResult(
                Level.ADVICE,
                f"no LSC counts today for {one.scanner}: its changes are reported as significance unknown",
                f"after a precision study: {one.command}",
            )


def scanner_doubts(connection: Connection, known: ReferenceData) -> Iterator[CheckResult]:
    """Yield weak aliases, and the LSCs of scanners that nobody has heard of, once anything is on file of a scanner."""
    for scanner in dict.fromkeys(alias.scanner for alias in known.aliases if not alias.station_name.strip()):
        yield CheckResult(
            Level.ADVICE,
            f"please check: scanner.alias of {scanner} rests on the institution alone, so any other scanner of this "
            "model there without a serial number would be taken for it",
            "add its station_name",
        )
    on_file = list(scanners.identified(connection))
    heard_of = {*on_file, *known.scanners}
    serials = [scanner.serial_number for scanner in on_file]
    for scanner in dict.fromkeys(lsc.scanner for lsc in known.clinical.lscs):
        if on_file and scanner not in heard_of:
            other = next((one for one in on_file if one.key[2] == scanner.key[2]), None)
            hint = f"; did you mean {other}?" if other else did_you_mean(scanner.serial_number, serials)
            yield CheckResult(
                Level.ADVICE,
                f"please check: there is an LSC of {scanner}, which has sent nothing and is not in scanners.toml{hint}",
            )


def reminders(lscs: Sequence[LeastSignificantChange], on: date) -> Iterator[str]:
    """Yield which LSCs expire soon or have expired: without an LSC no change is judged (R1.12)."""
    for lsc in running_out(lscs, on):
        expires = "expired" if lsc.valid_until < on else "expires"
        yield (
            f"please repeat the precision study: LSC of {lsc.region} on {lsc.scanner} {expires} on {lsc.valid_until}; "
            "changes in later exams are not judged"
        )


def _judged(lscs: Sequence[LeastSignificantChange], lsc: LeastSignificantChange, on: date) -> bool:
    """Return whether another LSC of the same scanner and region counts on a day."""
    return any(
        one.scanner == lsc.scanner and one.region == lsc.region and one.valid_from <= on <= one.valid_until
        for one in lscs
    )
