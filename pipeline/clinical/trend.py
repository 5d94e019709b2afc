"""Trend line: least squares fit through all comparable exams of a region, in g/cm2 per year (R3.5)."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from pipeline.clinical.compare import DAYS_PER_YEAR
from pipeline.clinical.cross_calibration import Z_95
from pipeline.clinical.model import ZERO, Change, Exam, Trend
from pipeline.clinical.precision import LSC_FACTOR
from pipeline.clinical.priors import Match

FEWEST_EXAMS = 3
"""With two exams a line adds nothing to their difference (R3.5)."""

SIX_DECIMALS = Decimal("0.000001")


class Line(NamedTuple):
    """The slope of a line per unit of time, and its standard error from a known precision error."""

    slope: Decimal
    standard_error: Decimal

    @property
    def significant(self) -> bool:
        """Whether the slope differs from zero at 95 % confidence."""
        return abs(self.slope) >= Z_95 * self.standard_error


def line(points: Sequence[tuple[Decimal, Decimal]], precision_error: Decimal) -> Line:
    """Fit the least squares line through (time, BMD); its error comes from the precision error, not the residuals."""
    count = len(points)
    middle = sum((time for time, _ in points), ZERO) / count
    spread = sum(((time - middle) ** 2 for time, _ in points), ZERO)
    slope = sum(((time - middle) * bmd for time, bmd in points), ZERO) / spread
    return Line(slope, precision_error / spread.sqrt())


def trend(exam: Exam, matched: Match, change: Change | None, since_baseline: Change | None) -> Trend | None:
    """Fit the line through an exam and its comparable exams of one region; ``None`` below three or without an LSC."""
    key = matched.measurement.region.key
    earlier = [(other, other.by_region[key].bmd) for other in matched.comparable if key in other.by_region]
    exams = [(exam, matched.measurement.bmd), *earlier]
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
    """Whether a significant change has the sign of the slope."""
    significant = change is not None and change.result.significant
    return significant and change is not None and change.difference * slope > 0
