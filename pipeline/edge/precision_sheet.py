"""What does a table of a precision study say, scan by scan?"""

from pathlib import Path

from pipeline.clinical.regions import UnknownRegion, parse_region
from pipeline.clinical.study import PrecisionScan
from pipeline.edge.sheets import SheetError, as_number, read_sheet

COLUMNS = ("patient", "scan", "region", "bmd")
TECHNOLOGIST = "technologist"


def read_study(path: Path) -> list[PrecisionScan]:
    """The scans of a table with the columns patient, scan, region, bmd (g/cm2) and, if known, technologist.

    Raises:
        SheetError: with every mistake of every line.
    """
    mistakes: list[str] = []
    scans: list[PrecisionScan] = []
    for row in read_sheet(path, required=COLUMNS, optional=[TECHNOLOGIST]):
        patient, scan, named = (row.required(column) for column in COLUMNS[:3])
        row.required("bmd")
        bmd = row.read("bmd", as_number)
        try:
            region = parse_region(named)
        except UnknownRegion:
            row.mistakes.append(f"line {row.line}: region names no region we know")
        if row.mistakes or bmd is None:
            mistakes += row.mistakes
            continue
        scans.append(
            PrecisionScan(patient=patient, scan=scan, region=region, bmd=bmd, technologist=row.text(TECHNOLOGIST))
        )
    if mistakes:
        raise SheetError(mistakes)
    return scans
