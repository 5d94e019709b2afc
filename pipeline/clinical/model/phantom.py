"""Phantom: an object of known density that a department scans for the quality control of its scanners (R7.1)."""

from dataclasses import dataclass
from datetime import date

from pipeline.clinical.regions import Region


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """One phantom: its name in the department, the region by which it is judged, and its days, both included."""

    name: str
    region: Region
    kind: str = ""
    serial_number: str = ""
    since: date = date.min
    until: date = date.max
    replaces: str = ""
    """The name of the phantom that this one replaced."""
