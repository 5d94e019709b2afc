"""Which straight line runs through all comparable exams of a region?"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from pipeline.clinical.compare import DAYS_PER_YEAR
from pipeline.clinical.cross_calibration import Z_95
from pipeline.clinical.model import ZERO, Change, Exam, Result, Trend
from pipeline.clinical.precision import LSC_FACTOR
from pipeline.clinical.priors import Match

FEWEST_EXAMS = 3
"""With two exams a line says no more than their difference (R3.5)."""

SIX_DECIMALS = Decimal("0.000001")


class Line(NamedTuple):
    """The slope of a line per unit of time, and the standard error that a known precision error gives it."""

    slope: Decimal
    standard_error: Decimal

    @property
    def significant(self) -> bool:
        """Whether the slope differs from zero at 95 % confidence."""
        return abs(self.slope) >= Z_95 * self.standard_error


def line(points: Sequence[tuple[Decimal, Decimal]], precision_error: Decimal) -> Line:
    """The least squares line through (time, BMD); the error from the facility's precision, not from the residuals."""
    count = len(points)
    middle = sum((time for time, _ in points), ZERO) / count
    spread = sum(((time - middle) ** 2 for time, _ in points), ZERO)
    slope = sum(((time - middle) * bmd for time, bmd in points), ZERO) / spread
    return Line(slope, precision_error / spread.sqrt())


def trend(exam: Exam, matched: Match, change: Change | None, since_baseline: Change | None) -> Trend | None:
    """The line through an exam and all it may be compared with: three at least, same region, known precision."""
    key = matched.measurement.region.key
    told = [(other, other.by_region[key].bmd) for other in matched.comparable if key in other.by_region]
    exams = [(exam, matched.measurement.bmd), *told]
    if change is None or change.lsc is None or matched.cross_calibration is not None or len(exams) < FEWEST_EXAMS:
        return None
    first = exams[-1][0].performed_on
    points = [(Decimal((e.performed_on - first).days) / DAYS_PER_YEAR, bmd) for e, bmd in exams]
    fitted = line(points, change.lsc.lsc / LSC_FACTOR)
    return Trend(
        region=matched.measurement.region,
        exams=len(exams),
        since=first,
        slope=fitted.slope.quantize(SIX_DECIMALS, ROUND_HALF_UP),
        standard_error=fitted.standard_error.quantize(SIX_DECIMALS, ROUND_HALF_UP),
        significant=fitted.significant,
        agrees=any(_agrees(fitted.slope, since) for since in (change, since_baseline)),
    )


def _agrees(slope: Decimal, change: Change | None) -> bool:
    """Whether a significant change went the way of the line."""
    significant = change is not None and change.result in (Result.GAIN, Result.LOSS)
    return significant and change is not None and change.difference * slope > 0
