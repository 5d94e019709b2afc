"""Clinical context: what is on record of a patient beside the reports, and what of it holds on one day (5.1, E7).

A *visit fact* is true of one day, or of the days after it that ``VISIT_FACTS`` gives. A *state* lasts until another
record says otherwise. Records combine field by field: one that leaves a field empty says nothing about it.
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
    """The kind of osteoporosis therapy; which drug is not for us to know (R3.7, R2.18)."""

    NONE = "none"
    ANTIRESORPTIVE = "antiresorptive"
    ANABOLIC = "anabolic"
    OTHER = "other"


class FractureSite(StrEnum):
    """Where a fragility fracture was, the gravest first: hip and vertebra count by themselves (E14)."""

    HIP = "hip"
    VERTEBRA = "vertebra"
    OTHER = "other"


class Kind(StrEnum):
    """How long a field of a record holds (E7)."""

    VISIT_FACT = "visit fact"
    STATE = "state"


VISIT_FACTS = {
    "calcium_tablet": 0,
    "contrast": 0,
    "spine_artefact": 0,
    "pregnancy": 280,
    "stress_fracture_suspected": 90,
}
"""The fields true of one day, and for how many days after it an exam still counts as of that day (E7)."""

RECENT_MONTHS = 24
"""A state recorded longer ago is quoted with its date and suggests nothing alone (E7)."""

QUALIFIES = {
    "therapy_since": ("therapy",),
    "glucocorticoid_months": ("glucocorticoid_mg",),
    "fracture_site": ("fragility_fracture",),
    "frax_hip_percent": ("frax_major_percent",),
    "frax_major_percent": ("frax_hip_percent",),
    "frax_source": ("frax_hip_percent", "frax_major_percent"),
}
"""The fields that mean nothing without others: they end when those change, and are confirmed when those are."""

NUMBERS = {
    "glucocorticoid_mg": 5000,
    "glucocorticoid_months": 1200,
    "peak_height_cm": 300,
    "frax_hip_percent": 101,
    "frax_major_percent": 101,
}
"""The fields that hold a number, and what none of them reaches."""


class ImpossibleContextError(DxatrendError, ValueError):
    """A number in a record that cannot be meant, or two fields that contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalContext:
    """One dated record of what no report carries (section 5.1); ``None`` is unknown, and unknown is never "no".

    ``source`` says who wrote it: order, record or questionnaire. ``unknown`` names fields of which nothing is known any
    more, whatever earlier records tell. A ``fracture_site`` is a fragility fracture.

    Raises:
        ImpossibleContextError: a number that nobody has, or fields at odds; the text names the field, never the value.
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
                raise ImpossibleContextError(f"{name} is not a number from 0 to below {NUMBERS[name]}")
        if self.non_dominant_arm is Side.MEAN:
            raise ImpossibleContextError("non_dominant_arm is neither left nor right")
        if self.fracture_site is not None:
            if self.fragility_fracture is False:
                raise ImpossibleContextError("fracture_site is told, and fragility_fracture is no")
            object.__setattr__(self, "fragility_fracture", True)


FIELDS = tuple(f.name for f in fields(ClinicalContext) if f.name not in ("recorded_on", "source", "unknown"))
"""What a record may tell of a patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Which record a field rests on."""

    field: str
    recorded_on: date
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextOnDay(ClinicalContext):
    """What holds on one day, ``recorded_on``, all records taken together.

    ``recent`` is the same without the states that were recorded more than 24 months before: what a suggestion may rest
    on. ``entries`` tell from which record each field is.
    """

    recent: ClinicalContext
    entries: tuple[Entry, ...] = ()

    def entry(self, field: str) -> Entry | None:
        """The record a field rests on; ``None`` where nothing is known of it."""
        return next((entry for entry in self.entries if entry.field == field), None)


def kind_of(field: str) -> Kind:
    """Whether a field of a record is true of one day or lasts (E7)."""
    return Kind.VISIT_FACT if field in VISIT_FACTS else Kind.STATE


def context_on(records: Iterable[ClinicalContext], day: date) -> ContextOnDay:
    """What is known on a day from the records up to it, the day included; of two of one day the later in order counts.

    A visit fact counts on its own days only. A state lasts until a record tells another, or that it is unknown.
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
    """Let one more record speak, after all those before it."""
    told = {field: value for field in FIELDS if (value := getattr(record, field)) not in (None, "")}
    for field in record.unknown:
        known.pop(field, None)
    for field, others in QUALIFIES.items():
        if field in known and field not in told:
            _confirm_or_end(known, field, others, told, record)
    age = (day - record.recorded_on).days
    for field, value in told.items():
        if age <= VISIT_FACTS.get(field, age):
            meant = _gravest(value, known) if field == "fracture_site" else value
            known[field] = meant, Entry(field=field, recorded_on=record.recorded_on, source=record.source)


def _confirm_or_end(
    known: dict[str, tuple[Any, Entry]],
    field: str,
    others: Iterable[str],
    told: Mapping[str, Any],
    record: ClinicalContext,
) -> None:
    """A field that qualifies others ends when one of them changes, and is confirmed when one is told again."""
    again = [told[other] == known[other][0] for other in others if other in told and other in known]
    if not all(again) or any(other in record.unknown for other in others):
        del known[field]
    elif again:
        known[field] = known[field][0], Entry(field=field, recorded_on=record.recorded_on, source=record.source)


def _gravest(site: FractureSite, known: Mapping[str, tuple[Any, Entry]]) -> FractureSite:
    """A later fracture does not undo an earlier one."""
    sites = {site, known["fracture_site"][0]} if "fracture_site" in known else {site}
    return next(site for site in FractureSite if site in sites)


def _is_old(entry: Entry, day: date) -> bool:
    """Whether a state was recorded more than 24 months before a day, to the day (E7)."""
    old = months_between(entry.recorded_on, day - timedelta(days=1)) >= RECENT_MONTHS
    return old and kind_of(entry.field) is Kind.STATE
