"""Which words does a radiologist read? Every sentence of an addendum, each with its rule."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from pipeline.clinical.context import ClinicalContext, Therapy
from pipeline.clinical.model import (
    Category,
    Caution,
    Change,
    Diagnosis,
    Epoch,
    Exam,
    Finding,
    Flag,
    LeastSignificantChange,
    NotEvaluated,
    Overall,
    Result,
    Scale,
    Suggestion,
    Trend,
    Unverified,
)
from pipeline.clinical.regions import SPINE, Region
from pipeline.clinical.rules import Rules

# Section 6, A2: nobody has looked at this yet.
PRELIMINARY = "Computer-generated; preliminary until verified by a radiologist."

# R3.9, from the regions used for monitoring together.
OVERALL = {
    Overall.IMPROVED: "Overall: BMD increased significantly.",
    Overall.STABLE: "Overall: no significant change in BMD.",
    Overall.DECLINED: "Overall: BMD decreased significantly.",
    Overall.DISCORDANT: "Overall: discordant, a significant gain at one site and a significant loss at another.",
    Overall.INDETERMINATE: "Overall: no statement on change is possible.",
    Overall.NO_PRIOR: "Overall: no earlier exam of these sites is on file; this exam is the baseline.",
}

# R3.9, why a site says nothing.
WHY_PARTIAL = {
    Result.NO_PRIOR: "has no earlier exam",
    Result.NOT_COMPARABLE: "could not be compared",
    Result.NO_LSC: "could not be judged without a facility LSC",
}

# R4.2, R4.4: the categories, without degrees of severity (N2).
CATEGORIES = {
    Category.NORMAL: "normal",
    Category.LOW_BONE_MASS: "low bone mass (osteopenia)",
    Category.OSTEOPOROSIS: "osteoporosis",
    Category.SEVERE_OSTEOPOROSIS: "severe osteoporosis (fragility fracture on record)",
    Category.WITHIN_EXPECTED: "within the expected range for age",
    Category.BELOW_EXPECTED: "below the expected range for age",
}

# R5.5: ACR appropriateness for follow-up of BMD.
RATINGS = (
    "ACR for follow-up: DXA of spine and hip usually appropriate; DXA of the distal forearm, TBS and QCT may be "
    "appropriate; QUS and vertebral fracture assessment alone usually not."
)

# Cautions that stay in the coded content: so common that they would drown the rest (R2.15).
UNSPOKEN = frozenset({Flag.AREA_CHANGED})

ASIDE = "Not part of the overall result."  # R2.17: neck and radius are secondary, as is a side beside the mean

NO_LSC = "Significance cannot be assessed: no facility LSC on file for this scanner and region on this date."  # R1.13


def region_name(region: Region) -> str:
    """A region as a radiologist writes it: ``Spine L1-L4``, ``Left total hip``, ``Mean femoral neck`` (C7)."""
    if region.part == SPINE:
        return f"Spine {region.key}"
    name = f"{region.side} {region.part}" if region.side else region.part
    return name[0].upper() + name[1:]


def identity_conflict(other: Exam, names: Sequence[str]) -> str:
    """R2.19: two people may share an id; the fields are named, never their values."""
    return (
        f"Nothing was compared: an exam of {other.performed_on} under the same patient ID does not agree with this one "
        f"in {', '.join(names)}. Please check whose exam it is."
    )


def same_day(other: Exam) -> str:
    """R2.21: two scans of one day tell precision, not change."""
    return f"The other exam is of the same day ({other.performed_on}): it shows precision, not change."


def scanner_unidentified(exam: Exam, other: Exam) -> str:
    """R2.1: without manufacturer, model and serial number nobody knows whether the machine is the same."""
    return (
        f"It is not known whether the exam of {other.performed_on} was made on the same scanner: "
        f"then {other.scanner}, now {exam.scanner}."
    )


def other_scanner(exam: Exam, other: Exam) -> str:
    """R2.2, R2.3, R2.8: two machines, even of one model, do not measure alike."""
    return (
        f"The exam of {other.performed_on} was made on {other.scanner}, this one on {exam.scanner}. "
        "Without cross-calibration BMD of two scanners is not compared."
    )


def other_epoch(epoch: Epoch, other: Exam) -> str:
    """R2.6: service, relocation or a new tube ends a series unless the phantom showed that calibration held."""
    return (
        f"Between the exam of {other.performed_on} and this one a new calibration epoch of {epoch.scanner} began "
        f"({epoch.begins}: {epoch.reason}), without a cross-calibration on file."
    )


def not_for_monitoring(region: Region) -> str:
    """R2.17: regions too small or too variable to follow."""
    return f"{region_name(region)} is not used for monitoring."


def other_vertebrae(region: Region, other: Exam) -> str:
    """R2.12: only the same vertebrae compare, and two at least."""
    sets = ", ".join(m.region.key for m in other.measurements if len(m.region.vertebrae) > 1) or "single vertebrae only"
    return (
        f"The exam of {other.performed_on} reports other vertebrae ({sets}) than {region.key}, and bone mineral "
        "content and area of at least two shared vertebrae are not on file for both."
    )


def other_side(region: Region, other: Exam) -> str:
    """R2.16: left with left, right with right, mean with mean."""
    sides = ", ".join(m.region.side or "no side stated" for m in other.measurements if m.region.part == region.part)
    here = region.side or "no side stated"
    return f"The exam of {other.performed_on} reports the {region.part} of another side ({sides}), not {here}."


def other_region(region: Region, other: Exam) -> str:
    """R2.11: a region compares only with itself."""
    return f"The exam of {other.performed_on} measured this site, but reports no {region.key}."


def partial(site: str, findings: Sequence[Finding]) -> Caution:
    """R3.9: the overall result rests on one site only."""
    why = WHY_PARTIAL[findings[0].result] if findings else "was not measured"
    return Caution(flag=Flag.PARTIAL, text=f"The overall result is partial: the {site} {why}.")


def spine_suspect(signs: Sequence[str]) -> Caution:
    """R3.11: two signs or more of degeneration or an artefact."""
    text = f"The BMD of the spine may be raised by degeneration or an artefact: {'; '.join(signs)}."
    return Caution(flag=Flag.SPINE_SUSPECT, text=text, review=True)


def suspect_artefact() -> Caution:
    """R3.9: only the spine gained, and the spine is suspect."""
    text = "The spine alone gained, and is suspect: the gain may be an artefact, so the result is called discordant."
    return Caution(flag=Flag.SUSPECT_ARTEFACT, text=text, review=True)


def hip_preferred(rules: Rules) -> Caution:
    """R3.10: from that age spine BMD rises by itself (Black)."""
    text = f"Spine and hip differ; from age {rules.degenerative_age} on the hip is the more reliable site for change."
    return Caution(flag=Flag.HIP_PREFERRED, text=text)


def one_of_many(comparisons: int) -> Caution:
    """R3.6: of several comparisons one may be significant by chance."""
    text = f"Only one of {comparisons} comparisons is significant, and by a small margin: it may be chance."
    return Caution(flag=Flag.ONE_OF_MANY, text=text)


def regression_to_the_mean() -> Caution:
    """R3.7: of those who lost most in a first year on therapy, most gained in the next (Cummings 2000)."""
    text = (
        "The loss is that of a first interval on therapy: most patients who lose then gain in the next; it wants "
        "confirmation."
    )
    return Caution(flag=Flag.REGRESSION_TO_THE_MEAN, text=text)


def too_soon(latest: date, rules: Rules) -> Caution:
    """R5.3: more often than once a year wants a reason."""
    text = (
        f"Less than {rules.short_interval_months} months have passed since the exam of {latest}, and no reason for a "
        "short interval is on record."
    )
    return Caution(flag=Flag.TOO_SOON, text=text)


def too_soon_to_show(rules: Rules) -> Caution:
    """R2.21, R5.3: what was to be expected is still smaller than the LSC."""
    text = f"At {rules.expected_percent_per_year:f} % a year no significant change was to be expected yet."
    return Caution(flag=Flag.TOO_SOON, text=text)


def unexpected_drop(finding: Finding, *, severe: bool) -> Caution:
    """R5.4: a significant loss at spine or hip; the published severity is a label, no verdict."""
    text = f"{region_name(finding.measurement.region)}: significant loss"
    text += " beyond what has been published as unexpected." if severe else "; please check how it was measured first."
    return Caution(flag=Flag.UNEXPECTED_DROP, text=text, review=True)


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


def earlier_held(days: Sequence[date]) -> Caution:
    """R2.19, F4: what waits for a person is compared with nothing, and may have been the prior."""
    text = f"Under the same patient ID an exam of {_days(days)} is held for a person to look at; it was not compared."
    return Caution(flag=Flag.EARLIER_HELD, text=text)


def not_on_file(days: Sequence[date]) -> Caution:
    """Section 5.1, F4: the scanner knows of exams we do not, so that another may be the prior or the first."""
    text = f"The scanner's own trend lists an exam of {_days(days)} that is not on file here."
    return Caution(flag=Flag.NOT_ON_FILE, text=text)


def archive_silent() -> Caution:
    """F4: what an archive holds, and has not told, may be the prior or the first."""
    text = "An archive that was asked for earlier exams of this patient has not answered; there may be more than these."
    return Caution(flag=Flag.ARCHIVE_SILENT, text=text)


def vendor_disagrees(finding: Finding, change: Change, said: str) -> Caution:
    """Section 5.1: the scanner's trend is only compared and the mismatch reported; ours in numbers as N6 allows."""
    name, since = region_name(finding.measurement.region), change.reference.performed_on
    told = "another change than the one found here"
    if change.result in (Result.GAIN, Result.LOSS):
        told = f"{said}, here it is {change.difference:+f} g/cm2 ({change.percent:+f} %)"
    text = f"{name}: the scanner's own trend says of the change since {since}: {told}. Please look at both exams."
    return Caution(flag=Flag.VENDOR_DISAGREES, text=text)


