"""Diagnostic category of an exam by T- or Z-score, and checks of the scores' reference population (R4).

BMD in g/cm2; scores in standard deviations.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from pipeline.clinical.age import age_on
from pipeline.clinical.clinical_context import ContextOnDay, Menopause
from pipeline.clinical.comparison_context import ComparisonContext
from pipeline.clinical.model import (
    Category,
    CategoryChange,
    Caution,
    Diagnosis,
    Exam,
    Measurement,
    NotEvaluated,
    Scale,
    Sex,
    Target,
)
from pipeline.clinical.regions import FEMORAL_NECK, FULL_SPINE, ONE_THIRD_RADIUS, SPINE, TOTAL_HIP, Side
from pipeline.clinical.rules import Rules
from pipeline.clinical.validity import is_child, without_t_scores
from pipeline.clinical.wording import diagnosis as words

_MALE = re.compile(r"\bmale\b")

LOW_BONE_MASS_BELOW = Decimal("-1.0")
OSTEOPOROSIS_FROM = Decimal("-2.5")
"""WHO: normal at -1.0 and above, osteoporosis at -2.5 and below, low bone mass between (R4.2)."""

BELOW_EXPECTED_FROM = Decimal("-2.0")
"""ISCD: at -2.0 and below a Z-score is below the expected range for age (R4.4)."""

ONE_DECIMAL = Decimal("0.1")


class Reference(NamedTuple):
    """Mean and standard deviation of young adults, in g/cm2."""

    mean: Decimal
    sd: Decimal

    def t_score(self, bmd: Decimal) -> Decimal:
        """Return the T-score of a BMD, unrounded."""
        return (bmd - self.mean) / self.sd


def _references(*pairs: str) -> tuple[Reference, ...]:
    return tuple(Reference(*(Decimal(part) for part in pair.split("/"))) for pair in pairs)


FEMALE = {
    ("hologic", FEMORAL_NECK): _references("0.858/0.120", "0.849/0.111"),
    ("hologic", TOTAL_HIP): _references("0.942/0.122"),
    ("hologic", SPINE): _references("1.047/0.110"),
    ("lunar", FEMORAL_NECK): _references("1.038/0.139"),
    ("lunar", TOTAL_HIP): _references("1.008/0.126"),
    ("lunar", SPINE): _references("1.18/0.12"),
}
"""NHANES III for the hip, the manufacturer's own for L1-L4; for a check only, never to compute a score (R4.6)."""

MALE = {
    ("hologic", FEMORAL_NECK): _references("0.934/0.137"),
    ("hologic", TOTAL_HIP): _references("1.041/0.144", "1.033/0.150"),
}
"""The male references that some consoles use, against the position of ISCD (R4.5, R4.6)."""

OSTEOPOROTIC = (Category.OSTEOPOROSIS, Category.SEVERE_OSTEOPOROSIS)

SEVERITY = {
    **{category: place for place, category in enumerate((Category.NORMAL, Category.LOW_BONE_MASS, *OSTEOPOROTIC))},
    Category.WITHIN_EXPECTED: 0,
    Category.BELOW_EXPECTED: 1,
}
"""The severity of the categories of one score, 0 for the best."""


def scale_for(exam: Exam, context: ContextOnDay, rules: Rules) -> Scale | None:
    """Return the score that classifies this patient; ``None`` below 20, or where too little is known (R4.1).

    From 60 on the T-score, for any sex. Before that men by age, women by menopausal status; women of unknown status
    only if young or old enough. A premenopausal status counts only if recorded recently.
    """
    age, sex = age_on(exam), exam.patient.sex
    if is_child(exam):
        return None
    if sex is Sex.MALE and age is not None:
        return Scale.T_SCORE if age >= rules.man_t_from else Scale.Z_SCORE
    if age is not None and age >= rules.woman_t_from:
        return Scale.T_SCORE
    if sex is not Sex.FEMALE:
        return None
    if context.menopause in (Menopause.TRANSITION, Menopause.AFTER):
        return Scale.T_SCORE
    if context.recent.menopause is Menopause.BEFORE:
        return Scale.Z_SCORE
    if age is None:
        return None
    if age < rules.woman_z_below:
        return Scale.Z_SCORE
    return Scale.T_SCORE if exam.menopause_age is not None and age >= exam.menopause_age else None


def t_score_applies(exam: Exam, context: ContextOnDay, rules: Rules) -> bool:
    """Whether a T-score may be reported: for an adult of known age whose sex has a rule of its own (R4.1)."""
    if scale_for(exam, context, rules) is not None:
        return True
    return not is_child(exam) and exam.patient.sex is Sex.FEMALE and age_on(exam) is not None


