"""Comparison of two BMD values: difference in g/cm2, percent, significance by the LSC, yearly rate (R1.8, R3.1, R3.4).

All arithmetic is in exact decimals; results are rounded half away from zero.
"""

from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from pipeline.clinical.model import Change, Exam, LeastSignificantChange, Result
from pipeline.clinical.regions import Region
from pipeline.clinical.rules import Rules

DAYS_PER_YEAR = Decimal("365.25")
HUNDRED = Decimal(100)
ONE_DECIMAL = Decimal("0.1")
FOUR_DECIMALS = Decimal("0.0001")
LONGEST_YEAR = 366

LONGEST_PLAN = 3653
"""Ten years in days: an exam is not planned further ahead."""

NO_PERCENT = Decimal("0.0")
NO_RATE = Decimal("0.0000")
"""Zero as it is printed: never -0.0."""


def compare(
    now: Decimal,
    then: Decimal,
    exam: Exam,
    reference: Exam,
    lsc: LeastSignificantChange | None,
    region: Region | None = None,
) -> Change:
    """Return the change of a region between two exams, judged by the LSC; annualised only where R3.4 allows (R3.1).

    ``now`` and ``then`` are BMD in g/cm2. ``region`` is given where another value than the printed BMD is compared: see
    ``Change``.
    """
    difference = now - then
    result = judge(difference, lsc)
    per_year = None
    if result is Result.GAIN or result is Result.LOSS:
        per_year = rate(difference, reference.performed_on, exam.performed_on)
    bmd = None if region is None else now
    return Change(reference, then, difference, percent(difference, then), result, lsc, per_year, region, bmd)


def judge(difference: Decimal, lsc: LeastSignificantChange | None) -> Result:
    """Judge a difference by the LSC, both in g/cm2: significant when equal or larger (ISCD; R1.8, R1.13)."""
    if lsc is None:
        return Result.NO_LSC
    if abs(difference) < lsc.lsc:
        return Result.NO_SIGNIFICANT_CHANGE
    return Result.GAIN if difference > 0 else Result.LOSS


def borderline(change: Change, factor: Decimal) -> bool:
    """Whether a change is significant but smaller than ``factor`` times the LSC (R1.17)."""
    return change.lsc is not None and change.lsc.lsc <= abs(change.difference) < factor * change.lsc.lsc


def percent(difference: Decimal, reference_bmd: Decimal) -> Decimal:
    """Return a difference in percent of the earlier BMD, with one decimal as scanners print it (R3.1)."""
    return (HUNDRED * difference / reference_bmd).quantize(ONE_DECIMAL, ROUND_HALF_UP) or NO_PERCENT


def rate(difference: Decimal, begun: date, ended: date) -> Decimal | None:
    """Return the change per year in g/cm2, four decimals; ``None`` within twelve months (R3.4, R2.21)."""
    days = (ended - begun).days
    if days < LONGEST_YEAR and months_between(begun, ended) < 12:
        return None
    return (difference * DAYS_PER_YEAR / days).quantize(FOUR_DECIMALS, ROUND_HALF_UP) or NO_RATE


def implausible(change: Change, ended: date, rules: Rules) -> bool:
    """Whether a change per year exceeds what bone can do; within a year the whole change counts (R3.1)."""
    years = max(Decimal(1), Decimal((ended - change.reference.performed_on).days) / DAYS_PER_YEAR)
    limit = rules.implausible_gain_percent if change.difference > 0 else rules.implausible_loss_percent
    return HUNDRED * abs(change.difference) > limit * years * change.reference_bmd


def detectable_on(change: Change, today: date) -> date | None:
    """Return the earliest day on which a change since today, at the rate since the prior, would reach the LSC (R2.21).

    ``None`` without a rate (R3.4), and for a day more than ten years ahead.
    """
    begun = change.reference.performed_on
    if change.lsc is None or not change.difference or rate(change.difference, begun, today) is None:
        return None
    days = (change.lsc.lsc * (today - begun).days / abs(change.difference)).to_integral_value(ROUND_CEILING)
    return today + timedelta(days=int(days)) if days <= LONGEST_PLAN else None


def within_months(begun: date, ended: date, shortest: int, longest: int) -> bool:
    """Whether ``shortest`` to ``longest`` calendar months lie between two days, both limits included to the day."""
    return months_between(begun, ended) >= shortest and months_between(begun, ended - timedelta(days=1)) < longest


def months_between(begun: date, ended: date) -> int:
    """Return the whole calendar months from one day to another."""
    months = 12 * (ended.year - begun.year) + ended.month - begun.month
    return months - 1 if ended.day < begun.day else months
