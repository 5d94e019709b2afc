"""The table of false stops and of delays in docs/safety.md, by simulated scanners through the real judgement.

``.venv/bin/python -m tests.factories.phantom_simulation`` prints it; it takes some minutes.
"""

import sys
from collections.abc import Iterator
from datetime import timedelta

from pipeline.clinical.phantom_chart import ServiceMark
from pipeline.clinical.phantom_qc import QualityRule
from tests.factories.phantoms import BEGIN, WORKING_DAYS_A_YEAR, Shift, SimulatedScanner, drift, no_shift, step

SCANNERS = 300
YEARS = 4
SETTLED = 30
"""Days before anything happens: the baseline is complete."""

PATIENCE = 2 * WORKING_DAYS_A_YEAR


def table(scanners: int = SCANNERS) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| what happens | SD from day to day | stops | noticed by CUSUM or stop |"
    yield "| --- | --- | --- | --- |"
    for sd in (0.3, 0.5):
        yield in_control(sd, scanners)
    for shift, name in (
        *((step(size, on=SETTLED), f"step of {size} %") for size in (0.5, 1.0, 1.5)),
        (drift(0.5, since=SETTLED), "drift of 0.5 % a year"),
    ):
        for sd in (0.3, 0.5):
            yield delays(name, shift, sd, scanners)
    for sd in (0.3, 0.5):
        yield tube_change(sd, scanners)
    for sd in (0.3, 0.5):
        yield replaced_phantom(sd, scanners)


def in_control(sd: float, scanners: int) -> str:
    """Return the line of scanners in control for four years: false stops a year."""
    stops = notices = repeats = 0
    for seed in range(scanners):
        scanner = SimulatedScanner(seed, sd_percent=sd, shift=no_shift)
        scanner.run(YEARS * WORKING_DAYS_A_YEAR)
        chart = scanner.judging.chart()
        stops += len(chart.failures)
        notices += sum(QualityRule.CUSUM in one.rules for one in chart.scans)
        repeats += sum(bool(one.repeats) for one in chart.scans)
    years = scanners * YEARS
    asked = f"{repeats / years:.1f} days a year with repeats"
    return f"| nothing, {YEARS} years | {sd} % | {stops / years:.2f} a year; {asked} | {notices / years:.1f} a year |"


def delays(name: str, shift: Shift, sd: float, scanners: int) -> str:
    """Return the line of a change: after how many days it stops the scanner, and is noticed."""
    stopped, noticed = [], []
    for seed in range(scanners):
        scanner = SimulatedScanner(10_000 + seed, sd_percent=sd, shift=shift)
        scanner.run(SETTLED)
        before = len(scanner.judging.chart().failures)
        days = notice = PATIENCE
        for day in range(SETTLED, SETTLED + PATIENCE):
            first = len(scanner.judging.judged)
            scanner.run(1, first=day)
            today = scanner.judging.judged[first:]
            if notice == PATIENCE and any(QualityRule.CUSUM in one.rules for one in today):
                notice = day - SETTLED + 1
            if len(scanner.judging.chart().failures) > before:
                days = day - SETTLED + 1
                break
        stopped.append(days)
        noticed.append(min(days, notice))
    return f"| {name} | {sd} % | after {_days(stopped)} | after {_days(noticed)} |"


def tube_change(sd: float, scanners: int) -> str:
    """Return the line of a new tube that moves the phantom by 0.6 %: an epoch is configured, and a baseline begins."""
    day = 100
    mark = ServiceMark(day=(BEGIN + timedelta(days=7 * (day // 5) + day % 5)).date(), what="tube", is_epoch=True)
    stops = held = 0
    for seed in range(scanners):
        scanner = SimulatedScanner(20_000 + seed, sd_percent=sd, shift=step(0.6, on=day), marks=[mark])
        scanner.run(day + 100)
        chart = scanner.judging.chart()
        stops += sum(failure.scan.scan.day >= mark.day for failure in chart.failures)
        held += chart.bridges[0].holds is True
    share = f"{100 * held / scanners:.0f} %"
    return (
        f"| new tube, +0.6 %, with its epoch | {sd} % | {stops} of {scanners} in 100 days | {share}: held within 1 % |"
    )


def replaced_phantom(sd: float, scanners: int) -> str:
    """Return the line of another phantom, 5 % denser, that the configuration names."""
    stops = 0
    for seed in range(scanners):
        scanner = SimulatedScanner(30_000 + seed, sd_percent=sd, shift=step(5.0, on=100), replaced_on=100)
        scanner.run(200)
        stops += sum(failure.scan.scan.phantom == "New" for failure in scanner.judging.chart().failures)
    return (
        f"| phantom replaced by one 5 % denser, named | {sd} % | {stops} of {scanners} in 100 days | a new baseline |"
    )


def _days(found: list[int]) -> str:
    found = sorted(found)
    median, late = found[len(found) // 2], found[len(found) * 9 // 10]
    return f"{_day(median)} (p90 {_day(late)})"


def _day(days: int) -> str:
    return f"more than {PATIENCE}" if days >= PATIENCE else str(days)


if __name__ == "__main__":
    for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else SCANNERS):
        print(line, flush=True)
