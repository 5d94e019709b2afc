"""Words for what pages say of a patient: names, states, what changed, and the fields of a clinical record."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

from dxatrend.desk.rendering import day
from pipeline.clinical.clinical_context import FIELDS, VISIT_FACTS, ClinicalContext
from pipeline.clinical.model import Overall
from pipeline.edge.overview.stages import StageState
from pipeline.edge.provenance import ChangedInput
from pipeline.edge.store.patient_file import DeliveryRow, ExamRow
from pipeline.edge.store.schema_base import State

SEXES = {"F": "female", "M": "male", "O": "other"}

OVERALL = {
    Overall.IMPROVED: ("good", "improved"),
    Overall.STABLE: ("good", "no significant change"),
    Overall.DECLINED: ("look", "declined"),
    Overall.DISCORDANT: ("look", "discordant"),
    Overall.INDETERMINATE: ("none", "no statement"),
    Overall.NO_PRIOR: ("none", "first exam"),
    Overall.WITHDRAWN: ("none", "withdrawn"),
}
"""Shape and words of each overall result."""

STAGES = {
    StageState.DONE: "good",
    StageState.WAITING: "wait",
    StageState.HELD: "bad",
    StageState.NOT_YET: "none",
    StageState.NOT_NEEDED: "none",
}
"""Shape of each state of a stage."""

CHANGED = {
    ChangedInput.UNKNOWN: "it was examined before that was recorded",
    ChangedInput.HISTORY: "the patient's exams on file, or who counts as the same patient",
    ChangedInput.REFERENCE_DATA: "LSC, calibration or quality control of the scanner",
    ChangedInput.CONTEXT: "clinical context",
    ChangedInput.RULES: "the rules",
}
"""What has changed since an addendum was written."""

PROOFS = {
    "commitment": "storage commitment",
    "C-FIND": "found there by C-FIND",
    "QIDO-RS": "found there by QIDO-RS",
    "answer to C-STORE": "answered with success",
    "answer to STOW-RS": "answered with success",
}
"""How it was proven that a destination has an addendum, by its name in the audit trail; others are plain words."""

FIELD_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Therapy", ("therapy", "therapy_since", "menopause")),
    ("Fractures", ("fragility_fracture", "fracture_site", "reported_vertebral_fracture", "fracture_on_therapy")),
    (
        "Risks",
        (
            *("glucocorticoid_mg", "glucocorticoid_months", "cancer_therapy", "rapid_loss_risk"),
            *("hyperparathyroidism", "peak_height_cm"),
        ),
    ),
    ("FRAX as computed elsewhere", ("frax_hip_percent", "frax_major_percent", "frax_source")),
    (
        "Bones with hardware, and the arm",
        ("spinal_hardware", "left_hip_prosthesis", "right_hip_prosthesis", "non_dominant_arm"),
    ),
    (
        "True of this day only",
        ("calcium_tablet", "contrast", "spine_artefact", "pregnancy", "stress_fracture_suspected"),
    ),
)
"""The fields of a clinical record, as a form shows them."""

FIELD_LABELS = {
    "recorded_on": "Day",
    "source": "Who says so",
    "therapy": "Osteoporosis therapy",
    "therapy_since": "Begun or last changed on",
    "menopause": "Menopause",
    "fragility_fracture": "Fragility fracture so far",
    "fracture_site": "Gravest site",
    "reported_vertebral_fracture": "Vertebral fracture by the patient's own report",
    "fracture_on_therapy": "New fracture under therapy",
    "glucocorticoid_mg": "Glucocorticoids, mg prednisone a day",
    "glucocorticoid_months": "For how many months",
    "cancer_therapy": "Aromatase inhibitor, androgen deprivation or the like",
    "rapid_loss_risk": "Another high risk of rapid bone loss",
    "hyperparathyroidism": "Hyperparathyroidism",
    "peak_height_cm": "Height as a young adult, cm",
    "frax_hip_percent": "Hip fracture in ten years, %",
    "frax_major_percent": "Major fracture in ten years, %",
    "frax_source": "Computed by",
    "spinal_hardware": "Hardware or vertebroplasty in the lumbar spine",
    "left_hip_prosthesis": "Prosthesis or hardware in the left hip",
    "right_hip_prosthesis": "Prosthesis or hardware in the right hip",
    "non_dominant_arm": "Non-dominant arm",
    "calcium_tablet": "Calcium tablet within 24 hours before the scan",
    "contrast": "Recent contrast or nuclear study",
    "spine_artefact": "Another artefact over the spine",
    "pregnancy": "Pregnancy",
    "stress_fracture_suspected": "Stress fracture suspected",
}
"""What each field of a clinical record is called."""


def display_name(name: str) -> str:
    """Return a DICOM person name (PS3.5 6.2.1) as people write it: family name, given names; each spelling once."""
    spellings = (_spelling(group) for group in name.split("="))
    return " · ".join(dict.fromkeys(filter(None, spellings))) or "(no name stated)"


def _spelling(group: str) -> str:
    family, *given = (" ".join(part.split()) for part in group.split("^"))
    names = " ".join(filter(None, given))
    return f"{family}, {names}" if family and names else family or names


def exam_state(row: ExamRow) -> tuple[str, str]:
    """Return shape and words of the state of an exam."""
    if row.withdrawn:
        return "none", "withdrawn"
    if row.state == State.HELD:
        return "bad", "held for a person"
    if row.state == State.WAITING:
        return "wait", "is being worked on"
    return ("none", "history, for comparison only") if row.historical else ("good", "answered")


def delivery_state(deliveries: Iterable[DeliveryRow]) -> tuple[str, str]:
    """Return shape and words of how far an exam's addenda are delivered."""
    rows = list(deliveries)
    if not rows:
        return "none", "goes nowhere: no destination is configured"
    held = {row.destination for row in rows if row.state == State.HELD}
    waiting = {row.destination for row in rows if row.state == State.WAITING}
    if held:
        return "bad", f"held for {', '.join(sorted(held))}"
    if waiting:
        return "wait", f"waits for {', '.join(sorted(waiting))}"
    return "good", f"in {', '.join(sorted({row.destination for row in rows}))}"


def record_in_words(record: ClinicalContext) -> list[tuple[str, str]]:
    """Return the stated fields of a clinical record, each with its value in words."""
    stated = [
        (FIELD_LABELS[field], value_in_words(value))
        for field in FIELDS
        if (value := getattr(record, field)) not in (None, "")
    ]
    return stated + [(FIELD_LABELS[field], "no longer known") for field in record.unknown]


def value_in_words(value: object) -> str:
    """Return the value of a field as a person reads it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case StrEnum():
            return value.value
        case Decimal():
            return f"{value:f}"
        case _:
            return day(value) if hasattr(value, "isoformat") else str(value)  # type: ignore[arg-type] # a date


def hint_of(field: str) -> str:
    """Return for how long a fact of one day holds; empty for all others."""
    days: Mapping[str, int] = VISIT_FACTS
    return f"Holds for {days[field]} days." if days.get(field) else ""
