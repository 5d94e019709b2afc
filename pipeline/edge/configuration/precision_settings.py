"""Settings of ``precision.toml``: the least significant changes (LSCs, g/cm²) of the department's own studies (R1)."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.clinical.model import LeastSignificantChange, Scanner
from pipeline.clinical.precision import LSC_FACTOR, MINIMUM_DEGREES_OF_FREEDOM, VERTEBRAE_OF_A_STUDY, overlaps
from pipeline.clinical.regions import Region
from pipeline.edge.configuration.section import GramsPerCm2, Name, RegionKey, Section, SerialNumber


class LscSettings(Section):
    """``[[lsc]]``: the LSC of one scanner and region, from the department's own precision study (R1.12)."""

    manufacturer: Name
    model: Name
    serial_number: SerialNumber
    region: RegionKey
    same_day: Annotated[bool | None, Field(validate_default=True)] = None
    lsc: GramsPerCm2 | None = None
    precision_error: GramsPerCm2 | None = None
    patients: Annotated[int, Field(ge=2)]
    repeats: Annotated[int, Field(ge=2)]
    valid_from: date
    valid_until: date
    source: Name

    @field_validator("same_day")
    @classmethod
    def _is_given_for_four_vertebrae(cls, same_day: bool | None, info: ValidationInfo) -> bool | None:
        region: Region | None = info.data.get("region")
        if same_day is None and region is not None and len(region.vertebrae) == VERTEBRAE_OF_A_STUDY:
            raise ValueError(
                "is missing; it has to be true if each patient's scans were made on one day, else false (R1.15)"
            )
        return same_day

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.lsc is None) == (self.precision_error is None):
            raise ValueError("give either lsc or precision_error, in g/cm2")
        if self.valid_until < self.valid_from:
            raise ValueError("valid_until lies before valid_from")
        freedom = self.patients * (self.repeats - 1)
        if freedom < MINIMUM_DEGREES_OF_FREEDOM:
            raise ValueError(
                f"{self.patients} patients with {self.repeats} scans give {freedom} degrees of freedom;"
                f" a precision study needs {MINIMUM_DEGREES_OF_FREEDOM} (R1.2)"
            )
        return self

    @property
    def record(self) -> LeastSignificantChange:
        """The entry as a clinical value."""
        return LeastSignificantChange(
            scanner=Scanner(self.manufacturer, self.model, self.serial_number),
            region=self.region,
            lsc=self.lsc if self.lsc is not None else self._lsc_from_precision_error(),
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            source=self.source,
            patients=self.patients,
            repeats=self.repeats,
            same_day=self.same_day,
        )

    def _lsc_from_precision_error(self) -> Decimal:
        assert self.precision_error is not None  # _is_consistent has checked
        return LSC_FACTOR * self.precision_error


class PrecisionSettings(Section):
    """``precision.toml``."""

    lsc: tuple[LscSettings, ...] = ()

    @field_validator("lsc")
    @classmethod
    def _do_not_overlap(cls, entries: tuple[LscSettings, ...]) -> tuple[LscSettings, ...]:
        for i, j in overlaps([entry.record for entry in entries]):
            raise ValueError(
                f"entries {i + 1} and {j + 1} from the top are both valid for {entries[i].region} of one scanner at "
                "the same time"
            )
        return entries
