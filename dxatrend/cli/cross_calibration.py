"""``dxatrend cross-calibration``: worksheets of scans on an old and a new scanner, and the proposal that follows."""

import argparse

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, today
from dxatrend.cli.precision import print_unfit
from dxatrend.cli.precision_register import print_proposed
from dxatrend.cli.store_access import open_store
from pipeline.clinical.cross_calibration import cross_calibration_doubts
from pipeline.clinical.cross_calibration_study import (
    CrossCalibrationStudy,
    cross_calibration_of_study,
    evaluate_phantom,
)
from pipeline.clinical.precision_study import UnfitStudyError
from pipeline.clinical.study_worksheets import cross_calibration_worksheet, phantom_worksheet
from pipeline.edge.app import App
from pipeline.edge.operations import precision_register
from pipeline.edge.operations.cross_calibration_csv import read_pairs
from pipeline.edge.operations.precision_entries import UnknownScannerError, known_scanner
from pipeline.edge.operations.precision_register import CrossCalibrationTerms, HandedIn
from pipeline.edge.operations.precision_study_csv import read_content


def study(options: argparse.Namespace) -> int:
    """Print the worksheet of each region; fails where a study must not be used."""
    with open_store(options) as app:
        try:
            terms = _terms(app, options)
            evaluated = precision_register.evaluate_pairs_of(app, read_content(options.file), terms)
        except UnknownScannerError as unknown:
            print_errors(unknown)
            return FAILURE
        except UnfitStudyError as unfit:
            print_unfit("cross-calibration study", unfit)
            return FAILURE
    for one in evaluated:
        print(cross_calibration_worksheet(one, _doubts(one, terms)))
    return FAILURE if any(one.objections for one in evaluated) else SUCCESS


def phantom(options: argparse.Namespace) -> int:
    """Print how the scans of one phantom on two scanners agree; fails where they differ by more than 1 %."""
    try:
        evaluated = evaluate_phantom(read_pairs(read_content(options.file), phantom=True))
    except UnfitStudyError as unfit:
        print_unfit("phantom study", unfit)
        return FAILURE
    for one in evaluated:
        print(phantom_worksheet(one))
    return SUCCESS if all(one.holds for one in evaluated) else FAILURE


def propose(options: argparse.Namespace) -> int:
    """Store a cross-calibration study and propose what follows from it."""
    with open_store(options) as app:
        try:
            terms = _terms(app, options)
            table = HandedIn(
                file_name=options.file.name, content=read_content(options.file), reason=options.reason or options.source
            )
            proposed = precision_register.propose_cross_calibration(app, table, terms)
        except UnknownScannerError as unknown:
            print_errors(unknown)
            return FAILURE
        except UnfitStudyError as unfit:
            print_unfit("cross-calibration study", unfit)
            return FAILURE
    print_proposed(proposed)
    return SUCCESS


def _terms(app: App, options: argparse.Namespace) -> CrossCalibrationTerms:
    return CrossCalibrationTerms(
        old=known_scanner(app, options.old),
        new=known_scanner(app, options.new),
        valid_from=options.valid_from or today(),
        source=options.source,
        both_sides=options.both_sides,
    )


def _doubts(one: CrossCalibrationStudy, terms: CrossCalibrationTerms) -> tuple[str, ...]:
    """Return what a person should check in the cross-calibration that a study would become."""
    if one.objections or one.precision_error_old is None:
        return ()
    made = cross_calibration_of_study(
        one, old=terms.old, new=terms.new, valid_from=terms.valid_from, source=terms.source
    )
    return cross_calibration_doubts(made)
