"""Tell a phantom that is scanned as a patient: nobody has seven exams in a month that all measure the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from pipeline.clinical.model import ZERO
from pipeline.clinical.phantom_qc import HUNDRED

FEWEST_EXAMS = 7
DAYS = timedelta(days=30)
SPREAD_PERCENT = Decimal(2)
"""The spread of repeated scans of a phantom is below this; of a patient's in a month it may be, of seven it is not."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Why exams look like those of a phantom: how many in thirty days, of which region, and their spread in percent."""

    exams: int
    region: str
    spread_percent: Decimal


def likeness_to_phantom(exams: Sequence[tuple[date, Mapping[str, Decimal]]]) -> Likeness | None:
    """Return why some exams of one patient on one scanner look like a phantom's; ``None`` if they do not.

    Each exam is its day, and its BMD by region key; in the order of the days.
    """
    for first in range(len(exams) - FEWEST_EXAMS + 1):
        window = [bmds for day, bmds in exams[first:] if day - exams[first][0] <= DAYS]
        if len(window) < FEWEST_EXAMS:
            continue
        for region in sorted(set.intersection(*(set(bmds) for bmds in window))):
            values = [bmds[region] for bmds in window]
            spread = HUNDRED * (max(values) - min(values)) / (sum(values, ZERO) / len(values))
            if spread < SPREAD_PERCENT:
                return Likeness(len(window), region, spread)
    return None
