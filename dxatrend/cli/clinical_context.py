"""The commands by which a department tells what no report carries: precision studies, and clinical context."""

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from pipeline.clinical.model import Scanner
from pipeline.clinical.precision_study import FILL_IN, UnfitStudyError, evaluate_studies, toml_block, worksheet
from pipeline.edge.app import App
from pipeline.edge.configuration.settings import Settings
from pipeline.edge.operations import clinical_context_csv, precision_study_csv
from pipeline.edge.operations.csv_table import CsvTableError
from pipeline.edge.store import patients
from pipeline.edge.store.patients import ContextOnFile

VALID_YEARS = 5
"""How long the printed entry says a study holds if the scanner is not calibrated anew before (R1.11)."""


class Validity(NamedTuple):
    """From when to when an entry holds, and what to do before its end."""

    begins: date
    ends: date
    reminder: str


def precision(settings: Settings, options: argparse.Namespace, today: date) -> int:
    """Print the worksheet of a precision study and its entries for precision.toml; the exit status."""
    begins = options.valid_from or today
    if options.valid_until is not None and options.valid_until < begins:
        print(f"--valid-until {options.valid_until} lies before --valid-from {begins}", file=sys.stderr)
        return 1
    try:
        evaluated = evaluate_studies(precision_study_csv.read_study(options.file))
    except (CsvTableError, UnfitStudyError) as unfit:
        reasons = unfit.mistakes if isinstance(unfit, CsvTableError) else unfit.reasons
        print("This is no precision study that can be used:", *reasons, sep="\n  ", file=sys.stderr)
        return 1
    for study in evaluated:
        print(worksheet(study))
    usable = [study for study in evaluated if not study.objections]
    if usable:
        scanner = _scanner(settings, options.serial_number)
        validity = _validity(settings, scanner, begins, options.valid_until)
        if FILL_IN in (scanner.manufacturer, scanner.model, scanner.serial_number):
            print(f"scanners.toml does not tell one scanner to fill in; replace {FILL_IN} yourself", file=sys.stderr)
        print("# for config/precision.toml")
        for study in usable:
            source = options.source or f"{len(study.patients)} patients, evaluated {today}"
            print(
                toml_block(
                    study,
                    scanner=scanner,
                    valid_from=validity.begins,
                    valid_until=validity.ends,
                    source=source,
                    reminder=validity.reminder,
                )
            )
    return 0 if len(usable) == len(evaluated) else 1


def load_context(app: App, options: argparse.Namespace) -> int:
    """Keep the records of a table of clinical context; the exit status."""
    try:
        records = clinical_context_csv.read_context(options.file)
    except CsvTableError as error:
        print("Nothing was loaded:", *error.mistakes, sep="\n  ", file=sys.stderr)
        return 1
    with app.database.write() as connection:
        loaded = clinical_context_csv.keep(connection, records)
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{len(records)} records read, {loaded.records} of them new; {loaded.exams} exams are due again")
    return 0


def show_context(app: App, options: argparse.Namespace) -> int:
    """Print what is on file about a patient beyond the reports; the exit status."""
    with app.database.read() as connection:
        number = patients.find(connection, options.patient_id.strip(), options.issuer.strip())
        found = [] if number is None else patients.contexts(connection, number)
    for record in found:
        print(*_told(record), sep="\n")
    if not found:
        print("nothing is on file about this patient")
    return 0 if found else 1


def _validity(settings: Settings, scanner: Scanner, begins: date, told_end: date | None) -> Validity:
    """Until the day that was told; else for five years, or until the scanner is next calibrated anew (R1.11)."""
    anew = min((e.begins for e in settings.epochs if e.scanner == scanner and e.begins > begins), default=None)
    ends = told_end or min(_years_later(begins, VALID_YEARS), anew - timedelta(days=1) if anew else date.max)
    why = f"; a new calibration begins on {anew}" if anew and anew <= ends + timedelta(days=1) else ""
    return Validity(begins, ends, f"repeat the study before: of later exams no change is judged (NO_LSC){why}")


def _years_later(day: date, years: int) -> date:
    year = min(day.year + years, date.max.year)
    try:
        return day.replace(year=year)
    except ValueError:  # 29 February
        return day.replace(year=year, day=28)


def _scanner(settings: Settings, serial_number: str | None) -> Scanner:
    """The scanner of scanners.toml with this serial number, or the only one there."""
    known = [entry.scanner for entry in settings.scanners.scanner]
    wanted = Scanner("", "", serial_number or "").key[-1]
    named = [scanner for scanner in known if wanted in ("", scanner.key[-1])]
    if len(named) == 1:
        return named[0]
    return Scanner(FILL_IN, FILL_IN, serial_number or FILL_IN)


def _told(found: ContextOnFile) -> Iterator[str]:
    yield f"{found.record.recorded_on}, loaded {found.loaded_at:%Y-%m-%d %H:%M} UTC"
    for field in dataclasses.fields(found.record):
        value = getattr(found.record, field.name)
        if value not in (None, "") and field.name not in ("recorded_on", "unknown"):
            yield f"  {field.name:<28}{_plain(value)}"
    yield from (f"  {name:<28}unknown" for name in found.record.unknown)


def _plain(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
