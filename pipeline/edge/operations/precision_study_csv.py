"""Tables of precision studies, scan by scan, as spreadsheets save them."""

from pathlib import Path

from pipeline.clinical.precision_study import PrecisionScan
from pipeline.clinical.regions import UnknownRegionError, parse_region
from pipeline.edge.operations.csv_table import CsvTableError, Row, as_date, as_number, read_csv_table

COLUMNS = ("patient", "scan", "region", "bmd")
TECHNOLOGIST = "technologist"
DATE = "date"


def read_study(path: Path) -> list[PrecisionScan]:
    """The scans of a table with the columns patient, scan, region, bmd (g/cm2) and, if known, technologist and date.

    Its labels say which scans belong together and nothing else, so text that is not UTF-8 is read as Windows-1252.

    Raises:
        SheetError: with every mistake of every line.
    """
    mistakes: list[str] = []
    scans: list[PrecisionScan] = []
    for row in read_csv_table(path, required=COLUMNS, optional=[TECHNOLOGIST, DATE], otherwise="cp1252"):
        patient, scan, named = (row.required(column) for column in COLUMNS[:3])
        row.required("bmd")
        bmd, day = row.read("bmd", as_number), row.read(DATE, as_date)
        if _is_torn(row):
            row.mistakes.append(f"line {row.line}: bmd: a decimal comma in a table that is separated by commas")
        try:
            region = parse_region(named)
        except UnknownRegionError:
            row.mistakes.append(f"line {row.line}: region names no region we know")
        if row.mistakes or bmd is None:
            mistakes += row.mistakes
            continue
        by = row.text(TECHNOLOGIST)
        scans.append(PrecisionScan(patient=patient, scan=scan, region=region, bmd=bmd, technologist=by, day=day))
    if mistakes:
        raise CsvTableError(mistakes)
    return scans


def _is_torn(row: Row) -> bool:
    """Whether a number such as 1,034 became two cells: a whole number, and beside it nothing but digits."""
    return row.text("bmd").isdigit() and row.text(TECHNOLOGIST).isdigit() and len(row.text(TECHNOLOGIST)) > 1
