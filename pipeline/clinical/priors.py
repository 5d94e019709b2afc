"""Match a measurement with the earlier exams it may be compared with; state the obstacle where there is none (R2)."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from pipeline.clinical.cross_calibration import cross_calibration_for, predict
from pipeline.clinical.model import (
    ZERO,
    CrossCalibration,
    Epoch,
    Exam,
    Measurement,
    Obstacle,
    Patient,
    Refusal,
    Scanner,
)
from pipeline.clinical.regions import SPINE, Region, Site
from pipeline.clinical.wording import obstacles as words

FEWEST_VERTEBRAE = 2
"""A single vertebra is never compared (R1.15, R2.13)."""

TOTAL_TOLERANCE = Decimal("0.002")
"""How far a recomputed total may lie from the printed one, in g/cm2 (R2.12)."""

THREE_DECIMALS = Decimal("0.001")

EXCLUSIONS = frozenset({Obstacle.INVALID_SITE, Obstacle.PAEDIATRIC})
"""The obstacles that exclude a measurement from every comparison."""


class Match(NamedTuple):
    """One measurement, its comparable exams (latest first), and the refusals of others.

    ``cross_calibration`` is set where all comparable exams are of another scanner, cross-calibrated with this one
    (R2.10).
    """

    measurement: Measurement
    comparable: tuple[Exam, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    cross_calibration: CrossCalibration | None = None

    @property
    def prior(self) -> Exam | None:
        """The latest comparable exam; ``None`` where there is none."""
        return self.comparable[0] if self.comparable else None

    @property
    def baseline(self) -> Exam | None:
        """The first comparable exam of the series (R3.2); ``None`` where there is none."""
        return self.comparable[-1] if self.comparable else None


class SharedBmds(NamedTuple):
    """BMD in g/cm2 of the vertebrae that two exams share, in this exam and the earlier one (R2.12)."""

    region: Region
    now: Decimal
    then: Decimal


def match(
    exam: Exam,
    history: Sequence[Exam],
    epochs: Sequence[Epoch] = (),
    cross_calibrations: Sequence[CrossCalibration] = (),
    excluded: Sequence[tuple[Region, Refusal]] = (),
) -> list[Match]:
    """Match each measurement of an exam with its comparable earlier exams; one match per measurement, in their order.

    ``history`` may hold all exams on file for the patient in any order; later exams and the exam itself are ignored.
    One identity conflict stops every comparison (R2.19). Each match keeps the latest refusal per obstacle and scanner,
    and only those newer than its prior. Exams of a cross-calibrated scanner serve only where the exam's own scanner has
    none (R2.7). ``excluded`` are the measurements already removed from ``history``, each with its refusal.
    """
    earlier = _split_history(exam, history, epochs, excluded)
    clear = earlier.complete and not earlier.refused and not earlier.excluded
    return [
        Match(measurement, earlier.series)
        if clear and measurement.region.monitorable
        else _match(measurement, earlier, epochs, cross_calibrations)
        for measurement in exam.measurements
    ]


def conflicting_fields(one: Patient, other: Patient) -> tuple[str, ...]:
    """Return the DICOM fields by which two patients cannot be one; a missing id identifies nobody (R2.19)."""
    if not (one.patient_id and other.patient_id):
        return ("PatientID", *one.differing_fields(other))
    return () if one == other else one.differing_fields(other)


def last_break(scanner: Scanner, epochs: Sequence[Epoch], day: date) -> Epoch | None:
    """Return the last calibration break of a scanner up to a day, where its series begins (R2.6)."""
    begun = [epoch for epoch in epochs if epoch.begins <= day and epoch.scanner == scanner]
    breaks = [epoch for epoch in begun if not epoch.cross_calibrated]
    return max(breaks, key=lambda epoch: (epoch.begins, epoch.reason), default=None)


def shared_bmds(measurement: Measurement, exam: Exam, reference: Exam) -> SharedBmds | None:
    """Return both BMD values of the vertebrae that two exams share; ``None`` where one cannot be determined.

    Each is the printed BMD of that set, else total bone mineral content over total area, never a mean of BMDs (R2.12).
    """
    total = _nearest_set(measurement.region, reference)
    if total is None:
        return None
    levels = tuple(level for level in measurement.region.vertebrae if level in total.region.vertebrae)
    shared = Region(part=SPINE, vertebrae=levels)
    now, then = subset_bmd(exam, shared), subset_bmd(reference, shared)
    if now is None or then is None:
        return None
    return SharedBmds(shared, now, then)


def subset_bmd(exam: Exam, region: Region) -> Decimal | None:
    """Return the BMD of a set of vertebrae in one exam in g/cm2: as printed, else recomputed; ``None`` if unknown."""
    printed = exam.by_region.get(region.key)
    return printed.bmd if printed is not None else recomputed_bmd(exam, region)


def recomputed_bmd(exam: Exam, region: Region) -> Decimal | None:
    """Return total content over total area of a set, in g/cm2, three decimals; ``None`` if incomplete (R2.12)."""
    levels = [exam.by_region.get(level) for level in region.vertebrae]
    bmc = _total(level.bmc if level else None for level in levels)
    area = _total(level.area if level else None for level in levels)
    if not bmc or not area:
        return None
    return (bmc / area).quantize(THREE_DECIMALS, ROUND_HALF_UP) or None


def total_agrees(exam: Exam, total: Measurement) -> bool:
    """Whether the printed BMD of a set agrees with its vertebrae within 0.002 g/cm2, if all are reported (R2.12)."""
    expected = recomputed_bmd(exam, total.region)
    return expected is None or abs(total.bmd - expected) <= TOTAL_TOLERANCE


class _EarlierExams(NamedTuple):
    """The exams before ``exam``, latest first: its series, and those refused.

    ``complete`` states that each exam of the series measured every region of ``exam``. ``excluded`` are single earlier
    measurements that must not be judged.
    """

    exam: Exam
    series: tuple[Exam, ...]
    refused: tuple[Refusal, ...]
    complete: bool
    excluded: tuple[tuple[Region, Refusal], ...] = ()


def identity_conflicts(exam: Exam, history: Sequence[Exam]) -> tuple[Refusal, ...]:
    """Return the refusals of exams under the same patient id that may be another person's (R2.19)."""
    patient = exam.patient
    others = [other for other in history if other.key != exam.key]
    unlike = [other for other in others if other.patient != patient or not patient.patient_id]
    return _latest_per_reason(
        [_identity_conflict(exam, other) for other in unlike if conflicting_fields(patient, other.patient)], ()
    )


