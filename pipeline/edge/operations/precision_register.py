"""Propose, import, accept, decline and withdraw records of the precision register; the audit trail has each (R1.12).

A record is never changed. It counts nowhere until a person accepts it, and the next one supersedes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection

from pipeline.clinical.cross_calibration import cross_calibration_doubts
from pipeline.clinical.cross_calibration_study import (
    CrossCalibrationStudy,
    cross_calibration_of_study,
    evaluate_pairs,
)
from pipeline.clinical.model import CrossCalibration, LeastSignificantChange, Scanner
from pipeline.clinical.precision import LSC_FACTOR, in_force, lsc_for
from pipeline.clinical.precision_record import facts_of_study, lsc_of_study
from pipeline.clinical.precision_register import Standing
from pipeline.clinical.precision_study import UnfitStudyError, worksheet
from pipeline.clinical.regions import Region, Side
from pipeline.clinical.study_worksheets import cross_calibration_worksheet
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.operations.cross_calibration_csv import read_pairs
from pipeline.edge.operations.precision_study_csv import EvaluatedStudy, evaluate_table
from pipeline.edge.store import audit_trail, precision_register
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.edge.store.precision_register import Kind, NewRecord, RecordOnFile
from pipeline.edge.text_files import printable
from pipeline.errors import DxatrendError

OF_PRECISION_FILE, OF_SCANNERS_FILE = "precision.toml", "scanners.toml"
"""The origin of an imported record; any other comes from a study in the register."""

OF_STUDY = "study"


_MOST_DIGITS = 18
"""So many digits fit a number of the database."""


class RegisterError(DxatrendError):
    """A decision on a record that does not exist, or that was decided before; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIn:
    """A table as a person hands it in: the name of the file, its content, and why the study was made."""

    file_name: str
    content: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionTerms:
    """What a person says of a precision study beside its table.

    ``both_sides``: the LSC of a hip or forearm serves the other side too. ``same_day`` is needed where the table states
    no dates. ``software`` is the scanner's version at the time of the study, if known.
    """

    scanner: Scanner
    valid_from: date
    valid_until: date
    source: str
    both_sides: bool = False
    same_day: bool | None = None
    software: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCalibrationTerms:
    """What a person says of a cross-calibration study beside its table; ``both_sides`` as for a precision study."""

    old: Scanner
    new: Scanner
    valid_from: date
    source: str
    both_sides: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What was made of a study: the numbers of its records, and of which regions there is none, and why."""

    study: int
    records: tuple[int, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What was made of the entries of the files: counted already, proposed for a decision, or known before."""

    accepted: tuple[int, ...]
    proposed: tuple[int, ...]
    known: int


def parse_record_number(text: str) -> int:
    """Return the number of a record that is written as ``R3`` or ``3``.

    Raises:
        RegisterError: it is written otherwise.
    """
    digits = text.strip().upper().removeprefix("R")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < _MOST_DIGITS):
        raise RegisterError(f"{printable(text)} is no record of the register; records are written as R3")
    return int(digits)


def find_record(database: Database, number: int) -> RecordOnFile:
    """Return a record of the register.

    Raises:
        RegisterError: there is no such record.
    """
    with database.read() as connection:
        found = precision_register.records(connection, [number])
    if not found:
        raise RegisterError(f"the register has no record {number}")
    return found[0]


def worksheet_of(app: App, number: int) -> str:
    """Return the worksheet of the study behind a record, evaluated again from its table.

    Raises:
        RegisterError: there is no such record, or no study behind it.
    """
    record = find_record(app.database, number)
    with app.database.read() as connection:
        study = None if record.study is None else precision_register.study(connection, record.study)
    if study is None:
        raise RegisterError(f"record {number} comes from {record.origin}, without its study")
    value = record.value
    if isinstance(value, CrossCalibration):
        scans = read_pairs(study.content)
        pairs = evaluate_pairs(scans, {scan.region.key: value.precision_error_old for scan in scans})
        chosen = [one for one in pairs if _serves(value.region, one.region)]
        return "\n".join(cross_calibration_worksheet(one, cross_calibration_doubts(value)) for one in chosen)
    evaluated = [one.study for one in evaluate_table(study.content)]
    return "\n".join(worksheet(one) for one in evaluated if _serves(value.region, one.region))


