"""Interpretation of one exam: match, compare, overall result, diagnosis, recommendations, text of the addendum."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from pipeline.clinical.cautions import add_cautions, add_side_cautions, cautions_not_evaluated, height_loss
from pipeline.clinical.clinical_context import ClinicalContext, ContextOnDay, context_on
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.comparison_context import ComparisonContext
from pipeline.clinical.diagnosis import (
    category_change,
    diagnose,
    not_diagnosed,
    scale_for,
    score_cautions,
    t_score_applies,
    target_of,
)
from pipeline.clinical.findings import compare_matches
from pipeline.clinical.interpretation_context import InterpretationContext
from pipeline.clinical.model import (
    Caution,
    Change,
    Exam,
    Finding,
    Interpretation,
    LeastSignificantChange,
    NotEvaluated,
    Refusal,
    Scale,
    Trend,
)
from pipeline.clinical.overall_result import OverallResult, may_claim_response, overall_result
from pipeline.clinical.priors import Match, conflicting_fields, identity_conflicts, match
from pipeline.clinical.recommendations import advise, timing_cautions
from pipeline.clinical.regions import SPINE, Region
from pipeline.clinical.trend import trend
from pipeline.clinical.validity import ValidPart, is_child, valid_part, without_invalid_scores, without_t_scores
from pipeline.clinical.vendor_trend import TrendPoint, cross_check
from pipeline.clinical.wording import history_cautions, report
from pipeline.clinical.wording.validity import invalidated

RULES_VERSION = "2.0"
"""Version of the clinical rules, stored with each addendum; raised when the same exams may read differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryDoubts:
    """Doubts about the exams on file: each becomes a caution, none stops a comparison.

    ``held`` are the days of the patient's exams held for a person, which are not compared with.
    ``archive_silent`` states that an archive has not answered which earlier exams it holds. ``unconfirmed`` are the
    Study Instance UIDs of exams from a caller new to their scanner, ``late`` those received long after their date.
    """

    held: Collection[date] = ()
    archive_silent: bool = False
    unconfirmed: Collection[str] = ()
    late: Collection[str] = ()


NO_DOUBTS = HistoryDoubts()


def interpret(
    exam: Exam,
    history: Sequence[Exam],
    reference: ClinicalReference,
    *,
    contexts: Sequence[ClinicalContext] = (),
    vendor_trend: Sequence[TrendPoint] = (),
    doubts: HistoryDoubts = NO_DOUBTS,
) -> Interpretation:
    """Match an exam with the patient's history, compare what may be compared, and put the result into words.

    ``contexts`` are all records on file for the patient; together they say what holds on the day of the exam.
    ``vendor_trend`` is the scanner's own trend: it is checked against the result and never compared with.
    """
    rules = reference.rules
    clinical = context_on(contexts, exam.performed_on)
    own = valid_part(exam, clinical, own=True)
    scale = scale_for(exam, clinical, rules)
    valid_exam = own.exam if t_score_applies(exam, clinical, rules) else without_t_scores(own.exam)
    past = [valid_part(earlier, context_on(contexts, earlier.performed_on)) for earlier in history]
    valid_history = [part.exam for part in past]
    context = ComparisonContext(
        exam=valid_exam,
        clinical=clinical,
        rules=rules,
        records=contexts,
        qc_gaps=reference.qc_gaps,
        epochs=reference.epochs,
        excluded=tuple(m.region for m in exam.measurements if m.region.key in own.refused),
    )
    matches = match(
        without_t_scores(valid_exam) if scale is Scale.Z_SCORE else valid_exam,
        valid_history,
        reference.epochs,
        reference.cross_calibrations,
        _excluded(history, past),
    )
    compared = compare_matches(valid_exam, matches, reference.lscs)
    compared = add_side_cautions([add_cautions(finding, context) for finding in compared])
    result = overall_result(compared, context)
    earlier_exams = _earlier(exam, valid_history)
    diagnosis = diagnose(context, earlier_exams)
    found = InterpretationContext(
        comparison=context,
        findings=compared,
        overall_result=result,
        diagnosis=diagnosis,
        latest=max((earlier.performed_on for earlier in earlier_exams), default=None),
    )
    child = is_child(exam)
    suggestions, lacking = ((), ()) if child else advise(found)
    findings = _all_findings(exam, compared, own, identity_conflicts(exam, history))
    described = [finding for finding in findings if _is_described(finding, findings, result)]
    since_start = _since_start_of_therapy(valid_exam, matches, reference.lscs, clinical)
    interpretation = Interpretation(
        exam=exam,
        findings=findings,
        overall=result.overall,
        cautions=(
            *result.cautions,
            *(() if child else _cautions_of_adults(found, earlier_exams)),
            *_doubts_of_history(exam, findings, doubts),
            *cross_check(exam, described, vendor_trend, {*doubts.held, *(other.performed_on for other in history)}),
        ),
        rules_version=RULES_VERSION,
        diagnosis=diagnosis,
        trends=_trends(valid_exam, matches, described),
        suggestions=suggestions,
        not_evaluated=() if child else _not_evaluated(found, described, lacking),
        overall_since_baseline=result.overall_since_baseline,
        counted=result.counted,
        counted_since_baseline=result.counted_since_baseline,
        representative=result.representative,
        response=may_claim_response(result, compared, since_start, context),
        category_change=category_change(context, diagnosis, earlier_exams),
        target=target_of(diagnosis, rules),
    )
    narrative = report.narrative(interpretation, described, scale=scale, clinical=clinical, rules=rules)
    return replace(interpretation, narrative=narrative)


