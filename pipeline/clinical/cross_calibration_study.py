"""Cross-calibration study: from paired scans on an old and a new scanner to the line between them (R2.6 to R2.10).

In vivo: 30 patients scanned once on the old and twice on the new scanner within 60 days; the regression of the new on
the old BMD, and the generalised LSC from its residual SD and the new scanner's precision. With a phantom: ten scans on
each; their means have to agree within 1 %. BMD, standard deviations and LSCs in g/cm2.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from pipeline.clinical.cross_calibration import (
    FEWEST_PATIENTS,
    cross_calibration_objections,
    generalised_lsc,
)
from pipeline.clinical.model import ZERO, CrossCalibration, ImpossibleMeasurementError, Measurement, Scanner
from pipeline.clinical.phantom_qc import PHANTOM_SCANS, calibration_holds
from pipeline.clinical.precision import MINIMUM_DEGREES_OF_FREEDOM, WORST_PRECISION_PERCENT
from pipeline.clinical.precision_study import HUNDRED, UnfitStudyError
from pipeline.clinical.regions import Region

LONGEST_DAYS = 60
"""The most days between the scans of one patient (R2.7)."""

SIX_DECIMALS = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedScan:
    """One scan of the study, on the new or the old scanner: patient and scan by their labels, BMD in g/cm2."""

    patient: str
    on_new: bool
    scan: str
    region: Region
    bmd: Decimal
    day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedPatient:
    """One patient: the BMD on the old scanner, and mean and standard deviation of the scans on the new one."""

    patient: str
    old: Decimal
    new: Decimal
    sd_new: Decimal
    days: int | None
    """Days from the first to the last scan; ``None`` where not all are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCalibrationStudy:
    """The evaluated study of one region: ``new = intercept + slope * old``.

    ``residual_sd`` is the standard error of the estimate with n - 2 degrees of freedom; ``precision_error_new`` the
    RMS-SD of the repeated scans on the new scanner, ``precision_error_old`` that of the old scanner's own precision
    study, ``None`` if there is none. ``objections`` forbid its use, ``doubts`` should be checked.
    """

    region: Region
    patients: tuple[PairedPatient, ...]
    scans_on_new: int
    intercept: Decimal
    slope: Decimal
    residual_sd: Decimal
    precision_error_old: Decimal | None
    precision_error_new: Decimal
    glsc: Decimal
    objections: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def means(self) -> tuple[Decimal, Decimal]:
        """Mean BMD of the patients on the old and on the new scanner."""
        return _mean([one.old for one in self.patients]), _mean([one.new for one in self.patients])


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomStudy:
    """Ten or more scans of one phantom on each scanner: their means in g/cm2, and whether they agree within 1 %."""

    region: Region
    old: tuple[Decimal, ...]
    new: tuple[Decimal, ...]
    holds: bool

    @property
    def percent(self) -> Decimal:
        """By how much the new mean differs, in percent of the old one."""
        return HUNDRED * (_mean(self.new) - _mean(self.old)) / _mean(self.old)


def evaluate_pairs(
    scans: Sequence[PairedScan], precision_errors_old: Mapping[str, Decimal]
) -> tuple[CrossCalibrationStudy, ...]:
    """Evaluate one in vivo study per region; ``precision_errors_old`` has those of the old scanner by region key.

    Raises:
        UnfitStudyError: with every error of every region.
    """
    reasons: list[str] = []
    found: list[CrossCalibrationStudy] = []
    for region, of_region in _by_region(scans).items():
        faults = [*_faults(of_region)]
        if faults:
            reasons += [f"{region}: {fault}" for fault in faults]
        else:
            found.append(_evaluated(region, of_region, precision_errors_old.get(region.key)))
    if reasons or not scans:
        raise UnfitStudyError(reasons or ["there are no scans"])
    return tuple(found)