def evaluate_pairs_of(app: App, content: bytes, terms: CrossCalibrationTerms) -> tuple[CrossCalibrationStudy, ...]:
    """Evaluate an in vivo cross-calibration, with the old scanner's precision from its LSC of the first day.

    Raises:
        UnfitStudyError: with every error of the table.
    """
    scans = read_pairs(content)
    with app.database.read() as connection:
        lscs = app.reference_in_force(connection).reference_data.clinical.lscs
    valid = in_force(lscs, terms.old, terms.valid_from)
    errors: dict[str, Any] = {}
    for region in {scan.region for scan in scans}:
        lsc = lsc_for(valid, region)
        if lsc is not None:
            errors[region.key] = lsc.lsc / LSC_FACTOR
    return evaluate_pairs(scans, errors)


def propose_precision(database: Database, table: HandedIn, terms: PrecisionTerms) -> Proposed:
    """Store a precision study and propose the LSC of each of its regions that may be used.

    Raises:
        UnfitStudyError: the table has errors, no region may be used, or a region's LSC lacks something.
    """
    left_out: list[str] = []
    new: list[NewRecord] = []
    reasons: list[str] = []
    for one in evaluate_table(table.content):
        if not one.study.region.monitorable:
            left_out.append(f"{one.study.region} is not monitored, so it has no LSC (R2.17)")
        elif one.study.objections:
            reasons += [f"{one.study.region}: {objection}" for objection in one.study.objections]
        else:
            try:
                new.append(_lsc_record(one, table, terms))
            except UnfitStudyError as unfit:
                reasons += unfit.reasons
    reasons += _twice([str(one.value.region) for one in new])
    if reasons or not new:
        raise UnfitStudyError(reasons or [*left_out])
    return _propose(database, Kind.LSC, table, new, left_out)


def propose_cross_calibration(app: App, table: HandedIn, terms: CrossCalibrationTerms) -> Proposed:
    """Store a cross-calibration study and propose the line between the two scanners for each of its regions.

    Raises:
        UnfitStudyError: the table has errors, or a region's study must not be used.
    """
    new: list[NewRecord] = []
    reasons: list[str] = []
    for study in evaluate_pairs_of(app, table.content, terms):
        try:
            value = cross_calibration_of_study(
                study,
                old=terms.old,
                new=terms.new,
                valid_from=terms.valid_from,
                source=terms.source,
                region=_served(study.region, both_sides=terms.both_sides),
            )
            new.append(NewRecord(value=value, origin=OF_STUDY, reason=table.reason))
        except UnfitStudyError as unfit:
            reasons += unfit.reasons
    reasons += _twice([str(one.value.region) for one in new])
    if reasons:
        raise UnfitStudyError(reasons)
    return _propose(app.database, Kind.CROSS_CALIBRATION, table, new, [])


def import_configured(app: App) -> Imported:
    """Take the entries of ``precision.toml`` and ``scanners.toml`` into the register; what is there stays as it is.

    An entry that counts already goes on counting. One that differs from a record of the same first day is proposed.
    """
    clinical = app.reference_data.clinical
    entries: list[tuple[LeastSignificantChange | CrossCalibration, str]] = [
        *((lsc, OF_PRECISION_FILE) for lsc in clinical.lscs),
        *((one, OF_SCANNERS_FILE) for one in clinical.cross_calibrations),
    ]
    now, who = datetime.now(UTC), events.operator().name
    accepted: list[int] = []
    proposed: list[int] = []
    known = 0
    with app.database.write() as connection:
        precision_register.lock_all(connection)
        on_file = precision_register.records(connection)
        counting = app.reference_in_force(connection).reference_data.clinical
        for value, origin in entries:
            if any(one.value == value for one in on_file):
                known += 1
                continue
            reason = f"imported from {origin}"
            number = precision_register.propose(
                connection, NewRecord(value=value, origin=origin, reason=reason), at=now, by=who
            )
            if _counts(value, counting.lscs, counting.cross_calibrations):
                precision_register.decide(
                    connection, number, Standing.ACCEPTED, at=now, by=who, reason=f"{reason}, where it counted before"
                )
                accepted.append(number)
            else:
                proposed.append(number)
        if accepted or proposed:
            _audit(connection, now, {"what": "imported", "accepted": accepted, "proposed": proposed})
    return Imported(accepted=tuple(accepted), proposed=tuple(proposed), known=known)


def accept(database: Database, number: int, reason: str = "") -> RecordOnFile:
    """Let a proposed record count; what it supersedes counts until the day before it begins.

    Raises:
        RegisterError: there is no such record, or a person has decided on it before.
    """
    return _decide(database, number, Standing.ACCEPTED, reason, if_now=Standing.PROPOSED)


