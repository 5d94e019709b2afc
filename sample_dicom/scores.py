"""T-scores, Z-scores and percentages of the synthetic patients, as a scanner would print them.

Means and standard deviations of young adults are those of rule R4.6; the decrease with age is invented: 0.03
standard deviations a year from the age of 30.
"""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from patients import Patient, Row, Visit

YOUNG_ADULTS = {
    "lunar": {"spine": ("1.180", "0.120"), "femoral neck": ("1.038", "0.139"), "total hip": ("1.008", "0.126")},
    "hologic": {"spine": ("1.047", "0.110"), "femoral neck": ("0.858", "0.120"), "total hip": ("0.942", "0.122")},
    "tid1500": {"spine": ("1.047", "0.110"), "femoral neck": ("0.858", "0.120"), "total hip": ("0.942", "0.122")},
}


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How a BMD compares with other people's, as printed."""

    t: str
    z: str
    young_adult: str
    age_matched: str


def scores(patient: Patient, visit: Visit, region: Row) -> Scores:
    """Return T- and Z-score to one decimal, percentages to whole numbers."""
    part = region.key.rsplit(" ", 1)[0] if region.key[0] != "L" else "spine"
    mean, deviation = map(Decimal, YOUNG_ADULTS[patient.dialect][part])
    bmd = Decimal(region.bmd)
    of_age = mean - deviation * Decimal("0.03") * (age(patient, visit) - 30)
    return Scores(
        t=one_decimal((bmd - mean) / deviation),
        z=one_decimal((bmd - of_age) / deviation),
        young_adult=_whole(100 * bmd / mean),
        age_matched=_whole(100 * bmd / of_age),
    )


def age(patient: Patient, visit: Visit) -> int:
    """Return the age in whole years on the day of a visit."""
    born, on = date.fromisoformat(patient.born), date.fromisoformat(visit.on)
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def one_decimal(number: Decimal) -> str:
    """Round half up, and zero without a sign."""
    return str(number.quantize(Decimal("0.1"), ROUND_HALF_UP) + 0)


def _whole(number: Decimal) -> str:
    return str(number.quantize(Decimal(1), ROUND_HALF_UP))