def evaluate_phantom(scans: Sequence[PairedScan]) -> tuple[PhantomStudy, ...]:
    """Compare the scans of one phantom on two scanners, region by region (R2.6).

    Raises:
        UnfitStudyError: with every error of every region.
    """
    reasons: list[str] = []
    found: list[PhantomStudy] = []
    for region, of_region in _by_region(scans).items():
        old = tuple(scan.bmd for scan in of_region if not scan.on_new)
        new = tuple(scan.bmd for scan in of_region if scan.on_new)
        faults = [*_impossible(of_region)]
        if min(len(old), len(new)) < PHANTOM_SCANS:
            faults.append(f"{len(old)} scans on the old and {len(new)} on the new scanner; {PHANTOM_SCANS} on each")
        if faults:
            reasons += [f"{region}: {fault}" for fault in faults]
        else:
            found.append(PhantomStudy(region=region, old=old, new=new, holds=calibration_holds(old, new)))
    if reasons or not scans:
        raise UnfitStudyError(reasons or ["there are no scans"])
    return tuple(found)


def cross_calibration_of_study(
    evaluated: CrossCalibrationStudy,
    *,
    old: Scanner,
    new: Scanner,
    valid_from: date,
    source: str,
    region: Region | None = None,
) -> CrossCalibration:
    """Return what lets exams on the new scanner be compared with those on the old one; ``region`` for both sides.

    Raises:
        UnfitStudyError: the study must not be used, or the old scanner has no precision error on file.
    """
    reasons = [*evaluated.objections]
    error_old = evaluated.precision_error_old
    if error_old is None:
        reasons.append("the old scanner has no LSC on file: its own precision is needed beside the study (R2.10)")
    else:
        found = CrossCalibration(
            old=old,
            new=new,
            region=region or evaluated.region,
            intercept=_six(evaluated.intercept),
            slope=_six(evaluated.slope),
            residual_sd=_six(evaluated.residual_sd),
            precision_error_old=_six(error_old),
            precision_error_new=_six(evaluated.precision_error_new),
            patients=len(evaluated.patients),
            scans_on_new=evaluated.scans_on_new,
            valid_from=valid_from,
            source=source,
        )
        own = [one for one in cross_calibration_objections(found) if one not in reasons]
        if not (reasons or own):
            return found
        reasons += own
    raise UnfitStudyError([f"{evaluated.region}: {reason}" for reason in reasons])


def _evaluated(
    region: Region, scans: Sequence[PairedScan], precision_error_old: Decimal | None
) -> CrossCalibrationStudy:
    patients = tuple(_patient(patient, own) for patient, own in _by_patient(scans).items())
    scans_on_new = sum(scan.on_new for scan in scans) // len(patients)
    slope, intercept, residual_sd = _regression([(one.old, one.new) for one in patients])
    error_new = _mean([one.sd_new**2 for one in patients]).sqrt()
    return CrossCalibrationStudy(
        region=region,
        patients=patients,
        scans_on_new=scans_on_new,
        intercept=intercept,
        slope=slope,
        residual_sd=residual_sd,
        precision_error_old=precision_error_old,
        precision_error_new=error_new,
        glsc=generalised_lsc(residual_sd, error_new, scans_on_new),
        objections=tuple(_objections(region, patients, slope, residual_sd, error_new)),
        doubts=tuple(_doubts(region, patients, scans_on_new, error_new)),
    )


