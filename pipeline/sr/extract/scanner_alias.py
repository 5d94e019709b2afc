"""The department's own word on which machine a report is of (R2.1): aliases and spellings.

An alias is the machine that stands behind a station or institution name during some time. It supplies a serial number
that is missing, and never overrules one that was told; two that differ supply none. A spelling is what a machine has
called itself otherwise, as before an upgrade; whatever tells it is taken for that machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from pipeline.clinical.model import Scanner
from pipeline.sr.dicom.content_item import folded


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """A machine, and how reports of it may name it as well."""

    scanner: Scanner
    told: Scanner


def as_spelt_here(scanner: Scanner, spellings: Sequence[Spelling]) -> Scanner:
    """The machine that a scanner is a spelling of; itself when it is none."""
    return next((spelling.scanner for spelling in spellings if spelling.told == scanner), scanner)


def in_every_spelling(aliases: Sequence[Alias], spellings: Sequence[Spelling]) -> tuple[Alias, ...]:
    """The aliases, and each once more for every other manufacturer or model under which its machine is known."""
    known: dict[tuple[Alias, tuple[str, ...]], Alias] = {}
    for alias in aliases:
        others = [spelling.told for spelling in spellings if spelling.scanner == alias.scanner]
        for machine in (alias.scanner, *others):
            known.setdefault((alias, machine.key[:2]), replace(alias, scanner=machine))
    return tuple(known.values())


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
