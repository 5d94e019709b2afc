"""Scanner (densitometer): its identity, its calibration epochs and the days without verified quality control."""

from dataclasses import dataclass, field
from datetime import date, datetime, time


@dataclass(frozen=True, slots=True)
class Scanner:
    """One physical densitometer. Scans compare only when their scanners are equal (R2.1).

    Equality ignores letter case and spacing, as the same console may send ``HOLOGIC`` and ``Hologic``. Two scanners
    without a serial number are equal, but neither is ``identified``.
    """

    manufacturer: str
    model: str
    serial_number: str

    key: tuple[str, str, str] = field(init=False, repr=False, compare=False)
    """Manufacturer, model and serial number, case-folded: equality compares these."""

    def __post_init__(self) -> None:
        parts = (self.manufacturer, self.model, self.serial_number)
        manufacturer, model, serial_number = (" ".join(part.casefold().split()) for part in parts)
        object.__setattr__(self, "key", (manufacturer, model, serial_number))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scanner) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.manufacturer} {self.model} (serial number {self.serial_number or 'not stated'})"

    @property
    def identified(self) -> bool:
        """Whether manufacturer, model and serial number are all known."""
        return all(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A calibration epoch of a scanner, opened by service, relocation or a new tube (R2.6).

    Comparison stops at a new epoch unless ``cross_calibrated``: the phantom showed that the calibration held.
    """

    scanner: Scanner
    begins: date
    reason: str
    cross_calibrated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QcGap:
    """Days on which a scanner's quality control failed or was not verified, first and last included (R7.6).

    ``after`` and ``before`` are the last good phantom scan and the next one, in the scanner's time, where both days
    are not in doubt as a whole.
    """

    scanner: Scanner
    begins: date
    ends: date
    reason: str
    after: datetime | None = None
    before: datetime | None = None

    def covers(self, performed_at: datetime) -> bool:
        """Whether a scan of that moment is in doubt; one at midnight has no known time, and counts as its whole day."""
        if not self.begins <= performed_at.date() <= self.ends:
            return False
        if performed_at.time() == time.min:
            return True
        is_after = self.after is None or performed_at > self.after
        return is_after and (self.before is None or performed_at < self.before)