def software_changed(prior: Exam, exam: Exam, *, major: bool) -> Caution:
    """R2.4: a new analysis may shift BMD; a new major version asks for the earlier scan to be analysed again."""
    text = f"Software was {prior.software} on {prior.performed_on} and is {exam.software} now"
    text += "; please have the earlier scan analysed again with this version." if major else "."
    return Caution(flag=Flag.SOFTWARE_CHANGED, text=text, review=major)


def scan_mode_changed(name: str, prior: Exam, what: str, now: str, then: str) -> Caution:
    """R2.5: scan modes and protocols of analysis do not measure alike."""
    text = f"{name}: {what} was {then} on {prior.performed_on} and is {now} now."
    return Caution(flag=Flag.SCAN_MODE_CHANGED, text=text, review=True)


def subset_recomputed(name: str, change: Change) -> Caution:
    """R2.12: the sets differed, so the shared vertebrae were compared."""
    text = (
        f"{name}: compared with {change.reference.performed_on} on {change.region}, the vertebrae both exams include; "
        "BMD as printed, else total content over total area."
    )
    return Caution(flag=Flag.SUBSET_RECOMPUTED, text=text)


def total_disagrees(name: str, exam: Exam) -> Caution:
    """R2.12: what the vertebrae add up to must match the printed total within 0.002 g/cm2."""
    text = f"{name}: BMD printed on {exam.performed_on} is not its content over its area; please check the vertebrae."
    return Caution(flag=Flag.TOTAL_DISAGREES, text=text, review=True)


