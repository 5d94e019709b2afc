"""Hand in a study: a table of repeated scans, or of scans on two scanners, with what a person says of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response

from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import NotADayError, Visit, day_of
from pipeline.clinical.cross_calibration_study import evaluate_pairs, evaluate_phantom
from pipeline.clinical.model import Scanner
from pipeline.clinical.precision_study import UnfitStudyError
from pipeline.clinical.study_worksheets import phantom_worksheet
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import precision_register
from pipeline.edge.operations.cross_calibration_csv import read_pairs
from pipeline.edge.operations.precision_entries import known_scanners, software_of, validity
from pipeline.edge.operations.precision_register import (
    CrossCalibrationTerms,
    HandedIn,
    PrecisionTerms,
    Proposed,
)
from pipeline.edge.operations.precision_study_csv import MOST_BYTES, evaluate_table

STUDY, CROSS_CALIBRATION, PHANTOM = "/precision/study", "/precision/cross-calibration", "/precision/phantom"

MOST_MISTAKES = 100
"""How many mistakes of a table are shown: some other file may have one in each of its lines."""

FIELDS = (
    "scanner",
    "old",
    "new",
    "valid_from",
    "valid_until",
    "source",
    "reason",
    "both_sides",
    "same_day",
    "software",
)
"""The fields that a form keeps where it is shown again with what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What was filled in, with every mistake so far."""

    fields: dict[str, str]
    mistakes: list[str]
    file_name: str
    content: bytes


def show_study(visit: Visit) -> Response:
    """Show the form for a precision study."""
    return _form(visit, "precision_study.html", "Hand in a precision study", {"valid_from": str(visit.today)})


def show_cross_calibration(visit: Visit) -> Response:
    """Show the forms for patients, or a phantom, scanned on an old and a new scanner."""
    return _form(visit, "cross_calibration.html", "Replace a scanner", {"valid_from": str(visit.today)})


def propose_study(visit: Visit) -> Response:
    """Store a precision study and propose its LSCs, or show everything that is wrong with it."""
    given = _given(visit)
    scanner = _scanner(visit, given, "scanner", "the scanner")
    begins, ends = _day(given, "valid_from", "First day"), _day(given, "valid_until", "Last day", required=False)
    source = _required(given, "source", "How addenda name the study")
    _required(given, "reason", "Why it was made")
    try:
        if given.mistakes or scanner is None or begins is None:
            raise UnfitStudyError([*given.mistakes, *_mistakes_of(evaluate_table, given)])
        valid = validity(visit.app.reference_data.clinical.epochs, scanner, begins, ends)
        terms = PrecisionTerms(
            scanner=scanner,
            valid_from=valid.begins,
            valid_until=valid.ends,
            source=source,
            both_sides=bool(given.fields["both_sides"]),
            same_day={"yes": True, "no": False}.get(given.fields["same_day"]),
            software=given.fields["software"] or software_of(visit.app.database, scanner),
        )
        proposed = precision_register.propose_precision(visit.app.database, _handed_in(given), terms)
    except UnfitStudyError as unfit:
        return _refused(visit, "precision_study.html", "Hand in a precision study", given, unfit)
    return _proposed(visit, proposed)


def propose_cross_calibration(visit: Visit) -> Response:
    """Store a cross-calibration study and propose its lines, or show everything that is wrong with it."""
    given = _given(visit)
    old, new = _scanner(visit, given, "old", "the old scanner"), _scanner(visit, given, "new", "the new scanner")
    begins = _day(given, "valid_from", "First day")
    source = _required(given, "source", "How addenda name the study")
    _required(given, "reason", "Why it was made")
    try:
        if given.mistakes or old is None or new is None or begins is None:
            raise UnfitStudyError([*given.mistakes, *_mistakes_of(_evaluate_pairs, given)])
        terms = CrossCalibrationTerms(
            old=old, new=new, valid_from=begins, source=source, both_sides=bool(given.fields["both_sides"])
        )
        proposed = precision_register.propose_cross_calibration(visit.app, _handed_in(given), terms)
    except UnfitStudyError as unfit:
        return _refused(visit, "cross_calibration.html", "Replace a scanner", given, unfit)
    return _proposed(visit, proposed)


def compare_phantom(visit: Visit) -> Response:
    """Show how the scans of one phantom on two scanners agree; nothing is stored."""
    given = _given(visit)
    title = "Replace a scanner"
    try:
        if given.mistakes:
            raise UnfitStudyError(given.mistakes)
        evaluated = evaluate_phantom(read_pairs(given.content, phantom=True))
    except UnfitStudyError as unfit:
        return _refused(visit, "cross_calibration.html", title, given, unfit)
    fields = {"valid_from": str(visit.today)}
    return _form(
        visit, "cross_calibration.html", title, fields, phantom=[(one, phantom_worksheet(one)) for one in evaluated]
    )


def _given(visit: Visit) -> _Given:
    fields = {name: visit.text(name, longest=500) for name in FIELDS}
    file = visit.form.get("file")
    mistakes: list[str] = []
    content, file_name = b"", ""
    if isinstance(file, UploadFile) and file.filename:
        content = file.file.read(MOST_BYTES + 1)
        file_name = PurePath(file.filename.replace("\\", "/").replace("\0", "")).name[:200]
    else:
        mistakes.append("No file was chosen.")
    return _Given(fields=fields, mistakes=mistakes, file_name=file_name, content=content)


def _mistakes_of(evaluate: Callable[[bytes], object], given: _Given) -> tuple[str, ...]:
    """Return what is wrong with the table, where something else is wrong already: all is said at once."""
    if not given.content:
        return ()
    try:
        evaluate(given.content)
    except UnfitStudyError as unfit:
        return unfit.reasons
    return ()


def _evaluate_pairs(content: bytes) -> object:
    return evaluate_pairs(read_pairs(content), {})


def _handed_in(given: _Given) -> HandedIn:
    return HandedIn(file_name=given.file_name, content=given.content, reason=given.fields["reason"])


def _scanner(visit: Visit, given: _Given, field: str, what: str) -> Scanner | None:
    known = {_key(one): one for one in _known(visit)}
    found = known.get(given.fields[field])
    if found is None:
        given.mistakes.append(f"Choose {what}.")
    return found


def _day(given: _Given, field: str, what: str, *, required: bool = True) -> date | None:
    try:
        found = day_of(given.fields[field])
        is_missing = found is None and required
    except NotADayError:
        found, is_missing = None, True
    if is_missing:
        given.mistakes.append(f"{what}: a date is written 2026-03-02.")
    return found


def _required(given: _Given, field: str, what: str) -> str:
    if not given.fields[field]:
        given.mistakes.append(f"{what}: fill it in.")
    return given.fields[field]


def _known(visit: Visit) -> list[Scanner]:
    with visit.app.database.read() as connection:
        return known_scanners(connection, visit.app.reference_data)


def _key(scanner: Scanner) -> str:
    return " · ".join(scanner.key)


def _label(scanner: Scanner) -> str:
    """Return a scanner as a list names it, the serial number early, as a narrow list cuts its end."""
    return f"{scanner.model} {scanner.serial_number} ({scanner.manufacturer})"


def _form(visit: Visit, template: str, title: str, fields: dict[str, str], **more: Any) -> Response:
    scanners = [("", "Choose one")] + [(_key(one), _label(one)) for one in _known(visit)]
    values = {"mistakes": (), "phantom": (), "status": 200, **more}
    return visit.render(
        template,
        title=title,
        scanners=scanners,
        given={**dict.fromkeys(FIELDS, ""), **fields},
        same_day_options=[("", "The table says so by its dates"), ("yes", "Yes"), ("no", "No")],
        **values,
    )


def _refused(visit: Visit, template: str, title: str, given: _Given, unfit: UnfitStudyError) -> Response:
    mistakes = list(unfit.reasons[:MOST_MISTAKES])
    if len(unfit.reasons) > MOST_MISTAKES:
        mistakes.append(f"… and {len(unfit.reasons) - MOST_MISTAKES:,} more.")
    return _form(visit, template, title, given.fields, mistakes=mistakes, status=422)


def _proposed(visit: Visit, proposed: Proposed) -> Response:
    numbers = ", ".join(f"R{number}" for number in proposed.records)
    left_out = f" Left out: {'; '.join(proposed.left_out)}." if proposed.left_out else ""
    done = f"Proposed as {numbers}; nothing counts until it is accepted.{left_out}"
    path = f"/precision/{proposed.records[0]}" if len(proposed.records) == 1 else "/precision"
    return visit.redirect(path, done=done)


ROUTES: tuple[DeskRoute, ...] = (
    page(STUDY, show_study, role=Role.ACT),
    action(STUDY, propose_study, role=Role.ACT, takes_file=True),
    page(CROSS_CALIBRATION, show_cross_calibration, role=Role.ACT),
    action(CROSS_CALIBRATION, propose_cross_calibration, role=Role.ACT, takes_file=True),
    action(PHANTOM, compare_phantom, role=Role.ACT, takes_file=True),
)
