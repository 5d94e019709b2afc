"""Which machine was it, when the report does not tell its serial number but the department knows?

An alias is the department's own word (R2.1): the machine that stands behind a station or institution name during some
time. It supplies a serial number that is missing, and never overrules one that was told; two that differ supply none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pydicom.dataset import Dataset

from pipeline.clinical.model import Scanner
from pipeline.sr.encoding import Elements
from pipeline.sr.tree import folded, header_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A machine and what its reports call themselves; empty names fit any. Both days are included."""

    scanner: Scanner
    station_name: str = ""
    institution: str = ""
    begins: date = date.min
    ends: date = date.max

    def fits(self, scanner: Scanner, report: Elements | Dataset, on: date) -> bool:
        """Whether a report of a day, of a machine without serial number, is this machine's."""
        told = Scanner(scanner.manufacturer, scanner.model, self.scanner.serial_number)
        names = ((self.station_name, "StationName"), (self.institution, "InstitutionName"))
        return (
            told == self.scanner
            and self.begins <= on <= self.ends
            and all(not name or folded(name) == folded(header_text(report, keyword)) for name, keyword in names)
        )


def supply_serial_number(scanner: Scanner, report: Elements | Dataset, on: date, aliases: Sequence[Alias]) -> Scanner:
    """The machine an unidentified scanner is, by the aliases that fit; itself when none does, or several differ."""
    meant = {alias.scanner for alias in aliases if not scanner.serial_number and alias.fits(scanner, report, on)}
    return meant.pop() if len(meant) == 1 else scanner
