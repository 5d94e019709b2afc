"""Phantom history: a table of scans that were typed elsewhere is checked, and loaded whole or not at all."""

from starlette.datastructures import UploadFile
from starlette.responses import Response

from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import Visit, not_found
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations.csv_table import CsvTableError
from pipeline.edge.operations.phantom_csv import MOST_BYTES, OPTIONAL, REQUIRED, ImportedScans, import_scans
from pipeline.edge.store import scanners

MOST_MISTAKES = 100
"""How many mistakes of a table are shown: some other file may have one in each of its lines."""


def show(visit: Visit) -> Response:
    """Show the form for a table."""
    return _form(visit)


def load(visit: Visit) -> Response:
    """Load the scans of a table, or only check it; where anything is wrong show all of it, and take nothing."""
    number = _scanner_number(visit)
    only_check = visit.text("do") != "load"
    file = visit.form.get("file")
    if not (isinstance(file, UploadFile) and file.filename):
        return _form(visit, mistakes=("No file was chosen.",))
    try:
        found = import_scans(visit.app, file.file.read(MOST_BYTES + 1), number, dry_run=only_check)
    except CsvTableError as refused:
        return _form(visit, mistakes=refused.mistakes)
    if only_check:
        return _form(visit, checked=found)
    done = f"{found.scans:,} scans from {found.first} to {found.last} are on file now."
    stopped = " The quality control has changed: see what it says." if found.stops else ""
    return visit.redirect(f"/scanners/{number}/qc", done=done + stopped)


def _form(visit: Visit, *, mistakes: tuple[str, ...] = (), checked: ImportedScans | None = None) -> Response:
    number = _scanner_number(visit)
    with visit.app.database.read() as connection:
        scanner = scanners.of_number(connection, number)
    shown = [*mistakes[:MOST_MISTAKES]]
    if len(mistakes) > MOST_MISTAKES:
        shown.append(f"… and {len(mistakes) - MOST_MISTAKES:,} more.")
    return visit.render(
        "phantom_history.html",
        title="Load phantom scans",
        status=422 if mistakes else 200,
        number=number,
        scanner=scanner,
        mistakes=shown,
        checked=checked,
        phantoms=[known.phantom for known in visit.app.reference_data.phantoms],
        required=REQUIRED,
        optional=OPTIONAL,
    )


def _scanner_number(visit: Visit) -> int:
    number: int = visit.path["number"]
    with visit.app.database.read() as connection:
        if number not in scanners.numbers(connection):
            raise not_found()
    return number


ROUTES: tuple[DeskRoute, ...] = (
    page("/scanners/{number:number}/history", show, role=Role.ACT),
    action("/scanners/{number:number}/history", load, role=Role.ACT, takes_file=True),
)
