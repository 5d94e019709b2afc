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
from pipeline.edge.operations.csv_table import CsvTableError, Row, as_date, as_number, read_csv_table
from pipeline.edge.quality_control import stops
from pipeline.edge.store import audit_trail, phantom_scans
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.phantom_scans import NewPhantomScan, PhantomScanOnFile, PhantomValues

REQUIRED = ("date", "phantom", "bmd")
OPTIONAL = ("time", "region", "bmc", "area", "software")


@dataclass(frozen=True, slots=True)
class ImportedScans:
    """How many phantom scans were loaded, of which days, and how many stops began or ended by them."""

    scans: int
    first: date
    last: date
    stops: int


def import_scans(app: App, path: Path, scanner_number: int) -> ImportedScans:
    """Load the phantom scans of one scanner; the audit trail has it.

    Raises:
        CsvTableError: with every error of every line; then nothing is loaded.
    """
    now = datetime.now(UTC)
    with app.database.write() as connection:
        known = phantom_scans.of_scanner(connection, scanner_number)
        new = _read(app, path, known, today=now.astimezone(app.reference_data.zone).date())
        phantom_scans.record_typed(connection, scanner_number, new, at=now)
        changed = stops.update(connection, app.reference_data, scanner_number, at=now)
        days = [scan.performed_at.date() for scan in new]
        found = ImportedScans(scans=len(new), first=min(days), last=max(days), stops=changed)
        detail = {"scanner": scanner_number, "scans": found.scans, "first": str(found.first), "last": str(found.last)}
        audit_trail.record(connection, events.by_operator(Event.QC_IMPORTED, at=now, detail=detail))
    return found


def _read(app: App, path: Path, known: Sequence[PhantomScanOnFile], *, today: date) -> list[NewPhantomScan]:
    phantoms = {one.phantom.name: one.phantom for one in app.reference_data.phantoms}
    taken = _Taken(app, known)
    mistakes: list[str] = []
    scans: list[NewPhantomScan] = []
    for row in read_csv_table(path, required=REQUIRED, optional=OPTIONAL, fallback_encoding="cp1252"):
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