def cross_calibrated(name: str, change: Change) -> Caution:
    """R2.10: a prior from another scanner, brought to this one's scale."""
    text = (
        f"{name}: the exam of {change.reference.performed_on} was made on {change.reference.scanner}; its BMD was "
        "brought to the scale of this scanner by cross-calibration."
    )
    return Caution(flag=Flag.CROSS_CALIBRATED, text=text)


def invalidated(name: str, reason: str) -> Caution:
    """R2.22: what somebody noted about the scan or the bone."""
    return Caution(flag=Flag.INVALIDATED, text=f"{name}: {reason} on record; its BMD may be false.", review=True)


def dominant_arm(name: str) -> Caution:
    """R2.17: the forearm is followed on the non-dominant side."""
    return Caution(flag=Flag.DOMINANT_ARM, text=f"{name}: the dominant arm by the record; follow the other one.")


def unverified(exam: Exam, gap: Unverified) -> Caution:
    """R7.6: quality control had failed or was not shown to hold on that day."""
    text = f"Quality control of the scanner was not verified on {exam.performed_on} ({gap.reason})."
    return Caution(flag=Flag.QC_UNVERIFIED, text=text, review=True)


def vertebra_outlier(upper: str, lower: str, rules: Rules) -> Caution:
    """R2.13: only a person excludes a vertebra, and then from both exams."""
    text = (
        f"{upper} and {lower} differ by more than {rules.outlier_t:f} in T-score; if one is abnormal, exclude it from "
        "both exams."
    )
    return Caution(flag=Flag.VERTEBRA_OUTLIER, text=text)


