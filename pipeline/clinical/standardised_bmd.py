"""Standardised BMD (sBMD) in mg/cm2, for display only: no patient is compared by it (R2.3, R4.7)."""

from decimal import Decimal
from typing import NamedTuple

from pipeline.clinical.regions import FEMORAL_NECK, SPINE, TOTAL_HIP

MG_PER_G = Decimal(1000)


class Line(NamedTuple):
    """A line ``slope * bmd + intercept``, in g/cm2."""

    slope: Decimal
    intercept: Decimal


def _line(slope: str, intercept: str) -> Line:
    return Line(Decimal(slope), Decimal(intercept))


LINES = {
    ("hologic", FEMORAL_NECK): _line("1.087", "0.019"),
    ("hologic", "trochanter"): _line("1.105", "-0.017"),
    ("hologic", TOTAL_HIP): _line("1.008", "0.006"),
    ("lunar", FEMORAL_NECK): _line("0.939", "-0.023"),
    ("lunar", "trochanter"): _line("0.949", "-0.042"),
    ("lunar", TOTAL_HIP): _line("0.979", "-0.031"),
    ("norland", FEMORAL_NECK): _line("0.985", "0.006"),
    ("norland", "trochanter"): _line("0.961", "0.057"),
    ("norland", TOTAL_HIP): _line("1.012", "0.026"),
}
"""By manufacturer and part of the hip (Lu 2001)."""

COMMON_SPINE = Decimal("1.0436")
SPINE_SLOPE_AND_MEAN = {
    "hologic": (Decimal("1.0550"), Decimal("0.972")),
    "lunar": (Decimal("0.9683"), Decimal("1.100")),
    "norland": (Decimal("0.9743"), Decimal("0.969")),
}
"""L2-L4 about each manufacturer's mean, in g/cm2 (Hui 1997)."""


def standardised_bmd(maker: str, part: str, bmd: Decimal) -> Decimal | None:
    """Return the standardised BMD in mg/cm2, unrounded; ``None`` where no formula is published. ``bmd`` in g/cm2."""
    if part == SPINE and maker in SPINE_SLOPE_AND_MEAN:
        slope, mean = SPINE_SLOPE_AND_MEAN[maker]
        return MG_PER_G * (slope * (bmd - mean) + COMMON_SPINE)
    line = LINES.get((maker, part))
    return None if line is None else MG_PER_G * (line.slope * bmd + line.intercept)
