"""Clinical context: dated records of a patient beside the reports, and what of them holds on one day (5.1, E7).

A *visit fact* holds on its day and the days after it that ``VISIT_FACTS`` gives. A *state* lasts until another record
changes it. Records combine field by field: an empty field leaves the earlier value in force.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pipeline.clinical.compare import months_between
from pipeline.clinical.regions import Side
from pipeline.errors import DxatrendError


class Menopause(StrEnum):
    """Menopausal status; the transition counts as after for classification (R4.1)."""

    BEFORE = "before"
    TRANSITION = "transition"
    AFTER = "after"


class Therapy(StrEnum):
    """The kind of osteoporosis therapy; the drug is not recorded (R3.7, R2.18)."""

    NONE = "none"
    ANTIRESORPTIVE = "antiresorptive"
    ANABOLIC = "anabolic"
    OTHER = "other"


class FractureSite(StrEnum):
    """The site of a fragility fracture, the gravest first: hip and vertebra count by themselves (E14)."""

    HIP = "hip"
    VERTEBRA = "vertebra"
    OTHER = "other"


class Kind(StrEnum):
    """How long a field of a record is valid (E7)."""

    VISIT_FACT = "visit fact"
    STATE = "state"


VISIT_FACTS = {
    "calcium_tablet": 0,
    "contrast": 0,
    "spine_artefact": 0,
    "pregnancy": 280,
    "stress_fracture_suspected": 90,
}
"""The visit facts, and for how many days after its own day each one still holds (E7)."""

RECENT_MONTHS = 24
"""A state recorded longer ago is quoted with its date, and supports no suggestion by itself (E7)."""

QUALIFIES = {
    "therapy_since": ("therapy",),
    "glucocorticoid_months": ("glucocorticoid_mg",),
    "fracture_site": ("fragility_fracture",),
    "frax_hip_percent": ("frax_major_percent",),
    "frax_major_percent": ("frax_hip_percent",),
    "frax_source": ("frax_hip_percent", "frax_major_percent"),
}
"""The fields that qualify others: they end when those change, and are confirmed when those are recorded again."""

NUMBERS = {
    "glucocorticoid_mg": 5000,
    "glucocorticoid_months": 1200,
    "peak_height_cm": 300,
    "frax_hip_percent": 101,
    "frax_major_percent": 101,
}
"""The numeric fields, each with a limit that its values stay below."""


class ImpossibleContextError(DxatrendError, ValueError):
    """A record holds an impossible number, or two fields that contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalContext:
    """One dated record of what no report carries (section 5.1); ``None`` is unknown, which is never "no".

    ``source`` is who wrote it: order, record or questionnaire. ``unknown`` names fields whose earlier values no longer
    hold. A ``fracture_site`` implies a fragility fracture.

    Raises:
        ImpossibleContextError: an impossible number, or contradictory fields; the text names the field, no value.
    """

    recorded_on: date
    source: str = ""
    unknown: tuple[str, ...] = ()

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

    fracture_site: FractureSite | None = None
    """Where it was; of several fractures the gravest counts (R4.2, R4.8)."""

    reported_vertebral_fracture: bool | None = None
    """A vertebral fracture reported by the patient, without documentation (R5.2)."""

    fracture_on_therapy: bool | None = None
    """A new fracture under therapy (R5.4)."""

    peak_height_cm: Decimal | None = None
    """Height as a young adult (R5.2)."""

    hyperparathyroidism: bool | None = None
    """Makes the forearm a site of its own (R2.17, R5.5)."""

    stress_fracture_suspected: bool | None = None
    """Opens the stress fracture path (R5.6)."""

    frax_hip_percent: Decimal | None = None
    """Recorded ten-year FRAX risk of hip fracture, in percent (R5.8)."""

    frax_major_percent: Decimal | None = None
    """Recorded ten-year FRAX risk of a major osteoporotic fracture, in percent (R5.8)."""

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
                raise ImpossibleContextError(f"{name} is not a number from 0 to below {NUMBERS[name]}")
        if self.non_dominant_arm is Side.MEAN:
            raise ImpossibleContextError("non_dominant_arm is neither left nor right")
        if self.fracture_site is not None:
            if self.fragility_fracture is False:
                raise ImpossibleContextError("fracture_site is set, but fragility_fracture is no")
            object.__setattr__(self, "fragility_fracture", True)


