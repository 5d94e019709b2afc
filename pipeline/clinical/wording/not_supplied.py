"""Sentences on missing inputs: one line of the report, and with the rules in the small print (A7, E17)."""

from collections.abc import Iterable

from pipeline.clinical.clinical_context import ContextOnDay
from pipeline.clinical.model import NotEvaluated
from pipeline.clinical.wording.diagnosis import NO_CATEGORY

# A7: one name for inputs of one kind, so that the text stays one line.
TOGETHER = {
    "therapy begun or changed within a year": "therapy",
    "therapy and its start": "therapy",
    "FRAX hip": "FRAX",
    "FRAX major": "FRAX",
    "fragility fracture": "fractures",
    "reported vertebral fracture": "fractures",
    "fracture on therapy": "fractures",
    "clinical suspicion": "fractures",
    "cancer therapy": "risk factors",
    "glucocorticoids": "risk factors",
    "hyperparathyroidism": "risk factors",
    "risk of rapid bone loss": "risk factors",
    "calcium tablet": "scan details",
    "contrast study": "scan details",
    "scan mode": "scan details",
    "T-scores of single vertebrae": "scan details",
    "bone mineral content": "scan details",
    "bone area": "scan details",
}


# A7: the fields behind a name, so that it is not called missing while a part is on record.
FIELDS_OF = {
    "fractures": ("fragility_fracture", "reported_vertebral_fracture", "fracture_on_therapy"),
    "risk factors": ("cancer_therapy", "glucocorticoid_mg", "hyperparathyroidism", "rapid_loss_risk"),
}


def not_supplied(lacking: Iterable[NotEvaluated], context: ContextOnDay) -> tuple[str, ...]:
    """A7: every input that some rule lacked, each once, except those named in the impression."""
    items = tuple(lacking)
    in_impression = {name for item in items if item.topic == NO_CATEGORY for name in item.missing}
    missing = [name for item in items for name in item.missing if name not in in_impression]
    names = dict.fromkeys(_as_far_as_known(TOGETHER.get(name, name), context) for name in missing)
    return (f"Not supplied: {', '.join(names)}.",) if names else ()


def _as_far_as_known(name: str, context: ContextOnDay) -> str:
    """Return the name of an input, or of its missing part where the other part is on record."""
    if name == "therapy" and context.therapy is not None:
        return "start of therapy" if context.recent.therapy is not None else "present therapy"
    on_record = any(getattr(context, field) is not None for field in FIELDS_OF.get(name, ()))
    return f"other {name}" if on_record else name


def not_evaluated(lacking: Iterable[NotEvaluated]) -> tuple[str, ...]:
    """A7: what was not evaluated, with its rule and the missing inputs; small print only (E17)."""
    rules = "; ".join(f"{item.topic} ({item.rule}: {', '.join(item.missing)} not supplied)" for item in lacking)
    return (f"Not evaluated: {rules}.",) if rules else ()