def level_shift(name: str, prior: Exam) -> Caution:
    """R2.14: a T12 called L1 shifts content and area more than BMD."""
    text = (
        f"{name}: other vertebral levels may have been analysed than on {prior.performed_on}; please check the levels."
    )
    return Caution(flag=Flag.LEVEL_SHIFT_SUSPECTED, text=text, review=True)


def area_changed(name: str, prior: Exam, *, review: bool) -> Caution:
    """R2.15: another bone area means another region was measured, more or less."""
    text = f"{name}: bone area differs from that of {prior.performed_on}"
    text += " by much; please compare position and region." if review else "."
    return Caution(flag=Flag.AREA_CHANGED, text=text, review=review)


def height_changed(prior: Exam) -> Caution:
    """R2.19: another patient, or vertebral fractures."""
    text = f"Height differs much from that of {prior.performed_on}; please check the patient's identity and vertebrae."
    return Caution(flag=Flag.HEIGHT_CHANGED, text=text, review=True)


def weight_changed(prior: Exam, *, review: bool) -> Caution:
    """R2.20: soft tissue shifts BMD."""
    text = f"Weight differs {'much ' if review else ''}from that of {prior.performed_on}; soft tissue may shift BMD."
    return Caution(flag=Flag.WEIGHT_CHANGED, text=text, review=review)


def high_bmi(rules: Rules) -> Caution:
    """R1.17: precision is worse in large patients."""
    text = f"Body mass index is above {rules.high_bmi:f} kg/m2: the spine's precision is worse than the LSC tells."
    return Caution(flag=Flag.HIGH_BMI, text=text)


def interval_short(prior: Exam, rules: Rules) -> Caution:
    """R2.21: the shorter the interval, the less a rate means; none is given."""
    text = f"Less than {rules.short_interval_months} months have passed since {prior.performed_on}"
    text += ": no yearly rate is given."
    return Caution(flag=Flag.INTERVAL_SHORT, text=text)


def lsc_approximated(name: str, lsc: LeastSignificantChange) -> Caution:
    """R1.15: no precision study of these vertebrae; the LSC of L1-L4 was inflated."""
    return Caution(flag=Flag.LSC_APPROXIMATED, text=f"{name}: LSC of {lsc.region} {lsc.source}.")


def lsc_before_epoch(name: str, epoch: Epoch) -> Caution:
    """R1.11: a scanner that was moved or repaired wants a new precision study."""
    text = (
        f"{name}: the LSC dates from before the calibration epoch of {epoch.begins}; precision wants to be shown anew."
    )
    return Caution(flag=Flag.LSC_BEFORE_EPOCH, text=text, review=True)


def borderline(name: str, change: Change) -> Caution:
    """R1.17: scans on different days vary more than a precision study tells."""
    text = f"{name}: the change since {change.reference.performed_on} is significant by a small margin"
    return Caution(flag=Flag.BORDERLINE, text=f"{text} and wants confirmation.")


