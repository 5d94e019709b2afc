"""Read cross-calibration studies from CSV tables, a line for each scan and region; BMD in g/cm² (R2.6, R2.7)."""

from pipeline.clinical.cross_calibration_study import PairedScan
from pipeline.clinical.precision_study import UnfitStudyError
from pipeline.edge.operations.csv_table import CsvTableError, Row, as_date, as_number
from pipeline.edge.operations.precision_study_csv import (
    DATE,
    LOOKS_LIKE_MG,
    UNIT,
    parse_known_region,
    rows_of,
    unit_mistakes,
)

COLUMNS = ("patient", "scanner", "scan", "region", "bmd")
OLD, NEW = "old", "new"


def read_pairs(content: bytes, *, phantom: bool = False) -> list[PairedScan]:
    """Return the scans of a table: patient, scanner (``old`` or ``new``), scan, region, bmd, and date if known.

    A phantom's table needs no patient.

    Raises:
        UnfitStudyError: with every error of every line.
    """
    required = COLUMNS[1:] if phantom else COLUMNS
    optional = (*(COLUMNS[:1] if phantom else ()), DATE, UNIT)
    try:
        rows = rows_of(content, required=required, optional=optional)
    except CsvTableError as unreadable:
        raise UnfitStudyError(unreadable.mistakes) from None
    scans: list[PairedScan] = []
    in_mg: list[Row] = []
    for row in rows:
        scan = _scan(row, required)
        if scan is not None and LOOKS_LIKE_MG[0] < scan.bmd < LOOKS_LIKE_MG[1]:
            in_mg.append(row)
        elif scan is not None:
            scans.append(scan)
    mistakes = [mistake for row in rows for mistake in row.mistakes] + unit_mistakes(rows, in_mg)
    if mistakes:
        raise UnfitStudyError(mistakes)
    return scans


def _scan(row: Row, required: tuple[str, ...]) -> PairedScan | None:
    for column in required:
        row.required(column)
    scanner = row.text("scanner").lower()
    if scanner not in (OLD, NEW, ""):
        row.mistakes.append(f"line {row.line}: scanner: old or new")
    bmd, day = row.read("bmd", as_number), row.read(DATE, as_date)
    region = parse_known_region(row, row.text("region")) if row.text("region") else None
    if row.mistakes or bmd is None or region is None:
        return None
    return PairedScan(
        patient=row.text("patient"), on_new=scanner == NEW, scan=row.text("scan"), region=region, bmd=bmd, day=day
    )
