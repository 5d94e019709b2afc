"""Precision study: evaluation of repeated scans to precision error (RMS-SD) and LSC, in g/cm2 (R1.1 to R1.7)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

from pipeline.clinical.model import ZERO, ImpossibleMeasurementError, Measurement, Scanner
from pipeline.clinical.precision import (
    MINIMUM_DEGREES_OF_FREEDOM,
    USUAL_LSC,
    VERTEBRAE_OF_A_STUDY,
    WORST_PRECISION_PERCENT,
    least_significant_change,
    pooled_precision_error,
)
from pipeline.clinical.regions import Region
from pipeline.errors import DxatrendError

_Item = TypeVar("_Item")
_Key = TypeVar("_Key")

HUNDRED = Decimal(100)

FILL_IN = "FILL IN"
"""The placeholder of a value that a person must fill in; the configuration rejects it."""

Z_90 = Decimal("1.644854")
"""The normal deviate with 5 % above it: both tails leave the 90 % of R1.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionScan:
    """One scan of a study: patient label, scan label, region, BMD in g/cm2; technologist and day if known."""

    patient: str
    scan: str
    region: Region
    bmd: Decimal
    technologist: str = ""
    day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientScatter:
    """One patient's repeated scans: number, mean and standard deviation in g/cm2 (R1.3).

    ``same_day`` states whether any two were made on one day; ``None`` where not all days are known.
    """

    patient: str
    scans: int
    mean: Decimal
    sd: Decimal
    technologist: str = ""
    same_day: bool | None = None

    @property
    def degrees_of_freedom(self) -> int:
        """The number of scans minus one."""
        return self.scans - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TechnologistPrecision:
    """The precision over the patients scanned by one technologist only (R1.6, R1.10)."""

    technologist: str
    precision_error: Decimal
    percent: Decimal
    degrees_of_freedom: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionStudy:
    """The evaluated study of one region.

    ``precision_error`` is the RMS-SD in g/cm2, ``percent`` the RMS-%CV, ``upper_limit`` lies above the true
    precision error with 95 % certainty, ``lsc`` in g/cm2. ``same_day`` states whether scans were repeated on one day,
    if the days are known (R1.15). ``objections`` forbid clinical use, ``doubts`` should be checked.
    """

    region: Region
    patients: tuple[PatientScatter, ...]
    technologists: tuple[TechnologistPrecision, ...]
    mean: Decimal
    precision_error: Decimal
    percent: Decimal
    degrees_of_freedom: int
    upper_limit: Decimal
    lsc: Decimal
    same_day: bool | None
    objections: tuple[str, ...]
    doubts: tuple[str, ...]