def only_at_80_percent(name: str, change: Change) -> Caution:
    """R1.7: a secondary flag, never the headline."""
    text = f"{name}: the change since {change.reference.performed_on} would be significant at 80 % confidence only."
    return Caution(flag=Flag.LSC_80_EXCEEDED, text=text)


def ceiling_exceeded(name: str, change: Change, percent: Decimal) -> Caution:
    """R1.13: without a facility LSC, the largest that ISCD accepts still says something; it is no verdict."""
    text = (
        f"{name}: the difference from {change.reference.performed_on} exceeds the largest LSC ISCD accepts for a "
        f"technologist ({percent:.1f} %); this is no statement on significance."
    )
    return Caution(flag=Flag.CEILING_EXCEEDED, text=text)


def instrument(exam: Exam) -> str:
    """C4: manufacturer, model, serial number and software."""
    software = f", software {exam.software}" if exam.software else ""
    return f"Scanner: {exam.scanner}{software}."


def references(findings: Sequence[Finding], exam: Exam) -> tuple[str, ...]:
    """F1: which earlier exam each region was compared with, and on which machine."""
    prior = [(f.since_prior.reference, f) for f in findings if f.since_prior]
    baseline = [
        (f.since_baseline.reference, f) for f in findings if f.since_baseline and f.since_baseline is not f.since_prior
    ]
    return (
        *(f"Compared with the prior exam of {_which(e, exam)}: {_names(of)}." for e, of in _by_exam(prior)),
        *(f"Compared with the baseline exam of {_which(e, exam)}: {_names(of)}." for e, of in _by_exam(baseline)),
    )


def measured(finding: Finding, scale: Scale | None) -> str:
    """C6, C7, C8: the BMD of one region, and its score as the patient's group asks; both where the group is unknown."""
    measurement = finding.measurement
    parts = [f"BMD {measurement.bmd:f} g/cm2"]
    if measurement.t_score is not None and scale is not Scale.Z_SCORE:
        parts.append(f"T-score {measurement.t_score:f}")
    if measurement.z_score is not None and scale is not Scale.T_SCORE:
        parts.append(f"Z-score {measurement.z_score:f}")
    if measurement.tbs is not None:
        parts.append(f"TBS {measurement.tbs:f} (information only)")  # R2.18: no trend verdict, nor alone a decision
    return f"{region_name(measurement.region)}: {', '.join(parts)}."


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


def trend(fitted: Trend) -> str:
    """R3.5: secondary information; without significance no number (N6)."""
    text = f"{region_name(fitted.region)}: over {fitted.exams} exams since {fitted.since} the fitted trend is"
    if not fitted.significant:
        return f"{text} not significant (secondary information)."
    return f"{text} {fitted.slope:+.4f} g/cm2 per year (secondary information)."


def response(overall: Overall, context: ClinicalContext) -> tuple[str, ...]:
    """R3.9: on therapy, to hold is to respond (ISCD)."""
    on_therapy = context.therapy not in (None, Therapy.NONE)
    if on_therapy and overall in (Overall.STABLE, Overall.IMPROVED):
        return ("On therapy, stable or rising BMD counts as response (ISCD).",)
    return ()


def suggested(suggestion: Suggestion) -> str:
    """R5: a suggestion with its rule, its source and the facts it rests on."""
    facts = f" Because of: {', '.join(suggestion.facts)}." if suggestion.facts else ""
    return f"Suggestion ({suggestion.rule}; {suggestion.source}): {suggestion.text}{facts}"


def not_evaluated(rules: Sequence[NotEvaluated]) -> tuple[str, ...]:
    """A7: what could not be evaluated, and for want of what."""
    lacking = "; ".join(f"{item.topic} ({item.rule}: {', '.join(item.missing)} not supplied)" for item in rules)
    return (f"Not evaluated: {lacking}.",) if rules else ()


