"""Phantom scans for the quality control of scanners, stored apart from patients."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, insert, select

from pipeline.clinical.model import Scanner
from pipeline.edge.store import scanners, work_queue
from pipeline.edge.store.schema import phantom_value, receipt, scanner
from pipeline.sr.dicom.unreadable import Reason
from pipeline.sr.extract.phantom import PhantomReportError


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomValue:
    """One region of one phantom scan: BMD in g/cm², BMC in g, area in cm²; ``None`` where the report has none."""

    scanner: Scanner
    performed_at: datetime
    software: str
    region: str
    bmd: Decimal | None
    bmc: Decimal | None
    area: Decimal | None


def record(connection: Connection, receipt_number: int, report: PhantomReportError, *, at: datetime) -> None:
    """Store the values of a phantom report; its receipt is then ignored, with the reason ``phantom``."""
    scan = report.scan
    number = scanners.number_of(
        connection, scan.scanner, station_name=scan.station_name, institution=scan.institution, at=at
    )
    rows: list[dict[str, object]] = [
        {"region": m.region.key, "bmd": str(m.bmd), "bmc": _text(m.bmc), "area": _text(m.area)}
        for m in scan.measurements
    ]
    for row in rows or [{"region": "", "bmd": None, "bmc": None, "area": None}]:
        connection.execute(
            insert(phantom_value).values(
                receipt_id=receipt_number,
                scanner_id=number,
                performed_at=scan.performed_at,
                software=scan.software,
                **row,
            )
        )
    work_queue.ignore(connection, receipt, receipt_number, reason=Reason.PHANTOM, detail=str(report))


def values(connection: Connection) -> list[PhantomValue]:
    """Return every region of every phantom scan, in the order they were performed."""
    query = (
        select(phantom_value, scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)
        .join(scanner, scanner.c.id == phantom_value.c.scanner_id)
        .order_by(phantom_value.c.performed_at, phantom_value.c.receipt_id, phantom_value.c.region)
    )
    return [
        PhantomValue(
            scanner=Scanner(row.manufacturer, row.model, row.serial_number),
            performed_at=row.performed_at,
            software=row.software,
            region=row.region,
            bmd=_decimal(row.bmd),
            bmc=_decimal(row.bmc),
            area=_decimal(row.area),
        )
        for row in connection.execute(query)
    ]


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
