"""What does one exam say about the patient's bones, beside the earlier ones?"""

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
"""Which edition of the rules an addendum was made with; raised when the same exams may read differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryDoubts:
    """Why the exams on file may be incomplete, or not what they seem; each becomes a caution, none stops a comparison.

    ``held`` are the days of the patient's exams that wait for a person and so are not compared with.
    ``archive_silent`` says that an archive has not answered which earlier exams it holds. ``unconfirmed`` are the Study
    Instance UIDs of exams from a caller new to their scanner, ``late`` those of exams received long after their date.
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
    now = own.exam if t_score_applies(exam, clinical, rules) else without_t_scores(own.exam)
    said = without_t_scores(now) if scale is Scale.Z_SCORE else now
    context = ComparisonContext(
        exam=now,
        clinical=clinical,
        rules=rules,
        records=contexts,
        qc_gaps=reference.qc_gaps,
        epochs=reference.epochs,
        excluded=tuple(m.region for m in exam.measurements if m.region.key in own.refused),
    )
    past = [valid_part(earlier, context_on(contexts, earlier.performed_on)) for earlier in history]
    judged = [fit.exam for fit in past]
    matches = match(said, judged, reference.epochs, reference.cross_calibrations, _excluded(history, past))
    findings_compared = compare_matches(now, matches, reference.lscs)
    compared = add_side_cautions([add_cautions(finding, context) for finding in findings_compared])
    overall = overall_result(compared, context)
    earlier = _earlier(exam, [fit.exam for fit in past])
    diagnosis = diagnose(context, earlier)
    latest = max((before.performed_on for before in earlier), default=None)
    found = InterpretationContext(
        comparison=context, findings=compared, overall_result=overall, diagnosis=diagnosis, latest=latest
    )
    child = is_child(exam)
    suggestions, lacking = ((), ()) if child else advise(found)
    findings = _all_findings(exam, compared, own, identity_conflicts(exam, history))
    told = [f for f in findings if _is_described(f, findings, overall)]
    on_file = {*doubts.held, *(other.performed_on for other in history)}
    since_start = _since_start_of_therapy(now, matches, reference.lscs, clinical)
    interpretation = Interpretation(
        exam=exam,
        findings=findings,
        overall=overall.overall,
        cautions=(
            *overall.cautions,
            *(() if child else _of_adults(found, earlier)),
            *_earlier_held(exam, doubts.held),
            *([history_cautions.archive_silent()] if doubts.archive_silent else []),
            *([history_cautions.new_caller(days)] if (days := _days_of(exam, findings, doubts.unconfirmed)) else []),
            *([history_cautions.date_late(days)] if (days := _days_of(exam, findings, doubts.late)) else []),
            *cross_check(exam, told, vendor_trend, on_file),
        ),
        rules_version=RULES_VERSION,
        diagnosis=diagnosis,
        trends=_trends(now, matches, told),
        suggestions=suggestions,
        not_evaluated=() if child else _not_evaluated(found, told, lacking),
        overall_since_baseline=overall.overall_since_baseline,
        counted=overall.counted,
        counted_since_baseline=overall.counted_since_baseline,
        speaking=overall.speaking,
        response=may_claim_response(overall, compared, since_start, context),
        category_change=category_change(context, diagnosis, earlier),
        target=target_of(diagnosis, rules),
    )
    narrative = report.narrative(interpretation, told, scale=scale, clinical=clinical, rules=rules)
    return replace(interpretation, narrative=narrative)


def _excluded(history: Sequence[Exam], past: Sequence[ValidPart]) -> list[tuple[Region, Refusal]]:
    """Every earlier measurement that must not be judged, with the reason."""
    return [
        (measurement.region, fit.refused[measurement.region.key])
        for exam, fit in zip(history, past, strict=True)
        for measurement in exam.measurements
        if measurement.region.key in fit.refused
    ]


def _all_findings(
    exam: Exam, compared: Sequence[Finding], own: ValidPart, conflicts: tuple[Refusal, ...]
) -> tuple[Finding, ...]:
    """One finding per measurement in their order: those compared, and those that must not be judged with the reason."""
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


def _of_adults(context: InterpretationContext, earlier: Sequence[Exam]) -> Iterator[Caution]:
    """The cautions that only adults have: about the interval, the scores and the height."""
    yield from timing_cautions(context)
    yield from score_cautions(context.comparison, context.diagnosis)
    yield from height_loss(context.exam, earlier, context.rules)


def _since_start_of_therapy(
    exam: Exam, matches: Sequence[Match], lscs: Sequence[LeastSignificantChange], clinical: ContextOnDay
) -> list[Change]:
    """The changes since the last comparable exam before therapy began (R3.9)."""
    begun = clinical.recent.therapy_since
    started = [
        m._replace(comparable=tuple(e for e in m.comparable if begun is not None and e.performed_on <= begun)[:1])
        for m in matches
    ]
    found = compare_matches(exam, started, lscs)
    return [finding.since_prior for finding in found if finding.since_prior is not None]


def _earlier(exam: Exam, history: Sequence[Exam]) -> list[Exam]:
    """The patient's exams of earlier days, on any scanner; none where somebody else's may be among them (R2.19)."""
    others = [other for other in history if other.key != exam.key]
    if any(conflicting_fields(exam.patient, other.patient) for other in others):
        return []
    return [other for other in others if other.performed_on < exam.performed_on]


def _earlier_held(exam: Exam, held: Collection[date]) -> list[Caution]:
    earlier = sorted({day for day in held if day < exam.performed_on}, reverse=True)
    return [history_cautions.earlier_held(earlier)] if earlier else []


def _days_of(exam: Exam, findings: Sequence[Finding], studies: Collection[str]) -> list[date]:
    """The days of this exam and of those it was compared with, as far as they are among some studies, latest first."""
    changes = [c for finding in findings for c in (finding.since_prior, finding.since_baseline) if c is not None]
    rested_upon = [exam, *(change.reference for change in changes)]
    return sorted({one.performed_on for one in rested_upon if one.study_instance_uid in studies}, reverse=True)


def _is_described(finding: Finding, findings: Sequence[Finding], overall: OverallResult) -> bool:
    """Whether a finding is put into words: those that may be monitored, of the spine's many sets only two at most."""
    region = finding.measurement.region
    if not finding.followed or region.part != SPINE:
        return finding.followed
    largest = max(len(f.measurement.region.vertebrae) for f in findings if f.measurement.region.monitorable)
    return finding in overall.spine or len(region.vertebrae) == largest


def _trends(exam: Exam, matches: Sequence[Match], told: Sequence[Finding]) -> tuple[Trend, ...]:
    by_region = {finding.measurement.region: finding for finding in told}
    pairs = [(m, by_region[m.measurement.region]) for m in matches if m.measurement.region in by_region]
    fitted = [trend(exam, m, f.since_prior, f.since_baseline) for m, f in pairs]
    return tuple(line for line in fitted if line is not None)


def _not_evaluated(
    context: InterpretationContext, told: Sequence[Finding], lacking: Sequence[NotEvaluated]
) -> tuple[NotEvaluated, ...]:
    """Every rule that lacked an input, each once."""
    unweighed = [item for finding in told for item in cautions_not_evaluated(finding, context.comparison)]
    return tuple(dict.fromkeys((*unweighed, *not_diagnosed(context.comparison, context.diagnosis), *lacking)))
