"""``dxatrend precision list``, ``propose``, ``accept`` and so on: the precision register on the command line."""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, print_json, print_table, today
from dxatrend.cli.precision import print_unfit
from dxatrend.cli.reprocess import print_differences
from dxatrend.cli.store_access import open_store
from pipeline.clinical.model import CrossCalibration, LeastSignificantChange
from pipeline.clinical.precision_register import Standing
from pipeline.clinical.precision_study import UnfitStudyError
from pipeline.edge.operations import precision_register
from pipeline.edge.operations.precision_entries import UnknownScannerError, known_scanner, software_of, validity
from pipeline.edge.operations.precision_register import HandedIn, PrecisionTerms, Proposed, RegisterError
from pipeline.edge.operations.precision_study_csv import read_content
from pipeline.edge.overview import precision_register as overview
from pipeline.edge.overview.precision_register import LscLine, Register
from pipeline.edge.reprocess.register_trial import differences_if
from pipeline.edge.store.database import Database
from pipeline.edge.store.precision_register import RecordOnFile

YES = "yes"


def propose(options: argparse.Namespace) -> int:
    """Store a precision study and propose its LSCs."""
    with open_store(options) as app:
        try:
            scanner = known_scanner(app, options.serial_number)
            valid = validity(
                app.reference_data.clinical.epochs, scanner, options.valid_from or today(), options.valid_until
            )
            terms = PrecisionTerms(
                scanner=scanner,
                valid_from=valid.begins,
                valid_until=valid.ends,
                source=options.source,
                both_sides=options.both_sides,
                same_day=None if options.same_day is None else options.same_day == YES,
                software=options.software or software_of(app.database, scanner),
            )
            table = HandedIn(
                file_name=options.file.name, content=read_content(options.file), reason=options.reason or options.source
            )
            proposed = precision_register.propose_precision(app.database, table, terms)
        except UnknownScannerError as unknown:
            print_errors(unknown)
            return FAILURE
        except UnfitStudyError as unfit:
            print_unfit("precision study", unfit)
            return FAILURE
    print_proposed(proposed)
    return SUCCESS


def print_proposed(proposed: Proposed) -> None:
    """Print what was proposed, and what to do next."""
    numbers = [f"R{number}" for number in proposed.records]
    print(*(f"left out: {reason}" for reason in proposed.left_out), sep="\n", end="\n" if proposed.left_out else "")
    print(f"proposed as {', '.join(numbers)}; none of them counts yet")
    print(f"what would change:  dxatrend precision accept {numbers[0]} --dry-run")
    print(f"let them count:     dxatrend precision accept {' '.join(numbers)}")


def print_worksheet(options: argparse.Namespace) -> int:
    """Print the worksheet of the study behind a record."""
    with open_store(options) as app:
        try:
            number = precision_register.parse_record_number(options.number)
            print(precision_register.worksheet_of(app, number))
        except RegisterError as problem:
            print_errors(problem)
            return FAILURE
    return SUCCESS


def import_files(options: argparse.Namespace) -> int:
    """Take the entries of precision.toml and scanners.toml into the register."""
    with open_store(options) as app:
        done = precision_register.import_configured(app)
    print(f"{len(done.accepted)} entries imported, {done.known} in the register before")
    if done.proposed:
        numbers = " ".join(f"R{number}" for number in done.proposed)
        print(f"proposed, because the register has another record from the same day on: {numbers}")
        print(f"let them count: dxatrend precision accept {numbers}")
    return SUCCESS


def accept(options: argparse.Namespace) -> int:
    """Let proposed records count, or print what would change."""
    return _decide(options, precision_register.accept, Standing.ACCEPTED)


def decline(options: argparse.Namespace) -> int:
    """Decide that proposed records are not to count."""
    return _decide(options, precision_register.decline, Standing.DECLINED)


def withdraw(options: argparse.Namespace) -> int:
    """Let accepted records no longer count for any day, or print what would change."""
    return _decide(options, precision_register.withdraw, Standing.WITHDRAWN)


def _decide(
    options: argparse.Namespace, decision: Callable[[Database, int, str], RecordOnFile], standing: Standing
) -> int:
    with open_store(options) as app:
        try:
            numbers = [precision_register.parse_record_number(one) for one in options.numbers]
            if getattr(options, "dry_run", False):
                for number in numbers:
                    print(f"R{number}: {what(precision_register.find_record(app.database, number))}")
                    print_differences(differences_if(app, number, standing), as_json=False)
                return SUCCESS
            for number in numbers:
                decision(app.database, number, options.reason)
                print(f"R{number} is {standing}")
        except RegisterError as problem:
            print_errors(problem)
            return FAILURE
    if standing is not Standing.DECLINED:
        print("exams that it concerns are examined again tonight, or now by dxatrend reprocess")
    return SUCCESS


