"""Cross-check with the scanner's own trend: other changes than ours, and exams that are not on file (section 5.1).

The vendor's trend may rest on other scanners, other vertebrae or another analysis. It is never a measurement, and no
result rests on it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pipeline.clinical.compare import HUNDRED
from pipeline.clinical.model import Caution, Change, Exam, Finding
from pipeline.clinical.regions import Region
from pipeline.clinical.wording import history_cautions as words

ROUNDING = Decimal("0.001")
"""In g/cm2: the most that rounding of two printed BMD values changes their difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """One exam of one region in the scanner's own trend.

    ``printed_date`` as it was sent, ``days`` the days it can mean. BMD in g/cm2, changes in g/cm2 or % as printed.
    ``marks`` are the scanner's own: ``*`` significant, ``#`` dissimilar scans or analyses.
    """

    region: Region
    printed_date: str
    days: tuple[date, ...]
    bmd: Decimal | None
    since_previous: Decimal | None = None
    since_previous_percent: Decimal | None = None
    since_baseline: Decimal | None = None
    since_baseline_percent: Decimal | None = None
    marks: str = ""

    @property
    def day(self) -> date | None:
        """The day of the exam; ``None`` if the printed date can mean either of two."""
        return self.days[0] if len(self.days) == 1 else None


def cross_check(
    exam: Exam, findings: Sequence[Finding], trend: Sequence[TrendPoint], on_file: Collection[date]
) -> Iterator[Caution]:
    """Yield a caution where the scanner's trend shows another change than ours, or lists exams not on file.

    ``on_file`` are the days of all known exams of the patient.
    """
    if not trend:
        return
    for finding in findings:
        if finding.since_prior is not None and _on_equal_terms(exam, finding.since_prior):
            yield from _disagreement(exam, finding, finding.since_prior, trend)
    days = {point.day for point in trend if point.region.key in exam.by_region}
    if unknown := sorted((day for day in days if day and day < exam.performed_on and day not in on_file), reverse=True):
        yield words.not_on_file(unknown)


def _on_equal_terms(exam: Exam, change: Change) -> bool:
    """Whether a change is between printed values of one scanner, as the vendor's is."""
    return change.region is None and change.reference.scanner == exam.scanner


def _disagreement(exam: Exam, finding: Finding, change: Change, trend: Sequence[TrendPoint]) -> Iterator[Caution]:
    for printed in _printed_changes(
        finding.measurement.region, exam.performed_on, change.reference.performed_on, trend
    ):
        if not printed.agrees(change):
            yield words.vendor_disagrees(finding, change, str(printed))
            return


@dataclass(frozen=True, slots=True)
class _PrintedChange:
    """A change as the scanner prints it, in g/cm2 or in percent."""

    change: Decimal
    in_percent: bool

    def __str__(self) -> str:
        return f"{self.change:+f} {'%' if self.in_percent else 'g/cm2'}"

    def agrees(self, ours: Change) -> bool:
        """Whether it equals our change within the rounding of both."""
        if not self.in_percent:
            return abs(self.change - ours.difference) <= ROUNDING
        exponent = self.change.as_tuple().exponent
        half_digit = Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
        one_percent = ours.reference_bmd / HUNDRED
        return abs(self.change - ours.difference / one_percent) <= ROUNDING / one_percent + half_digit


def _printed_changes(region: Region, today: date, prior: date, trend: Sequence[TrendPoint]) -> Iterator[_PrintedChange]:
    """Yield the vendor's change from one day to another; nothing where another exam may lie between."""
    points = [point for point in trend if point.region == region]
    now = [point for point in points if today in point.days]
    before = [point for point in points if today not in point.days]
    then = [point for point in before if prior in point.days]
    if not then or any(prior < day < today for point in before if point not in then for day in point.days):
        return
    for point in now:
        if point.since_previous is not None:
            yield _PrintedChange(point.since_previous, in_percent=False)
        if point.since_previous_percent is not None:
            yield _PrintedChange(point.since_previous_percent, in_percent=True)
        if point.since_previous is None and point.since_previous_percent is None and point.bmd is not None:
            yield from (
                _PrintedChange(point.bmd - earlier.bmd, in_percent=False) for earlier in then if earlier.bmd is not None
            )
