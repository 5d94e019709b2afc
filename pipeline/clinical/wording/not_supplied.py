"""Which inputs were not supplied: one line of a report, and with its rules in the small print (A7, E17)."""

from collections.abc import Iterable

from pipeline.clinical.model import NotEvaluated

# A7: inputs of one kind under one name, so that the line stays one line.
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
    "height loss": "height",
    "calcium tablet": "scan details",
    "contrast study": "scan details",
    "scan mode": "scan details",
    "T-scores of single vertebrae": "scan details",
    "bone mineral content": "scan details",
    "bone area": "scan details",
}


def not_supplied(lacking: Iterable[NotEvaluated]) -> tuple[str, ...]:
    """A7: every input that some rule lacked, each once."""
    names = dict.fromkeys(TOGETHER.get(name, name) for item in lacking for name in item.missing)
    return (f"Not supplied: {', '.join(names)}.",) if names else ()


def not_evaluated(lacking: Iterable[NotEvaluated]) -> tuple[str, ...]:
    """A7: what could not be evaluated, by which rule, and for want of what; for the small print alone (E17)."""
    rules = "; ".join(f"{item.topic} ({item.rule}: {', '.join(item.missing)} not supplied)" for item in lacking)
    return (f"Not evaluated: {rules}.",) if rules else ()
