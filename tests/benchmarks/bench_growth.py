"""Measure a new exam, and ``status``, in a store that has been filling for years.

A new exam has three priors; its cost is from receipt to addendum kept, without Prefect. At a hundred exams a day a
million are a region's archive.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from functools import partial
from time import perf_counter

from pipeline.edge.app import App
from pipeline.edge.store import service_status
from tests.benchmarks import archive
from tests.benchmarks.table import Row, at_most

SIZES = (1_000, 100_000, 1_000_000)
NEW_EXAMS = 60
MOST = 1.5
"""How many times the cost in the smallest store."""


def rows() -> Iterator[Row]:
    """Both costs at each size, and their ratio to the smallest; in turn, so that a busy machine is so for all."""
    with ExitStack() as stack:
        apps = {exams: stack.enter_context(_filled(exams)) for exams in SIZES}
        news: dict[int, list[float]] = {exams: [] for exams in SIZES}
        looks: dict[int, list[float]] = {exams: [] for exams in SIZES}
        for number in range(NEW_EXAMS):
            for exams, app in apps.items():
                news[exams].append(_milliseconds(partial(_new_exam, app, _every(exams) * number)))
                looks[exams].append(_milliseconds(partial(_look, app)))
    for exams in SIZES:
        for what, costs in (("a new exam", news), ("a look at the status", looks)):
            first = exams == SIZES[0]
            yield Row(
                what=f"{what}, {exams:,} exams on file",
                ours=statistics.median(costs[exams]),
                unit="ms",
                peer="" if first else f"the same, {SIZES[0]:,} on file",
                theirs=None if first else statistics.median(costs[SIZES[0]]),
                target=None if first else at_most(MOST, times=True),
            )


def _filled(exams: int) -> AbstractContextManager[App]:
    return archive.archive(exams // len(archive.VISITS), rewrite_every=_every(exams))


def _every(exams: int) -> int:
    """Of how many patients one gets a new exam."""
    return max(1, exams // len(archive.VISITS) // NEW_EXAMS)


def _milliseconds(work: Callable[[], None]) -> float:
    began = perf_counter()
    work()
    return 1000 * (perf_counter() - began)


def _new_exam(app: App, patient: int) -> None:
    archive.receive(app, archive.report(patient))
    assert archive.work_off(app).issued == 1


def _look(app: App) -> None:
    with app.database.read() as connection:
        service_status.status(connection, ["pacs"], datetime.now(UTC))