def next_exam_in_one_year(reasons: Sequence[str]) -> Suggestion:
    """R5.1, C13, F5."""
    return Suggestion(rule="R5.1", text="next DXA in about 1 year.", source="ISCD; ACR", facts=tuple(reasons))


def next_exam_after_discordance() -> Suggestion:
    """R5.1, R5.7, F5."""
    return Suggestion(rule="R5.1", text="next DXA in 1 to 2 years.", source="source text 003", facts=("discordance",))


def next_exam_in_two_years(rules: Rules) -> Suggestion:
    """R5.1, C13, F5."""
    years = f"{Decimal(rules.usual_interval_months) / 12:.1f}".removesuffix(".0")
    text = f"next DXA in about {years} years, unless a reason for a shorter interval is known that was not supplied."
    return Suggestion(rule="R5.1", text=text, source="ACR")


def assess_vertebral_fractures(score: Decimal, reasons: Sequence[str]) -> Suggestion:
    """R5.2."""
    text = "consider vertebral fracture assessment or lateral spine radiographs."
    return Suggestion(rule="R5.2", text=text, source="ISCD 2019; ACR", facts=(f"T-score {score:f}", *reasons))


def sooner_than_usual(months: int, rules: Rules) -> Suggestion:
    """R5.3."""
    text = f"note that an interval below {rules.usual_interval_months} months is rarely needed without a reason."
    return Suggestion(rule="R5.3", text=text, source="Medicare; Choosing Wisely", facts=(f"{months} months",))


def look_into_a_loss(losses: Sequence[Finding]) -> Suggestion:
    """R5.4: technique first."""
    text = (
        "check positioning, region and levels of both exams; then adherence, new glucocorticoids and secondary causes "
        "(calcium, PTH, 25-OH vitamin D, TSH); referral to a bone clinic may help."
    )
    facts = tuple(f"significant loss, {region_name(f.measurement.region)}" for f in losses)
    return Suggestion(rule="R5.4", text=text, source="ACR", facts=facts)


def refer_fracture_on_therapy() -> Suggestion:
    """R5.4, source text 002."""
    text = "consider referral to a specialist."
    return Suggestion(rule="R5.4", text=text, source="source text 002", facts=("fracture on therapy",))


def look_elsewhere(reasons: Sequence[str]) -> Suggestion:
    """R5.5: the hip, else the one-third radius, else QCT."""
    text = f"rely on the hip, else the one-third radius, else QCT. {RATINGS}"
    return Suggestion(rule="R5.5", text=text, source="ACR", facts=tuple(reasons))


def measure_the_forearm() -> Suggestion:
    """R5.5, R2.17."""
    text = "include the one-third radius of the non-dominant arm."
    return Suggestion(rule="R5.5", text=text, source="Wood 2012; ISCD", facts=("hyperparathyroidism",))


def stress_fracture_path() -> Suggestion:
    """R5.6."""
    text = "radiograph of the area first; if negative and suspicion stays high, MRI without contrast."
    return Suggestion(rule="R5.6", text=text, source="ACR", facts=("stress fracture suspected",))


def look_into_discordance() -> Suggestion:
    """R5.7: in this order."""
    text = (
        "check positioning, regions, levels and area of both exams, a vertebra fractured or excluded before; then "
        "adherence and bone turnover markers, the expected effect of therapy, secondary causes, falls; consider "
        "vertebral fracture assessment."
    )
    return Suggestion(rule="R5.7", text=text, source="source text 003", facts=("spine and hip disagree",))


def frax(context: ClinicalContext, rules: Rules, *, reached: bool, adjusted: Decimal | None) -> Suggestion:
    """C11, R5.8: a risk somebody else computed, beside the US thresholds."""
    facts = [f"hip {context.frax_hip_percent:f} %", f"major {context.frax_major_percent:f} %"]
    if adjusted is not None:
        facts.append(f"major adjusted for the spine {adjusted:.1f} % (R3.12)")
    text = (
        f"ten-year fracture risk by FRAX ({context.frax_source or 'source not stated'}) "
        f"{'reaches' if reached else 'stays below'} the US thresholds (hip {rules.frax_hip_percent:f} %, major "
        f"{rules.frax_major_percent:f} %)."
    )
    return Suggestion(rule="R5.8", text=text, source="Siris 2014", facts=tuple(facts))


