"""How many exams in a second does a night look at, where nothing has changed and where one in a hundred has?"""

import os
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from sqlalchemy import insert, update

from pipeline.edge.app import House
from pipeline.edge.reprocess import reprocessing
from pipeline.edge.store import exam_summaries
from pipeline.edge.store.reprocessing_runs import Counts, Scope
from pipeline.edge.store.schema import exam, grounds
from tests.benchmarks.archive import VISITS, archive
from tests.benchmarks.table import Row, at_least, at_most

EXAMS = int(os.environ.get("REPROCESS_EXAMS", "100000"))
"""Fewer where somebody is in a hurry."""

SETTINGS = "[reprocess]\naddenda_per_minute = 100000"


def rows() -> Iterator[Row]:
    """Exams per second and core, and what memory grew by."""
    with archive(EXAMS // len(VISITS), rewrite_every=100, settings=SETTINGS) as house:
        _keep_grounds(house)
        before = _most_memory(anew=True)
        unchanged, seconds = _run(house)
        assert (unchanged.issued, unchanged.unchanged) == (0, 0), unchanged
        what = f"reprocess, {unchanged.looked_at:,} exams"
        yield Row(
            what=f"{what}, none changed", ours=unchanged.looked_at / seconds, unit="exams/s", target=at_least(3000)
        )
        yield Row(what=f"{what}, memory grows by", ours=_most_memory() - before, unit="MB", target=at_most(50))
        _shift(house, every=100)
        shifted, seconds = _run(house)
        yield Row(
            what=f"{what}, {shifted.issued + shifted.unchanged:,} examined again",
            ours=shifted.looked_at / seconds,
            unit="exams/s",
        )


def _run(house: House) -> tuple[Counts, float]:
    began = process_time()
    run = reprocessing.begin(house, Scope())
    reprocessing.take_part(house, run)
    counts, finished = reprocessing.standing(house, run)
    assert finished
    return counts, process_time() - began


def _keep_grounds(house: House) -> None:
    """The copies of the first patient rest on their own exams; what they measured is the same."""
    with house.database.read() as connection:
        first = next(exam_summaries.persons(connection, [1])).visits[0].grounds
    assert first is not None
    after = 0
    with house.database.write() as connection:
        connection.execute(grounds.delete())
        while numbers := exam_summaries.next_persons(connection, after, 1000):
            found = [
                {"exam_id": visit.number, **_plain(house, visit, person, first.parts)}
                for person in exam_summaries.persons(connection, numbers)
                for visit in person.visits
            ]
            connection.execute(insert(grounds), found)
            after = numbers[-1]


def _plain(house: House, visit: exam_summaries.Visit, person: exam_summaries.Person, parts: str) -> dict[str, str]:
    found = house.surveyor.grounds(visit, person, parts)
    return {name: getattr(found, name) for name in ("parts", "history", "knowledge", "context", "rules")}


def _shift(house: House, *, every: int) -> None:
    """Something was added to the first exam of every so many patients, on which their others rest."""
    with house.database.write() as connection:
        first = exam.c.id % (every * len(VISITS)) == 1  # of those whose bytes were rewritten
        connection.execute(update(exam).where(first).values(revision=exam.c.revision + 1))


def _most_memory(*, anew: bool = False) -> float:
    """The most memory this process has had, in MB, if so asked counted from now on."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