def _split_history(
    exam: Exam, history: Sequence[Exam], epochs: Sequence[Epoch], excluded: Sequence[tuple[Region, Refusal]]
) -> _EarlierExams:
    if conflicts := identity_conflicts(exam, history):
        return _EarlierExams(exam, (), conflicts, False)
    others = [other for other in history if other.key != exam.key]
    key, today = exam.scanner.key, exam.performed_on
    others.sort(key=_by_time, reverse=True)
    epoch = last_break(exam.scanner, epochs, today) if epochs else None
    begins = date.min if epoch is None else epoch.begins
    identified = exam.scanner.identified
    series, refused = [], []
    for other in others:
        same_day = other.is_of_same_day(exam)
        if begins <= other.performed_on < today and other.scanner.key == key and identified and not same_day:
            series.append(other)
        elif other.performed_on <= today:
            refused.append(_refusal(exam, other, epoch))
    measured = exam.by_region.keys()
    complete = all([measured <= other.by_region.keys() for other in series])
    before = tuple((region, refusal) for region, refusal in excluded if refusal.exam.performed_on < today)
    return _EarlierExams(exam, tuple(series), tuple(refused), complete, before)


def _by_time(exam: Exam) -> tuple[datetime, str]:
    """Return the sort key of an exam: its time, then its study, so that the order of history has no effect."""
    return exam.performed_at, exam.study_instance_uid


def _identity_conflict(exam: Exam, other: Exam) -> Refusal:
    text = words.identity_conflict(other, conflicting_fields(exam.patient, other.patient))
    return Refusal(obstacle=Obstacle.ID_CONFLICT, exam=other, text=text)


def _refusal(exam: Exam, other: Exam, epoch: Epoch | None) -> Refusal:
    """Return why nothing of an exam may be compared with one outside its series."""
    if other.is_of_same_day(exam):
        return Refusal(obstacle=Obstacle.SAME_DAY, exam=other, text=words.same_day(other))
    if not (exam.scanner.identified and other.scanner.identified):
        return Refusal(obstacle=Obstacle.SCANNER_UNKNOWN, exam=other, text=words.scanner_unidentified(exam, other))
    if epoch is None or exam.scanner != other.scanner:
        return Refusal(obstacle=Obstacle.OTHER_SCANNER, exam=other, text=words.other_scanner(exam, other))
    return Refusal(obstacle=Obstacle.OTHER_EPOCH, exam=other, text=words.other_epoch(epoch, other))


def _match(
    measurement: Measurement,
    earlier: _EarlierExams,
    epochs: Sequence[Epoch],
    cross_calibrations: Sequence[CrossCalibration],
) -> Match:
    region = measurement.region
    at_site = [other for other in earlier.series if _measured(other, region.site)]
    others_refused = [
        r for r in earlier.refused if r.obstacle is Obstacle.ID_CONFLICT or _measured(r.exam, region.site)
    ]
    others_refused += _latest_exclusion(region, earlier)
    if not region.monitorable:
        text = words.not_for_monitoring(region)
        refusals = [Refusal(obstacle=Obstacle.NOT_FOR_MONITORING, exam=other, text=text) for other in at_site[:1]]
        return Match(measurement, (), _latest_per_reason(refusals + others_refused, ()))
    refusals = [r for other in at_site if (r := _region_refusal(measurement, earlier.exam, other))]
    refused = {refusal.exam.key for refusal in refusals}
    comparable = tuple(other for other in at_site if other.key not in refused)
    cross_calibration = None
    if not comparable:
        comparable, cross_calibration = _cross_calibrated_series(measurement, earlier, epochs, cross_calibrations)
    return Match(measurement, comparable, _latest_per_reason(refusals + others_refused, comparable), cross_calibration)