def with_scores_that_apply(exam: Exam, context: ContextOnDay, rules: Rules) -> Exam:
    """Return an exam without T-scores if none may be reported: of a child, by Z-scores, or of unknown age (R4.1)."""
    is_by_t = t_score_applies(exam, context, rules) and scale_for(exam, context, rules) is not Scale.Z_SCORE
    return exam if is_by_t else without_t_scores(exam)


def missing_for_scale(exam: Exam, context: ContextOnDay, rules: Rules) -> tuple[str, ...]:
    """Return the missing inputs that would decide between T- and Z-score of an adult; empty if decided."""
    if scale_for(exam, context, rules) is not None:
        return ()
    if age_on(exam) is None:
        return ("age",)
    return ("menopausal status",) if exam.patient.sex is Sex.FEMALE else (missing_sex(exam),)


def missing_sex(exam: Exam) -> str:
    """Return how a report names the missing sex of a patient who is neither female nor male by it (R4.1)."""
    return "sex as female or male" if exam.patient.sex is Sex.OTHER else "sex"


def classify(scale: Scale, score: Decimal) -> Category:
    """Return the category of a score, rounded to one decimal as printed (R4.2, R4.4)."""
    printed = score.quantize(ONE_DECIMAL, ROUND_HALF_UP)
    if scale is Scale.Z_SCORE:
        return Category.BELOW_EXPECTED if printed <= BELOW_EXPECTED_FROM else Category.WITHIN_EXPECTED
    if printed <= OSTEOPOROSIS_FROM:
        return Category.OSTEOPOROSIS
    return Category.LOW_BONE_MASS if printed < LOW_BONE_MASS_BELOW else Category.NORMAL


def diagnose(context: ComparisonContext, earlier: Sequence[Exam]) -> Diagnosis | None:
    """Return one category, from the lowest valid score of spine, neck, total hip and one-third radius (R4.3).

    A diagnosis of osteoporosis persists, whichever scanner it was made on (R4.8).
    """
    found = category_of(context.exam, context.clinical, context.rules)
    if found is None or found.scale is Scale.Z_SCORE:
        return found
    met = [before for before in earlier if _met_the_definition(before, context)]
    return replace(found, prior_osteoporosis=max(met, key=lambda before: before.performed_at, default=None))


def category_change(
    context: ComparisonContext, diagnosis: Diagnosis | None, earlier: Sequence[Exam]
) -> CategoryChange | None:
    """Return the change of category since the last exam that had one by the same score, on any scanner (R4.2).

    ``None`` without a change, and for an improvement while an earlier osteoporosis persists (R4.8).
    """
    for before in sorted(earlier, key=lambda exam: exam.performed_at, reverse=True):
        then = category_of(before, context.clinical_of(before), context.rules)
        if diagnosis is None or then is None:
            continue
        better = SEVERITY[diagnosis.category] < SEVERITY[then.category]
        persists = better and (diagnosis.prior_osteoporosis is not None or then.category in OSTEOPOROTIC)
        if then.scale is not diagnosis.scale or then.category is diagnosis.category or persists:
            return None
        here = before.measurement_of(diagnosis.region)
        score = None if here is None else here.t_score if diagnosis.scale is Scale.T_SCORE else here.z_score
        return CategoryChange(exam=before, before=then, now=diagnosis, then=score)
    return None


def category_of(exam: Exam, context: ContextOnDay, rules: Rules) -> Diagnosis | None:
    """Return the category of one exam by itself, from its lowest score (R4.3)."""
    scale = scale_for(exam, context, rules)
    lowest = _lowest(exam, scale) if scale else None
    if scale is None or lowest is None:
        return None
    measurement, score = lowest
    category = classify(scale, score)
    if category is Category.OSTEOPOROSIS and context.fragility_fracture:
        category = Category.SEVERE_OSTEOPOROSIS
    return Diagnosis(scale=scale, score=score, region=measurement.region, category=category)


def target_of(diagnosis: Diagnosis | None, rules: Rules) -> Target | None:
    """Return the lowest T-score beside the department's target, where one is set (ASBMR/BHOF 2024)."""
    if diagnosis is None or diagnosis.scale is not Scale.T_SCORE or rules.t_score_target is None:
        return None
    return Target(target=rules.t_score_target, score=diagnosis.score, region=diagnosis.region)


def diagnostic(exam: Exam) -> list[Measurement]:
    """Return the measurements a category may rest on: the largest spine set, both hips, one-third radius; never a mean.

    ``exam`` holds valid measurements only.
    """
    valid = [m for m in exam.measurements if m.region.monitorable and m.region.side is not Side.MEAN]
    sets = [m for m in valid if m.region.part == SPINE]
    spine = max(sets, key=lambda m: len(m.region.vertebrae), default=None)
    return [m for m in valid if m is spine or m.region.part in (FEMORAL_NECK, TOTAL_HIP, ONE_THIRD_RADIUS)]