def _excluded(history: Sequence[Exam], past: Sequence[ValidPart]) -> list[tuple[Region, Refusal]]:
    """Return every earlier measurement that must not be judged, with its refusal."""
    return [
        (measurement.region, part.refused[measurement.region.key])
        for exam, part in zip(history, past, strict=True)
        for measurement in exam.measurements
        if measurement.region.key in part.refused
    ]


def _all_findings(
    exam: Exam, compared: Sequence[Finding], own: ValidPart, conflicts: tuple[Refusal, ...]
) -> tuple[Finding, ...]:
    """Return one finding per measurement, in their order: those compared, and those excluded with their refusal."""
    by_region = {finding.measurement.region.key: finding for finding in compared}
    for measurement in exam.measurements:
        refusal = own.refused.get(measurement.region.key)
        if refusal is not None:
            by_region[measurement.region.key] = Finding(
                measurement=without_invalid_scores(measurement, refusal),
                refusals=(refusal, *conflicts),
                cautions=invalidated(refusal),
            )
    return tuple(by_region[measurement.region.key] for measurement in exam.measurements)


def _cautions_of_adults(found: InterpretationContext, earlier: Sequence[Exam]) -> Iterator[Caution]:
    """Yield the cautions that apply to adults only: interval, scores and height."""
    yield from timing_cautions(found)
    yield from score_cautions(found.comparison, found.diagnosis)
    yield from height_loss(found.exam, earlier, found.rules)


def _doubts_of_history(exam: Exam, findings: Sequence[Finding], doubts: HistoryDoubts) -> Iterator[Caution]:
    """Yield a caution for each doubt that concerns this exam or one it was compared with."""
    if held := sorted({day for day in doubts.held if day < exam.performed_on}, reverse=True):
        yield history_cautions.earlier_held(held)
    if doubts.archive_silent:
        yield history_cautions.archive_silent()
    if days := _days_of(exam, findings, doubts.unconfirmed):
        yield history_cautions.new_caller(days)
    if days := _days_of(exam, findings, doubts.late):
        yield history_cautions.date_late(days)


def _since_start_of_therapy(
    exam: Exam, matches: Sequence[Match], lscs: Sequence[LeastSignificantChange], clinical: ContextOnDay
) -> list[Change]:
    """Return the changes since the last comparable exam before therapy began (R3.9)."""
    begun = clinical.recent.therapy_since
    started = [
        m._replace(comparable=tuple(e for e in m.comparable if begun is not None and e.performed_on <= begun)[:1])
        for m in matches
    ]
    found = compare_matches(exam, started, lscs)
    return [finding.since_prior for finding in found if finding.since_prior is not None]


def _earlier(exam: Exam, history: Sequence[Exam]) -> list[Exam]:
    """Return the patient's exams of earlier days on any scanner; none if one may be another person's (R2.19)."""
    others = [other for other in history if other.key != exam.key]
    if any(conflicting_fields(exam.patient, other.patient) for other in others):
        return []
    return [other for other in others if other.performed_on < exam.performed_on]


def _days_of(exam: Exam, findings: Sequence[Finding], studies: Collection[str]) -> list[date]:
    """Return the days of this exam and of those it was compared with that belong to ``studies``, latest first."""
    changes = [c for finding in findings for c in (finding.since_prior, finding.since_baseline) if c is not None]
    exams = [exam, *(change.reference for change in changes)]
    return sorted({one.performed_on for one in exams if one.study_instance_uid in studies}, reverse=True)


def _is_described(finding: Finding, findings: Sequence[Finding], result: OverallResult) -> bool:
    """Whether a finding is put into words: regions used for monitoring; of the sets of the spine at most two."""
    region = finding.measurement.region
    if not finding.followed or region.part != SPINE:
        return finding.followed
    largest = max(len(f.measurement.region.vertebrae) for f in findings if f.measurement.region.monitorable)
    return finding in result.spine or len(region.vertebrae) == largest


def _trends(exam: Exam, matches: Sequence[Match], described: Sequence[Finding]) -> tuple[Trend, ...]:
    by_region = {finding.measurement.region: finding for finding in described}
    pairs = [(m, by_region[m.measurement.region]) for m in matches if m.measurement.region in by_region]
    fitted = [trend(exam, m, f.since_prior, f.since_baseline) for m, f in pairs]
    return tuple(line for line in fitted if line is not None)


def _not_evaluated(
    context: InterpretationContext, described: Sequence[Finding], lacking: Sequence[NotEvaluated]
) -> tuple[NotEvaluated, ...]:
    """Return every rule that lacked an input, each once."""
    lacked = [item for finding in described for item in cautions_not_evaluated(finding, context.comparison)]
    return tuple(dict.fromkeys((*lacked, *not_diagnosed(context.comparison, context.diagnosis), *lacking)))
