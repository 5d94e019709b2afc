"""What does nobody's scanner know about the patient, but somebody wrote down?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from pipeline.clinical.regions import Side


class Menopause(StrEnum):
    """Menopausal status; the transition counts as after for classification (R4.1)."""

    BEFORE = "before"
    TRANSITION = "transition"
    AFTER = "after"


class Therapy(StrEnum):
    """The kind of osteoporosis therapy; which drug is not for us to know (R3.7, R2.18)."""

    NONE = "none"
    ANTIRESORPTIVE = "antiresorptive"
    ANABOLIC = "anabolic"
    OTHER = "other"


NUMBERS = {
    "glucocorticoid_mg": 5000,
    "glucocorticoid_months": 1200,
    "peak_height_cm": 300,
    "frax_hip_percent": 101,
    "frax_major_percent": 101,
}
"""The fields that hold a number, and what none of them reaches."""


class ImpossibleContext(ValueError):
    """A number in a record that cannot be meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalContext:
    """One dated record of what no report carries (section 5.1); ``None`` is unknown, and unknown is never "no".

    ``source`` says who wrote it: order, record or questionnaire.

    Raises:
        ImpossibleContext: a number that nobody has; the text names the field, never the value.
    """

    recorded_on: date
    source: str = ""

    menopause: Menopause | None = None
    """Decides between T- and Z-score (R4.1)."""

    therapy: Therapy | None = None
    """Osteoporosis therapy on that day (R3.7, R5.1, R5.8)."""

    therapy_since: date | None = None
    """When it began or was last changed (R3.7, R5.1)."""

    glucocorticoid_mg: Decimal | None = None
    """Prednisone-equivalent in mg a day, 0 for none (R5.1, R5.2, R5.9)."""

    glucocorticoid_months: Decimal | None = None
    """For how many months (R5.1, R5.2, R5.9)."""

    cancer_therapy: bool | None = None
    """Aromatase inhibitors, androgen deprivation or the like (R5.1)."""

    rapid_loss_risk: bool | None = None
    """Another high risk of short-term loss (R5.1)."""

    fragility_fracture: bool | None = None
    """Any fragility fracture so far (R4.2)."""

    reported_vertebral_fracture: bool | None = None
    """A vertebral fracture the patient reports and nobody documented (R5.2)."""

    fracture_on_therapy: bool | None = None
    """A new fracture under therapy (R5.4)."""

    peak_height_cm: Decimal | None = None
    """Height as a young adult (R5.2)."""

    hyperparathyroidism: bool | None = None
    """Makes the forearm a site of its own (R2.17, R5.5)."""

    stress_fracture_suspected: bool | None = None
    """Opens the stress fracture path (R5.6)."""

    frax_hip_percent: Decimal | None = None
    """Ten-year risk of hip fracture as somebody computed it (R5.8)."""

    frax_major_percent: Decimal | None = None
    """Ten-year risk of a major osteoporotic fracture as somebody computed it (R5.8)."""

    frax_source: str = ""
    """Who computed it, and with which country's model (R5.8)."""

    non_dominant_arm: Side | None = None
    """Which forearm to measure (R2.17)."""

    pregnancy: bool | None = None
    """Whether a pregnancy is known on that day (section 5.1)."""

    calcium_tablet: bool | None = None
    """A calcium tablet within 24 hours before the scan (R2.22)."""

    contrast: bool | None = None
    """A recent contrast or nuclear study (R2.22)."""

    spinal_hardware: bool | None = None
    """Hardware or vertebroplasty in the lumbar spine (R2.22)."""

    spine_artefact: bool | None = None
    """Another artefact over the spine (R2.22)."""

    left_hip_prosthesis: bool | None = None
    """A prosthesis or hardware in the left hip (R2.22)."""

    right_hip_prosthesis: bool | None = None
    """A prosthesis or hardware in the right hip (R2.22)."""

    def __post_init__(self) -> None:
        for name in NUMBERS:
            value = getattr(self, name)
            if value is not None and not (value.is_finite() and 0 <= value < NUMBERS[name]):
                raise ImpossibleContext(f"{name} is not a number from 0 to below {NUMBERS[name]}")


def context_on(records: Sequence[ClinicalContext], day: date) -> ClinicalContext | None:
    """What was last written down up to a day, the day included; of two records of one day the later in order."""
    known = sorted((record for record in records if record.recorded_on <= day), key=lambda record: record.recorded_on)
    return known[-1] if known else None
