"""The precision register as a person reads it: what counts, until when, what is missing, and what asks for a new study.

One line for each scanner and region. Technologists, software and missing LSCs are judged by the scanner's latest exams.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from sqlalchemy import Connection

from pipeline.clinical.cross_calibration import cross_calibration_doubts, lsc_across
from pipeline.clinical.model import CrossCalibration, LeastSignificantChange, Scanner
from pipeline.clinical.precision import doubts, in_force, is_followed, lsc_for
from pipeline.clinical.precision_register import Standing, StudyFacts, without_effect
from pipeline.clinical.redo_study import OutsideTechnologist, changes_since_study, ending, technologists_outside
from pipeline.clinical.regions import Side
from pipeline.edge.app import App
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.operations.precision_entries import known_scanners
from pipeline.edge.store import outbox, precision_register, scanner_exams
from pipeline.edge.store.precision_register import RecordOnFile
from pipeline.edge.store.scanner_exams import ScannedExam

LATEST_EXAMS = 500
"""How many of a scanner's latest exams are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LscLine:
    """An LSC that counts on some day: from where, for how many more days, and what a person should do about it.

    ``record`` is ``None`` for an entry of ``precision.toml`` that the register does not hold. ``days_left`` counts from
    today to its last day, ``None`` if it does not count today. ``changes`` have happened since the study, which has to
    be repeated therefore; ``repeat`` has them and its end, if that is near. ``outside`` are the technologists who scan
    and were no part of the study; ``of_scanner`` are the changes that name no technologist.
    """

    lsc: LeastSignificantChange
    record: RecordOnFile | None
    days_left: int | None
    changes: tuple[str, ...]
    repeat: tuple[str, ...]
    doubts: tuple[str, ...]
    outside: tuple[OutsideTechnologist, ...] = ()
    of_scanner: tuple[str, ...] = ()

    @property
    def facts(self) -> StudyFacts | None:
        """The facts of its study, if the register has the study."""
        return self.record.facts if self.record else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingLsc:
    """A region that a scanner measures and for which no LSC counts today.

    ``ended_on`` is the last day of its last LSC, ``None`` if there was none. ``exams`` have measured it since, of which
    the addenda of ``no_lsc`` say that no change was judged; ``looked_at_all`` is false where there are earlier exams.
    """

    scanner: Scanner
    region: str
    ended_on: date | None
    exams: int
    no_lsc: int
    looked_at_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCalibrationLine:
    """A cross-calibration that counts, with its generalised LSC and what a person should check."""

    cross_calibration: CrossCalibration
    record: RecordOnFile | None
    glsc: LeastSignificantChange
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The register: what waits for a decision, what counts, what is missing, what no longer counts.

    ``without_effect`` are entries of the files that the register has another record for.
    """

    proposed: tuple[RecordOnFile, ...]
    counting: tuple[LscLine, ...]
    missing: tuple[MissingLsc, ...]
    cross_calibrations: tuple[CrossCalibrationLine, ...]
    past: tuple[RecordOnFile, ...]
    without_effect: tuple[LeastSignificantChange | CrossCalibration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInDoubt:
    """What has changed on a scanner since its precision study, and how many scan on it who were no part of the study.

    It names nobody, as what is told of it leaves the department.
    """

    scanner: Scanner
    regions: tuple[str, ...]
    changes: tuple[str, ...]
    technologists: int


def register(app: App, *, on: date) -> Register:
    """Return the register as of a day."""
    with app.database.read() as connection:
        reference_data = app.reference_in_force(connection).reference_data
        records = precision_register.records(connection)
        held = precision_register.registered(connection)
        machines = known_scanners(connection, reference_data)
        exams = _latest_exams(connection, (*machines, *(lsc.scanner for lsc in reference_data.clinical.lscs)))
        missing = [one for machine in machines for one in _missing(connection, reference_data, machine, exams, on)]
    clinical, configured = reference_data.clinical, app.reference_data.clinical
    counting = [_lsc_line(lsc, records, reference_data, exams, on) for lsc in clinical.lscs]
    now = {line.record.number for line in counting if line.record and line.lsc.valid_until >= on}
    lines = [_cross_calibration_line(one, records) for one in clinical.cross_calibrations]
    now |= {line.record.number for line in lines if line.record}
    return Register(
        proposed=tuple(one for one in records if one.standing is Standing.PROPOSED),
        counting=tuple(line for line in counting if line.lsc.valid_until >= on),
        missing=tuple(missing),
        cross_calibrations=tuple(lines),
        past=tuple(one for one in records if one.standing is not Standing.PROPOSED and one.number not in now),
        without_effect=(
            *without_effect(configured.lscs, held.lscs),
            *without_effect(configured.cross_calibrations, held.cross_calibrations),
        ),
    )


def studies_in_doubt(connection: Connection, reference_data: ReferenceData, *, on: date) -> list[StudyInDoubt]:
    """Return the scanners on which something has changed since the study of an LSC that counts today."""
    lscs = [lsc for lsc in reference_data.clinical.lscs if lsc.valid_from <= on <= lsc.valid_until]
    records = precision_register.records(connection)
    of_studies = [lsc.scanner for lsc in lscs if (record := record_of(lsc, records)) and record.facts]
    exams = _latest_exams(connection, of_studies)  # what they tell is compared with the facts of a study
    found: dict[tuple[Scanner, tuple[str, ...], int], list[str]] = {}
    for line in (_lsc_line(lsc, records, reference_data, exams, on) for lsc in lscs):
        if line.of_scanner or line.outside:
            key = (line.lsc.scanner, line.of_scanner, len(line.outside))
            found.setdefault(key, []).append(line.lsc.region.key)
    return [
        StudyInDoubt(scanner=scanner, regions=tuple(regions), changes=changes, technologists=technologists)
        for (scanner, changes, technologists), regions in found.items()
    ]


def record_of(value: LeastSignificantChange | CrossCalibration, records: Sequence[RecordOnFile]) -> RecordOnFile | None:
    """Return the accepted record that a counting value is, whose last day may be later; the one decided last."""
    same = [one for one in records if one.standing is Standing.ACCEPTED and _is_of(value, one.value)]
    return max(same, key=lambda one: one.decisions[-1].number, default=None)


def counts_as(app: App, record: RecordOnFile) -> LeastSignificantChange | CrossCalibration | None:
    """Return what counts of a record on any day, perhaps to an earlier day than its own last; ``None`` if nothing."""
    with app.database.read() as connection:
        clinical = app.reference_in_force(connection).reference_data.clinical
        records = precision_register.records(connection)
    every: list[LeastSignificantChange | CrossCalibration] = [*clinical.lscs, *clinical.cross_calibrations]
    for value in every:
        found = record_of(value, records)
        if found is not None and found.number == record.number:
            return value
    return None


def doubts_of(record: RecordOnFile) -> tuple[str, ...]:
    """Return what a person should check in a record, whether or not it counts."""
    if isinstance(record.value, CrossCalibration):
        return cross_calibration_doubts(record.value)
    return tuple(dict.fromkeys((*doubts(record.value), *(record.facts.doubts if record.facts else ()))))


def _is_of(value: LeastSignificantChange | CrossCalibration, record: LeastSignificantChange | CrossCalibration) -> bool:
    if isinstance(value, CrossCalibration) or isinstance(record, CrossCalibration):
        return value == record
    return (value.scanner, value.region, value.valid_from, value.lsc, value.source) == (
        record.scanner,
        record.region,
        record.valid_from,
        record.lsc,
        record.source,
    )


def _latest_exams(connection: Connection, machines: Iterable[Scanner]) -> dict[Scanner, list[ScannedExam]]:
    """Return the latest exams of each scanner, read once: a scanner has an LSC for each region."""
    return {
        machine: scanner_exams.latest(connection, machine, limit=LATEST_EXAMS) for machine in dict.fromkeys(machines)
    }


def _lsc_line(
    lsc: LeastSignificantChange,
    records: Sequence[RecordOnFile],
    reference_data: ReferenceData,
    exams: Mapping[Scanner, Sequence[ScannedExam]],
    on: date,
) -> LscLine:
    record = record_of(lsc, records)
    facts = record.facts if record else None
    counts_today = lsc.valid_from <= on <= lsc.valid_until
    latest = exams.get(lsc.scanner, ())
    matters = counts_today and not is_followed(lsc, reference_data.clinical.lscs, on)
    scanned_by = Counter(name for exam in latest for name in exam.technologists)
    changes_by = partial(
        changes_since_study,
        lsc,
        facts,
        epochs=reference_data.clinical.epochs,
        software_now=next((exam.software for exam in latest if exam.software), ""),
        on=on,
    )
    changes = changes_by(exams_by_technologist=scanned_by)
    outside = technologists_outside(facts, scanned_by) if matters else ()
    return LscLine(
        lsc=lsc,
        record=record,
        days_left=(lsc.valid_until - on).days if counts_today else None,
        changes=changes if matters else (),
        repeat=(*ending(lsc, on), *changes) if matters else (),
        doubts=(
            *(doubts_of(record) if record else doubts(lsc)),
            *(str(one) for one in outside if not one.is_experienced),
        ),
        outside=outside,
        of_scanner=changes_by(exams_by_technologist={}) if matters else (),
    )


def _cross_calibration_line(value: CrossCalibration, records: Sequence[RecordOnFile]) -> CrossCalibrationLine:
    return CrossCalibrationLine(
        cross_calibration=value,
        record=record_of(value, records),
        glsc=lsc_across(value, value.region),
        doubts=cross_calibration_doubts(value),
    )


def _missing(
    connection: Connection,
    reference_data: ReferenceData,
    machine: Scanner,
    exams: Mapping[Scanner, Sequence[ScannedExam]],
    on: date,
) -> list[MissingLsc]:
    """Return the regions of a scanner's latest exams for which no LSC counts today."""
    lscs = reference_data.clinical.lscs
    today = in_force(lscs, machine, on)
    without: dict[str, list[tuple[ScannedExam, str]]] = {}
    every = {region for exam in exams[machine] for region in exam.regions}
    unserved = {region for region in every if region.monitorable and lsc_for(today, region) is None}
    for exam in exams[machine]:
        of_exam = [region for region in exam.regions if region in unserved]
        then = in_force(lscs, machine, exam.performed_on) if of_exam else {}
        for region in of_exam:
            if lsc_for(then, region) is None:
                name = region.part if region.side in (Side.LEFT, Side.RIGHT) else region.key
                without.setdefault(name, []).append((exam, region.key))
    numbers = {exam.number for measured in without.values() for exam, _ in measured}
    unjudged = outbox.regions_without_lsc(connection, numbers) if numbers else {}
    found: list[MissingLsc] = []
    for name, measured in without.items():
        ended = [
            lsc.valid_until
            for lsc in lscs
            if lsc.scanner == machine and name in (lsc.region.key, lsc.region.part) and lsc.valid_until < on
        ]
        of_region = {exam.number for exam, _ in measured}
        found.append(
            MissingLsc(
                scanner=machine,
                region=name,
                ended_on=max(ended, default=None),
                exams=len(of_region),
                no_lsc=len({exam.number for exam, key in measured if key in unjudged.get(exam.number, ())}),
                looked_at_all=len(exams[machine]) < LATEST_EXAMS,
            )
        )
    return found
