"""What a person can do about what is on file: examine again, bring in an archive, ask a PACS, merge patients."""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Connection

from dxatrend.cli.output import print_table
from flows.shutdown import Stop
from pipeline.clinical.model import Patient
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.dicom_net.client import PeerUnavailableError
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.history import import_files as archives
from pipeline.edge.history.query_retrieve import HistoryQueryError, fetch
from pipeline.edge.reprocess import reprocessing
from pipeline.edge.reprocess.reprocessing import Difference
from pipeline.edge.store import (
    audit_trail,
    exams,
    patient_identity,
    patient_merges,
    patients,
    scanners,
    shared_scans,
    splits,
    withdrawals,
)
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.edge.text_files import printable
from pipeline.errors import DxatrendError


class NotFoundError(DxatrendError):
    """What was typed names no patient or scanner on file."""


def reexamine(app: App, options: argparse.Namespace, stop: Stop) -> int:
    """Examine again whatever rests on something that has changed, or show what would differ; the exit status."""
    try:
        scope = _scope(app, options)
    except NotFoundError as nobody:
        print(nobody, file=sys.stderr)
        return 1
    if options.dry_run:
        return _show_differences(list(reprocessing.differences(app, scope)), as_json=options.json)
    run = reprocessing.begin(app, scope)
    reprocessing.take_part(app, run, stopped=stop.is_set)
    counts, finished = reprocessing.standing(app, run)
    with app.database.write() as connection:
        what = {"run": run, "finished": finished, **dataclasses.asdict(counts)}
        audit_trail.record(connection, events.by_operator(Event.REPROCESSED, at=datetime.now(UTC), detail=what))
    if options.json:
        print(json.dumps(what))
    else:
        print(
            f"run {run}: {counts.examined} exams looked at, {counts.issued} addenda superseded, "
            f"{counts.unchanged} examined again and unchanged, {counts.held} held"
        )
        if not finished:
            print("the run is not finished: other workers have part of it, or it was stopped; the same command goes on")
    return 0


def _scope(app: App, options: argparse.Namespace) -> Scope:
    with app.database.read() as connection:
        linked_patients = scanner = None
        if options.patient is not None:
            linked_patients = patients.linked_patients_of(
                connection, options.patient.strip(), (options.issuer or "").strip()
            )
            if linked_patients is None:
                raise NotFoundError("nothing is on file about this patient")
        if options.scanner is not None:
            found = scanners.with_serial_number(connection, options.scanner)
            if len(found) != 1:
                raise NotFoundError(f"{len(found)} scanners on file have the serial number {options.scanner}")
            (scanner,) = found
    return Scope(linked_patients=linked_patients, scanner=scanner, since=options.since)


def _show_differences(found: list[Difference], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps([dataclasses.asdict(difference) for difference in found], indent=2))
        return 0
    print_table(
        ("exam", "because of", "region", "what", "before", "after"),
        [row for difference in found for row in _rows(difference)],
    )
    print(f"{len(found)} addenda would be superseded, or their exams held")
    return 0


def _rows(difference: Difference) -> Iterator[tuple[str, ...]]:
    head = (f"E{difference.exam}", ", ".join(difference.changed_inputs))
    if difference.held:
        yield (*head, "", "held", "", difference.held)
        return
    before, after = difference.overall
    if before == after and not difference.regions:
        yield (*head, "", "sentences alone", "", "")
    if before != after:
        yield (*head, "", "OVERALL", before, after)
    for region, concepts in difference.regions.items():
        for name, (before, after) in concepts.items():
            yield (*head, region, name, before, after)


def load(app: App, options: argparse.Namespace, stop: Stop) -> int:
    """Bring an archive of files in as history; the exit status."""
    if not options.folder.is_dir():
        print(f"{printable(options.folder)} is no folder", file=sys.stderr)
        return 1
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    unlisted: list[OSError] = []
    total = sum(1 for _ in archives.files(options.folder, unlisted.append))
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("files", total=total, rate="")

        def advance(files: int) -> None:
            done = progress.tasks[bar].completed + files
            rate = done / max(time.monotonic() - began, 0.001)
            progress.update(bar, completed=done, rate=f"{rate:,.0f} files/s")

        loaded = archives.load(
            app,
            archives.files(options.folder),
            deliver=options.deliver,
            advance=advance,
            stopped=stop.is_set,
        )
    loaded.errors |= {str(error.filename): error.strerror or "cannot be listed" for error in unlisted}
    fates = {fate.value: count for fate, count in loaded.fates.items()}
    with app.database.write() as connection:
        what = {"fates": fates, "errors": len(loaded.errors), "deliver": options.deliver}
        audit_trail.record(connection, events.by_operator(Event.LOADED, at=datetime.now(UTC), detail=what))
    print(", ".join(f"{count} {fate}" for fate, count in fates.items()))
    if loaded.errors:
        print(f"{len(loaded.errors)} files could not be used:")
        for path, reason in loaded.errors.items():
            print(f"  {printable(path)}: {reason}")
    if stop.is_set():
        print("broken off; the same command goes on")
        return 1
    return 0