def evaluate_secondary_causes() -> Suggestion:
    """C12, R4.4."""
    text = "evaluation of secondary causes of low BMD may be appropriate."
    return Suggestion(rule="C12", text=text, source="ISCD", facts=("Z-score below the expected range for age",))


def verdict(finding: Finding, *, counts: bool) -> str:
    """F2, F3: what became of one region; a change that is not significant is never put in numbers (N6).

    ``counts`` says whether the region has a part in the overall result (R3.9).
    """
    name = region_name(finding.measurement.region)
    if finding.since_prior is None or finding.since_baseline is None:
        return f"{name}: no earlier exam of this site is on file." if not finding.refusals else f"{name}: not compared."
    parts = [f"{name}: {_change(finding.since_prior)}."]
    if finding.since_baseline is not finding.since_prior:
        parts.append(f"Since the baseline: {_change(finding.since_baseline)}.")
    records = dict.fromkeys((finding.since_prior.lsc, finding.since_baseline.lsc))
    parts += [NO_LSC if lsc is None else _lsc(lsc) for lsc in records]
    return " ".join(parts if counts else (*parts, ASIDE))


def refused(findings: Sequence[Finding]) -> tuple[str, ...]:
    """F4: which earlier exams were not used, and why; each reason once."""
    reasons: dict[str, list[Finding]] = {}
    for finding in findings:
        for refusal in finding.refusals:
            reasons.setdefault(refusal.text, []).append(finding)
    return tuple(f"{_names(of)}: {text}" for text, of in reasons.items())


def not_monitored(regions: Iterable[Region]) -> tuple[str, ...]:
    """R2.17: what was measured but is not followed."""
    names = ", ".join(region_name(region) for region in regions)
    return (f"Not used for monitoring: {names}.",) if names else ()


MOST_DAYS = 5  # F4: the latest are enough to find the others


def _days(days: Sequence[date]) -> str:
    more = f" and {len(days) - MOST_DAYS} more" if len(days) > MOST_DAYS else ""
    return ", ".join(map(str, days[:MOST_DAYS])) + more


def _change(change: Change) -> str:
    since = f"since {change.reference.performed_on}" + (f" on {change.region}" if change.region else "")
    if change.result is Result.NO_LSC:
        return f"significance of change {since} unknown"
    if change.result is Result.NO_SIGNIFICANT_CHANGE:
        return f"no significant change {since}"
    kind = "gain" if change.result is Result.GAIN else "loss"
    then, now = change.reference_bmd, change.reference_bmd + change.difference
    rate = "" if change.rate is None else f", {change.rate:+f} g/cm2 per year"
    return (
        f"significant {kind} {since} of {change.difference:+f} g/cm2 ({change.percent:+f} %{rate}), "
        f"from {then:f} to {now:f} g/cm2"
    )


def _lsc(lsc: LeastSignificantChange) -> str:
    return f"LSC {lsc.lsc:f} g/cm2 at 95 % confidence ({lsc.source})."


def _which(earlier: Exam, exam: Exam) -> str:
    accession = f" (accession number {earlier.accession_number})" if earlier.accession_number else ""
    scanner = "the same scanner" if earlier.scanner == exam.scanner else "a scanner cross-calibrated with this one"
    return f"{earlier.performed_on}{accession} on {scanner}, {earlier.scanner}"


def _names(findings: Iterable[Finding]) -> str:
    return ", ".join(region_name(finding.measurement.region) for finding in findings)


def _by_exam(pairs: Iterable[tuple[Exam, Finding]]) -> list[tuple[Exam, list[Finding]]]:
    grouped: dict[str, tuple[Exam, list[Finding]]] = {}
    for exam, finding in pairs:
        grouped.setdefault(exam.study_instance_uid, (exam, []))[1].append(finding)
    return list(grouped.values())