def decline(database: Database, number: int, reason: str) -> RecordOnFile:
    """Decide that a proposed record is not to count.

    Raises:
        RegisterError: there is no such record, or a person has decided on it before.
    """
    return _decide(database, number, Standing.DECLINED, reason, if_now=Standing.PROPOSED)


def withdraw(database: Database, number: int, reason: str) -> RecordOnFile:
    """Let an accepted record count for no day any more, as where its study was wrong.

    Raises:
        RegisterError: there is no such record, or it is not accepted.
    """
    return _decide(database, number, Standing.WITHDRAWN, reason, if_now=Standing.ACCEPTED)


def _decide(database: Database, number: int, standing: Standing, reason: str, *, if_now: Standing) -> RecordOnFile:
    now = datetime.now(UTC)
    with database.write() as connection:
        record = precision_register.lock(connection, number)
        if record is None:
            raise RegisterError(f"the register has no record {number}")
        if record.standing is not if_now:
            raise RegisterError(f"record {number} is {record.standing}, so it cannot be {standing}")
        who = events.operator().name
        precision_register.decide(connection, number, standing, at=now, by=who, reason=reason)
        _audit(connection, now, {"what": standing.value, "record": number, "reason": reason})
        (decided,) = precision_register.records(connection, [number])
    return decided


def _propose(
    database: Database, kind: Kind, table: HandedIn, new: Sequence[NewRecord], left_out: Sequence[str]
) -> Proposed:
    now, who = datetime.now(UTC), events.operator().name
    with database.write() as connection:
        precision_register.lock_all(connection)
        known = [
            one
            for one in precision_register.records(connection)
            if one.standing in (Standing.PROPOSED, Standing.ACCEPTED)
        ]
        if there := [
            f"{record.value.region}: the register has the same as R{one.number}"
            for record in new
            for one in known
            if one.value == record.value
        ]:
            raise UnfitStudyError(there)
        study = precision_register.add_study(connection, kind, table.file_name, table.content, at=now, by=who)
        numbers = [
            precision_register.propose(
                connection,
                NewRecord(value=one.value, facts=one.facts, study=study, origin=one.origin, reason=one.reason),
                at=now,
                by=who,
            )
            for one in new
        ]
        _audit(connection, now, {"what": Standing.PROPOSED.value, "study": study, "records": numbers})
    return Proposed(study=study, records=tuple(numbers), left_out=tuple(left_out))


def _lsc_record(one: EvaluatedStudy, table: HandedIn, terms: PrecisionTerms) -> NewRecord:
    value = lsc_of_study(
        one.study,
        scanner=terms.scanner,
        valid_from=terms.valid_from,
        valid_until=terms.valid_until,
        source=terms.source,
        region=_served(one.study.region, both_sides=terms.both_sides),
        same_day=terms.same_day,
    )
    facts = facts_of_study(one.study, one.scans, software=terms.software, reanalysed=one.reanalysed)
    return NewRecord(value=value, facts=facts, origin=OF_STUDY, reason=table.reason)


def _served(region: Region, *, both_sides: bool) -> Region:
    is_one_side = region.side in (Side.LEFT, Side.RIGHT)
    return Region(part=region.part) if both_sides and is_one_side else region


def _serves(serving: Region, measured: Region) -> bool:
    """Whether a record of a region, or of both sides, comes from the study of a region."""
    return serving == measured or (serving.side is None and not serving.vertebrae and serving.part == measured.part)


def _twice(regions: Sequence[str]) -> list[str]:
    return [
        f"{region}: the table has both sides, so neither can serve both"
        for region in sorted({one for one in regions if regions.count(one) > 1})
    ]


def _counts(
    value: LeastSignificantChange | CrossCalibration,
    lscs: Sequence[LeastSignificantChange],
    cross_calibrations: Sequence[CrossCalibration],
) -> bool:
    """Whether an entry of a file counts now, from its own first day on."""
    if isinstance(value, CrossCalibration):
        return value in cross_calibrations
    return any(
        (one.scanner, one.region, one.valid_from, one.lsc, one.source)
        == (value.scanner, value.region, value.valid_from, value.lsc, value.source)
        for one in lscs
    )


def _audit(connection: Connection, at: datetime, detail: Mapping[str, object]) -> None:
    audit_trail.record(connection, events.by_operator(Event.REGISTERED, at=at, detail=detail))
