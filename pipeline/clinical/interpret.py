"""What does one exam say about the patient's bones, beside the earlier ones?"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

from pipeline.clinical.cautions import Surroundings, not_weighed, weigh
from pipeline.clinical.context import ClinicalContext, context_on
from pipeline.clinical.diagnosis import diagnose, not_diagnosed, scale_for, score_cautions
from pipeline.clinical.find import conclude
from pipeline.clinical.follow_up import Case, advise, timing_cautions
from pipeline.clinical.model import (
    Caution,
    CrossCalibration,
    Epoch,
    Exam,
    Finding,
    Interpretation,
    LeastSignificantChange,
    NotEvaluated,
    Trend,
    Unverified,
)
from pipeline.clinical.overall import Judgement, judge_together
from pipeline.clinical.priors import Match, conflict, match
from pipeline.clinical.regions import SPINE
from pipeline.clinical.rules import Rules
from pipeline.clinical.trend import trend
from pipeline.clinical.vendor_trend import TrendPoint, cross_check
from pipeline.clinical.wording import history_cautions, report

RULES_VERSION = "1.0"
"""Which edition of the rules an addendum was made with; raised when the same exams may read differently."""


def interpret(
    exam: Exam,
    history: Sequence[Exam],
    *,
    lscs: Sequence[LeastSignificantChange],
    epochs: Sequence[Epoch] = (),
    crossings: Sequence[CrossCalibration] = (),
    unverified: Sequence[Unverified] = (),
    contexts: Sequence[ClinicalContext] = (),
    rules: Rules | None = None,
    vendor_trend: Sequence[TrendPoint] = (),
    held: Collection[date] = (),
    archive_silent: bool = False,
    unconfirmed: Collection[str] = (),
) -> Interpretation:
    """Match an exam with the patient's history, compare what may be compared, and say it in words.

    ``contexts`` are the records on file for the patient; what they tell together of the day of the exam counts.
    ``vendor_trend`` is what the scanner itself says of the exam, ``held`` the days of the patient's exams that wait
    for a person: neither is compared with, and both are told; so is an archive that has not answered what it holds.
    ``unconfirmed`` are the studies that came from a caller new to their machine: they are compared, with a caution.
    """
    context = context_on(contexts, exam.performed_on)
    around = Surroundings(
        exam=exam, context=context, rules=rules or Rules(), records=contexts, unverified=unverified, epochs=epochs
    )
    matches = match(exam, history, epochs, crossings)
    findings = tuple(weigh(finding, around) for finding in conclude(exam, matches, lscs))
    judgement = judge_together(findings, around)
    earlier = _earlier(exam, history)
    diagnosis = diagnose(around, earlier)
    latest = max((before.performed_on for before in earlier), default=None)
    case = Case(around=around, findings=findings, judgement=judgement, diagnosis=diagnosis, latest=latest)
    suggestions, lacking = advise(case)
    told = [f for f in findings if _is_told(f, findings, judgement)]
    on_file = {*held, *(other.performed_on for other in history)}
    interpretation = Interpretation(
        exam=exam,
        findings=findings,
        overall=judgement.overall,
        cautions=(
            *judgement.cautions,
            *timing_cautions(case),
            *score_cautions(around, diagnosis),
            *_earlier_held(exam, held),
            *([history_cautions.archive_silent()] if archive_silent else []),
            *_sent_by_newcomers(exam, findings, unconfirmed),
            *cross_check(exam, told, vendor_trend, on_file),
        ),
        rules_version=RULES_VERSION,
        diagnosis=diagnosis,
        trends=_trends(exam, matches, told),
        suggestions=suggestions,
        not_evaluated=_not_evaluated(case, told, lacking),
    )
    scale = scale_for(exam, context, around.rules)
    narrative = report.narrative(
        interpretation, told, counted=judgement.counted, scale=scale, context=context, rules=around.rules
    )
    return replace(interpretation, narrative=narrative)


def _earlier(exam: Exam, history: Sequence[Exam]) -> list[Exam]:
    """The patient's exams of earlier days, on any scanner; none where somebody else's may be among them (R2.19)."""
    others = [other for other in history if other.key != exam.key]
    if any(conflict(exam.patient, other.patient) for other in others):
        return []
    return [other for other in others if other.performed_on < exam.performed_on]


def _earlier_held(exam: Exam, held: Collection[date]) -> list[Caution]:
    earlier = sorted({day for day in held if day < exam.performed_on}, reverse=True)
    return [history_cautions.earlier_held(earlier)] if earlier else []


def _sent_by_newcomers(exam: Exam, findings: Sequence[Finding], unconfirmed: Collection[str]) -> list[Caution]:
    """A caution where this exam, or one it was compared with, came from a caller that nobody has confirmed."""
    changes = [c for finding in findings for c in (finding.since_prior, finding.since_baseline) if c is not None]
    rested_upon = [exam, *(change.reference for change in changes)]
    days = sorted({one.performed_on for one in rested_upon if one.study_instance_uid in unconfirmed}, reverse=True)
    return [history_cautions.new_caller(days)] if days else []


def _is_told(finding: Finding, findings: Sequence[Finding], judgement: Judgement) -> bool:
    """Whether a finding is put into words: those that may be monitored, of the spine's many sets only two at most."""
    region = finding.measurement.region
    if not region.monitorable or region.part != SPINE:
        return region.monitorable
    largest = max(len(f.measurement.region.vertebrae) for f in findings if f.measurement.region.monitorable)
    return finding in judgement.spine or len(region.vertebrae) == largest


def _trends(exam: Exam, matches: Sequence[Match], told: Sequence[Finding]) -> tuple[Trend, ...]:
    changes = {finding.measurement.region: finding.since_prior for finding in told}
    fitted = [trend(exam, m, changes[m.measurement.region]) for m in matches if m.measurement.region in changes]
    return tuple(line for line in fitted if line is not None)


def _not_evaluated(case: Case, told: Sequence[Finding], lacking: Sequence[NotEvaluated]) -> tuple[NotEvaluated, ...]:
    """Every rule that lacked an input, each once."""
    unweighed = [item for finding in told for item in not_weighed(finding, case.around)]
    return tuple(dict.fromkeys((*unweighed, *not_diagnosed(case.around, case.diagnosis), *lacking)))
