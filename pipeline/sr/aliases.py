"""Which machine was it, when the report does not tell its serial number but the department knows?

An alias is the department's own word (R2.1): the machine that stands behind a station or institution name during some
time. It supplies a serial number that is missing, and never overrules one that was told; two that differ supply none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.clinical.model import Scanner
from pipeline.sr.tree import folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A machine and what its reports call themselves; empty names fit any. Both days are included."""

    scanner: Scanner
    station_name: str = ""
    institution: str = ""
    begins: date = date.min
    ends: date = date.max

    def fits(self, scanner: Scanner, *, station_name: str, institution: str, on: date) -> bool:
        """Whether a machine without serial number, called so on a day, is this machine."""
        told = Scanner(scanner.manufacturer, scanner.model, self.scanner.serial_number)
        names = ((self.station_name, station_name), (self.institution, institution))
        return (
            told == self.scanner
            and self.begins <= on <= self.ends
            and all(not wanted or folded(wanted) == folded(name) for wanted, name in names)
        )


def supply_serial_number(
    scanner: Scanner, aliases: Sequence[Alias], *, station_name: str, institution: str, on: date
) -> Scanner:
    """The machine an unidentified scanner is, by the aliases that fit; itself when none does, or several differ."""
    meant = {
        alias.scanner
        for alias in aliases
        if not scanner.serial_number and alias.fits(scanner, station_name=station_name, institution=institution, on=on)
    }
    return meant.pop() if len(meant) == 1 else scanner
