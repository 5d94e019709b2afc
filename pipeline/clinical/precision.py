"""Least significant change (LSC): which record judges a region on a day, and its formulas (R1). LSCs in g/cm2."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations

from pipeline.clinical.model import ZERO, LeastSignificantChange, Scanner
from pipeline.clinical.regions import FEMORAL_NECK, FULL_SPINE, SPINE, TOTAL_HIP, Region, Side

LSC_FACTOR = Decimal("2.77")
"""LSC at 95 % confidence from the precision error, one scan against one scan (ISCD; R1.7)."""

PRINTED_FACTORS = {95: LSC_FACTOR, 80: Decimal("1.81")}
"""The published factors for one scan against one, by confidence in percent (R1.7)."""

TWO_SIDED_Z = {95: Decimal("1.96"), 80: Decimal("1.2816")}
"""The normal deviate of each confidence (R1.7)."""

WORST_PRECISION_PERCENT = {SPINE: Decimal("1.9"), TOTAL_HIP: Decimal("1.8"), FEMORAL_NECK: Decimal("2.5")}
"""The worst precision that ISCD accepts from a technologist, in %CV: a ceiling on skill, never a default (R1.6)."""

WORST_LSC_PERCENT = {part: LSC_FACTOR * percent for part, percent in WORST_PRECISION_PERCENT.items()}
"""The LSCs that follow, in percent: 5.3, 5.0, 6.9 as printed (R1.6)."""

MINIMUM_DEGREES_OF_FREEDOM = 30
"""Degrees of freedom of 15 patients x 3 scans or 30 x 2; fewer are not for clinical use (R1.1, R1.2)."""

FEWER_VERTEBRAE = {3: Decimal("1.07"), 2: Decimal("1.24")}
"""Factors by which the LSC of three and two vertebrae exceeds that of L1-L4 (Rosen 2024; R1.15)."""

FEWER_VERTEBRAE_OTHER_DAY = {3: Decimal("1.39"), 2: Decimal("1.60")}
"""The same where the study repeated its scans on one day (Rosen 2024; R1.15)."""

VERTEBRAE_OF_A_STUDY = 4
"""The LSC of so many vertebrae serves subsets too, so its study must state whether scans were of one day (R1.15)."""

ONE_DAY = timedelta(days=1)

REMIND = timedelta(days=90)
FORGOTTEN = timedelta(days=365)
"""How long before its last day a reminder of an LSC begins, and how long after that day it ends (R1.12)."""

USUAL_LSC = (Decimal("0.010"), Decimal("0.060"))
"""The range of published LSCs in g/cm2; an entry outside it is doubtful (R1.14)."""


def in_force(
    records: Sequence[LeastSignificantChange], scanner: Scanner, on: date
) -> Mapping[str, LeastSignificantChange]:
    """Return a scanner's usable records on a day by region key; of two that overlap the newer, then the larger LSC."""
    found: dict[str, LeastSignificantChange] = {}
    for record in records:
        if (
            record.valid_from <= on <= record.valid_until
            and record.scanner.key == scanner.key
            and not _too_small(record)
        ):
            rival = found.get(record.region.key)
            if rival is None or _rank(record) > _rank(rival):
                found[record.region.key] = record
    return found


def lsc_for(valid: Mapping[str, LeastSignificantChange], region: Region) -> LeastSignificantChange | None:
    """Return the LSC that judges a region, of the records ``in_force``; ``None`` where there is none (R1.13).

    The region's own record, else that of both sides, else the approximation of R1.15.
    """
    if not region.monitorable:
        return None
    own = valid.get(region.key)
    if own is not None:
        return own
    if region.side in (Side.LEFT, Side.RIGHT):
        return valid.get(region.part)
    if region.part == SPINE and FULL_SPINE in valid:
        return fewer_vertebrae(valid[FULL_SPINE], region)
    return None


def fewer_vertebrae(full: LeastSignificantChange, region: Region) -> LeastSignificantChange:
    """Approximate the LSC of two or three vertebrae from that of L1-L4, marked ``approximated`` (R1.15)."""
    factors = FEWER_VERTEBRAE_OTHER_DAY if full.same_day else FEWER_VERTEBRAE
    factor = factors[len(region.vertebrae)]
    source = f"approximated from {FULL_SPINE} x {factor} (Rosen 2024); {full.source}"
    return replace(full, region=region, lsc=full.lsc * factor, source=source, approximated=True)


