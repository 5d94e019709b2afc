"""Measure how many exams a second the nightly run handles, with no change and with one change in a hundred."""

import os
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from sqlalchemy import insert, update

from pipeline.edge.app import App
from pipeline.edge.provenance import ProvenanceTracker
from pipeline.edge.reprocess import reprocessing
from pipeline.edge.store import exam_summaries
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.edge.store.schema import exam, provenance
from tests.benchmarks.archive import VISITS, archive
from tests.benchmarks.table import Row, at_least, at_most

EXAMS = int(os.environ.get("REPROCESS_EXAMS", "100000"))
"""Fewer where somebody is in a hurry."""

SETTINGS = "[reprocess]\naddenda_per_minute = 100000"


def rows() -> Iterator[Row]:
    """Exams per second and core, and what memory grew by."""
    with archive(EXAMS // len(VISITS), rewrite_every=100, settings=SETTINGS) as app:
        _keep_grounds(app)
        before = _most_memory(from_now=True)
        unchanged, seconds = _run(app)
        assert (unchanged.issued, unchanged.unchanged) == (0, 0), unchanged
        what = f"reprocess, {unchanged.examined:,} exams"
        yield Row(
            what=f"{what}, none changed", ours=unchanged.examined / seconds, unit="exams/s", target=at_least(3000)
        )
        yield Row(what=f"{what}, memory grows by", ours=_most_memory() - before, unit="MB", target=at_most(50))
        _shift(app, every=100)
        shifted, seconds = _run(app)
        yield Row(
            what=f"{what}, {shifted.issued + shifted.unchanged:,} examined again",
            ours=shifted.examined / seconds,
            unit="exams/s",
        )


def _run(app: App) -> tuple[ExamCounts, float]:
    began = process_time()
    run = reprocessing.begin(app, Scope())
    reprocessing.take_part(app, run)
    counts, finished = reprocessing.progress(app.database, run)
    assert finished
    return counts, process_time() - began


def _keep_grounds(app: App) -> None:
    """The copies of the first patient rest on their own exams; what they measured is the same."""
    with app.database.read() as connection:
        first = next(exam_summaries.all_linked_patients(connection, [1])).summaries[0].provenance
    assert first is not None
    after = 0
    with app.database.write() as connection:
        tracker = app.reference_in_force(connection).provenance_tracker
        connection.execute(provenance.delete())
        while numbers := exam_summaries.next_linked_patients(connection, after, 1000):
            found = [
                {"exam_id": visit.number, **_plain(tracker, visit, linked_patients, first.parts)}
                for linked_patients in exam_summaries.all_linked_patients(connection, numbers)
                for visit in linked_patients.summaries
            ]
            connection.execute(insert(provenance), found)
            after = numbers[-1]


def _plain(
    tracker: ProvenanceTracker,
    visit: exam_summaries.ExamSummary,
    linked_patients: exam_summaries.LinkedPatients,
    parts: str,
) -> dict[str, str]:
    found = tracker.provenance(visit, linked_patients, parts)
    return {name: getattr(found, name) for name in ("parts", "history", "reference_data", "context", "rules")}


def _shift(app: App, *, every: int) -> None:
    """Something was added to the first exam of every so many patients, on which their others rest."""
    with app.database.write() as connection:
        first = exam.c.id % (every * len(VISITS)) == 1  # of those whose bytes were rewritten
        connection.execute(update(exam).where(first).values(revision=exam.c.revision + 1))


def _most_memory(*, from_now: bool = False) -> float:
    """Return the most memory this process has had, in MB; with ``from_now`` counting starts again."""
    if from_now:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