def score_cautions(context: ComparisonContext, diagnosis: Diagnosis | None) -> Iterator[Caution]:
    """Yield cautions about the scores: values on a limit, discordance, reference population, an earlier diagnosis."""
    measurements = diagnostic(context.exam)
    if diagnosis is not None and diagnosis.scale is Scale.T_SCORE:
        for measurement in measurements:
            if measurement.t_score in (LOW_BONE_MASS_BELOW, OSTEOPOROSIS_FROM):
                yield words.edge_t(measurement.region, measurement.t_score)
        yield from _discordance(measurements)
        if (
            diagnosis.prior_osteoporosis is not None
            and classify(Scale.T_SCORE, diagnosis.score) is not Category.OSTEOPOROSIS
        ):
            yield words.prior_diagnosis(diagnosis.prior_osteoporosis)
    if scale_for(context.exam, context.clinical, context.rules) is not Scale.Z_SCORE:
        for measurement in measurements:
            yield from _reference_cautions(measurement, context)


def not_diagnosed(context: ComparisonContext, diagnosis: Diagnosis | None) -> Iterator[NotEvaluated]:
    """Yield the rules of the diagnosis that lacked an input (R4.1, R4.2, R4.3)."""
    missing = missing_for_scale(context.exam, context.clinical, context.rules)
    if missing:
        yield NotEvaluated(rule="R4.1", topic=words.NO_CATEGORY, missing=missing)
    elif diagnosis is None:
        yield NotEvaluated(rule="R4.3", topic=words.NO_CATEGORY, missing=("T- or Z-score of a diagnostic site",))
    if diagnosis and diagnosis.category is Category.OSTEOPOROSIS and context.clinical.fragility_fracture is None:
        yield NotEvaluated(rule="R4.2", topic="severe osteoporosis", missing=("fragility fracture",))


def lowest_t(exam: Exam) -> Decimal | None:
    """Return the lowest T-score of a diagnostic site, whatever score classifies the patient (R4.3)."""
    lowest = _lowest(exam, Scale.T_SCORE)
    return lowest[1] if lowest else None


def _lowest(exam: Exam, scale: Scale) -> tuple[Measurement, Decimal] | None:
    scores = [(m, m.t_score if scale is Scale.T_SCORE else m.z_score) for m in diagnostic(exam)]
    known = [(measurement, score) for measurement, score in scores if score is not None]
    return min(known, key=lambda pair: pair[1], default=None)


def _met_the_definition(before: Exam, context: ComparisonContext) -> bool:
    """Whether an earlier exam had a T-score of -2.5 or lower in a patient not classified by Z-score then (R4.8)."""
    then = context.clinical_of(before)
    score = lowest_t(before)
    if score is None or classify(Scale.T_SCORE, score) is not Category.OSTEOPOROSIS:
        return False
    return scale_for(before, then, context.rules) is not Scale.Z_SCORE


def _discordance(measurements: Sequence[Measurement]) -> Iterator[Caution]:
    """Yield a caution for T-scores of spine and hip in different classes: minor if adjacent, else major (R3.12)."""
    spine = [m.t_score for m in measurements if m.region.part == SPINE and m.t_score is not None]
    hips = [m.t_score for m in measurements if m.region.part in (FEMORAL_NECK, TOTAL_HIP) and m.t_score is not None]
    if spine and hips:
        classes = {classify(Scale.T_SCORE, spine[0]), classify(Scale.T_SCORE, min(hips))}
        if len(classes) > 1:
            yield words.discordant_t(major=classes == {Category.NORMAL, Category.OSTEOPOROSIS})


def _reference_cautions(measurement: Measurement, context: ComparisonContext) -> Iterator[Caution]:
    """Yield a caution where a printed T-score does not fit the reference; it is never replaced (R4.5, R4.6)."""
    man = context.exam.patient.sex is Sex.MALE
    if measurement.t_score is None:
        return
    if man and _MALE.search(measurement.reference_population.casefold()):
        yield words.male_reference(measurement.region)
        return
    maker = _maker(context.exam)
    part = measurement.region.part
    known = FEMALE.get((maker, part), ())
    if not known or (part == SPINE and (man or measurement.region.key != FULL_SPINE)):
        return
    if _fits(measurement, measurement.t_score, known, context.rules):
        return
    if man and _fits(measurement, measurement.t_score, MALE.get((maker, part), ()), context.rules):
        yield words.male_reference(measurement.region)
    else:
        yield words.t_inconsistent(measurement.region)


def _fits(measurement: Measurement, t_score: Decimal, known: Sequence[Reference], rules: Rules) -> bool:
    return any(abs(reference.t_score(measurement.bmd) - t_score) <= rules.t_tolerance for reference in known)


def _maker(exam: Exam) -> str:
    """Return whose constants apply: ``hologic``, ``lunar``, or an empty text."""
    text = " ".join(exam.scanner.key[:2])
    return next((maker for maker in ("hologic", "lunar") if maker in text), "")
