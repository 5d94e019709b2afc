"""Identify the scanner of a report by the site's configuration: aliases and spellings (R2.1).

An alias names the scanner behind a station or institution name during some time. It supplies a missing serial number
and never overrules one in the report; two aliases that differ supply none. A spelling is another name under which
reports of a scanner come, such as before a software upgrade.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from pipeline.clinical.model import Scanner
from pipeline.sr.dicom.content_item import folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A scanner, and the station and institution its reports name; empty names fit any. Both days are included."""

    scanner: Scanner
    station_name: str = ""
    institution: str = ""
    begins: date = date.min
    ends: date = date.max

    def fits(self, scanner: Scanner, *, station_name: str, institution: str, on: date) -> bool:
        """Whether a scanner without serial number, with these names on a day, is this scanner."""
        completed = Scanner(scanner.manufacturer, scanner.model, self.scanner.serial_number)
        names = ((self.station_name, station_name), (self.institution, institution))
        return (
            completed == self.scanner
            and self.begins <= on <= self.ends
            and all(not wanted or folded(wanted) == folded(name) for wanted, name in names)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """A scanner, and another name under which its reports come."""

    scanner: Scanner
    reported: Scanner


def canonical_scanner(scanner: Scanner, spellings: Sequence[Spelling]) -> Scanner:
    """Return the scanner that a name is a spelling of; the name itself when it is none."""
    return next((spelling.scanner for spelling in spellings if spelling.reported == scanner), scanner)


def with_spellings(aliases: Sequence[Alias], spellings: Sequence[Spelling]) -> tuple[Alias, ...]:
    """Return the aliases, each repeated for every other manufacturer or model under which its scanner is known."""
    known: dict[tuple[Alias, tuple[str, ...]], Alias] = {}
    for alias in aliases:
        others = [spelling.reported for spelling in spellings if spelling.scanner == alias.scanner]
        for scanner in (alias.scanner, *others):
            known.setdefault((alias, scanner.key[:2]), replace(alias, scanner=scanner))
    return tuple(known.values())


def supply_serial_number(
    scanner: Scanner, aliases: Sequence[Alias], *, station_name: str, institution: str, on: date
) -> Scanner:
    """Return the scanner that the fitting aliases name; the given one if it has a serial number or they differ."""
    meant = {
        alias.scanner
        for alias in aliases
        if not scanner.serial_number and alias.fits(scanner, station_name=station_name, institution=institution, on=on)
    }
    return meant.pop() if len(meant) == 1 else scanner
