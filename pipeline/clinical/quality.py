"""Does the scanner's phantom say that it still measures what it did?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import groupby, pairwise

from pipeline.clinical.model import ZERO

HUNDRED = Decimal(100)
LIMIT_PERCENT = Decimal("1.5")
"""How far a phantom value may lie from the baseline mean (R7.2)."""

TRIVIAL_PERCENT = Decimal("0.5")
"""A shift smaller than this is clinically trivial, however small the standard deviation (R7.3)."""

PHANTOM_TOLERANCE_PERCENT = Decimal(1)
"""How far the phantom may move when hardware is replaced (R2.6)."""

PHANTOM_SCANS = 10
"""Scans of the phantom before and after (R2.6), and of the baseline (R7.2)."""

CUSUM_SLACK = Decimal("0.5")
CUSUM_LIMIT = Decimal(5)
"""Tabular CUSUM in standard deviations: what is forgiven each time, and where the alarm lies (R7.4)."""


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
    def stops(self) -> bool:
        """Whether patients wait: every rule but the warning 1-2s (R7.3)."""
        return self is not QualityRule.ONE_2S


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that the phantom broke, and the position of the scan that showed it, counted from 0."""

    rule: QualityRule
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Mean and standard deviation of the phantom in g/cm2 when all was well (R7.2).

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
        """The mean less and plus 1.5 %."""
        margin = self.mean * LIMIT_PERCENT / HUNDRED
        return self.mean - margin, self.mean + margin


def baseline(values: Sequence[Decimal]) -> Baseline:
    """The baseline of the phantom, from ten scans at least (R7.2).

    Raises:
        ValueError: too few scans, or all alike.
    """
    if len(values) < PHANTOM_SCANS or len(set(values)) == 1:
        raise ValueError(f"a baseline needs {PHANTOM_SCANS} scans that are not all alike (R7.2)")
    mean = sum(values, ZERO) / len(values)
    variance = sum(((value - mean) ** 2 for value in values), ZERO) / (len(values) - 1)
    return Baseline(mean=mean, sd=variance.sqrt())


def check(values: Sequence[Decimal], against: Baseline) -> tuple[Violation, ...]:
    """Every rule that phantom values in their order broke, and where (R7.2 to R7.4)."""
    found = [*_westgard(values, against), *_beyond_limits(values, against), *_cusum_alarm(values, against)]
    return tuple(sorted(found, key=lambda violation: (violation.position, list(QualityRule).index(violation.rule))))


def cusum(values: Sequence[Decimal], against: Baseline) -> tuple[tuple[Decimal, Decimal], ...]:
    """The upper and lower cumulative sums after each value, in standard deviations (R7.4)."""
    upper = lower = ZERO
    sums = []
    for z in _z_scores(values, against):
        upper = max(ZERO, upper + z - CUSUM_SLACK)
        lower = max(ZERO, lower - z - CUSUM_SLACK)
        sums.append((upper, lower))
    return tuple(sums)


def cumulative_deviation(values: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """The plot of ANZBMS: the running sum of each value less the mean of the first ten, in g/cm2 (R7.4)."""
    first = values[:PHANTOM_SCANS]
    target = sum(first, ZERO) / max(len(first), 1)
    sums, total = [], ZERO
    for value in values:
        total += value - target
        sums.append(total)
    return tuple(sums)


def calibration_holds(before: Sequence[Decimal], after: Sequence[Decimal]) -> bool:
    """Whether new hardware continues the series: ten scans each, means within 1 % (R2.6).

    Raises:
        ValueError: fewer than ten scans on a side.
    """
    if min(len(before), len(after)) < PHANTOM_SCANS:
        raise ValueError(f"cross-calibration with a phantom needs {PHANTOM_SCANS} scans before and after (R2.6)")
    then, now = sum(before, ZERO) / len(before), sum(after, ZERO) / len(after)
    return HUNDRED * abs(now - then) <= PHANTOM_TOLERANCE_PERCENT * then


def _z_scores(values: Sequence[Decimal], against: Baseline) -> list[Decimal]:
    return [(value - against.mean) / against.sd for value in values]


def _westgard(values: Sequence[Decimal], against: Baseline) -> Iterator[Violation]:
    z_scores = _z_scores(values, against)
    for position, z in enumerate(z_scores):
        if abs(z) > 2:
            yield Violation(rule=QualityRule.ONE_2S, position=position)
        if abs(z) > 3:
            yield Violation(rule=QualityRule.ONE_3S, position=position)
    for position, (one, other) in enumerate(pairwise(z_scores), start=1):
        if min(one, other) > 2 or max(one, other) < -2:
            yield Violation(rule=QualityRule.TWO_2S, position=position)
        if abs(one - other) > 4:
            yield Violation(rule=QualityRule.R_4S, position=position)
    for rule, length, beyond in ((QualityRule.FOUR_1S, 4, 1), (QualityRule.TEN_X, 10, 0)):
        for position in _runs(z_scores, length, beyond):
            if _matters(values[position - length + 1 : position + 1], against):
                yield Violation(rule=rule, position=position)


def _runs(z_scores: Sequence[Decimal], length: int, beyond: int) -> Iterator[int]:
    """The positions at which so many values in a row lie beyond a limit on one side."""
    for position in range(length - 1, len(z_scores)):
        window = z_scores[position - length + 1 : position + 1]
        if min(window) > beyond or max(window) < -beyond:
            yield position


def _matters(window: Sequence[Decimal], against: Baseline) -> bool:
    """Whether a shift is more than trivial (R7.3)."""
    shift = sum(window, ZERO) / len(window) - against.mean
    return HUNDRED * abs(shift) >= TRIVIAL_PERCENT * against.mean


def _beyond_limits(values: Sequence[Decimal], against: Baseline) -> Iterator[Violation]:
    lowest, highest = against.limits
    for position, value in enumerate(values):
        if not lowest <= value <= highest:
            yield Violation(rule=QualityRule.LIMIT, position=position)


def _cusum_alarm(values: Sequence[Decimal], against: Baseline) -> Iterator[Violation]:
    """The alarm once per excursion: where a sum first crosses the limit (R7.4)."""
    above = [max(sums) > CUSUM_LIMIT for sums in cusum(values, against)]
    position = 0
    for alarmed, run in groupby(above):
        if alarmed:
            yield Violation(rule=QualityRule.CUSUM, position=position)
        position += len(list(run))
