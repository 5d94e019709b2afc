"""What does a new exam cost, and a look at the status, in a store that has been filling for years?

A new exam has three priors; its cost is from receipt to addendum kept, without Prefect. At a hundred exams a day a
million are a region's archive.
"""

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from time import perf_counter

from pipeline.edge.house import House
from pipeline.edge.store import overview
from tests.benchmarks import archive
from tests.benchmarks.table import Row, at_most, milliseconds

SIZES = (1_000, 100_000, 1_000_000)
NEW_EXAMS = 60
LOOKS = 100
MOST = 1.5
"""How many times the cost in the smallest store."""


def rows() -> Iterator[Row]:
    """Both costs at each size, and their ratio to the smallest."""
    first: dict[str, float] = {}
    for exams in SIZES:
        patients = exams // len(archive.VISITS)
        every = max(1, patients // NEW_EXAMS)
        with archive.archive(patients, rewrite_every=every) as house:
            costs = {
                "a new exam": statistics.median(_new_exam(house, every * number) for number in range(NEW_EXAMS)),
                "a look at the status": milliseconds(partial(_look, house), LOOKS),
            }
        for what, cost in costs.items():
            yield Row(
                what=f"{what}, {exams:,} exams on file",
                ours=cost,
                unit="ms",
                peer=f"the same, {SIZES[0]:,} on file" if first else "",
                theirs=first.get(what),
                target=at_most(MOST, times=True) if first else None,
            )
        first = first or costs


def _new_exam(house: House, patient: int) -> float:
    began = perf_counter()
    archive.receive(house, archive.report(patient))
    tally = archive.work_off(house)
    assert tally.issued == 1
    return 1000 * (perf_counter() - began)


def _look(house: House) -> None:
    with house.database.read() as connection:
        overview.status(connection, ["pacs"], datetime.now(UTC))
