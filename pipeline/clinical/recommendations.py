"""Recommendations to the radiologist: next exam, vertebral fracture assessment, FRAX, referral; never a drug (R5)."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from pipeline.clinical.age import age_on
from pipeline.clinical.clinical_context import ClinicalContext, FractureSite, Therapy
from pipeline.clinical.compare import HUNDRED, months_between, within_months
from pipeline.clinical.diagnosis import (
    OSTEOPOROTIC,
    lowest_t,
    missing_for_scale,
    missing_sex,
    scale_for,
    t_score_applies,
)
from pipeline.clinical.interpretation_context import InterpretationContext
from pipeline.clinical.model import (
    Category,
    Caution,
    Change,
    Finding,
    Flag,
    NotEvaluated,
    Overall,
    Scale,
    Sex,
    Suggestion,
)
from pipeline.clinical.precision import monitoring_interval
from pipeline.clinical.regions import FEMORAL_NECK, SPINE, TOTAL_HIP, Region, Side, Site
from pipeline.clinical.rules import Rules
from pipeline.clinical.validity import invalid_because
from pipeline.clinical.wording import suggestions as words
from pipeline.clinical.wording import timing_cautions as timing

MONTHS_PER_YEAR = 12
FRAX_AGES = (40, 90)
"""The ages in years between which FRAX is defined (R5.8)."""

Advice = Suggestion | NotEvaluated


def advise(context: InterpretationContext) -> tuple[tuple[Suggestion, ...], tuple[NotEvaluated, ...]]:
    """Return what the rules of section 5 suggest, and the inputs that some of them lacked."""
    advice = [item for rule in RULES_OF_SECTION_5 for item in rule(context)]
    return (
        tuple(item for item in advice if isinstance(item, Suggestion)),
        tuple(item for item in advice if isinstance(item, NotEvaluated)),
    )


def timing_cautions(context: InterpretationContext) -> Iterator[Caution]:
    """Yield cautions where this exam came too soon, or brought an unexpected loss (R5.3, R5.4)."""
    known, _ = _true_and_unknown(_reasons_before(context))
    flagged = any(caution.flag is Flag.TOO_SOON for finding in context.findings for caution in finding.cautions)
    if context.latest is not None and not known and not flagged:
        months = months_between(context.latest, context.exam.performed_on)
        if months < context.rules.short_interval_months:
            yield timing.too_soon(context.latest, context.rules)
        elif _too_soon_to_show_change(context):
            yield timing.too_soon_to_show(context.rules)
    for finding, change in context.overall_result.losses:
        yield timing.unexpected_drop(finding, severe=_severe(finding, change, context))


def interval(context: InterpretationContext) -> Iterator[Advice]:
    """Suggest when to scan again (R5.1)."""
    known, unknown = _true_and_unknown(_reasons_for_one_year(context))
    if known:
        yield words.next_exam_in_one_year(known)
        return
    if Overall.DISCORDANT in context.overall_result.overalls:
        yield words.next_exam_after_discordance()
    elif _normal_without_risk(context):
        yield words.next_exam_when_normal(context.rules)
    else:
        yield words.next_exam_in_two_years(context.rules)
    if unknown:
        yield NotEvaluated(rule="R5.1", topic="reasons for a shorter interval", missing=unknown)


def vertebral_fracture_assessment(context: InterpretationContext) -> Iterator[Advice]:
    """Suggest a vertebral fracture assessment: T-score below -1.0 and one more reason (R5.2)."""
    applies = t_score_applies(context.exam, context.clinical, context.rules)
    score = lowest_t(context.exam) if applies else None
    if score is None:
        missing = ("T-score",) if applies else missing_for_scale(context.exam, context.clinical, context.rules)
        yield NotEvaluated(rule="R5.2", topic="vertebral fracture assessment", missing=missing)
        return
    if score >= context.rules.vfa_t_below:
        return
    known, unknown = _true_and_unknown(
        {
            "age": _old_enough_for_vfa(context),
            "height loss": _height_lost(context),
            "reported vertebral fracture": context.recent.reported_vertebral_fracture,
            "glucocorticoids": on_glucocorticoids(context.recent, context.rules),
        }
    )
    if known:
        by_z = scale_for(context.exam, context.clinical, context.rules) is Scale.Z_SCORE
        yield words.assess_vertebral_fractures(None if by_z else score, known)
    elif unknown:
        missing = tuple(_input_of(reason, context) for reason in unknown)
        yield NotEvaluated(rule="R5.2", topic="vertebral fracture assessment", missing=missing)


def frequency(context: InterpretationContext) -> Iterator[Advice]:
    """Remark on an interval of less than two years without a reason; below one year is a caution instead (R5.3)."""
    known, _ = _true_and_unknown(_reasons_before(context))
    if context.latest is None or known:
        return
    months = months_between(context.latest, context.exam.performed_on)
    if context.rules.short_interval_months <= months < context.rules.usual_interval_months:
        yield words.sooner_than_usual(months, context.rules)


def unexpected_drop(context: InterpretationContext) -> Iterator[Advice]:
    """Suggest technical checks, then causes, after a significant loss or a fracture on therapy (R5.4)."""
    if context.losses and context.overall_result.overall is not Overall.DISCORDANT:  # R5.7 covers this and more
        yield words.look_into_a_loss(context.losses)
    if context.recent.fracture_on_therapy:
        yield words.refer_fracture_on_therapy()
    elif context.losses and context.recent.fracture_on_therapy is None:
        yield NotEvaluated(rule="R5.4", topic="referral", missing=("fracture on therapy",))
    if context.losses and (context.recent.therapy is None or _since_unknown(context.recent)):
        yield NotEvaluated(rule="R3.7", topic="regression to the mean", missing=("therapy and its start",))


def response(context: InterpretationContext) -> Iterator[Advice]:
    """State that response on therapy was not evaluated where it is unknown whether there was a fracture (R3.9)."""
    clinical = context.clinical
    held = all(overall in (Overall.STABLE, Overall.IMPROVED) for overall in context.overall_result.overalls)
    unknown = clinical.fracture_on_therapy is None and clinical.fragility_fracture is not False
    if held and unknown and context.recent.therapy not in (None, Therapy.NONE):
        yield NotEvaluated(rule="R3.9", topic="response to therapy", missing=("fracture on therapy",))


def other_sites(context: InterpretationContext) -> Iterator[Advice]:
    """Suggest other sites where spine or hip is not usable, or where the forearm matters by itself (R5.5)."""
    reasons = []
    if context.overall_result.spine_suspect:
        reasons.append("degeneration or artefact of the spine suspected")
    invalid = {region.site for region in context.comparison.excluded}
    usable = {m.region.site for m in context.exam.measurements if m.region.monitorable}
    hips = _valid_hips(context)
    spine = Site.SPINE in invalid or any(m.region.site is Site.SPINE for m in context.exam.measurements)
    if spine and Site.SPINE not in usable:
        reasons.append("fewer than two usable vertebrae")
    if reasons:
        yield words.use_other_sites(tuple(reasons), hip=bool(hips))
    if Site.HIP in invalid and (hips or not reasons):
        measured = any(m.region.side in hips for m in context.exam.measurements if m.region.site is Site.HIP)
        out = tuple(f"{side} hip not valid" for side in (Side.LEFT, Side.RIGHT) if side not in hips)
        yield words.instead_of_a_hip(out, hip=bool(hips), measured=measured)
    if context.recent.hyperparathyroidism:
        yield words.measure_the_forearm()
    elif context.recent.hyperparathyroidism is None:
        yield NotEvaluated(rule="R5.5", topic="forearm as a site", missing=("hyperparathyroidism",))


def stress_fracture(context: InterpretationContext) -> Iterator[Advice]:
    """Suggest the stress fracture path, if a clinician suspects a stress fracture (R5.6)."""
    if context.clinical.stress_fracture_suspected:
        yield words.stress_fracture_path()
    elif context.clinical.stress_fracture_suspected is None:
        yield NotEvaluated(rule="R5.6", topic="stress fracture path", missing=("clinical suspicion",))


def discordance(context: InterpretationContext) -> Iterator[Advice]:
    """Suggest what to check where spine and hip are discordant (R5.7)."""
    if context.overall_result.discordant:
        yield words.look_into_discordance(context.overall_result.discordant)


def fracture_risk(context: InterpretationContext) -> Iterator[Advice]:
    """Compare a recorded FRAX risk with the US thresholds; FRAX is never computed here (R5.8)."""
    diagnosis, age, recent = context.diagnosis, age_on(context.exam), context.recent
    if diagnosis is None or diagnosis.category is not Category.LOW_BONE_MASS or age is None:
        return
    youngest, oldest = FRAX_AGES
    if not youngest <= age <= oldest or context.clinical.therapy not in (None, Therapy.NONE):
        return
    missing = [
        name
        for name, value in (
            ("therapy", recent.therapy),
            ("FRAX hip", recent.frax_hip_percent),
            ("FRAX major", recent.frax_major_percent),
        )
        if value is None
    ]
    if missing or recent.frax_hip_percent is None or recent.frax_major_percent is None:
        yield NotEvaluated(rule="R5.8", topic="fracture risk", missing=tuple(missing))
        return
    major = recent.frax_major_percent
    offset = _frax_offset(context, major) if context.rules.frax_offset else None
    reached = recent.frax_hip_percent >= context.rules.frax_hip_percent or major >= context.rules.frax_major_percent
    yield words.frax(recent, context.rules, reached=reached, adjusted=offset)


def secondary_causes(context: InterpretationContext) -> Iterator[Advice]:
    """Suggest an evaluation of secondary causes for a Z-score below the expected range (C12, R4.4)."""
    if context.diagnosis is not None and context.diagnosis.category is Category.BELOW_EXPECTED:
        yield words.evaluate_secondary_causes()


def clinical_diagnosis(context: InterpretationContext) -> Iterator[Advice]:
    """Suggest a clinical diagnosis by fragility fracture where the T-score makes none (R4.2, R4.8).

    A fracture of hip or vertebra suffices; another one needs low bone mass (AACE 2020, BHOF 2022). Not for patients
    classified by Z-score.
    """
    recent, diagnosis = context.recent, context.diagnosis
    scale = scale_for(context.exam, context.clinical, context.rules)
    if not recent.fragility_fracture or scale is Scale.Z_SCORE:
        return
    if diagnosis is not None and (diagnosis.category in OSTEOPOROTIC or diagnosis.superseded):
        return
    if recent.fracture_site is None:
        yield NotEvaluated(rule="R4.2", topic="clinical diagnosis", missing=("fracture site",))
    grave = recent.fracture_site in (FractureSite.HIP, FractureSite.VERTEBRA)
    if grave or (diagnosis is not None and diagnosis.category is Category.LOW_BONE_MASS):
        yield words.clinical_diagnosis(recent.fracture_site)


RULES_OF_SECTION_5: tuple[Callable[[InterpretationContext], Iterator[Advice]], ...] = (
    clinical_diagnosis,
    fracture_risk,
    secondary_causes,
    vertebral_fracture_assessment,
    unexpected_drop,
    response,
    discordance,
    other_sites,
    stress_fracture,
    frequency,
    interval,
)
"""The rules in the order of the ISCD checklist: risk and causes first, the next exam last (section 6)."""


def on_glucocorticoids(context: ClinicalContext, rules: Rules) -> bool | None:
    """Whether dose and duration both reach the threshold; ``None`` where one is not known (R5.9)."""
    dose, months = context.glucocorticoid_mg, context.glucocorticoid_months
    if dose is None:
        return None
    if dose < rules.glucocorticoid_mg:
        return False
    return None if months is None else months >= rules.glucocorticoid_months


def frax_offset(major_percent: Decimal, spine_t: Decimal, neck_t: Decimal) -> Decimal:
    """Return the major fracture risk, raised by a tenth per whole T-score that the spine is below the neck (R3.12)."""
    steps = (spine_t - neck_t).quantize(Decimal(1), ROUND_HALF_UP)
    return major_percent * (1 - steps / 10)


def _true_and_unknown(conditions: Mapping[str, bool | None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the conditions that are true, and of those unknown."""
    known = tuple(name for name, value in conditions.items() if value)
    return known, tuple(name for name, value in conditions.items() if value is None)


