"""Sentences on the diagnostic category, risk factors, and cautions about scores and their reference (R4)."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from pipeline.clinical.clinical_context import ContextOnDay, Therapy
from pipeline.clinical.model import (
    Category,
    CategoryChange,
    Caution,
    Diagnosis,
    Exam,
    Flag,
    NotEvaluated,
    Scale,
    Target,
)
from pipeline.clinical.regions import Region
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording.names import region_in_text, region_name, score_in_text

# R4.2, R4.4: the categories, without degrees of severity (N2).
CATEGORIES = {
    Category.NORMAL: "normal",
    Category.LOW_BONE_MASS: "low bone mass (osteopenia)",
    Category.OSTEOPOROSIS: "osteoporosis",
    Category.SEVERE_OSTEOPOROSIS: "severe osteoporosis (fragility fracture on record)",
    Category.WITHIN_EXPECTED: "within the expected range for age",
    Category.BELOW_EXPECTED: "below the expected range for age",
}

NO_CATEGORY = "diagnostic category"  # R4.1, R4.3: the topic of its missing inputs


def category(diagnosis: Diagnosis) -> str:
    """C9, R4.3: one category for the exam; after osteoporosis no better one is printed (R4.8)."""
    score = f"{'T' if diagnosis.scale is Scale.T_SCORE else 'Z'}-score {score_in_text(diagnosis.score)}"
    where = region_in_text(diagnosis.region)
    before = diagnosis.prior_osteoporosis
    if before is not None and diagnosis.category in (Category.NORMAL, Category.LOW_BONE_MASS):
        return f"Lowest {score} ({where}); prior diagnostic category osteoporosis ({before.performed_on})."
    return f"Diagnostic category: {CATEGORIES[diagnosis.category]}, lowest {score} ({where})."


def no_category(not_evaluated: Iterable[NotEvaluated]) -> tuple[str, ...]:
    """E15, R4.1: why there is no category, in its place."""
    missing = [name for item in not_evaluated if item.topic == NO_CATEGORY for name in item.missing]
    return (f"No diagnostic category: {', '.join(missing)} not supplied.",) if missing else ()


def category_changed(change: CategoryChange) -> str:
    """R4.2, E13: the old and the new category, with the scores of the region that decides now."""
    now = score_in_text(change.now.score)
    scores = now if change.then is None else f"{score_in_text(change.then)} → {now}"
    return (
        f"Diagnostic category changed from {CATEGORIES[change.before.category]} ({change.exam.performed_on}) to "
        f"{CATEGORIES[change.now.category]}: {region_in_text(change.now.region)} {scores}."
    )


def target(aim: Target | None) -> tuple[str, ...]:
    """R4.2, ASBMR/BHOF 2024: the distance of the lowest T-score from the department's target."""
    if aim is None:
        return ()
    missing = "reached" if aim.distance <= 0 else f"{score_in_text(aim.distance)} still missing"
    return (f"T-score target {score_in_text(aim.target)} of the department: {missing}.",)


def risk_factors(exam: Exam, context: ContextOnDay, rules: Rules) -> tuple[str, ...]:
    """C10, R5.9: risk factors with the date and source of their record; a therapy only if recorded long ago (E7)."""
    by_record: dict[str, list[str]] = {}
    for field, name in _factors(context):
        entry = context.entry(field)
        assert entry is not None, "each risk factor rests on a record"
        source = f", {entry.source}" if entry.source else ""
        by_record.setdefault(f"{entry.recorded_on}{source}", []).append(name)
    of_record = [f"({record}): {', '.join(names)}" for record, names in sorted(by_record.items(), reverse=True)]
    light = exam.weight_kg is not None and exam.weight_kg < rules.low_weight_kg
    body = [f"body weight below {rules.low_weight_kg:f} kg"] if light else []
    if of_record:
        return (f"Risk factors on record {'; '.join(of_record)}{''.join(f', {name}' for name in body)}.",)
    return tuple(f"Risk factor: {name}." for name in body)


def _factors(context: ContextOnDay) -> Iterator[tuple[str, str]]:
    site = f" ({context.fracture_site})" if context.fracture_site else ""
    known = {
        "fragility_fracture": (context.fragility_fracture, f"fragility fracture{site}"),
        "reported_vertebral_fracture": (context.reported_vertebral_fracture, "reported vertebral fracture"),
        "fracture_on_therapy": (context.fracture_on_therapy, "fracture on therapy"),
        "glucocorticoid_mg": (bool(context.glucocorticoid_mg), "glucocorticoids"),
        "hyperparathyroidism": (context.hyperparathyroidism, "hyperparathyroidism"),
        "cancer_therapy": (context.cancer_therapy, "cancer therapy"),
        "rapid_loss_risk": (context.rapid_loss_risk, "risk of rapid bone loss"),
        "pregnancy": (context.pregnancy, "pregnancy"),
    }
    yield from ((field, name) for field, (present, name) in known.items() if present)
    if context.recent.therapy is None and context.therapy not in (None, Therapy.NONE):
        yield "therapy", f"{context.therapy} therapy"


def edge_t(region: Region, score: Decimal) -> Caution:
    """R4.2: WHO counts -1.0 as normal and -2.5 as osteoporosis; the scanner's text may differ."""
    meaning = "normal" if score > -2 else "osteoporosis"
    text = f"{region_name(region)}: a T-score of {score:f} is {meaning} by WHO, whatever the scanner's text says."
    return Caution(flag=Flag.EDGE_T, text=text)


def discordant_t(*, major: bool) -> Caution:
    """R3.12: discordance of diagnosis, which is not discordance of change."""
    text = "T-scores of spine and hip are in "
    text += "classes far apart (major discordance)." if major else "adjacent classes (minor discordance)."
    return Caution(flag=Flag.DISCORDANT_T, text=text)


def prior_diagnosis(before: Exam) -> Caution:
    """R4.8: the diagnosis persists when a later T-score is better (AACE)."""
    text = f"An exam of {before.performed_on} had a T-score of -2.5 or lower: a diagnosis of osteoporosis persists."
    return Caution(flag=Flag.PRIOR_DIAGNOSIS, text=text)


def male_reference(region: Region) -> Caution:
    """R4.5: ISCD asks for the female reference for men too."""
    text = f"{region_name(region)}: the T-score seems to rest on a male reference; ISCD asks for the female one."
    return Caution(flag=Flag.MALE_REFERENCE, text=text)


def t_inconsistent(region: Region) -> Caution:
    """R4.6: a warning only; the printed score is kept."""
    text = f"{region_name(region)}: the T-score is not what the usual reference gives; please check the reference."
    return Caution(flag=Flag.T_INCONSISTENT, text=text)
