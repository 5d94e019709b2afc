"""Settings of ``scanners.toml``: epochs, QC gaps, aliases, spellings, cross-calibrations and phantoms."""

from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from pipeline.clinical.model import CrossCalibration, Phantom, Scanner
from pipeline.edge.configuration.section import GramsPerCm2, Name, RegionKey, Section, SerialNumber

FEWEST_LETTERS = 3
"""Letters and digits of a pattern by which a phantom is recognised."""


class QcGapSettings(Section):
    """``[[scanner.unverified]]``: days on which quality control failed or was not shown to hold (R7.6)."""

    begins: Annotated[date, Field(alias="from")]
    ends: Annotated[date, Field(alias="until")]
    reason: Name


class AliasSettings(Section):
    """``[[scanner.alias]]``: the station or institution name of a scanner whose reports have no serial number."""

    station_name: str = ""
    institution: str = ""
    begins: Annotated[date, Field(alias="from")] = date.min
    ends: Annotated[date, Field(alias="until")] = date.max

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.station_name.strip() or self.institution.strip()):
            raise ValueError("give station_name or institution, else every scanner of the model would be this one")
        return self


class SpellingSettings(Section):
    """``[[scanner.spelling]]``: another name of this scanner in its reports; what is not given is as above."""

    manufacturer: Name | None = None
    model: Name | None = None
    serial_number: Name | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.manufacturer or self.model or self.serial_number):
            raise ValueError("give what is spelt otherwise: manufacturer, model or serial_number")
        return self


class EpochSettings(Section):
    """``[[scanner.epoch]]``: the day of a recalibration, and whether a phantom bridged it (R2.6)."""

    begins: Annotated[date, Field(alias="from")]
    reason: Name
    cross_calibrated: bool


class ScannerSettings(Section):
    """``[[scanner]]``: what reports do not say of a scanner."""

    manufacturer: Name
    model: Name
    serial_number: SerialNumber
    name: str = ""
    epoch: tuple[EpochSettings, ...] = ()
    unverified: tuple[QcGapSettings, ...] = ()
    alias: tuple[AliasSettings, ...] = ()
    spelling: tuple[SpellingSettings, ...] = ()

    @property
    def scanner(self) -> Scanner:
        """The scanner of this entry."""
        return Scanner(self.manufacturer, self.model, self.serial_number)


class ScannerIdentitySettings(Section):
    """One scanner, named as in its reports."""

    manufacturer: Name
    model: Name
    serial_number: SerialNumber

    @property
    def scanner(self) -> Scanner:
        """The scanner of this entry."""
        return Scanner(self.manufacturer, self.model, self.serial_number)


class CrossCalibrationSettings(Section):
    """``[[cross_calibration]]``: an in vivo study that lets two scanners be compared (R2.7, R2.10).

    ``new BMD = intercept + slope x old BMD``; residual SD and precision errors in g/cm².
    """

    old: ScannerIdentitySettings
    new: ScannerIdentitySettings
    region: RegionKey
    intercept: Decimal
    slope: Annotated[Decimal, Field(gt=0)]
    residual_sd: GramsPerCm2
    precision_error_old: GramsPerCm2
    precision_error_new: GramsPerCm2
    patients: Annotated[int, Field(ge=30)]
    scans_on_new: Annotated[int, Field(ge=1)]
    valid_from: date
    source: Name

    @property
    def record(self) -> CrossCalibration:
        """The entry as a clinical value."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name not in ("old", "new")}
        return CrossCalibration(old=self.old.scanner, new=self.new.scanner, **values)


def _pattern(text: str) -> str:
    """Refuse a pattern that would make phantoms of patients."""
    if sum(letter.isalnum() for letter in text) < FEWEST_LETTERS:
        raise ValueError(f"a pattern has at least {FEWEST_LETTERS} letters or digits, else it fits patients as well")
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class PhantomSettings(Section):
    """``[[phantom]]``: a phantom, the patient ids and names it is scanned under, and the region that is judged (R7)."""

    name: Name
    patient_id: tuple[Pattern, ...] = ()
    patient_name: tuple[Pattern, ...] = ()
    region: RegionKey
    kind: str = ""
    serial_number: str = ""
    since: date = date.min
    until: date = date.max
    replaces: str = ""

    @model_validator(mode="after")
    def _can_be_recognised(self) -> Self:
        if not (self.patient_id or self.patient_name):
            raise ValueError("give patient_id or patient_name: under which of them is the phantom scanned?")
        if self.since > self.until:
            raise ValueError("until is before since")
        return self

    @property
    def record(self) -> Phantom:
        """The entry as a clinical value."""
        return Phantom(**{name: getattr(self, name) for name in type(self).model_fields if "patient" not in name})


class ScannersSettings(Section):
    """``scanners.toml``."""

    scanner: tuple[ScannerSettings, ...] = ()
    cross_calibration: tuple[CrossCalibrationSettings, ...] = ()
    phantom: tuple[PhantomSettings, ...] = ()

    @field_validator("phantom")
    @classmethod
    def _replace_one_another(cls, entries: tuple[PhantomSettings, ...]) -> tuple[PhantomSettings, ...]:
        names = [entry.name for entry in entries]
        for name in sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two phantoms are called {name!r}")
        replaced = {entry.name: entry.replaces for entry in entries if entry.replaces}
        for entry in entries:
            if entry.replaces and entry.replaces not in names:
                raise ValueError(f"{entry.name!r} replaces {entry.replaces!r}, which is not listed")
            chain, earlier = {entry.name}, entry.replaces
            while earlier:
                if earlier in chain:
                    raise ValueError(f"{entry.name!r} replaces itself")
                chain.add(earlier)
                earlier = replaced.get(earlier, "")
        for name in sorted({name for name in replaced.values() if list(replaced.values()).count(name) > 1}):
            raise ValueError(f"{name!r} is replaced by two phantoms")
        return entries

    @field_validator("scanner")
    @classmethod
    def _one_entry_each(cls, entries: tuple[ScannerSettings, ...]) -> tuple[ScannerSettings, ...]:
        for one, other in combinations(entries, 2):
            if one.scanner == other.scanner:
                raise ValueError(f"{one.scanner} is listed twice")
        return entries