def _cross_calibrated_series(
    measurement: Measurement,
    earlier: _EarlierExams,
    epochs: Sequence[Epoch],
    cross_calibrations: Sequence[CrossCalibration],
) -> tuple[tuple[Exam, ...], CrossCalibration | None]:
    """Return the exams of the last scanner before this one that is cross-calibrated with it for this region (R2.10)."""
    region, today = measurement.region, earlier.exam.performed_on
    on_other_scanners = [r.exam for r in earlier.refused if r.obstacle is Obstacle.OTHER_SCANNER]
    with_region = [exam for exam in on_other_scanners if region.key in exam.by_region]
    for old in dict.fromkeys(exam.scanner for exam in with_region):
        cross_calibration = cross_calibration_for(cross_calibrations, old, earlier.exam.scanner, region, today)
        if cross_calibration is None or _broken_since(
            earlier.exam.scanner, epochs, cross_calibration.valid_from, today
        ):
            continue
        series = [
            exam
            for exam in with_region
            if exam.scanner == old and not _broken_since(old, epochs, exam.performed_on, cross_calibration.valid_from)
        ]
        usable = tuple(e for e in series if predict(cross_calibration, e.by_region[region.key].bmd) is not None)
        if usable:
            return usable, cross_calibration
    return (), None


def _broken_since(scanner: Scanner, epochs: Sequence[Epoch], begun: date, ended: date) -> bool:
    """Whether a calibration break lies after one day and up to another."""
    last = last_break(scanner, epochs, ended)
    return last is not None and last.begins > begun


def _region_refusal(measurement: Measurement, exam: Exam, other: Exam) -> Refusal | None:
    """Return why a region has no counterpart in an exam that measured its site; ``None`` if it has one."""
    region = measurement.region
    if region.key in other.by_region or shared_bmds(measurement, exam, other) is not None:
        return None
    if region.part == SPINE:
        return Refusal(obstacle=Obstacle.OTHER_VERTEBRAE, exam=other, text=words.other_vertebrae(region, other))
    if any(m.region.part == region.part for m in other.measurements):
        return Refusal(obstacle=Obstacle.OTHER_SIDE, exam=other, text=words.other_side(region, other))
    return Refusal(obstacle=Obstacle.OTHER_REGION, exam=other, text=words.other_region(region, other))


def _latest_per_reason(refusals: Sequence[Refusal], comparable: Sequence[Exam]) -> tuple[Refusal, ...]:
    """Return the latest refusal per obstacle and scanner that is newer than the prior; latest first.

    The last exam on another scanner is kept too while it is the newest exam older than the prior (F4).
    """
    latest: dict[tuple[Obstacle, Scanner], Refusal] = {}
    last = _last_on_another_scanner(refusals, comparable)
    for refusal in sorted(refusals, key=lambda refusal: _by_time(refusal.exam), reverse=True):
        if not comparable or _by_time(refusal.exam) > _by_time(comparable[0]) or refusal is last:
            latest.setdefault((refusal.obstacle, refusal.exam.scanner), refusal)
    return tuple(latest.values())


def _last_on_another_scanner(refusals: Sequence[Refusal], comparable: Sequence[Exam]) -> Refusal | None:
    """Return the refusal of the newest exam older than the prior, if that was made on another scanner (F4)."""
    if not comparable:
        return None
    prior = _by_time(comparable[0])
    older = [r for r in refusals if _by_time(r.exam) < prior and r.obstacle not in EXCLUSIONS]
    newest = max(older, key=lambda refusal: _by_time(refusal.exam), default=None)
    if newest is None or newest.obstacle is not Obstacle.OTHER_SCANNER:
        return None
    overtaken = len(comparable) > 1 and _by_time(comparable[1]) >= _by_time(newest.exam)
    return None if overtaken else newest


def _latest_exclusion(region: Region, earlier: _EarlierExams) -> list[Refusal]:
    """Return the refusal of the latest excluded measurement of this bone, if there is one."""
    of_bone = [refusal for other, refusal in earlier.excluded if (other.part, other.side) == (region.part, region.side)]
    return sorted(of_bone, key=lambda refusal: _by_time(refusal.exam), reverse=True)[:1]


def _measured(exam: Exam, site: Site) -> bool:
    return any(measurement.region.site is site for measurement in exam.measurements)


def _nearest_set(region: Region, reference: Exam) -> Measurement | None:
    """Return the set of another exam that shares most vertebrae with a region, at least two; of equals the larger."""
    wanted = set(region.vertebrae)
    sets = [m for m in reference.measurements if len(wanted.intersection(m.region.vertebrae)) >= FEWEST_VERTEBRAE]
    return max(
        sets,
        key=lambda m: (len(wanted.intersection(m.region.vertebrae)), len(m.region.vertebrae), m.region.key),
        default=None,
    )


def _total(values: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum of values; ``None`` if one is missing."""
    known = list(values)
    return sum((value for value in known if value is not None), ZERO) if None not in known else None
