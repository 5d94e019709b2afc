"""Phantom scans for the quality control of scanners, stored apart from patients: of reports, and typed in tables.

A report's scan is stored with the Patient ID and Patient's Name it came under, and which phantom that is the
configuration says at each reading: a phantom that becomes known later has its history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, func, insert, select

from pipeline.edge.store import scanners, work_queue
from pipeline.edge.store.qc_schema import phantom_scan, phantom_value
from pipeline.edge.store.schema import receipt, scanner
from pipeline.sr.dicom.unreadable import Reason
from pipeline.sr.extract.known_phantoms import KnownPhantom, PhantomScan, phantom_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomValues:
    """What one region of a phantom measured: BMD in g/cm², BMC in g, area in cm²; ``None`` where it is not told."""

    bmd: Decimal
    bmc: Decimal | None = None
    area: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomScanOnFile:
    """One phantom scan: ``performed_at`` in the scanner's time; ``phantom`` is named where a table named it."""

    number: int
    performed_at: datetime
    recorded_at: datetime
    software: str
    phantom: str
    patient_id: str
    patient_name: str
    is_typed: bool
    values: Mapping[str, PhantomValues]
    """By region key."""

    def is_of(self, phantoms: Sequence[KnownPhantom]) -> str:
        """Return the name of the phantom that was scanned; empty where the configuration knows none, or two."""
        if self.phantom:
            return self.phantom if any(known.phantom.name == self.phantom for known in phantoms) else ""
        named = {"patient_id": self.patient_id, "patient_name": self.patient_name}
        found = phantom_of(phantoms, on=self.performed_at.date(), **named)
        return found.name if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPhantomScan:
    """A phantom scan that was typed in a table."""

    phantom: str
    performed_at: datetime
    region: str
    values: PhantomValues
    software: str = ""


def record(connection: Connection, receipt_number: int, scan: PhantomScan, *, at: datetime) -> int:
    """Store a phantom's scan and return its scanner's number; its receipt is then ignored, with the reason phantom."""
    scanner_number = scanners.number_of(
        connection, scan.scanner, station_name=scan.station_name, institution=scan.institution, at=at
    )
    number = _insert(
        connection,
        receipt_id=receipt_number,
        scanner_id=scanner_number,
        patient_id=scan.patient_id,
        patient_name=scan.patient_name,
        performed_at=scan.performed_at.replace(tzinfo=None),
        software=scan.software,
        recorded_at=at,
    )
    for measured in scan.measurements:
        values = PhantomValues(bmd=measured.bmd, bmc=measured.bmc, area=measured.area)
        _insert_values(connection, number, measured.region.key, values)
    regions = ", ".join(str(measured.region) for measured in scan.measurements)
    work_queue.ignore(connection, receipt, receipt_number, reason=Reason.PHANTOM, detail=regions)
    return scanner_number


def is_recorded(connection: Connection, receipt_number: int) -> bool:
    """Return whether a report is on file as a phantom scan."""
    found = select(phantom_scan.c.id).where(phantom_scan.c.receipt_id == receipt_number)
    return connection.scalar(found) is not None


def record_typed(connection: Connection, scanner_number: int, scans: Sequence[NewPhantomScan], *, at: datetime) -> None:
    """Store phantom scans of one scanner that were typed in a table."""
    for scan in scans:
        number = _insert(
            connection,
            scanner_id=scanner_number,
            phantom=scan.phantom,
            performed_at=scan.performed_at,
            software=scan.software,
            recorded_at=at,
        )
        _insert_values(connection, number, scan.region, scan.values)


def of_scanner(connection: Connection, scanner_number: int) -> list[PhantomScanOnFile]:
    """Return every phantom scan of a scanner in the order they were performed."""
    ordered = (phantom_scan.c.performed_at, phantom_scan.c.id)
    mine = phantom_scan.c.scanner_id == scanner_number
    values: dict[int, dict[str, PhantomValues]] = {}
    measured = select(phantom_value).join(phantom_scan, phantom_scan.c.id == phantom_value.c.phantom_scan_id)
    for row in connection.execute(measured.where(mine)):
        found = PhantomValues(bmd=Decimal(row.bmd), bmc=_decimal(row.bmc), area=_decimal(row.area))
        values.setdefault(row.phantom_scan_id, {})[row.region] = found
    return [
        PhantomScanOnFile(
            number=row.id,
            performed_at=row.performed_at,
            recorded_at=row.recorded_at,
            software=row.software,
            phantom=row.phantom,
            patient_id=row.patient_id,
            patient_name=row.patient_name,
            is_typed=row.receipt_id is None,
            values=dict(sorted(values.get(row.id, {}).items())),
        )
        for row in connection.execute(select(phantom_scan).where(mine).order_by(*ordered))
    ]


def how_many(connection: Connection, scanner_number: int) -> tuple[int, int]:
    """Return how many phantom scans of a scanner are on file, and the number of the last; none is ever changed."""
    query = select(func.count(), func.coalesce(func.max(phantom_scan.c.id), 0))
    row = connection.execute(query.where(phantom_scan.c.scanner_id == scanner_number)).one()
    return row[0], row[1]


def last_performed_at(connection: Connection) -> dict[int, datetime]:
    """Return when each scanner last scanned a phantom, by its number."""
    query = select(scanner.c.id, _LAST.label("last")).order_by(scanner.c.id)
    return {row.id: row.last for row in connection.execute(query) if row.last is not None}


_LAST = (
    select(func.max(phantom_scan.c.performed_at))
    .where(phantom_scan.c.scanner_id == scanner.c.id)
    .correlate(scanner)
    .scalar_subquery()
)


def _insert(connection: Connection, **values: object) -> int:
    number: int = connection.execute(insert(phantom_scan).values(**values).returning(phantom_scan.c.id)).scalar_one()
    return number


def _insert_values(connection: Connection, number: int, region: str, values: PhantomValues) -> None:
    printed = {"bmd": str(values.bmd), "bmc": _text(values.bmc), "area": _text(values.area)}
    connection.execute(insert(phantom_value).values(phantom_scan_id=number, region=region, **printed))


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