class UnfitStudyError(DxatrendError, ValueError):
    """The scans make no usable study; ``reasons`` are all errors, with patients named by the labels of the file."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


def evaluate_study(scans: Sequence[PrecisionScan]) -> PrecisionStudy:
    """Evaluate the repeated scans of one region (R1.1 to R1.7).

    Unequal repeats are weighted by degrees of freedom (R1.4). A study that was evaluated may still not be fit for
    clinical use: see its objections.

    Raises:
        UnfitStudyError: no scans, several regions, a repeated scan, a patient scanned once, an impossible BMD.
    """
    if reasons := [*_faults(scans)]:
        raise UnfitStudyError(reasons)
    patients = tuple(_scatter(patient, own) for patient, own in _grouped(scans, lambda scan: scan.patient).items())
    freedom = sum(patient.degrees_of_freedom for patient in patients)
    precision_error, percent = _precision(patients)
    technologists = tuple(_of_technologists(patients))
    return PrecisionStudy(
        region=scans[0].region,
        patients=patients,
        technologists=technologists,
        mean=sum((scan.bmd for scan in scans), ZERO) / len(scans),
        precision_error=precision_error,
        percent=percent,
        degrees_of_freedom=freedom,
        upper_limit=precision_error * upper_limit_factor(freedom),
        lsc=least_significant_change(precision_error),
        same_day=_same_day(patients),
        objections=tuple(_objections(precision_error, freedom)),
        doubts=(
            *_doubts(scans[0].region, precision_error, percent, technologists),
            *_doubts_of_days(patients),
            *_doubts_of_repeats(patients),
        ),
    )


def upper_limit_factor(degrees_of_freedom: int) -> Decimal:
    """Return the factor from a precision error to its upper 90 % limit (R1.2): 1.29 for 27 degrees of freedom.

    From the chi-square quantile after Wilson and Hilferty; accurate to 0.001 from 20 degrees of freedom on.
    """
    spread = Decimal(2) / (9 * degrees_of_freedom)
    return 1 / (1 - spread - Z_90 * spread.sqrt()) ** Decimal("1.5")


def worksheet(evaluated: PrecisionStudy) -> str:
    """Return a study as lines of text for a person to check."""
    lines = [
        f"Precision study of {evaluated.region}",
        "",
        f"{'patient':<16}{'scans':>6}{'mean':>10}{'SD':>12}  technologist",
        *(
            f"{p.patient:<16}{p.scans:>6}{_places(p.mean, 4):>10}{_places(p.sd, 6):>12}  {p.technologist}".rstrip()
            for p in evaluated.patients
        ),
        "",
        f"mean BMD               {_places(evaluated.mean, 3)} g/cm2",
        f"precision error        {_places(evaluated.precision_error, 6)} g/cm2 (RMS-SD)",
        f"                       {_places(evaluated.percent, 2)} % (RMS-%CV, for information)",
        f"degrees of freedom     {evaluated.degrees_of_freedom}",
        f"upper 90 % limit       {_places(evaluated.upper_limit, 6)} g/cm2",
        f"LSC (2.77 x error)     {_places(evaluated.lsc, 5)} g/cm2 at 95 % confidence",
        f"repeated on one day    {_same_day_line(evaluated)}",
    ]
    for own in evaluated.technologists:
        lines.append(
            f"technologist {own.technologist}: {_places(own.precision_error, 6)} g/cm2, {_places(own.percent, 2)} %, "
            f"{own.degrees_of_freedom} degrees of freedom"
        )
    lines += [f"NOT FOR CLINICAL USE: {objection}" for objection in evaluated.objections]
    lines += [f"please check: {doubt}" for doubt in evaluated.doubts]
    return "\n".join(lines) + "\n"


def toml_block(
    evaluated: PrecisionStudy,
    *,
    scanner: Scanner,
    valid_from: date,
    valid_until: date,
    source: str,
    reminder: str = "",
    region: Region | None = None,
) -> str:
    """Return a study as an entry of ``precision.toml``; ``region`` if it serves another key, such as both sides.

    The ``reminder`` becomes a comment beside the last day. A required value that is unknown is ``FILL IN``.

    Raises:
        UnfitStudyError: the study must not be used.
    """
    if evaluated.objections:
        raise UnfitStudyError(evaluated.objections)
    repeats = min(patient.scans for patient in evaluated.patients)
    serves = region or evaluated.region
    entries = {
        "manufacturer": _quoted(scanner.manufacturer),
        "model": _quoted(scanner.model),
        "serial_number": _quoted(scanner.serial_number),
        "region": _quoted(str(serves)),
        "same_day": _same_day_entry(evaluated.same_day, serves),
        "precision_error": _quoted(_places(evaluated.precision_error, 6)),
        "patients": str(patients_at(evaluated, repeats)),
        "repeats": str(repeats),
        "valid_from": valid_from.isoformat(),
        "valid_until": valid_until.isoformat() + (f"  # {reminder}" if reminder else ""),
        "source": _quoted(source),
    }
    return "\n".join(["[[lsc]]", *(f"{key} = {value}" for key, value in entries.items() if value)]) + "\n"


def _same_day_line(evaluated: PrecisionStudy) -> str:
    if evaluated.same_day is not None:
        return "yes" if evaluated.same_day else "no"
    return "unknown; fill in same_day" if _asks_for_days(evaluated.region) else "unknown"


def _asks_for_days(region: Region) -> bool:
    return len(region.vertebrae) == VERTEBRAE_OF_A_STUDY


def _same_day_entry(same_day: bool | None, region: Region) -> str:
    if same_day is not None:
        return str(same_day).lower()
    return _quoted(FILL_IN) if _asks_for_days(region) else ""


def patients_at(evaluated: PrecisionStudy, repeats: int) -> int:
    """Return how many patients with so many repeats give the study's degrees of freedom."""
    return evaluated.degrees_of_freedom // (repeats - 1)


def _faults(scans: Sequence[PrecisionScan]) -> Iterator[str]:
    if not scans:
        yield "there are no scans"
    regions = dict.fromkeys(str(scan.region) for scan in scans)
    if len(regions) > 1:
        yield f"scans of several regions: {', '.join(regions)}"
    for patient, own in _grouped(scans, lambda scan: scan.patient).items():
        if len(own) < 2:
            yield f"patient {patient} was scanned once"
        if len({scan.scan for scan in own}) < len(own):
            yield f"patient {patient} has two scans of one label"
    for scan in scans:
        try:
            Measurement(region=scan.region, bmd=scan.bmd)
        except ImpossibleMeasurementError:
            yield f"patient {scan.patient}, scan {scan.scan}: BMD is not a number of g/cm2"


