"""``dxatrend context load`` and ``context show``: clinical context that reports do not contain."""

import argparse
import dataclasses
from collections.abc import Iterator

from dxatrend.cli.output import FAILURE, SUCCESS, moment, print_errors
from dxatrend.cli.store_access import open_store
from pipeline.edge.operations import clinical_context, clinical_context_csv
from pipeline.edge.operations.csv_table import CsvTableError
from pipeline.edge.store import patients
from pipeline.edge.store.patients import ContextOnFile


def load(options: argparse.Namespace) -> int:
    """Store the records of a CSV table of clinical context, all of them or none."""
    with open_store(options, existing=False) as app:
        try:
            records = clinical_context_csv.read_context(options.file)
        except CsvTableError as error:
            print_errors("Nothing was loaded:", *(f"  {mistake}" for mistake in error.mistakes))
            return FAILURE
        with app.database.write() as connection:
            loaded = clinical_context.store_records(connection, records)
    for warning in loaded.warnings:
        print_errors(f"warning: {warning}")
    print(f"{len(records)} records read, {loaded.records} of them new; {loaded.exams} exams are due again")
    return SUCCESS


def show(options: argparse.Namespace) -> int:
    """Print the clinical context that is stored about a patient; fails where there is none."""
    with open_store(options) as app, app.database.read() as connection:
        number = patients.find(connection, options.patient_id.strip(), options.issuer.strip())
        found = [] if number is None else patients.contexts(connection, number)
    for record in found:
        print(*_lines(record), sep="\n")
    if not found:
        print("nothing is stored about this patient")
    return SUCCESS if found else FAILURE


def _lines(found: ContextOnFile) -> Iterator[str]:
    by = f" by {found.loaded_by}" if found.loaded_by else ""
    yield f"{found.record.recorded_on}, loaded {moment(found.loaded_at)}{by}"
    for field in dataclasses.fields(found.record):
        value = getattr(found.record, field.name)
        if value not in (None, "") and field.name not in ("recorded_on", "unknown"):
            yield f"  {field.name:<28}{_text(value)}"
    yield from (f"  {name:<28}unknown" for name in found.record.unknown)


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
