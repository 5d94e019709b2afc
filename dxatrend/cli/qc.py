"""``dxatrend qc``: the fitness of each scanner, its control chart, phantom scans typed elsewhere, remedies, service."""

import argparse
import csv
import sys
from datetime import UTC, datetime

from dxatrend.cli.fitness_lines import as_json, print_fitness
from dxatrend.cli.output import FAILURE, SUCCESS, moment, print_errors, print_json
from dxatrend.cli.store_access import open_store
from pipeline.edge.app import App
from pipeline.edge.operations import phantom_csv, scanner_quality
from pipeline.edge.operations.csv_table import CsvTableError
from pipeline.edge.operations.scanner_quality import QualityRecordError
from pipeline.edge.overview import chart_table, phantom_candidates, scanner_fitness


def show(options: argparse.Namespace) -> int:
    """Print one line for each scanner, and what a person should do."""
    with open_store(options) as app:
        found = scanner_fitness.fitness_of_all(app, at=datetime.now(UTC))
        with app.database.read() as connection:
            candidates = phantom_candidates.phantom_candidates(connection)
    if options.json:
        print_json([as_json(one) for one in found])
        return SUCCESS
    print_fitness(found)
    for one in found:
        if one.advice:
            print(f"\n{one.scanner}", *(f"  {line}" for line in one.advice), sep="\n")
    unknown = [phantom for one in found for phantom in one.unknown]
    if unknown:
        print(
            "\nThese phantoms are kept apart and judge nothing, as scanners.toml does not name them. Add, with a name:"
        )
        for phantom in unknown:
            print(f"\n# {phantom.scans} scans, last {phantom.last:%Y-%m-%d}", *phantom.lines, sep="\n")
    if candidates:
        print("\nThese patients are scanned as phantoms are: often, and always with the same result. If they are, add:")
        for candidate in candidates:
            print(
                f"\n# {len(candidate.exams)} exams on {candidate.scanner}, last {candidate.last}",
                *candidate.lines,
                sep="\n",
            )
    return SUCCESS


def chart(options: argparse.Namespace) -> int:
    """Print the control charts of a scanner as CSV."""
    with open_store(options) as app:
        try:
            number = scanner_quality.scanner_with(app.database, options.serial_number)
        except QualityRecordError as unknown:
            return _refused(unknown)
        found = scanner_fitness.fitness_of(app, number, at=datetime.now(UTC))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(chart_table.HEADS)
    writer.writerows(chart_table.cells(row) for series in found.series for row in chart_table.rows(series))
    return SUCCESS


def load(options: argparse.Namespace) -> int:
    """Load phantom scans that were typed in a table, all of them or none; or only check them."""
    with open_store(options) as app:
        try:
            number = scanner_quality.scanner_with(app.database, options.serial_number)
            table = phantom_csv.read_table(options.file)
            found = phantom_csv.import_scans(app, table, number, dry_run=options.dry_run)
        except QualityRecordError as unknown:
            return _refused(unknown)
        except CsvTableError as error:
            print_errors("Nothing was loaded:", *(f"  {mistake}" for mistake in error.mistakes))
            return FAILURE
        if options.dry_run:
            print(f"{found.scans} phantom scans from {found.first} to {found.last} can be loaded; nothing was")
            return SUCCESS
        print(f"{found.scans} phantom scans from {found.first} to {found.last} are on file now")
        _print_state(app, number)
    return SUCCESS


def remedy(options: argparse.Namespace) -> int:
    """Record what was done about a stop."""
    with open_store(options) as app:
        try:
            found = scanner_quality.record_remedy(
                app, options.stop, options.what, on=options.on, annul=options.not_the_scanner
            )
        except QualityRecordError as problem:
            return _refused(problem)
        if found.stop.annulled:
            print(f"stop {found.stop.number} counts nowhere any more; {found.exams} exams are due again")
        elif found.stop.fit_again_at:
            print(f"stop {found.stop.number} ended: the scan of {moment(found.stop.fit_again_at)} was good")
        else:
            print(f"recorded; stop {found.stop.number} ends with the next good scan of the phantom")
    return SUCCESS


def service(options: argparse.Namespace) -> int:
    """Record work on a scanner."""
    with open_store(options) as app:
        try:
            number = scanner_quality.scanner_with(app.database, options.serial_number)
            day = scanner_quality.record_service(app, number, options.what, on=options.on)
        except QualityRecordError as problem:
            return _refused(problem)
    print(f"recorded for {day}; scan the phantom ten times, repositioned, before patients (R2.6)")
    return SUCCESS


def _print_state(app: App, number: int) -> None:
    found = scanner_fitness.fitness_of(app, number, at=datetime.now(UTC))
    print_fitness([found])
    for line in found.advice:
        print(f"  {line}")


def _refused(problem: QualityRecordError) -> int:
    print_errors(problem)
    return FAILURE
