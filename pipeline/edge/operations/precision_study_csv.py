"""Read precision studies from CSV tables, a line for each scan and region; BMD in g/cm²."""

from pathlib import Path

from pipeline.clinical.precision_study import PrecisionScan
from pipeline.clinical.regions import UnknownRegionError, parse_region
from pipeline.edge.operations.csv_table import CsvTableError, Row, as_date, as_number, read_csv_table

COLUMNS = ("patient", "scan", "region", "bmd")
TECHNOLOGIST = "technologist"
DATE = "date"


def read_study(path: Path) -> list[PrecisionScan]:
    """Return the scans of a table: patient, scan, region, bmd (g/cm²), and technologist and date if known.

    Labels only say which scans belong together, so text that is not UTF-8 is read as Windows-1252.

    Raises:
        CsvTableError: with every error of every line.
    """
    mistakes: list[str] = []
    scans: list[PrecisionScan] = []
    for row in read_csv_table(path, required=COLUMNS, optional=[TECHNOLOGIST, DATE], fallback_encoding="cp1252"):
        patient, scan, region_name = (row.required(column) for column in COLUMNS[:3])
        row.required("bmd")
        bmd, day = row.read("bmd", as_number), row.read(DATE, as_date)
        if _has_split_number(row):
            row.mistakes.append(f"line {row.line}: bmd: a decimal comma in a table that is separated by commas")
        try:
            region = parse_region(region_name)
        except UnknownRegionError:
            row.mistakes.append(f"line {row.line}: region names no region we know")
        if row.mistakes or bmd is None:
            mistakes += row.mistakes
            continue
        technologist = row.text(TECHNOLOGIST)
        scans.append(
            PrecisionScan(patient=patient, scan=scan, region=region, bmd=bmd, technologist=technologist, day=day)
        )
    if mistakes:
        raise CsvTableError(mistakes)
    return scans


def _has_split_number(row: Row) -> bool:
    """Return whether a number such as 1,034 became two cells: a whole number, and only digits beside it."""
    return row.text("bmd").isdigit() and row.text(TECHNOLOGIST).isdigit() and len(row.text(TECHNOLOGIST)) > 1
