"""Load phantom scans from a CSV table: history that was typed elsewhere, all of it or nothing; BMD in g/cm²."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

from pipeline.clinical.model import Phantom
from pipeline.clinical.model.limits import BEYOND_BONE, ZERO, is_exact_between
from pipeline.clinical.regions import UnknownRegionError, parse_region
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.operations.csv_table import CsvTableError, Row, as_date, as_number, rows_of_text
from pipeline.edge.quality_control import stops
from pipeline.edge.store import audit_trail, phantom_scans
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.phantom_scans import NewPhantomScan, PhantomScanOnFile, PhantomValues
from pipeline.edge.text_files import UnreadableTextError, decode_text, printable

REQUIRED = ("date", "phantom", "bmd")
OPTIONAL = ("time", "region", "bmc", "area", "software")

MOST_BYTES = 1_000_000
"""The largest table: ten years of a scan a day have a fifth of it."""


@dataclass(frozen=True, slots=True)
class ImportedScans:
    """How many phantom scans were loaded, of which days, and how many stops began or ended by them."""

    scans: int
    first: date
    last: date
    stops: int


def read_table(path: Path) -> bytes:
    """Return the content of a table.

    Raises:
        CsvTableError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)  # more than that is refused, whatever it is
    except OSError as error:
        raise CsvTableError([f"{printable(path.name)}: {error.strerror or 'cannot be read'}"]) from None


def import_scans(app: App, table: bytes, scanner_number: int, *, dry_run: bool = False) -> ImportedScans:
    """Load the phantom scans of one scanner; the audit trail has it.

    With ``dry_run`` the table is only checked, against itself and what is on file: nothing is loaded, and nothing
    judged.

    Raises:
        CsvTableError: with every error of every line; then nothing is loaded.
    """
    now = datetime.now(UTC)
    with app.database.read() if dry_run else app.database.write() as connection:
        known = phantom_scans.of_scanner(connection, scanner_number)
        new = _read(app, table, known, today=now.astimezone(app.reference_data.zone).date())
        days = [scan.performed_at.date() for scan in new]
        if dry_run:
            return ImportedScans(scans=len(new), first=min(days), last=max(days), stops=0)
        phantom_scans.record_typed(connection, scanner_number, new, at=now)
        changed = stops.update(connection, app.reference_data, scanner_number, at=now)
        found = ImportedScans(scans=len(new), first=min(days), last=max(days), stops=changed)
        detail = {"scanner": scanner_number, "scans": found.scans, "first": str(found.first), "last": str(found.last)}
        audit_trail.record(connection, events.by_operator(Event.QC_IMPORTED, at=now, detail=detail))
    return found


def _read(app: App, table: bytes, known: Sequence[PhantomScanOnFile], *, today: date) -> list[NewPhantomScan]:
    if len(table) > MOST_BYTES:
        raise CsvTableError([f"the table is larger than {MOST_BYTES // 1000} kB: it is not of one phantom"])
    try:
        text = decode_text(table, otherwise="cp1252")
    except UnreadableTextError as error:
        raise CsvTableError([f"the table {error}"]) from None
    phantoms = {one.phantom.name: one.phantom for one in app.reference_data.phantoms}
    taken = _Taken(app, known)
    mistakes: list[str] = []
    scans: list[NewPhantomScan] = []
    for row in rows_of_text(text, required=REQUIRED, optional=OPTIONAL):
        scan = _scan(row, phantoms, today=today)
        if scan is not None:
            row.mistakes += taken.add(row.line, scan)
            scans.append(scan)
        mistakes += row.mistakes
    if not (mistakes or scans):
        mistakes = ["there is no line below the names of the columns"]
    if mistakes:
        raise CsvTableError(mistakes)
    return scans


def _scan(row: Row, phantoms: dict[str, Phantom], *, today: date) -> NewPhantomScan | None:
    name = row.required("phantom")
    row.required("date")
    row.required("bmd")
    phantom = phantoms.get(name)
    if name and phantom is None:
        listed = ", ".join(phantoms) or "none yet"
        row.mistakes.append(f"line {row.line}: phantom is none of scanners.toml, which names {listed}")
    day, at = row.read("date", as_date), row.read("time", _as_time)
    if day and day > today:
        row.mistakes.append(f"line {row.line}: date is in the future")
    if day and phantom and not phantom.since <= day <= phantom.until:
        row.mistakes.append(f"line {row.line}: date is not among the days of this phantom in scanners.toml")
    region = _region(row, phantom)
    values = {column: _measured(row, column) for column in ("bmd", "bmc", "area")}
    bmd = values["bmd"]
    if row.mistakes or day is None or bmd is None or phantom is None or region is None:
        return None
    return NewPhantomScan(
        phantom=phantom.name,
        performed_at=datetime.combine(day, at or time.min),
        region=region,
        values=PhantomValues(bmd=bmd, bmc=values["bmc"], area=values["area"]),
        software=row.text("software"),
    )


def _region(row: Row, phantom: Phantom | None) -> str | None:
    """Return the region key of a line; that of the phantom where the line names none."""
    if not row.text("region"):
        return phantom.region.key if phantom else None
    try:
        return parse_region(row.text("region")).key
    except UnknownRegionError:
        row.mistakes.append(f"line {row.line}: region names no region we know")
        return None


def _measured(row: Row, column: str) -> Decimal | None:
    value = row.read(column, as_number)
    if value is None:
        return None
    if not is_exact_between(value, above=ZERO, below=BEYOND_BONE[column]):
        row.mistakes.append(f"line {row.line}: {column} is not between 0 and {BEYOND_BONE[column]} (g/cm2, g, cm2)")
        return None
    return value


def _as_time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ValueError("a time is written 07:45") from None


class _Taken:
    """The scans on file and in the lines so far: a day counts once, unless both of its scans have a time."""

    def __init__(self, app: App, known: Sequence[PhantomScanOnFile]) -> None:
        self._where: dict[tuple[str, str, date], list[tuple[time, str]]] = {}
        for scan in known:
            for region in scan.values:
                name = scan.is_of(app.reference_data.phantoms)
                self._add(name, region, scan.performed_at, "is on file already")

    def add(self, line: int, scan: NewPhantomScan) -> Iterator[str]:
        """Yield an error where another scan of that day may be the same."""
        before = self._where.get((scan.phantom, scan.region, scan.performed_at.date()), [])
        at = scan.performed_at.time()
        same = next((where for other, where in before if other == at or time.min in (other, at)), None)
        if same is not None:
            yield f"line {line}: a scan of this phantom on {scan.performed_at.date()} {same}"
        self._add(scan.phantom, scan.region, scan.performed_at, f"is in line {line} too")

    def _add(self, phantom: str, region: str, at: datetime, where: str) -> None:
        self._where.setdefault((phantom, region, at.date()), []).append((at.time(), where))
