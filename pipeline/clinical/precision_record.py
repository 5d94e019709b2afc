"""From an evaluated precision study to what the register holds of it: the LSC, and the facts of the study (R1.12)."""

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from pipeline.clinical.model import LeastSignificantChange, Scanner
from pipeline.clinical.precision import VERTEBRAE_OF_A_STUDY, least_significant_change
from pipeline.clinical.precision_register import StudyFacts
from pipeline.clinical.precision_study import PrecisionScan, PrecisionStudy, UnfitStudyError, patients_at
from pipeline.clinical.regions import Region

SIX_DECIMALS = Decimal("0.000001")
"""The decimals of a precision error in g/cm2, in ``precision.toml`` and in the register alike."""


def lsc_of_study(
    evaluated: PrecisionStudy,
    *,
    scanner: Scanner,
    valid_from: date,
    valid_until: date,
    source: str,
    region: Region | None = None,
    same_day: bool | None = None,
) -> LeastSignificantChange:
    """Return the LSC of a study; ``region`` if it serves another key, such as both sides.

    ``same_day`` is what a person says where the table does not state the days (R1.15).

    Raises:
        UnfitStudyError: the study must not be used, or whether it was made on one day is required and unknown.
    """
    serves = region or evaluated.region
    of_one_day = same_day if evaluated.same_day is None else evaluated.same_day
    reasons = [*evaluated.objections]
    if not serves.monitorable:
        reasons.append("is not monitored, so it has no LSC (R2.17)")
    if of_one_day is None and len(serves.vertebrae) == VERTEBRAE_OF_A_STUDY:
        reasons.append("the table states no dates: say whether each patient's scans were made on one day (R1.15)")
    if valid_until < valid_from:
        reasons.append(f"the last day {valid_until} lies before the first day {valid_from}")
    if reasons:
        raise UnfitStudyError([f"{serves}: {reason}" for reason in reasons])
    repeats = min(patient.scans for patient in evaluated.patients)
    return LeastSignificantChange(
        scanner=scanner,
        region=serves,
        lsc=least_significant_change(evaluated.precision_error.quantize(SIX_DECIMALS, ROUND_HALF_UP)),
        valid_from=valid_from,
        valid_until=valid_until,
        source=source,
        patients=patients_at(evaluated, repeats),
        repeats=repeats,
        same_day=of_one_day,
    )


def facts_of_study(
    evaluated: PrecisionStudy, scans: Iterable[PrecisionScan], *, software: str = "", reanalysed: bool = False
) -> StudyFacts:
    """Return the facts of a study that its LSC does not say, rounded to what a reader can use."""
    days = [scan.day for scan in scans if scan.day is not None]
    return StudyFacts(
        mean=evaluated.mean.quantize(SIX_DECIMALS, ROUND_HALF_UP),
        precision_error=evaluated.precision_error.quantize(SIX_DECIMALS, ROUND_HALF_UP),
        percent=evaluated.percent.quantize(SIX_DECIMALS, ROUND_HALF_UP),
        degrees_of_freedom=evaluated.degrees_of_freedom,
        upper_limit=evaluated.upper_limit.quantize(SIX_DECIMALS, ROUND_HALF_UP),
        technologists=evaluated.technologists,
        software=software,
        begins=min(days, default=None),
        ends=max(days, default=None),
        reanalysed=reanalysed,
        doubts=evaluated.doubts,
    )
