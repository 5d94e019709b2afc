"""Exam and measurement: what one visit to one scanner measured.

Every number is a ``Decimal`` exactly as the scanner printed it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from pipeline.clinical.model.limits import A_THOUSAND, BEYOND_BONE, ZERO, is_exact_between, require_between
from pipeline.clinical.model.patient import Patient
from pipeline.clinical.model.scanner import Scanner
from pipeline.clinical.regions import Region

_PLAUSIBLE = (
    *((name, ZERO, below) for name, below in BEYOND_BONE.items()),
    *(
        (name, -A_THOUSAND, A_THOUSAND)
        for name in ("t_score", "z_score", "percent_young_adult", "percent_age_matched", "tbs")
    ),
)
"""The limits of each number of a measurement."""

LONGEST_EXAM = timedelta(hours=12)
"""The most time between two parts of one exam, or two scans of one evening, also across midnight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One region as one exam measured it.

    ``bmd`` in g/cm2, ``bmc`` in g, ``area`` in cm2, percentages of the young-adult and age-matched mean in %,
    ``tbs`` without unit. ``scan_mode``, ``analysis_protocol``, ``reference_population`` (behind the T-score) and
    ``technologist`` are the scanner's own texts, empty where it states none.

    Raises:
        ImpossibleMeasurementError: a number outside the limits; the text names region and field, never the value.
    """

    region: Region
    bmd: Decimal
    bmc: Decimal | None = None
    area: Decimal | None = None
    t_score: Decimal | None = None
    z_score: Decimal | None = None
    percent_young_adult: Decimal | None = None
    percent_age_matched: Decimal | None = None
    tbs: Decimal | None = None
    scan_mode: str = ""
    analysis_protocol: str = ""
    reference_population: str = ""
    technologist: str = ""

    def __post_init__(self) -> None:
        for name, above, below in _PLAUSIBLE:
            value = getattr(self, name)
            if value is not None:
                require_between(self.region, name, value, above=above, below=below)


def other_population(now: Measurement, then: Measurement) -> bool:
    """Whether both scans state the reference population of their scores, and state different ones (R4.5)."""
    first, second = (" ".join(m.reference_population.casefold().split()) for m in (now, then))
    return bool(first and second) and first != second


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """One visit of one patient to one scanner: the unit of work.

    ``performed_at`` is the department's local time, ``software`` the scanner's version text. ``measurements`` holds
    each region once. ``age`` (as stated on the day) and ``menopause_age`` in years, ``weight_kg``, ``height_cm``: an
    impossible value of these four becomes ``None``, as they serve cautions only. ``visit`` numbers the exams of a
    study that was split.
    """

    study_instance_uid: str
    patient: Patient
    scanner: Scanner
    performed_at: datetime
    measurements: tuple[Measurement, ...]
    software: str = ""
    accession_number: str = ""
    institution: str = ""
    age: Decimal | None = None
    weight_kg: Decimal | None = None
    height_cm: Decimal | None = None
    menopause_age: Decimal | None = None
    visit: int = 1
    by_region: Mapping[str, Measurement] = field(init=False, repr=False, compare=False)
    """The measurements by region key."""

    performed_on: date = field(init=False, repr=False, compare=False)
    """The day of the visit."""

    key: tuple[str, int] = field(init=False, repr=False, compare=False)
    """Study Instance UID and visit: unique among the exams of a patient."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "performed_on", self.performed_at.date())
        object.__setattr__(self, "key", (self.study_instance_uid, self.visit))
        for name in ("age", "weight_kg", "height_cm", "menopause_age"):
            if not is_exact_between(getattr(self, name), above=ZERO, below=A_THOUSAND):
                object.__setattr__(self, name, None)
        object.__setattr__(self, "performed_at", self.performed_at.replace(tzinfo=None))
        object.__setattr__(self, "by_region", {m.region.key: m for m in reversed(self.measurements)})

    def is_of_same_day(self, other: "Exam") -> bool:
        """Whether two exams are of one day, or of one evening that continues after midnight."""
        return self.performed_on == other.performed_on or abs(self.performed_at - other.performed_at) <= LONGEST_EXAM

    def measurement_of(self, region: Region) -> Measurement | None:
        """Return the measurement of a region; ``None`` where there is none."""
        return self.by_region.get(region.key)
