"""What would a scan on the old machine have read on the new one, and how sure can we be?"""

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from pipeline.clinical.model import CrossCalibration, LeastSignificantChange, Scanner
from pipeline.clinical.regions import Region, Side

Z_95 = Decimal("1.96")
"""Two-sided 95 % of the normal distribution (R1.7)."""

FEWEST_PATIENTS = 30
"""Patients of an in vivo cross-calibration (R2.7)."""

THREE_DECIMALS = Decimal("0.001")


def cross_calibration_for(
    cross_calibrations: Sequence[CrossCalibration], old: Scanner, new: Scanner, region: Region, on: date
) -> CrossCalibration | None:
    """The latest cross-calibration between two scanners that serves a region on a day, its own before its part's."""
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
    """What the new scanner would have read, three decimals; ``None`` where the line leaves the range of bone."""
    predicted = (cross_calibration.intercept + cross_calibration.slope * bmd).quantize(THREE_DECIMALS, ROUND_HALF_UP)
    return predicted if predicted > 0 else None


def lsc_across(cross_calibration: CrossCalibration, region: Region) -> LeastSignificantChange:
    """The generalised LSC of a region measured once on each scanner, labelled so (R2.10)."""
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
    """The GLSC at 95 %, five decimals, from the scatter about the line and the precision of the new scanner (R2.10).

    The paper's own formula could not be seen; this one follows from the design and agrees with published values to
    0.1 percentage point.
    """
    variance = residual_sd**2 + precision_error_new**2 * (1 - Decimal(1) / scans_on_new)
    return _five_decimals(Z_95 * variance.sqrt())


def ideal_generalised_lsc(slope: Decimal, precision_error_old: Decimal, precision_error_new: Decimal) -> Decimal:
    """The GLSC if patients and machines did not interact: no real one lies far below it (R2.10)."""
    return _five_decimals(Z_95 * ((slope * precision_error_old) ** 2 + precision_error_new**2).sqrt())


def cross_calibration_objections(cross_calibration: CrossCalibration) -> tuple[str, ...]:
    """Why a cross-calibration must not be used; empty when it may."""
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
    """What a person should look at in a cross-calibration that may be used."""
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