def _reasons_for_one_year(context: InterpretationContext) -> dict[str, bool | None]:
    """Return the reasons that shorten the interval to a year, a loss since prior or baseline included (R5.1, R3.3)."""
    return _reasons_before(context) | {"significant loss": Overall.DECLINED in context.overall_result.overalls}


def _reasons_before(context: InterpretationContext) -> dict[str, bool | None]:
    """Return the reasons known before the exam; its own result is no reason for having made it (R5.3)."""
    recent = context.recent
    return {
        "therapy begun or changed within a year": _therapy_is_new(recent, context.exam.performed_on),
        "glucocorticoids": on_glucocorticoids(recent, context.rules),
        "cancer therapy": recent.cancer_therapy,
        "risk of rapid bone loss": recent.rapid_loss_risk,
    }


def _normal_without_risk(context: InterpretationContext) -> bool:
    """Whether BMD is normal, without earlier osteoporosis or any risk on record (R5.1)."""
    clinical, weight = context.clinical, context.exam.weight_kg
    if context.diagnosis is None or context.diagnosis.category is not Category.NORMAL or context.diagnosis.superseded:
        return False
    risks = (
        clinical.fragility_fracture,
        clinical.reported_vertebral_fracture,
        clinical.fracture_on_therapy,
        clinical.glucocorticoid_mg,
        clinical.hyperparathyroidism,
        clinical.cancer_therapy,
        clinical.rapid_loss_risk,
        clinical.therapy not in (None, Therapy.NONE),
        weight is not None and weight < context.rules.low_weight_kg,
        context.losses,
    )
    return not any(risks)


