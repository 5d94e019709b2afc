"""What scanners on file lack, so that less is said of their exams than could be, each with the lines to add."""

import shlex
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.store import scanners, senders
from pipeline.edge.store.scanners import Respelt, UnidentifiedScanner
from pipeline.edge.store.senders import NewSender
from pipeline.sr.extract.scanner_alias import canonical_scanner


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerWithoutLsc:
    """A scanner for which no LSC is valid today: no change of its exams is judged."""

    scanner: Scanner
    last_seen_at: datetime
    expired_on: date | None
    """When its last LSC expired, if it had any."""

    @property
    def command(self) -> str:
        """The command that prints the lines for ``precision.toml`` from a precision study."""
        return f"dxatrend precision study.csv --serial-number {shlex.quote(self.scanner.serial_number)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerGaps:
    """Scanners without serial number, in two spellings, with senders nobody has confirmed, or without an LSC."""

    unidentified: tuple[UnidentifiedScanner, ...]
    respelt: tuple[Respelt, ...]
    new_senders: tuple[NewSender, ...]
    without_lsc: tuple[ScannerWithoutLsc, ...]

    def __bool__(self) -> bool:
        """Whether any scanner lacks anything."""
        return bool(self.unidentified or self.respelt or self.new_senders or self.without_lsc)


def scanner_gaps(connection: Connection, reference_data: ReferenceData, *, on: date) -> ScannerGaps:
    """Return what scanners on file lack."""
    clinical = reference_data.clinical
    return ScannerGaps(
        unidentified=tuple(scanners.not_identified(connection, reference_data.aliases)),
        respelt=tuple(scanners.respelt(connection, reference_data.scanners, reference_data.spellings, clinical.epochs)),
        new_senders=tuple(senders.unconfirmed_senders(connection)),
        without_lsc=tuple(without_lsc(connection, reference_data, on=on)),
    )


def without_lsc(connection: Connection, reference_data: ReferenceData, *, on: date) -> list[ScannerWithoutLsc]:
    """Return the scanners on file for which no LSC is valid on a day, the one seen last first."""
    lscs = reference_data.clinical.lscs
    valid = {lsc.scanner for lsc in lscs if lsc.valid_from <= on <= lsc.valid_until}
    found = []
    for scanner, seen in scanners.identified(connection).items():
        is_canonical = canonical_scanner(scanner, reference_data.spellings) == scanner
        if is_canonical and scanner not in valid:
            expired = [lsc.valid_until for lsc in lscs if lsc.scanner == scanner and lsc.valid_until < on]
            found.append(ScannerWithoutLsc(scanner=scanner, last_seen_at=seen, expired_on=max(expired, default=None)))
    return found