def _regression(points: Sequence[tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal, Decimal]:
    """Return slope, intercept and residual SD of the least-squares line; its residual SD has n - 2 degrees of freedom.

    A line through points of one x, or through two points, says nothing: slope and residual SD are then zero.
    """
    mean_x, mean_y = _mean([x for x, _ in points]), _mean([y for _, y in points])
    sxx = sum(((x - mean_x) ** 2 for x, _ in points), ZERO)
    if sxx == 0 or len(points) < 3:
        return ZERO, mean_y, ZERO
    slope = sum(((x - mean_x) * (y - mean_y) for x, y in points), ZERO) / sxx
    intercept = mean_y - slope * mean_x
    residuals = sum(((y - intercept - slope * x) ** 2 for x, y in points), ZERO)
    return slope, intercept, (residuals / (len(points) - 2)).sqrt()


def _patient(patient: str, scans: Sequence[PairedScan]) -> PairedPatient:
    (old,) = (scan.bmd for scan in scans if not scan.on_new)
    new = [scan.bmd for scan in scans if scan.on_new]
    mean = _mean(new)
    days = [scan.day for scan in scans if scan.day is not None]
    return PairedPatient(
        patient=patient,
        old=old,
        new=mean,
        sd_new=(sum(((bmd - mean) ** 2 for bmd in new), ZERO) / (len(new) - 1)).sqrt(),
        days=(max(days) - min(days)).days if len(days) == len(scans) else None,
    )


def _faults(scans: Sequence[PairedScan]) -> Iterator[str]:
    yield from _impossible(scans)
    by_patient = _by_patient(scans)
    on_new = {patient: sum(scan.on_new for scan in own) for patient, own in by_patient.items()}
    usual = max(sorted(set(on_new.values()), reverse=True), key=[*on_new.values()].count)
    for patient, own in by_patient.items():
        on_old = len(own) - on_new[patient]
        if on_old != 1:
            yield f"patient {patient} has {on_old} scans on the old scanner; one is needed (R2.7)"
        if on_new[patient] < 2:
            yield f"patient {patient} has {on_new[patient]} scans on the new scanner; two are needed (R2.7)"
        elif on_new[patient] != usual:
            yield f"patient {patient} has {on_new[patient]} scans on the new scanner where most have {usual}"
        if len({(scan.on_new, scan.scan) for scan in own}) < len(own):
            yield f"patient {patient} has two scans of one label on one scanner"


def _impossible(scans: Sequence[PairedScan]) -> Iterator[str]:
    for scan in scans:
        try:
            Measurement(region=scan.region, bmd=scan.bmd)
        except ImpossibleMeasurementError:
            yield f"patient {scan.patient}, scan {scan.scan}: BMD is not a number of g/cm2"


def _objections(
    region: Region, patients: Sequence[PairedPatient], slope: Decimal, residual_sd: Decimal, error_new: Decimal
) -> Iterator[str]:
    if not region.monitorable:
        yield "is not used for monitoring (R2.17)"
    if len(patients) < FEWEST_PATIENTS:
        yield f"{len(patients)} patients; {FEWEST_PATIENTS} are needed (R2.7)"
    if slope <= 0:
        yield "the new scanner's BMD does not rise with the old one's: check which scans belong together"
    if residual_sd == 0 or error_new == 0:
        yield "scans are equal to the last digit: they were copied or computed, not repeated"
    if late := [one.patient for one in patients if one.days is not None and one.days > LONGEST_DAYS]:
        yield f"more than {LONGEST_DAYS} days between the scans of {', '.join(late)} (R2.7)"


def _doubts(
    region: Region,
    patients: Sequence[PairedPatient],
    scans_on_new: int,
    error_new: Decimal,
) -> Iterator[str]:
    if any(one.days is None for one in patients):
        yield f"the table does not state all days: all scans of a patient have to lie within {LONGEST_DAYS} (R2.7)"
    percent = HUNDRED * error_new / _mean([one.new for one in patients])
    worst = WORST_PRECISION_PERCENT.get(region.part)
    if worst is not None and percent > worst:
        yield f"precision on the new scanner {percent:.2f} % is worse than the {worst} % ISCD accepts (R1.6)"
    if len(patients) * (scans_on_new - 1) < MINIMUM_DEGREES_OF_FREEDOM:
        yield f"the new scanner's precision rests on fewer than {MINIMUM_DEGREES_OF_FREEDOM} degrees of freedom (R1.2)"


def _by_region(scans: Iterable[PairedScan]) -> dict[Region, list[PairedScan]]:
    groups: dict[Region, list[PairedScan]] = {}
    for scan in scans:
        groups.setdefault(scan.region, []).append(scan)
    return groups


def _by_patient(scans: Iterable[PairedScan]) -> dict[str, list[PairedScan]]:
    groups: dict[str, list[PairedScan]] = {}
    for scan in scans:
        groups.setdefault(scan.patient, []).append(scan)
    return groups


def _mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, ZERO) / len(values)


def _six(number: Decimal) -> Decimal:
    return number.quantize(SIX_DECIMALS, ROUND_HALF_UP)
