"""Phantom quality control: baseline, Westgard rules, 1.5 % limit, CUSUM (R7.2 to R7.4). Phantom BMD in g/cm2."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pipeline.clinical.model import ZERO

HUNDRED = Decimal(100)
LIMIT_PERCENT = Decimal("1.5")
"""The most by which a phantom value may differ from the baseline mean (R7.2)."""

TRIVIAL_PERCENT = Decimal("0.5")
"""A shift smaller than this is clinically trivial, however small the standard deviation (R7.3)."""

PHANTOM_TOLERANCE_PERCENT = Decimal(1)
"""The most by which the phantom mean may change when hardware is replaced (R2.6)."""

PHANTOM_SCANS = 10
"""Scans of the phantom before and after (R2.6), and of the plot of ANZBMS (R7.4)."""

BASELINE_DAYS = (15, 25)
"""The fewest and the most days of a baseline, one scan each; with fewer there are no limits yet (R7.2)."""

REPEATS = 2
"""How often a value outside a limit is repeated the same day before patients wait (R7.3)."""

CUSUM_SLACK = Decimal("0.5")
CUSUM_LIMIT = Decimal(5)
"""Slack and alarm limit of the tabular CUSUM, in standard deviations (R7.4)."""


class QualityRule(StrEnum):
    """The control rules after Westgard, the limit of 1.5 %, and CUSUM (R7.2, R7.3, R7.4)."""

    ONE_2S = "1-2s"
    ONE_3S = "1-3s"
    TWO_2S = "2-2s"
    R_4S = "R-4s"
    FOUR_1S = "4-1s"
    TEN_X = "10-x"
    LIMIT = "1.5 %"
    CUSUM = "CUSUM"

    @property
    def fails(self) -> bool:
        """Whether the phantom is scanned again at once; a warning and CUSUM are notices only (R7.3, R7.4)."""
        return self not in (QualityRule.ONE_2S, QualityRule.CUSUM)

    @property
    def scans(self) -> int:
        """How many scans in a row the rule looks at: any of them may be the first one that is not good."""
        return _SCANS.get(self, 1)


_SCANS = {QualityRule.TWO_2S: 2, QualityRule.FOUR_1S: 4, QualityRule.TEN_X: 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Baseline mean and standard deviation of the phantom, in g/cm2 (R7.2).

    Raises:
        ValueError: a mean or standard deviation that is not above zero.
    """

    mean: Decimal
    sd: Decimal

    def __post_init__(self) -> None:
        if not (self.mean > 0 and self.sd > 0):
            raise ValueError("mean and standard deviation of a phantom are above zero")

    @property
    def limits(self) -> tuple[Decimal, Decimal]:
        """The mean minus and plus 1.5 %, in g/cm2."""
        margin = self.mean * LIMIT_PERCENT / HUNDRED
        return self.mean - margin, self.mean + margin


def baseline(values: Sequence[Decimal]) -> Baseline | None:
    """Return the baseline of the phantom from one scan a day; ``None`` with fewer than 15 (R7.2).

    Raises:
        ValueError: all scans are equal.
    """
    fewest, most = BASELINE_DAYS
    taken = values[:most]
    if len(taken) < fewest:
        return None
    if len(set(taken)) == 1:
        raise ValueError("the scans of a baseline must not all be equal (R7.2)")
    mean = sum(taken, ZERO) / len(taken)
    variance = sum(((value - mean) ** 2 for value in taken), ZERO) / (len(taken) - 1)
    return Baseline(mean=mean, sd=variance.sqrt())


def broken_at(position: int, values: Sequence[Decimal], against: Baseline) -> Iterator[QualityRule]:
    """Yield the rules that one value of a series breaks, with those before it; not R-4s, and not CUSUM (R7.2, R7.3)."""
    z = (values[position] - against.mean) / against.sd
    lowest, highest = against.limits
    if abs(z) > 2:
        yield QualityRule.ONE_2S
    if abs(z) > 3:
        yield QualityRule.ONE_3S
    for rule, beyond in ((QualityRule.TWO_2S, 2), (QualityRule.FOUR_1S, 1), (QualityRule.TEN_X, 0)):
        window = values[max(0, position - rule.scans + 1) : position + 1]
        is_broken = len(window) == rule.scans and _is_one_sided(window, against, beyond * against.sd)
        if is_broken and (rule is QualityRule.TWO_2S or _matters(window, against)):
            yield rule
    if not lowest <= values[position] <= highest:
        yield QualityRule.LIMIT


def breaks_range(value: Decimal, other: Decimal, against: Baseline) -> bool:
    """Whether two values of one day are more than 4 SD apart: R-4s, which says nothing of different days (R7.3)."""
    return abs(value - other) > 4 * against.sd


def still_out(value: Decimal, repeats: Sequence[Decimal], against: Baseline) -> bool:
    """Whether the mean of two repeats confirms that the scanner measures otherwise than in its baseline (R7.3).

    It does where it lies on the side of the value that failed, beyond 2 SD of a mean of two, and by more than what is
    clinically trivial. Of healthy scanners one in four is stopped so each year, while a step of 1 % is found within
    days (docs/safety.md).

    Raises:
        ValueError: not two repeats.
    """
    if len(repeats) != REPEATS:
        raise ValueError(f"a value outside a limit is repeated {REPEATS} times (R7.3)")
    again = sum(repeats, ZERO) / REPEATS - against.mean
    margin = max(2 * against.sd / Decimal(REPEATS).sqrt(), against.mean * TRIVIAL_PERCENT / HUNDRED)
    return abs(again) > margin and (again > 0) == (value > against.mean)


def next_cusum(before: tuple[Decimal, Decimal], value: Decimal, against: Baseline) -> tuple[Decimal, Decimal]:
    """Return the upper and lower cumulative sums after one more value, in standard deviations (R7.4)."""
    z = (value - against.mean) / against.sd
    return max(ZERO, before[0] + z - CUSUM_SLACK), max(ZERO, before[1] - z - CUSUM_SLACK)


def cumulative_deviation(values: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """Return the running sum of each value minus the mean of the first ten, in g/cm2: the ANZBMS plot (R7.4)."""
    first = values[:PHANTOM_SCANS]
    target = sum(first, ZERO) / max(len(first), 1)
    sums, total = [], ZERO
    for value in values:
        total += value - target
        sums.append(total)
    return tuple(sums)


def calibration_holds(before: Sequence[Decimal], after: Sequence[Decimal]) -> bool:
    """Whether the phantom means before and after new hardware agree within 1 %, so that the series continues (R2.6).

    Raises:
        ValueError: fewer than ten scans on a side.
    """
    if min(len(before), len(after)) < PHANTOM_SCANS:
        raise ValueError(f"cross-calibration with a phantom needs {PHANTOM_SCANS} scans before and after (R2.6)")
    then, now = sum(before, ZERO) / len(before), sum(after, ZERO) / len(after)
    return HUNDRED * abs(now - then) <= PHANTOM_TOLERANCE_PERCENT * then


def _is_one_sided(window: Sequence[Decimal], against: Baseline, margin: Decimal) -> bool:
    return min(window) > against.mean + margin or max(window) < against.mean - margin


def _matters(window: Sequence[Decimal], against: Baseline) -> bool:
    """Whether a shift is more than trivial (R7.3)."""
    shift = sum(window, ZERO) / len(window) - against.mean
    return HUNDRED * abs(shift) >= TRIVIAL_PERCENT * against.mean
