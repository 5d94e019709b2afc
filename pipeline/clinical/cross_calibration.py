"""Cross-calibration of two scanners: BMD predicted on the new one, and the generalised LSC (R2.7, R2.10).

BMD, LSC and standard deviations in g/cm2.
"""

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from pipeline.clinical.model import CrossCalibration, LeastSignificantChange, Scanner
from pipeline.clinical.regions import Region, Side

Z_95 = Decimal("1.96")
"""Two-sided 95 % of the normal distribution (R1.7)."""

FEWEST_PATIENTS = 30
"""The fewest patients of an in vivo cross-calibration (R2.7)."""

THREE_DECIMALS = Decimal("0.001")


def cross_calibration_for(
    cross_calibrations: Sequence[CrossCalibration], old: Scanner, new: Scanner, region: Region, on: date
) -> CrossCalibration | None:
    """Return the latest usable cross-calibration for a region on a day, its own before that of both sides."""
    keys = (region.key, region.part) if region.side in (Side.LEFT, Side.RIGHT) else (region.key,)
    usable = [
        cross_calibration
        for cross_calibration in cross_calibrations
        if cross_calibration.region.key in keys
        and cross_calibration.old == old
        and cross_calibration.new == new
        and cross_calibration.valid_from <= on
        and not cross_calibration_objections(cross_calibration)
    ]
    return max(usable, key=lambda c: (c.region.key == region.key, c.valid_from, c.source), default=None)


def predict(cross_calibration: CrossCalibration, bmd: Decimal) -> Decimal | None:
    """Return the BMD that the new scanner would have measured, three decimals; ``None`` if it is not above zero."""
    bmd_on_new = (cross_calibration.intercept + cross_calibration.slope * bmd).quantize(THREE_DECIMALS, ROUND_HALF_UP)
    return bmd_on_new if bmd_on_new > 0 else None


def lsc_across(cross_calibration: CrossCalibration, region: Region) -> LeastSignificantChange:
    """Return the generalised LSC of a region measured once on each scanner, marked ``generalised`` (R2.10)."""
    return LeastSignificantChange(
        scanner=cross_calibration.new,
        region=region,
        lsc=generalised_lsc(
            cross_calibration.residual_sd, cross_calibration.precision_error_new, cross_calibration.scans_on_new
        ),
        valid_from=cross_calibration.valid_from,
        valid_until=date.max,
        source=f"generalised over cross-calibration with {cross_calibration.old}; {cross_calibration.source}",
        generalised=True,
    )


def generalised_lsc(residual_sd: Decimal, precision_error_new: Decimal, scans_on_new: int) -> Decimal:
    """Return the GLSC at 95 % confidence, five decimals, from the residual SD and the new scanner's precision (R2.10).

    The formula is derived from the design of the study, not quoted; it agrees with published values to 0.1 percentage
    point (V11).
    """
    variance = residual_sd**2 + precision_error_new**2 * (1 - Decimal(1) / scans_on_new)
    return _five_decimals(Z_95 * variance.sqrt())


def ideal_generalised_lsc(slope: Decimal, precision_error_old: Decimal, precision_error_new: Decimal) -> Decimal:
    """Return the GLSC without interaction of patient and scanner: a lower bound for a real one (R2.10)."""
    return _five_decimals(Z_95 * ((slope * precision_error_old) ** 2 + precision_error_new**2).sqrt())


def cross_calibration_objections(cross_calibration: CrossCalibration) -> tuple[str, ...]:
    """Return why a cross-calibration must not be used; empty if it may."""
    found = []
    if not (cross_calibration.old.identified and cross_calibration.new.identified):
        found.append("names no two scanners: manufacturer, model and serial number are needed of both (R2.1)")
    if cross_calibration.old == cross_calibration.new:
        found.append("names one scanner twice")
    if not cross_calibration.region.monitorable:
        found.append(f"{cross_calibration.region} is not used for monitoring (R2.17)")
    if cross_calibration.patients < FEWEST_PATIENTS:
        found.append(f"rests on fewer than {FEWEST_PATIENTS} patients (R2.7)")
    return tuple(found)


def cross_calibration_doubts(cross_calibration: CrossCalibration) -> tuple[str, ...]:
    """Return what a person should check in a cross-calibration that may be used."""
    real = generalised_lsc(
        cross_calibration.residual_sd, cross_calibration.precision_error_new, cross_calibration.scans_on_new
    )
    ideal = ideal_generalised_lsc(
        cross_calibration.slope, cross_calibration.precision_error_old, cross_calibration.precision_error_new
    )
    if real < ideal:
        return (f"GLSC {real} g/cm2 is better than the scanners' own precision allows, {ideal} g/cm2 (R2.10)",)
    return ()


def _five_decimals(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.00001"), ROUND_HALF_UP)
