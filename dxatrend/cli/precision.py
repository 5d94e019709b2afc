"""``dxatrend precision study``: evaluate a precision study and print its entries for precision.toml."""

import argparse

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, today
from pipeline.clinical.precision_study import FILL_IN, UnfitStudyError, toml_block, worksheet
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.operations.precision_entries import scanner_of_study, validity
from pipeline.edge.operations.precision_study_csv import evaluate_table, read_content


def run(options: argparse.Namespace) -> int:
    """Print the worksheet of each region and its entry; fails where a region has too few scans for clinical use."""
    settings, _ = load_configuration(options.config)
    begins = options.valid_from or today()
    if options.valid_until is not None and options.valid_until < begins:
        print_errors(f"--valid-until {options.valid_until} lies before --valid-from {begins}")
        return FAILURE
    try:
        evaluated = evaluate_table(read_content(options.file))
    except UnfitStudyError as unfit:
        print_unfit("precision study", unfit)
        return FAILURE
    for one in evaluated:
        print(worksheet(one.study) + ("computed from the vertebrae of each scan (R1.15)\n" if one.reanalysed else ""))
    usable = [one.study for one in evaluated if not one.study.objections]
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


def print_unfit(what: str, unfit: UnfitStudyError) -> None:
    """Print why a table is no usable study, every reason on a line of its own."""
    print_errors(f"This is not a usable {what}:", *(f"  {reason}" for reason in unfit.reasons))
