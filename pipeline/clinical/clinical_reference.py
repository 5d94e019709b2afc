"""Reference data that a department supplies: LSCs, calibration epochs, cross-calibrations, QC gaps and rules.

Scanners are named as their reports name them. No report carries any of these values (R1.9).
"""

from dataclasses import dataclass, field

from pipeline.clinical.model import CrossCalibration, Epoch, LeastSignificantChange, QcGap
from pipeline.clinical.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalReference:
    """What a department has on file about its scanners, and the thresholds it has set."""

    lscs: tuple[LeastSignificantChange, ...] = ()
    """LSCs in g/cm2, from the department's own precision studies (R1.12)."""

    epochs: tuple[Epoch, ...] = ()
    """Calibration epochs: comparison stops at one that the phantom does not bridge (R2.6)."""

    cross_calibrations: tuple[CrossCalibration, ...] = ()
    """Pairs of scanners that may be compared (R2.7, R2.10)."""

    qc_gaps: tuple[QcGap, ...] = ()
    """Days without verified quality control (R7.6)."""

    rules: Rules = field(default_factory=Rules)
    """The thresholds of ``rules.toml``."""
