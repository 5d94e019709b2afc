"""Fill in the scanner, its software, and the first and last day of a new LSC (R1.11)."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline.clinical.model import Epoch, Scanner
from pipeline.clinical.precision_study import FILL_IN
from pipeline.edge.app import App
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.store import scanner_exams, scanners
from pipeline.edge.store.database import Database
from pipeline.errors import DxatrendError
from pipeline.sr.extract.scanner_alias import canonical_scanner

VALID_YEARS = 5
"""How long an entry holds if the scanner is not recalibrated before (R1.11)."""


class UnknownScannerError(DxatrendError):
    """A serial number that no known scanner has, or more than one; the text names those that are known."""


class Validity(NamedTuple):
    """The first and the last day of an entry, and what to do before the last."""

    begins: date
    ends: date
    reminder: str


def validity(epochs: Iterable[Epoch], scanner: Scanner, begins: date, ends: date | None = None) -> Validity:
    """Return the days of an entry: to the end given, else for five years or until the scanner's next epoch (R1.11)."""
    next_epoch = min((one.begins for one in epochs if one.scanner == scanner and one.begins > begins), default=None)
    if ends is None:
        day_before = next_epoch - timedelta(days=1) if next_epoch else date.max
        ends = min(_years_later(begins, VALID_YEARS), day_before)
    why = f"; a new calibration begins on {next_epoch}" if next_epoch and next_epoch <= ends + timedelta(days=1) else ""
    return Validity(begins, ends, f"repeat the study before: of later exams no change is judged (NO_LSC){why}")


def scanner_of_study(scanners: Iterable[Scanner], serial_number: str | None) -> Scanner:
    """Return the scanner with a serial number, or the only one there is; else one with ``FILL_IN`` for its names."""
    wanted = Scanner("", "", serial_number or "").key[-1]
    named = [scanner for scanner in scanners if wanted in ("", scanner.key[-1])]
    return named[0] if len(named) == 1 else Scanner(FILL_IN, FILL_IN, serial_number or FILL_IN)


def known_scanners(connection: Connection, reference_data: ReferenceData) -> list[Scanner]:
    """Return the scanners that a study may be of: those of ``scanners.toml``, and those whose reports came."""
    seen = (canonical_scanner(one, reference_data.spellings) for one in scanners.identified(connection))
    return list(dict.fromkeys((*reference_data.scanners, *seen)))


def known_scanner(app: App, serial_number: str | None) -> Scanner:
    """Return the scanner with a serial number, or the only one there is.

    Raises:
        UnknownScannerError: there is none, or more than one.
    """
    with app.database.read() as connection:
        known = known_scanners(connection, app.reference_data)
    found = scanner_of_study(known, serial_number)
    if found not in known:
        named = "; ".join(str(one) for one in known) or "none"
        raise UnknownScannerError(f"not exactly one scanner has this serial number; known are: {named}")
    return found


def software_of(database: Database, scanner: Scanner) -> str:
    """Return the software of the latest exam on a scanner; empty where no report states it."""
    with database.read() as connection:
        latest = scanner_exams.latest(connection, scanner, limit=1)
    return latest[0].software if latest else ""


def _years_later(day: date, years: int) -> date:
    year = min(day.year + years, date.max.year)
    try:
        return day.replace(year=year)
    except ValueError:  # 29 February
        return day.replace(year=year, day=28)
