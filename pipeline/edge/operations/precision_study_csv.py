"""Read precision studies from CSV tables, a line for each scan and region; BMD in g/cm², BMC in g, area in cm²."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pipeline.clinical.precision import MINIMUM_DEGREES_OF_FREEDOM
from pipeline.clinical.precision_study import PrecisionScan, PrecisionStudy, UnfitStudyError, evaluate_study
from pipeline.clinical.regions import Region, UnknownRegionError, parse_region
from pipeline.clinical.vertebra_subsets import Vertebra, is_single_vertebra, subset_scans
from pipeline.edge.operations.csv_table import CsvTableError, Row, as_date, as_number, rows_of_text
from pipeline.edge.text_files import UnreadableTextError, decode_text, printable

COLUMNS = ("patient", "scan", "region", "bmd")
TECHNOLOGIST, DATE, AREA, BMC, UNIT = "technologist", "date", "area", "bmc", "unit"

MOST_BYTES = 1_000_000
"""The largest table: a study of 30 patients with every vertebra of three scans has some 30 kB."""

UNITS = ("g/cm2", "g/cm²")

LOOKS_LIKE_MG = (Decimal(100), Decimal(3000))
"""No bone has this density in g/cm2, and every bone has it in mg/cm2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedStudy:
    """The study of one region with its scans; ``reanalysed`` if it was computed from single vertebrae (R1.15)."""

    study: PrecisionStudy
    scans: tuple[PrecisionScan, ...]
    reanalysed: bool = False


def read_content(path: Path) -> bytes:
    """Return the content of a table.

    Raises:
        UnfitStudyError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)  # more than that is refused, whatever it is
    except OSError as error:
        raise UnfitStudyError([f"{printable(path.name)}: {error.strerror or 'cannot be read'}"]) from None


def rows_of(content: bytes, *, required: tuple[str, ...], optional: tuple[str, ...]) -> list[Row]:
    """Return the lines of a study's table, in any encoding of a spreadsheet.

    Labels only say which scans belong together, so text that is not UTF-8 is read as Windows-1252.

    Raises:
        CsvTableError: it is too large, no text, or a column is missing, unknown or named twice.
    """
    if len(content) > MOST_BYTES:
        raise CsvTableError([f"the table is larger than {MOST_BYTES // 1000} kB: it is no study"])
    try:
        text = decode_text(content, otherwise="cp1252")
    except UnreadableTextError as error:
        raise CsvTableError([f"the table {error}"]) from None
    return list(rows_of_text(text, required=required, optional=optional))


def evaluate_table(content: bytes) -> tuple[EvaluatedStudy, ...]:
    """Evaluate each region of a table, and every set of vertebrae whose content and area the table has.

    Raises:
        UnfitStudyError: with every error of every line and of every region, and nothing is taken from such a table.
    """
    try:
        table = read_table(content)
    except CsvTableError as unreadable:
        raise UnfitStudyError(unreadable.mistakes) from None
    computed, mistakes = subset_scans(table.vertebrae, table.scans)
    reasons = [*table.mistakes, *mistakes]
    found: list[EvaluatedStudy] = []
    for scans, reanalysed in ((table.scans, False), (computed, True)):
        for region, of_region in _by_region(scans).items():
            try:
                study = evaluate_study(table.without_lost_repeats(of_region))
            except UnfitStudyError as unfit:
                reasons += [f"{region}: {reason}" for reason in unfit.reasons]
                continue
            found.append(EvaluatedStudy(study=study, scans=tuple(of_region), reanalysed=reanalysed))
    if reasons:
        reasons += [
            f"{one.study.region}: {objection}"
            for one in found
            for objection in one.study.objections
            if not table.may_have(one.study.region, MINIMUM_DEGREES_OF_FREEDOM - one.study.degrees_of_freedom)
        ]
    if reasons or not found:
        raise UnfitStudyError(reasons or ["there are no scans"])
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTable:
    """The lines of a table that could be read, the errors of the others, and whom and what those were about."""

    scans: list[PrecisionScan]
    vertebrae: list[Vertebra]
    mistakes: list[str]
    patients_in_doubt: set[str]
    lost: Counter[str]
    """How many lines of a region could not be read; those of an unknown region under the empty key."""

    def without_lost_repeats(self, scans: list[PrecisionScan]) -> list[PrecisionScan]:
        """Leave out patients who seem to have been scanned once only because a line could not be read."""
        counts = Counter(scan.patient for scan in scans)
        kept = [scan for scan in scans if counts[scan.patient] > 1 or scan.patient not in self.patients_in_doubt]
        return kept or scans

    def may_have(self, region: Region, scans: int) -> bool:
        """Whether the lines that could not be read may be so many scans of a region."""
        return scans <= self.lost[region.key] + self.lost[""]


def read_table(content: bytes) -> StudyTable:
    """Return the lines of a table: patient, scan, region, bmd, and technologist, date, area, bmc, unit if known.

    Raises:
        CsvTableError: it is no such table.
    """
    rows = rows_of(content, required=COLUMNS, optional=(TECHNOLOGIST, DATE, AREA, BMC, UNIT))
    table = StudyTable(scans=[], vertebrae=[], mistakes=[], patients_in_doubt=set(), lost=Counter())
    in_mg: list[Row] = []
    for row in rows:
        scan = _scan(row)
        if scan is not None and LOOKS_LIKE_MG[0] < scan.bmd < LOOKS_LIKE_MG[1]:
            in_mg.append(row)
            continue
        vertebra = _vertebra(row, scan) if scan is not None else None
        if row.mistakes or scan is None:
            table.mistakes.extend(row.mistakes)
            table.patients_in_doubt.add(row.text("patient"))
            table.lost[_region_key(row)] += 1
        elif vertebra is not None:
            table.vertebrae.append(vertebra)
        else:
            table.scans.append(scan)
    table.mistakes.extend(unit_mistakes(rows, in_mg))
    for row in in_mg:
        table.patients_in_doubt.add(row.text("patient"))
        table.lost[_region_key(row)] += 1
    return table


def unit_mistakes(rows: list[Row], in_mg: list[Row]) -> list[str]:
    """Return what is wrong with the units of a table: a density as in mg/cm2, or a column that names other units."""
    found: list[str] = []
    units = dict.fromkeys(row.text(UNIT) for row in rows if row.text(UNIT))
    wrong = [row for row in rows if row.text(UNIT) and row.text(UNIT).replace(" ", "").lower() not in UNITS]
    if len(units) > 1:
        found.append("unit: the table has two units; every bmd has to be in g/cm2")
    if wrong:
        found.append(f"unit: {_lines(wrong)} not in g/cm2; every bmd has to be")
    if in_mg:
        mixed = "two units: " if len(in_mg) < len(rows) else ""
        found.append(f"bmd: {mixed}{_lines(in_mg)} as in mg/cm2; every bmd has to be in g/cm2")
    return found


def _lines(rows: list[Row]) -> str:
    first = ", ".join(str(row.line) for row in rows[:5])
    if len(rows) == 1:
        return f"line {first} is"
    return f"lines {first} and {len(rows) - 5} more are" if len(rows) > 5 else f"lines {first} are"


def _scan(row: Row) -> PrecisionScan | None:
    """Return the scan of a line, or ``None`` with the line's errors noted."""
    patient, scan, region_name = (row.required(column) for column in COLUMNS[:3])
    row.required("bmd")
    bmd, day = row.read("bmd", as_number), row.read(DATE, as_date)
    if _has_split_number(row):
        row.mistakes.append(f"line {row.line}: bmd: a decimal comma in a table that is separated by commas")
    region = parse_known_region(row, region_name)
    if row.mistakes or bmd is None or region is None:
        return None
    technologist = row.text(TECHNOLOGIST)
    return PrecisionScan(patient=patient, scan=scan, region=region, bmd=bmd, technologist=technologist, day=day)


