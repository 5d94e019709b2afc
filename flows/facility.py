"""What a department tells us beyond its reports: precision studies, and what is known of patients."""

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from datetime import date, timedelta

from pipeline.clinical.model import Scanner
from pipeline.clinical.study import PrecisionStudy, UnfitStudy, studies, toml_block, worksheet
from pipeline.edge import context_sheet, precision_sheet
from pipeline.edge.house import House
from pipeline.edge.settings import Settings
from pipeline.edge.sheets import SheetError
from pipeline.edge.store import patients
from pipeline.edge.store.patients import ContextOnFile

VALID = timedelta(days=365)
"""How long the printed entry says a study holds: so that it is looked at again. The department may change it."""

FILL_IN = "FILL IN"


def precision(settings: Settings, options: argparse.Namespace, today: date) -> int:
    """Print the worksheet of a precision study and its entries for precision.toml; the exit status."""
    try:
        evaluated = studies(precision_sheet.read_study(options.file))
    except (SheetError, UnfitStudy) as unfit:
        reasons = unfit.mistakes if isinstance(unfit, SheetError) else unfit.reasons
        print("This is no precision study that can be used:", *reasons, sep="\n  ", file=sys.stderr)
        return 1
    for study in evaluated:
        print(worksheet(study))
    usable = [study for study in evaluated if not study.objections]
    if usable:
        print("# for config/precision.toml")
        for study in usable:
            print(_entry(settings, options, study, today))
    return 0 if len(usable) == len(evaluated) else 1


def load_context(house: House, options: argparse.Namespace) -> int:
    """Keep the records of a table of clinical context; the exit status."""
    try:
        records = context_sheet.read_context(options.file)
    except SheetError as error:
        print("Nothing was loaded:", *error.mistakes, sep="\n  ", file=sys.stderr)
        return 1
    with house.database.write() as connection:
        loaded = context_sheet.keep(connection, records)
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{len(records)} records read, {loaded.records} of them new; {loaded.exams} exams are due again")
    return 0


def show_context(house: House, options: argparse.Namespace) -> int:
    """Print what is on file about a patient beyond the reports; the exit status."""
    with house.database.read() as connection:
        number = patients.find(connection, options.patient_id.strip(), options.issuer.strip())
        found = [] if number is None else patients.contexts(connection, number)
    for record in found:
        print(*_told(record), sep="\n")
    if not found:
        print("nothing is on file about this patient")
    return 0 if found else 1


def _entry(settings: Settings, options: argparse.Namespace, study: PrecisionStudy, today: date) -> str:
    begins = options.valid_from or today
    return toml_block(
        study,
        scanner=_scanner(settings, options.serial_number),
        valid_from=begins,
        valid_until=options.valid_until or begins + VALID,
        source=options.source or f"{len(study.patients)} patients, evaluated {today}",
    )


def _scanner(settings: Settings, serial_number: str | None) -> Scanner:
    """The scanner of scanners.toml with this serial number, or the only one there."""
    known = [entry.scanner for entry in settings.scanners.scanner]
    named = [scanner for scanner in known if serial_number in (None, scanner.serial_number)]
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
