"""Plausibility limits of bone measurements: every number of the model lies within them, and is exact.

BMD in g/cm2, BMC in g, area in cm2, scores in standard deviations, percentages in %.
"""

from decimal import Decimal

from pipeline.clinical.regions import Region
from pipeline.errors import DxatrendError

ZERO = Decimal(0)
A_THOUSAND = Decimal(1000)
BEYOND_BONE = {"bmd": Decimal(10), "bmc": Decimal(10_000), "area": Decimal(10_000)}
"""What no bone reaches: 10 g/cm2 (above it the unit was mg/cm2), 10 kg, 1 m2."""

MOST_DECIMALS = 20
"""More digits than a DICOM number has; up to here every difference is exact."""


class ImpossibleMeasurementError(DxatrendError, ValueError):
    """A number that cannot be a measurement of bone."""


def require_between(region: Region, name: str, value: Decimal, *, above: Decimal, below: Decimal) -> None:
    """Check that a value is an exact number strictly between two limits.

    Raises:
        ImpossibleMeasurementError: it is not; the text names region and field, never the value.
    """
    if not is_exact_between(value, above=above, below=below):
        raise ImpossibleMeasurementError(f"{name} of {region} is not a number between {above} and {below}")


def is_exact_between(value: Decimal | None, *, above: Decimal, below: Decimal) -> bool:
    """Whether a value is a number strictly between two limits, with few enough decimals to be subtracted exactly."""
    if value is None:
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MOST_DECIMALS and above < value < below