def _valid_hips(context: InterpretationContext) -> tuple[Side, ...]:
    """Return the hips that nothing on record makes invalid, measured or not."""
    sides = (Side.LEFT, Side.RIGHT)
    return tuple(s for s in sides if not invalid_because(Region(part=TOTAL_HIP, side=s), context.clinical))


def _therapy_is_new(context: ClinicalContext, today: date) -> bool | None:
    if context.therapy is None or _since_unknown(context):
        return None
    if context.therapy_since is None:
        return False
    return months_between(context.therapy_since, today) <= MONTHS_PER_YEAR


def _since_unknown(context: ClinicalContext) -> bool:
    return context.therapy not in (None, Therapy.NONE) and context.therapy_since is None


def _old_enough_for_vfa(context: InterpretationContext) -> bool | None:
    age, sex = age_on(context.exam), context.exam.patient.sex
    if age is None or sex not in (Sex.FEMALE, Sex.MALE):
        return None
    return age >= (context.rules.vfa_woman_from if sex is Sex.FEMALE else context.rules.vfa_man_from)


def _input_of(reason: str, context: InterpretationContext) -> str:
    """Return the missing input of a reason of R5.2 that is unknown."""
    if reason == "height loss":
        return "height" if context.exam.height_cm is None else "height in youth"
    if reason == "age" and age_on(context.exam) is not None:
        return missing_sex(context.exam)
    return reason


