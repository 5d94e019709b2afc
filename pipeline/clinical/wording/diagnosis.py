"""The diagnostic category, risk factors, and cautions about scores and their reference population (R4)."""

from decimal import Decimal

from pipeline.clinical.context import ClinicalContext
from pipeline.clinical.model import Category, Caution, Diagnosis, Exam, Flag, Scale
from pipeline.clinical.regions import Region
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording.names import region_name

# R4.2, R4.4: the categories, without degrees of severity (N2).
CATEGORIES = {
    Category.NORMAL: "normal",
    Category.LOW_BONE_MASS: "low bone mass (osteopenia)",
    Category.OSTEOPOROSIS: "osteoporosis",
    Category.SEVERE_OSTEOPOROSIS: "severe osteoporosis (fragility fracture on record)",
    Category.WITHIN_EXPECTED: "within the expected range for age",
    Category.BELOW_EXPECTED: "below the expected range for age",
}


def category(diagnosis: Diagnosis) -> str:
    """C9, R4.3: one category for the exam; one that was osteoporosis is never printed better (R4.8)."""
    score = f"{'T' if diagnosis.scale is Scale.T_SCORE else 'Z'}-score {diagnosis.score:f}"
    where = region_name(diagnosis.region)
    where = where[0].lower() + where[1:]
    before = diagnosis.prior_osteoporosis
    if before is not None and diagnosis.category in (Category.NORMAL, Category.LOW_BONE_MASS):
        return f"Lowest {score} ({where}); prior diagnostic category osteoporosis ({before.performed_on})."
    return f"Diagnostic category: {CATEGORIES[diagnosis.category]}, from the lowest {score} ({where})."


def risk_factors(exam: Exam, context: ClinicalContext, rules: Rules) -> tuple[str, ...]:
    """C10, R5.9: risk factors on record, and from when the record is."""
    light = exam.weight_kg is not None and exam.weight_kg < rules.low_weight_kg
    known = {
        "fragility fracture": context.fragility_fracture,
        "fracture on therapy": context.fracture_on_therapy,
        "glucocorticoids": bool(context.glucocorticoid_mg),
        "hyperparathyroidism": context.hyperparathyroidism,
        "cancer therapy": context.cancer_therapy,
        "pregnancy": context.pregnancy,
        f"body weight below {rules.low_weight_kg:f} kg": light,
    }
    names = ", ".join(name for name, present in known.items() if present)
    source = f", {context.source}" if context.source else ""
    return (f"Risk factors on record ({context.recorded_on}{source}): {names}.",) if names else ()


def edge_t(region: Region, score: Decimal) -> Caution:
    """R4.2: WHO counts -1.0 as normal and -2.5 as osteoporosis; scanners' texts do not always."""
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
    """R4.5: ISCD wants the female reference for men too."""
    text = f"{region_name(region)}: the T-score seems to rest on a male reference; ISCD asks for the female one."
    return Caution(flag=Flag.MALE_REFERENCE, text=text)


def t_inconsistent(region: Region) -> Caution:
    """R4.6: a warning only; the printed score stands."""
    text = f"{region_name(region)}: the T-score is not what the usual reference gives; please check the reference."
    return Caution(flag=Flag.T_INCONSISTENT, text=text)
