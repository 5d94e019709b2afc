"""One table of medians, ratios and targets, and whether the targets are reached."""

import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter, process_time

from rich.console import Console
from rich.table import Table

WIDE = 160
"""Columns where no terminal limits them."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must be; ``times`` says that the ratio to the peer must."""

    limit: float
    at_most: bool
    times: bool

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:,g}{' ×' if self.times else ''}"

    def is_met(self, figure: float) -> bool:
        """Whether a figure is enough."""
        return figure <= self.limit if self.at_most else figure >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of ours, a median, and in the same run a peer's, or what else it is to be compared with.

    Where both were measured in turns, ``times`` is the median of the ratios of all turns.
    """

    what: str
    ours: float
    unit: str
    peer: str = ""
    theirs: float | None = None
    times: float | None = None
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Ours to theirs."""
        if self.times is not None:
            return self.times
        return self.ours / self.theirs if self.theirs else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; ``None`` without one."""
        if self.target is None:
            return None
        figure = self.ratio if self.target.times else self.ours
        assert figure is not None, f"{self.what}: a ratio needs a peer"
        return self.target.is_met(figure)


def at_least(limit: float, *, times: bool = False) -> Target:
    """So much or more; ``times`` the peer's figure."""
    return Target(limit, at_most=False, times=times)


def at_most(limit: float, *, times: bool = False) -> Target:
    """So much or less; ``times`` the peer's figure."""
    return Target(limit, at_most=True, times=times)


def processor_milliseconds(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """The medians of the processor's time for each, in turns, so that what else runs counts for neither."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, times in zip((ours, theirs), taken, strict=True):
            began = process_time()
            work()
            times.append(process_time() - began)
    return 1000 * statistics.median(taken[0]), 1000 * statistics.median(taken[1])


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """The median of so many rounds."""
    taken = []
    for _ in range(rounds):
        began = perf_counter()
        work()
        taken.append(perf_counter() - began)
    return 1000 * statistics.median(taken)


def percentile(figures: Sequence[float], share: float) -> float:
    """The figure that so large a share of them does not exceed."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(rows: Iterable[Row]) -> None:
    """Print the table, and on which machine and day it was measured."""
    table = Table("what", "dxatrend", "unit", "peer", "peer's", "ratio", "target", "met", box=None, header_style="bold")
    for name in ("dxatrend", "peer's", "ratio", "target"):
        next(column for column in table.columns if column.header == name).justify = "right"
    for row in rows:
        table.add_row(
            row.what,
            _number(row.ours),
            row.unit,
            row.peer,
            _number(row.theirs),
            _number(row.ratio, " ×"),
            str(row.target or ""),
            {True: "yes", False: "NO", None: ""}[row.met],
        )
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {_machine()}, Python {platform.python_version()}; load {_load()}")


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}{unit}"


def _machine() -> str:
    return f"{len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.machine()}"


def _load() -> str:
    """How many programs wanted a core, ours included: above the number of cores, read the ratios only."""
    return f"{os.getloadavg()[0]:.1f}"
