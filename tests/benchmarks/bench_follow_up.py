"""Measure how many exams with three priors one core carries from receipt to addendum, and where the time goes.

The figures are processor time: the database is SQLite, so its work is in them, and waiting for the disk is not.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Any
from unittest.mock import patch

from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from flows import follow_up as under_prefect
from flows.prefect_password import read_password
from flows.runtime import run_context
from pipeline.edge.app import App
from pipeline.edge.extract import extraction
from pipeline.edge.follow_up import due_exams, examination
from pipeline.edge.store import exams, outbox, receipts
from tests import peers
from tests.benchmarks import archive, processes
from tests.benchmarks.table import Row, at_least, at_most

EXAMS = 2_000
UNDER_PREFECT = 1_000
LEAST = 120
"""Exams per second and core."""

MOST_FOR_PREFECT = 5
"""Percent."""

PARTS = {
    "extract": (extraction, "_read"),
    "history": (exams, "history"),
    "match, compare, interpret": (examination, "interpret"),
    "author": (due_exams, "author"),
    "keep the addendum": (outbox, "issue"),
}
"""Functions of the way that take what their name says."""


def rows() -> Iterator[Row]:
    """Exams per second and core, what each part has of it, and what Prefect adds."""
    with archive.archive(EXAMS + UNDER_PREFECT) as app:
        _receive(app, range(EXAMS))
        with _stopwatches(PARTS) as taken:
            began, began_wall = process_time(), perf_counter()
            tally = archive.work_off(app)
            seconds, wall = process_time() - began, perf_counter() - began_wall
        assert tally.issued == EXAMS, tally
        what = "from receipt to addendum kept, three priors"
        yield Row(what=what, ours=EXAMS / seconds, unit="exams/s/core", target=at_least(LEAST))
        yield Row(what="  the same by the clock on the wall", ours=EXAMS / wall, unit="exams/s")
        rest = seconds - sum(taken.values())
        for part, of_it in {**taken, "the rest: records, queues, commits, log": rest}.items():
            yield Row(what=f"  {part}", ours=1000 * of_it / EXAMS, unit="ms/exam")
        share = _prefects_share(app, range(EXAMS, EXAMS + UNDER_PREFECT))
        yield Row(
            what="  Prefect's share, its server included",
            ours=100 * share,
            unit="%",
            target=at_most(MOST_FOR_PREFECT),
        )


def _receive(app: App, patients: range) -> None:
    with app.database.write() as connection:
        for patient in patients:
            receipts.store(connection, archive.report(patient), calling_ae_title="SCANNER1", at=datetime.now(UTC))


def _prefects_share(app: App, patients: range) -> float:
    """Of the processor time of one run over so many exams, client's and server's, what is not our own work."""
    steps = {"claim": (due_exams, "claim_due"), "carry": (due_exams, "follow_up")}
    with tempfile.TemporaryDirectory() as home, peers.prefect_server(Path(home)) as prefect:
        (server,) = (pid for pid in processes.descendants(os.getpid()) if "prefect" in processes.command(pid))
        as_in_the_worker = {
            PREFECT_API_URL: prefect.url,
            PREFECT_API_AUTH_STRING: read_password(prefect.settings),
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            PREFECT_LOGGING_TO_API_ENABLED: False,
        }
        with (
            temporary_settings(as_in_the_worker),
            run_context(app, stopped=lambda: False),
        ):
            under_prefect.follow_up()  # finds nothing, and warms up
            _receive(app, patients)
            while extraction.extract_waiting(app):
                pass
            began, began_server = process_time(), processes.cpu_seconds(server)
            logging.disable(logging.INFO)  # the worker sets Prefect's own level before it is imported
            with _stopwatches(steps) as taken:
                told = under_prefect.follow_up(return_state=True).message
            logging.disable(logging.NOTSET)
            everything = process_time() - began + processes.cpu_seconds(server) - began_server
    assert told == f"issued {len(patients)}, unchanged 0, held 0", told
    return 1 - sum(taken.values()) / everything


@contextmanager
def _stopwatches(parts: Mapping[str, tuple[Any, str]]) -> Iterator[dict[str, float]]:
    """The processor time that functions, given by module and name, take in the block."""
    taken = dict.fromkeys(parts, 0.0)

    def watched(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **keywords: Any) -> Any:
            began = thread_time()
            try:
                return function(*arguments, **keywords)
            finally:
                taken[part] += thread_time() - began

        return timed

    with ExitStack() as stack:
        for part, (module, name) in parts.items():
            stack.enter_context(patch.object(module, name, watched(part, getattr(module, name))))
        yield taken
