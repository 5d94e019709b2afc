"""``dxatrend load`` and ``fetch``: import earlier reports as history, from files or from the archives."""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from dxatrend.cli.store_access import open_store
from flows.shutdown import stop_on_signals
from pipeline.clinical.model import Patient
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.history import import_files, query_retrieve
from pipeline.edge.history.query_retrieve import HistoryQueryError
from pipeline.edge.peer_problems import PeerUnavailableError
from pipeline.edge.text_files import printable


def load(options: argparse.Namespace) -> int:
    """Import the files below a folder with a progress bar.

    Fails where a file could not be used, with the reason; the others are imported. Fails too where it was stopped.
    """
    if not options.folder.is_dir():
        print_errors(f"{printable(options.folder)} is not a folder")
        return FAILURE
    with open_store(options, existing=False) as app:
        stop = stop_on_signals()
        total = sum(1 for _ in import_files.files(options.folder))
        with _progress(total) as advance:
            loaded = import_files.import_folder(
                app, options.folder, deliver=options.deliver, advance=advance, stopped=stop.is_set
            )
    print(", ".join(f"{count} {outcome.value}" for outcome, count in loaded.outcomes.items()))
    if loaded.errors:
        print(f"{len(loaded.errors)} files could not be used:")
        for path, reason in loaded.errors.items():
            print(f"  {printable(path)}: {reason}")
    if stop.is_set():
        print("stopped before the end; run the command again to continue")
    return FAILURE if loaded.errors or stop.is_set() else SUCCESS


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that moves a progress bar on standard error by a number of files."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("files", total=total, rate="")

        def advance(files: int) -> None:
            done = progress.tasks[bar].completed + files
            rate = done / max(time.monotonic() - began, 0.001)
            progress.update(bar, completed=done, rate=f"{rate:,.0f} files/s")

        yield advance


def fetch(options: argparse.Namespace) -> int:
    """Query each archive for a patient's reports; fails where one of them does not answer."""
    patient = Patient(patient_id=options.patient.strip(), issuer=options.issuer.strip())
    with open_store(options) as app:
        archives = app.settings.service.archives
        if not archives:
            print_errors("no destination has history = true")
            return FAILURE
        failed = 0
        for archive in archives:
            try:
                fetched = query_retrieve.fetch(app, archive, patient, by_hand=True)
                print(f"{archive.name}: {fetched.studies} studies, {fetched.instances} new instances")
            except (HistoryQueryError, PeerUnavailableError) as problem:
                failed += 1
                print_errors(f"{archive.name}: {problem}")
        while extract_waiting(app):
            pass
    return FAILURE if failed else SUCCESS