def _height_lost(context: InterpretationContext) -> bool | None:
    peak, now = context.clinical.peak_height_cm, context.exam.height_cm
    return None if peak is None or now is None else peak - now > context.rules.vfa_height_loss_cm


def _severe(finding: Finding, change: Change, context: InterpretationContext) -> bool:
    """Whether a loss over about a year exceeds what was published as an unexpected drop (R5.4)."""
    if not within_months(change.reference.performed_on, context.exam.performed_on, *context.rules.drop_months):
        return False
    spine = finding.measurement.region.part == SPINE
    limit = context.rules.drop_percent_spine if spine else context.rules.drop_percent_hip
    return -HUNDRED * change.difference > limit * change.reference_bmd


def _too_soon_to_show_change(context: InterpretationContext) -> bool:
    """Whether the expected change since the prior is below every LSC (R2.21, R5.3)."""
    expected = context.rules.expected_percent_per_year
    changes = [
        f.since_prior
        for f in (*context.overall_result.spine, *context.overall_result.hips)
        if f.since_prior is not None
    ]
    years = [
        monitoring_interval(HUNDRED * change.lsc.lsc / change.reference_bmd, expected)
        for change in changes
        if change.lsc is not None and expected
    ]
    if not years or context.latest is None:
        return False
    return Decimal(months_between(context.latest, context.exam.performed_on)) < MONTHS_PER_YEAR * min(years)


def _frax_offset(context: InterpretationContext, major: Decimal) -> Decimal | None:
    """Return the adjusted risk, if spine and neck both have a T-score (R3.12)."""
    spine = next((finding.measurement.t_score for finding in context.overall_result.spine), None)
    necks = [m.t_score for m in context.exam.measurements if m.region.part == FEMORAL_NECK and m.t_score is not None]
    return None if spine is None or not necks else frax_offset(major, spine, min(necks))
