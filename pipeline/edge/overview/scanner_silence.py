"""Scanners that have sent nothing for longer than usual, as learned from the gaps between their days with exams."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import ceil

LEARNED_FROM = 20
"""Days with exams that a scanner needs before its silence means anything."""

SHARE = 0.99
"""The share of its gaps that a scanner's silence must exceed."""

WorkingDays = Callable[[date, date], int]
"""Counts the days of work after the first day, up to and including the last."""


@dataclass(frozen=True, slots=True)
class Silence:
    """How many days of work a scanner has been silent, and how long its gaps are at most."""

    days: int
    usual: int

    @property
    def is_unusual(self) -> bool:
        """Whether it is longer than usual."""
        return self.days > self.usual


def usual_gap(days: Sequence[date], working_days: WorkingDays) -> int | None:
    """Return the gap in days of work that 99 of 100 gaps do not exceed; ``None`` before enough days are known."""
    if len(days) < LEARNED_FROM:
        return None
    gaps = sorted(max(1, working_days(one, other)) for one, other in pairwise(days))
    return gaps[ceil(SHARE * len(gaps)) - 1]


def silence(
    days: Sequence[date], last: date, today: date, working_days: WorkingDays, *, is_today_over: bool
) -> Silence | None:
    """Return how long a scanner has been silent: today counts once its hours of work are over."""
    usual = usual_gap(days, working_days)
    if usual is None:
        return None
    silent = working_days(last, today)
    if not is_today_over and working_days(date.fromordinal(today.toordinal() - 1), today) and today > last:
        silent -= 1
    return Silence(max(0, silent), usual)
