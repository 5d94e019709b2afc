"""Phantom quality control: baseline, Westgard rules, 1.5 % limit, CUSUM (R7.2 to R7.4). Phantom BMD in g/cm2."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import groupby, pairwise

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
    def repeats(self) -> bool:
        """Whether the phantom is scanned again first, and patients wait only if it is still out (R7.3)."""
        return self in (QualityRule.ONE_3S, QualityRule.LIMIT)

    @property
    def stops(self) -> bool:
        """Whether patients wait at once; not for a warning, a value to repeat, or a CUSUM notice (R7.3, R7.4)."""
        return self not in (QualityRule.ONE_2S, QualityRule.CUSUM) and not self.repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that phantom values broke, and the position of the scan that broke it, counted from 0."""

    rule: QualityRule
    position: int


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


def check(values: Sequence[Decimal], against: Baseline, days: Sequence[date] = ()) -> tuple[Violation, ...]:
    """Return every rule that a series of phantom values broke, with its position (R7.2 to R7.4).

    ``days`` are the days of the scans; without them each scan has a day of its own. R-4s is judged within a day.
    """
    found = [*_westgard(values, against, days), *_beyond_limits(values, against), *_cusum_alarm(values, against)]
    return tuple(sorted(found, key=lambda violation: (violation.position, list(QualityRule).index(violation.rule))))


def still_out(value: Decimal, repeats: Sequence[Decimal], against: Baseline) -> bool:
    """Whether the mean of two repeats of the same day is outside the limit that a value broke, on the same side (R7.3).

    Raises:
        ValueError: not two repeats.
    """
    if len(repeats) != REPEATS:
        raise ValueError(f"a value outside a limit is repeated {REPEATS} times (R7.3)")
    again = sum(repeats, ZERO) / REPEATS
    margins = (3 * against.sd, against.mean * LIMIT_PERCENT / HUNDRED)
    off, off_again = value - against.mean, again - against.mean
    return any(min(off, off_again) > margin or max(off, off_again) < -margin for margin in margins)


def cusum(values: Sequence[Decimal], against: Baseline) -> tuple[tuple[Decimal, Decimal], ...]:
    """Return the upper and lower cumulative sums after each value, in standard deviations (R7.4)."""
    upper = lower = ZERO
    sums = []
    for z in _z_scores(values, against):
        upper = max(ZERO, upper + z - CUSUM_SLACK)
        lower = max(ZERO, lower - z - CUSUM_SLACK)
        sums.append((upper, lower))
    return tuple(sums)


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


def _z_scores(values: Sequence[Decimal], against: Baseline) -> list[Decimal]:
    return [(value - against.mean) / against.sd for value in values]


def _westgard(values: Sequence[Decimal], against: Baseline, days: Sequence[date]) -> Iterator[Violation]:
    z_scores = _z_scores(values, against)
    for position, z in enumerate(z_scores):
        if abs(z) > 2:
            yield Violation(rule=QualityRule.ONE_2S, position=position)
        if abs(z) > 3:
            yield Violation(rule=QualityRule.ONE_3S, position=position)
    for position, (one, other) in enumerate(pairwise(z_scores), start=1):
        if min(one, other) > 2 or max(one, other) < -2:
            yield Violation(rule=QualityRule.TWO_2S, position=position)
        if abs(one - other) > 4 and days and days[position] == days[position - 1]:
            yield Violation(rule=QualityRule.R_4S, position=position)
    for rule, length, beyond in ((QualityRule.FOUR_1S, 4, 1), (QualityRule.TEN_X, 10, 0)):
        for position in _runs(z_scores, length, beyond):
            if _matters(values[position - length + 1 : position + 1], against):
                yield Violation(rule=rule, position=position)


def _runs(z_scores: Sequence[Decimal], length: int, beyond: int) -> Iterator[int]:
    """Yield the positions at which ``length`` values in a row lie beyond a limit on one side."""
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
    """Yield one violation per excursion: where a sum first crosses the limit (R7.4)."""
    above = [max(sums) > CUSUM_LIMIT for sums in cusum(values, against)]
    position = 0
    for alarmed, run in groupby(above):
        if alarmed:
            yield Violation(rule=QualityRule.CUSUM, position=position)
        position += len(list(run))