def parse_known_region(row: Row, name: str) -> Region | None:
    """Return the region of a line; ``None``, and noted as an error, if nobody knows it."""
    try:
        return parse_region(name)
    except UnknownRegionError:
        row.mistakes.append(f"line {row.line}: region names no region we know")
        return None


def _vertebra(row: Row, scan: PrecisionScan) -> Vertebra | None:
    """Return a single vertebra with content and area, for the sets it belongs to; ``None`` for any other line."""
    area, bmc = row.read(AREA, _above_zero), row.read(BMC, _above_zero)
    if not is_single_vertebra(scan.region) or area is None:
        return None
    return Vertebra(scan=scan, area=area, bmc=bmc if bmc is not None else scan.bmd * area)


def _above_zero(text: str) -> Decimal:
    number = as_number(text)
    if number <= 0:
        raise ValueError("a number above zero")
    return number


def _by_region(scans: list[PrecisionScan]) -> dict[Region, list[PrecisionScan]]:
    found: dict[Region, list[PrecisionScan]] = {}
    for scan in scans:
        found.setdefault(scan.region, []).append(scan)
    return found


def _region_key(row: Row) -> str:
    try:
        return parse_region(row.text("region")).key
    except UnknownRegionError:
        return ""


def _has_split_number(row: Row) -> bool:
    """Return whether a number such as 1,034 became two cells: a whole number, and only digits beside it."""
    return row.text("bmd").isdigit() and row.text(TECHNOLOGIST).isdigit() and len(row.text(TECHNOLOGIST)) > 1