def _objections(precision_error: Decimal, freedom: int) -> Iterator[str]:
    if freedom < MINIMUM_DEGREES_OF_FREEDOM:
        yield f"{freedom} degrees of freedom; 15 patients x 3 scans or 30 x 2 give {MINIMUM_DEGREES_OF_FREEDOM} (R1.2)"
    if precision_error == 0:
        yield "all repeats are equal: the scans were copied, not repeated"


def _doubts(
    region: Region, precision_error: Decimal, percent: Decimal, technologists: Sequence[TechnologistPrecision]
) -> Iterator[str]:
    lowest, highest = USUAL_LSC
    lsc = least_significant_change(precision_error)
    if not lowest <= lsc <= highest:
        yield f"LSC {_places(lsc, 4)} g/cm2 lies outside the usual {lowest} to {highest} g/cm2 (R1.14)"
    worst = WORST_PRECISION_PERCENT.get(region.part)
    errors = [("the study", percent), *((f"technologist {own.technologist}", own.percent) for own in technologists)]
    for who, error in errors:
        if worst is not None and error > worst:
            yield f"{who}: {_places(error, 2)} % is worse than the {worst} % ISCD accepts; train and repeat (R1.6)"


def _doubts_of_days(patients: Sequence[PatientScatter]) -> Iterator[str]:
    same_day = [patient.same_day for patient in patients]
    if True in same_day and False in same_day:
        twice = f"{same_day.count(True)} of {len(same_day)} patients were scanned twice on one day"
        yield f"{twice}: taken as a study of one day (R1.15)"


def _doubts_of_repeats(patients: Sequence[PatientScatter]) -> Iterator[str]:
    """Name patients with fewer scans than most, of whom a scan may be missing in the table."""
    counts = [patient.scans for patient in patients]
    usual = max(sorted(set(counts), reverse=True), key=counts.count)
    if fewer := [patient for patient in patients if patient.scans < usual]:
        named = ", ".join(f"{patient.patient} ({patient.scans})" for patient in fewer)
        yield f"most patients have {usual} scans, and fewer have: {named}"


def _same_day(patients: Sequence[PatientScatter]) -> bool | None:
    """Whether any patient was scanned twice on one day, which hides day-to-day variation; ``None`` if unknown."""
    known = {patient.same_day for patient in patients}
    if True in known:
        return True
    return None if None in known else False


def _scatter(patient: str, scans: Sequence[PrecisionScan]) -> PatientScatter:
    """Return one patient's mean and standard deviation; its divisor is the number of scans minus one (R1.3)."""
    count = len(scans)
    mean = sum((scan.bmd for scan in scans), ZERO) / count
    squares = sum(((scan.bmd - mean) ** 2 for scan in scans), ZERO)
    names = {scan.technologist for scan in scans}
    days = [scan.day for scan in scans if scan.day is not None]
    return PatientScatter(
        patient=patient,
        scans=count,
        mean=mean,
        sd=(squares / (count - 1)).sqrt(),
        technologist=names.pop() if len(names) == 1 else "",
        same_day=True if len(set(days)) < len(days) else None if len(days) < count else False,
    )


def _precision(patients: Sequence[PatientScatter]) -> tuple[Decimal, Decimal]:
    """Return RMS-SD in g/cm2 and RMS-%CV, both weighted by degrees of freedom (R1.4, R1.5)."""
    error = pooled_precision_error([(p.sd, p.degrees_of_freedom) for p in patients])
    percent = pooled_precision_error([(HUNDRED * p.sd / p.mean, p.degrees_of_freedom) for p in patients])
    return error, percent


def _of_technologists(patients: Sequence[PatientScatter]) -> Iterator[TechnologistPrecision]:
    for technologist, own in _grouped(patients, lambda patient: patient.technologist).items():
        if technologist:
            error, percent = _precision(own)
            freedom = sum(patient.degrees_of_freedom for patient in own)
            yield TechnologistPrecision(
                technologist=technologist, precision_error=error, percent=percent, degrees_of_freedom=freedom
            )


def _grouped(items: Iterable[_Item], key: Callable[[_Item], _Key]) -> Mapping[_Key, list[_Item]]:
    groups: dict[_Key, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _places(number: Decimal, places: int) -> str:
    return f"{number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


def _quoted(text: str) -> str:
    escaped = "".join(_escaped(character) for character in text)
    return f'"{escaped}"'


def _escaped(character: str) -> str:
    """Return a character of a TOML basic string: quotes, backslashes and control characters as code points."""
    plain = character.isprintable() and character not in '"\\'
    return character if plain else f"\\U{ord(character):08x}"
