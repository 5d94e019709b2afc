"""Results of precision and cross-calibration studies: the LSC of a region, and the line between two scanners."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pipeline.clinical.model.limits import A_THOUSAND, BEYOND_BONE, ZERO, require_between
from pipeline.clinical.model.scanner import Scanner
from pipeline.clinical.regions import Region


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastSignificantChange:
    """Least significant change (LSC) of one scanner and region, from the facility's own precision study (R1.12).

    ``lsc`` in g/cm2 at 95 % confidence; valid for exams from ``valid_from`` to ``valid_until``, both included.
    The LSC of a region without a side serves both sides, never their mean (R1.16). ``same_day`` says whether the study
    repeated its scans on one day; ``approximated`` marks a value inflated from L1-L4 (R1.15), ``generalised`` one
    that spans two cross-calibrated scanners (R2.10).

    Raises:
        ImpossibleMeasurementError: an LSC that no precision study yields.
    """

    scanner: Scanner
    region: Region
    lsc: Decimal
    valid_from: date
    valid_until: date
    source: str
    patients: int | None = None
    repeats: int | None = None
    same_day: bool | None = None
    approximated: bool = False
    generalised: bool = False

    def __post_init__(self) -> None:
        require_between(self.region, "lsc", self.lsc, above=ZERO, below=BEYOND_BONE["bmd"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCalibration:
    """The line that predicts BMD on one scanner from another: ``new = intercept + slope * old`` (R2.7, R2.10).

    From an in vivo study of ``patients`` scanned once on the old and ``scans_on_new`` times on the new scanner.
    ``intercept``, ``residual_sd`` (SEE) and the precision errors in g/cm2. A region without a side serves both sides.
    Valid for exams on the new scanner from ``valid_from`` on.

    Raises:
        ImpossibleMeasurementError: a number that no cross-calibration yields.
    """

    old: Scanner
    new: Scanner
    region: Region
    intercept: Decimal
    slope: Decimal
    residual_sd: Decimal
    precision_error_old: Decimal
    precision_error_new: Decimal
    patients: int
    scans_on_new: int
    valid_from: date
    source: str

    def __post_init__(self) -> None:
        for name in ("slope", "residual_sd", "precision_error_old", "precision_error_new"):
            require_between(self.region, name, getattr(self, name), above=ZERO, below=BEYOND_BONE["bmd"])
        require_between(self.region, "intercept", self.intercept, above=-BEYOND_BONE["bmd"], below=BEYOND_BONE["bmd"])
        require_between(self.region, "scans_on_new", Decimal(self.scans_on_new), above=ZERO, below=A_THOUSAND)