FIELDS = tuple(f.name for f in fields(ClinicalContext) if f.name not in ("recorded_on", "source", "unknown"))
"""The clinical fields of a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The record that a field rests on."""

    field: str
    recorded_on: date
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextOnDay(ClinicalContext):
    """All records combined: what holds on one day, ``recorded_on``.

    ``recent`` is the same without the states recorded more than 24 months before: a suggestion rests on these only.
    ``entries`` name the record of each field.
    """

    recent: ClinicalContext
    entries: tuple[Entry, ...] = ()

    def entry(self, field: str) -> Entry | None:
        """Return the record a field rests on; ``None`` if the field is unknown."""
        return next((entry for entry in self.entries if entry.field == field), None)


def kind_of(field: str) -> Kind:
    """Return whether a field is a visit fact or a state (E7)."""
    return Kind.VISIT_FACT if field in VISIT_FACTS else Kind.STATE


def context_on(records: Iterable[ClinicalContext], day: date) -> ContextOnDay:
    """Combine the records up to a day, the day included; of two records of one day the later in order counts.

    A visit fact counts on its own days only. A state lasts until a record changes it or declares it unknown.
    """
    known: dict[str, tuple[Any, Entry]] = {}
    for record in sorted((r for r in records if r.recorded_on <= day), key=lambda record: record.recorded_on):
        _add(known, record, day)
    recent = {field: value for field, (value, entry) in known.items() if not _is_old(entry, day)}
    return ContextOnDay(
        recorded_on=day,
        recent=ClinicalContext(recorded_on=day, **recent),
        entries=tuple(known[field][1] for field in FIELDS if field in known),
        **{field: value for field, (value, _) in known.items()},
    )


def _add(known: dict[str, tuple[Any, Entry]], record: ClinicalContext, day: date) -> None:
    """Add one more record to those before it."""
    values = {field: value for field in FIELDS if (value := getattr(record, field)) not in (None, "")}
    for field in record.unknown:
        known.pop(field, None)
    for field, others in QUALIFIES.items():
        if field in known and field not in values:
            _confirm_or_end(known, field, others, values, record)
    age = (day - record.recorded_on).days
    for field, value in values.items():
        if age <= VISIT_FACTS.get(field, age):
            meant = _gravest(value, known) if field == "fracture_site" else value
            known[field] = meant, Entry(field=field, recorded_on=record.recorded_on, source=record.source)


def _confirm_or_end(
    known: dict[str, tuple[Any, Entry]],
    field: str,
    others: Iterable[str],
    values: Mapping[str, Any],
    record: ClinicalContext,
) -> None:
    """End a qualifying field when one of the fields it qualifies changes; confirm it when one is recorded again."""
    again = [values[other] == known[other][0] for other in others if other in values and other in known]
    if not all(again) or any(other in record.unknown for other in others):
        del known[field]
    elif again:
        known[field] = known[field][0], Entry(field=field, recorded_on=record.recorded_on, source=record.source)


def _gravest(site: FractureSite, known: Mapping[str, tuple[Any, Entry]]) -> FractureSite:
    """Return the gravest of the known fracture site and a new one: a later fracture does not undo an earlier one."""
    sites = {site, known["fracture_site"][0]} if "fracture_site" in known else {site}
    return next(site for site in FractureSite if site in sites)


def _is_old(entry: Entry, day: date) -> bool:
    """Whether a state was recorded more than 24 months before a day, to the day (E7)."""
    old = months_between(entry.recorded_on, day - timedelta(days=1)) >= RECENT_MONTHS
    return old and kind_of(entry.field) is Kind.STATE
