"""``dxatrend precision``: evaluate a precision study and print its entries for precision.toml."""

import argparse

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, today
from pipeline.clinical.precision_study import FILL_IN, UnfitStudyError, evaluate_studies, toml_block, worksheet
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.operations import precision_study_csv
from pipeline.edge.operations.csv_table import CsvTableError
from pipeline.edge.operations.precision_entries import scanner_of_study, validity


def run(options: argparse.Namespace) -> int:
    """Print the worksheet of each region and its entry; fails where a region has too few scans for clinical use."""
    settings, _ = load_configuration(options.config)
    begins = options.valid_from or today()
    if options.valid_until is not None and options.valid_until < begins:
        print_errors(f"--valid-until {options.valid_until} lies before --valid-from {begins}")
        return FAILURE
    try:
        evaluated = evaluate_studies(precision_study_csv.read_study(options.file))
    except (CsvTableError, UnfitStudyError) as unfit:
        reasons = unfit.mistakes if isinstance(unfit, CsvTableError) else unfit.reasons
        print_errors("This is not a usable precision study:", *(f"  {reason}" for reason in reasons))
        return FAILURE
    for study in evaluated:
        print(worksheet(study))
    usable = [study for study in evaluated if not study.objections]
    if usable:
        known = [entry.scanner for entry in settings.scanners.scanner]
        scanner = scanner_of_study(known, options.serial_number)
        valid = validity(settings.epochs, scanner, begins, options.valid_until)
        if FILL_IN in (scanner.manufacturer, scanner.model, scanner.serial_number):
            print_errors(f"scanners.toml does not name exactly one such scanner; replace {FILL_IN} yourself")
        print("# for config/precision.toml")
        for study in usable:
            source = options.source or f"{len(study.patients)} patients, evaluated {today()}"
            print(
                toml_block(
                    study,
                    scanner=scanner,
                    valid_from=valid.begins,
                    valid_until=valid.ends,
                    source=source,
                    reminder=valid.reminder,
                )
            )
    return SUCCESS if len(usable) == len(evaluated) else FAILURE