def show(options: argparse.Namespace) -> int:
    """Print the register, or as JSON."""
    with open_store(options) as app:
        found = overview.register(app, on=today())
    if options.json:
        print_json(_as_json(found))
        return SUCCESS
    _print_counting(found)
    _print_proposed(found)
    if found.missing:
        print("\nNo LSC counts today for these, so no change of theirs is judged:")
        print_table(
            ("scanner", "region", "last LSC ended", "exams since", "said NO_LSC"),
            [
                (
                    one.scanner,
                    one.region,
                    one.ended_on,
                    one.exams,
                    f"{one.no_lsc}{'' if one.looked_at_all else ' at least'}",
                )
                for one in found.missing
            ],
        )
    for entry in found.without_effect:
        print(
            f"\nplease check: {entry.region}, {entry.source}: this entry of the configuration has no effect, because "
            "the register has another record from the same day on; dxatrend precision import proposes it"
        )
    if options.all and found.past:
        print("\nNo longer counting:")
        print_table(("", "what", "from", "until", "now", "decided by", "why"), [*map(_past, found.past)])
    return SUCCESS


def _print_counting(found: Register) -> None:
    print_table(
        ("", "scanner", "region", "LSC g/cm2", "n x repeats", "df", "from", "until", "days left", "source"),
        [_counting(line) for line in found.counting],
    )
    for line in found.counting:
        for told in (
            *(f"repeat the study: {reason}" for reason in line.repeat),
            *(f"please check: {d}" for d in line.doubts),
        ):
            print(f"{line.lsc.region} on {line.lsc.scanner}: {told}")
    if found.cross_calibrations:
        print("\nCross-calibrations:")
        print_table(
            ("", "old", "new", "region", "line", "GLSC g/cm2", "from", "source"),
            [
                (
                    _number(line.record),
                    line.cross_calibration.old,
                    line.cross_calibration.new,
                    line.cross_calibration.region,
                    f"{line.cross_calibration.intercept} + {line.cross_calibration.slope} x",
                    line.glsc.lsc,
                    line.cross_calibration.valid_from,
                    line.cross_calibration.source,
                )
                for line in found.cross_calibrations
            ],
        )
        for across in found.cross_calibrations:
            for doubt in across.doubts:
                print(f"please check: cross-calibration of {across.cross_calibration.region}: {doubt}")


def _print_proposed(found: Register) -> None:
    if found.proposed:
        print("\nProposed, to be accepted or declined:")
        print_table(("", "what", "from", "until", "proposed by", "at", "why"), [*map(_proposal, found.proposed)])


def _counting(line: LscLine) -> tuple[object, ...]:
    lsc, facts = line.lsc, line.facts
    studied = f"{lsc.patients} x {lsc.repeats}" if lsc.patients and lsc.repeats else ""
    freedom = facts.degrees_of_freedom if facts else ""
    return (
        _number(line.record),
        lsc.scanner,
        lsc.region,
        lsc.lsc,
        studied,
        freedom,
        lsc.valid_from,
        lsc.valid_until,
        line.days_left,
        lsc.source,
    )


def _proposal(record: RecordOnFile) -> tuple[object, ...]:
    begins, ends = _days(record)
    return (f"R{record.number}", what(record), begins, ends, record.proposed_by, record.proposed_at, record.reason)


def _past(record: RecordOnFile) -> tuple[object, ...]:
    begins, ends = _days(record)
    last = record.decisions[-1]
    standing = "superseded or ended" if record.standing is Standing.ACCEPTED else record.standing.value
    return (f"R{record.number}", what(record), begins, ends, standing, last.by, last.reason)


def what(record: RecordOnFile) -> str:
    """Return what a record is: region, LSC and scanner, or the two scanners of a cross-calibration."""
    value = record.value
    if isinstance(value, CrossCalibration):
        return f"cross-calibration of {value.region}, {value.old} to {value.new}"
    return f"LSC of {value.region}, {value.lsc} g/cm2, on {value.scanner}"


def _days(record: RecordOnFile) -> tuple[object, object]:
    value = record.value
    return value.valid_from, value.valid_until if isinstance(value, LeastSignificantChange) else None


def _number(record: RecordOnFile | None) -> str:
    return f"R{record.number}" if record else ""


def _as_json(found: Register) -> dict[str, Any]:
    values = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    return {name: [dataclasses.asdict(value) for value in given] for name, given in values.items()}