def merge(app: App, options: argparse.Namespace) -> int:
    """Count one patient's exams as another one's, or no longer; the exit status."""
    now = datetime.now(UTC)
    with app.database.write() as connection:
        old = patients.find(connection, options.old.strip(), options.old_issuer.strip())
        new = patients.find(connection, options.new.strip(), options.new_issuer.strip())
        if old is None or new is None:
            print("nothing is on file about " + ("OLD" if old is None else "NEW"), file=sys.stderr)
            return 1
        if options.undo:
            done = patient_merges.undo(connection, old, new, at=now)
            problem = "OLD was not merged into NEW"
        else:
            done = patient_merges.merge(connection, old, new, at=now)
            problem = "OLD and NEW are one patient already, or OLD was merged into somebody else"
        if not done:
            print(problem, file=sys.stderr)
            return 1
        patient_identity.reassess_after_merge(connection, old, new, at=now)
        shared_scans.release_settled(connection, at=now)
        what = {"old": old, "new": new, "undo": options.undo}
        audit_trail.record(connection, events.by_operator(Event.MERGED, at=now, patient=new, detail=what))
        merged = sorted({patients.linked_patients_number(connection, number) for number in (old, new)})
    counts = ExamCounts()
    for linked_patients in merged:
        run = reprocessing.begin(app, Scope(linked_patients=linked_patients))
        counts += reprocessing.take_part(app, run)
    print(
        f"{counts.issued} addenda superseded, {counts.unchanged} exams examined again and unchanged, {counts.held} held"
    )
    return 0


def withdraw(app: App, options: argparse.Namespace) -> int:
    """Take an exam out of every comparison, or let it count again; the exit status."""
    reason = " ".join(options.reason.split())
    if not (reason or options.undo):
        print("--reason is needed: the addendum says why the exam was withdrawn", file=sys.stderr)
        return 1
    now = datetime.now(UTC)
    with app.database.write() as connection:
        number = _exam_named(connection, options.exam)
        if number is None:
            return 1
        if options.undo:
            done = withdrawals.undo(connection, number, at=now)
        else:
            done = withdrawals.withdraw(connection, number, reason, at=now)
        if done:
            what = {"reason": reason, "undo": options.undo}
            audit_trail.record(connection, events.by_operator(Event.WITHDRAWN, at=now, exam=number, detail=what))
    if not done:
        print(f"E{number} is " + ("not withdrawn" if options.undo else "withdrawn already"), file=sys.stderr)
        return 1
    done_to_it = "counts again" if options.undo else "is withdrawn"
    print(f"E{number} {done_to_it}; what rests on it is looked at again")
    return 0


def split(app: App, options: argparse.Namespace) -> int:
    """Make an exam of each visit that was sent under one study; the exit status."""
    now = datetime.now(UTC)
    with app.database.write() as connection:
        number = _exam_named(connection, options.exam)
        if number is None:
            return 1
        visits = splits.split(connection, number, at=now)
        for one, day in visits:
            what = {"of": number, "day": str(day)}
            audit_trail.record(connection, events.by_operator(Event.SPLIT, at=now, exam=one, detail=what))
    if not visits:
        print(f"all reports of E{number} are of one visit", file=sys.stderr)
        return 1
    print(f"E{number} is now {', '.join(f'E{one} ({day})' for one, day in visits)}")
    return 0


def _exam_named(connection: Connection, told: str) -> int | None:
    """The number of an exam on file; where there is none, that is said."""
    digits = told[1:] if told[:1] in ("E", "e") else ""
    if (
        digits.isascii()
        and digits.isdecimal()
        and len(digits) <= _MOST_DIGITS
        and exams.is_on_file(connection, int(digits))
    ):
        return int(digits)
    print(f"{printable(told)} is no exam on file; exams are written as E12", file=sys.stderr)
    return None


_MOST_DIGITS = 18
"""A number of more is on no file, and larger than a database's."""


def ask_archives(app: App, options: argparse.Namespace) -> int:
    """Ask the archives for what they have of a patient; the exit status."""
    archives_asked = [to for to in app.settings.service.destination if to.history]
    if not archives_asked:
        print("no destination has history = true", file=sys.stderr)
        return 1
    who = Patient(patient_id=options.patient.strip(), issuer=options.issuer.strip())
    silent = 0
    for archive in archives_asked:
        try:
            fetched = fetch(app, archive, who, by_hand=True)
            print(f"{archive.name}: {fetched.studies} studies, {fetched.instances} instances new to us")
        except (HistoryQueryError, PeerUnavailableError) as problem:
            silent += 1
            print(f"{archive.name}: {problem}", file=sys.stderr)
    while extract_waiting(app):
        pass
    return 1 if silent else 0