def least_significant_change(
    precision_error: Decimal, *, confidence: int = 95, scans: tuple[int, int] = (1, 1)
) -> Decimal:
    """Return the LSC of a precision error, in the same unit, unrounded (R1.7).

    ``confidence`` in percent: 95, or 80, which is never the main result. ``scans`` are how many were averaged then and
    now.
    """
    if scans == (1, 1):
        return PRINTED_FACTORS[confidence] * precision_error
    then, now = scans
    return TWO_SIDED_Z[confidence] * precision_error * (Decimal(1) / then + Decimal(1) / now).sqrt()


def only_at_80_percent(difference: Decimal, lsc: LeastSignificantChange) -> bool:
    """Whether a change is significant at 80 % confidence and not at 95 % (R1.7)."""
    lower = lsc.lsc * PRINTED_FACTORS[80] / PRINTED_FACTORS[95]
    return lower <= abs(difference) < lsc.lsc


def pooled_precision_error(parts: Sequence[tuple[Decimal, int]]) -> Decimal:
    """Pool (precision error, degrees of freedom) pairs into one precision error: an average of variances (R1.10)."""
    freedom = sum(df for _, df in parts)
    return (sum((df * error**2 for error, df in parts), ZERO) / freedom).sqrt()


def monitoring_interval(lsc_percent: Decimal, percent_per_year: Decimal) -> Decimal:
    """Return after how many years an expected change equals the LSC, both in percent (R2.21)."""
    return lsc_percent / abs(percent_per_year)


def degrees_of_freedom(patients: int, repeats: int) -> int:
    """Return the degrees of freedom of a study of so many patients, each scanned so many times (R1.1)."""
    return patients * (repeats - 1)


def doubts(record: LeastSignificantChange) -> tuple[str, ...]:
    """Return what a person should check in a record that may be used; empty if nothing."""
    lowest, highest = USUAL_LSC
    found = []
    if not lowest <= record.lsc <= highest:
        found.append(f"{record.lsc} g/cm2 lies outside the usual {lowest} to {highest} g/cm2 (R1.14)")
    if record.patients is None or record.repeats is None:
        found.append("does not state the patients and repeats of its study (R1.2)")
    return tuple(found)


def running_out(records: Sequence[LeastSignificantChange], on: date) -> tuple[LeastSignificantChange, ...]:
    """Return the records that end within 90 days, or ended within a year, and that no other one follows.

    After that day every change of the region is reported as ``NO_LSC`` (R1.12, R1.13).
    """
    near = (record for record in records if -FORGOTTEN <= record.valid_until - on <= REMIND)
    return tuple(record for record in near if not is_followed(record, records, on))


def is_followed(record: LeastSignificantChange, records: Sequence[LeastSignificantChange], on: date) -> bool:
    """Return whether a later record serves after this one: it has begun, or begins without a day between the two."""
    return any(
        other.scanner == record.scanner
        and other.region == record.region
        and other.valid_until > record.valid_until
        and (other.valid_from <= on or other.valid_from - record.valid_until <= ONE_DAY)
        for other in records
    )


def overlaps(records: Sequence[LeastSignificantChange]) -> tuple[tuple[int, int], ...]:
    """Return the positions of each two records valid for one scanner and region on one day."""
    return tuple(
        (first, second)
        for (first, one), (second, other) in combinations(enumerate(records), 2)
        if one.scanner == other.scanner
        and one.region == other.region
        and one.valid_from <= other.valid_until
        and other.valid_from <= one.valid_until
    )


def _rank(record: LeastSignificantChange) -> tuple[date, Decimal, str]:
    """Return the rank among records that overlap: the newer first, then the larger LSC."""
    return record.valid_from, record.lsc, record.source


def _too_small(record: LeastSignificantChange) -> bool:
    if record.patients is None or record.repeats is None:
        return False
    return degrees_of_freedom(record.patients, record.repeats) < MINIMUM_DEGREES_OF_FREEDOM
