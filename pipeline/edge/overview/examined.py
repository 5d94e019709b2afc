"""What an exam says today: its examination, the plots and tables of its regions, and what each sentence rests on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from pipeline.clinical.clinical_context import context_on
from pipeline.clinical.diagnosis import with_scores_that_apply
from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.clinical.explanation import explain
from pipeline.clinical.model import Change, Exam, Finding, LeastSignificantChange, Result
from pipeline.clinical.rule_book import RULES, Rule
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording.names import bmd_in_text, difference_in_text, lsc_in_text, region_name, score_in_text
from pipeline.edge.app import App
from pipeline.edge.follow_up.examination import Examination, examine
from pipeline.edge.overview.trend_table import ExamNumbers, TrendRow, rows_of
from pipeline.edge.provenance import ChangedInput
from pipeline.edge.store import exam_summaries, exams
from pipeline.edge.store.patient_file import ExamRow
from pipeline.edge.store.schema_base import State
from pipeline.sr.dicom.header import UnusableEvidenceError
from pipeline.sr.render.page_content import NOT_PLAUSIBLE, NOT_VALID, VERDICTS, WITHIN_LSC
from pipeline.sr.render.plots import Plot, PlotContext, drawn_region, plots


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionTrend:
    """The plot of one region, and its scans as a table."""

    plot: Plot
    rows: tuple[TrendRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedWith:
    """One comparison in printed numbers, and the LSC it was judged by.

    A change that is not significant is given in words (N6).
    """

    role: str
    on: date
    exam: int | None
    bmd: str
    change: str
    result: str
    lsc: LeastSignificantChange | None
    lsc_in_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What a region measured, what it was compared with, and why with nothing else."""

    region: str
    bmd: str
    t_score: str
    z_score: str
    compared: tuple[ComparedWith, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoned:
    """One sentence of an addendum with its rules and their sources, the facts and the numbers it rests on."""

    section: str
    text: str
    rules: tuple[tuple[str, Rule], ...]
    source: str
    facts: tuple[str, ...]
    numbers: tuple[Numbers, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """An exam examined with all that is on file now.

    ``is_current`` says whether its latest addendum says the same; only then ``sentences`` explain that addendum.
    ``changed_inputs`` is what has changed since it was examined for its addendum.
    """

    examination: Examination
    is_current: bool
    changed_inputs: tuple[ChangedInput, ...]
    trends: tuple[RegionTrend, ...]
    sentences: tuple[Reasoned, ...]


def examine_now(app: App, connection: Connection, number: int, others: Sequence[ExamRow]) -> Examined | None:
    """Examine an exam for a person to look at; nothing is written. ``others`` are all exams of the patient.

    Returns ``None`` where nothing may be said of it: it is held or withdrawn, or its reports cannot be used.
    """
    row = next((one for one in others if one.number == number), None)
    if row is None or row.state == State.HELD or row.withdrawn:
        return None
    linked_patients = exam_summaries.linked_patients_of(connection, number)
    (on_file,) = exams.load(connection, [number])
    reference = app.reference_in_force(connection)
    try:
        found = examine(connection, on_file, linked_patients, reference)
    except (ContradictionError, UnusableEvidenceError):
        return None
    summary = next(one for one in linked_patients.summaries if one.number == number)
    numbers = {((one.study_instance_uid, one.visit), one.scanner.key): one.number for one in others}
    held = [(one.number, one.performed_at.date()) for one in others if one.state == State.HELD]
    return Examined(
        examination=found,
        is_current=found.predecessor is not None and not found.is_new,
        changed_inputs=reference.provenance_tracker.changed_inputs(summary, linked_patients),
        trends=tuple(_trends(app, found, numbers, held)),
        sentences=tuple(_reasoned(found, numbers)),
    )


def plot_context(app: App, found: Examination) -> PlotContext:
    """Return what the plots of an exam show beside the scans, as those on the pages of its addendum."""
    return PlotContext(epochs=app.reference_data.clinical.epochs, records=found.contexts, held_days=found.held)


def _trends(
    app: App, found: Examination, numbers: ExamNumbers, held: Sequence[tuple[int, date]]
) -> Iterator[RegionTrend]:
    exam = found.interpretation.exam
    followed = [finding for finding in found.interpretation.findings if finding.followed]
    drawn = {plot.region: plot for plot in plots(followed, exam, found.history, plot_context(app, found))}
    earlier = sorted(
        (one for one in found.history if one.performed_at < exam.performed_at and one.key != exam.key),
        key=lambda one: (one.performed_at, one.study_instance_uid),
    )
    for finding in followed:
        region = drawn_region(finding)
        plot = drawn.pop(region_name(region), None)
        if plot is not None:
            scans = [_as_reported(one, found, app.reference_data.clinical.rules) for one in (*earlier, exam)]
            yield RegionTrend(plot=plot, rows=rows_of(plot, finding, region, scans, numbers, held))


def _as_reported(exam: Exam, found: Examination, rules: Rules) -> Exam:
    return with_scores_that_apply(exam, context_on(found.contexts, exam.performed_on), rules)


def _reasoned(found: Examination, numbers: ExamNumbers) -> Iterator[Reasoned]:
    for one in explain(found.interpretation):
        yield Reasoned(
            section=one.section,
            text=one.text,
            rules=tuple((rule, RULES[rule]) for rule in one.rules),
            source=one.source,
            facts=one.facts,
            numbers=tuple(_numbers(finding, numbers) for finding in one.findings),
        )


def _numbers(finding: Finding, numbers: ExamNumbers) -> Numbers:
    measured = finding.measurement
    valid = finding.valid
    return Numbers(
        region=region_name(measured.region),
        bmd=bmd_in_text(measured.bmd) if valid else NOT_VALID,
        t_score="" if measured.t_score is None else score_in_text(measured.t_score),
        z_score="" if measured.z_score is None else score_in_text(measured.z_score),
        compared=tuple(_compared(finding, numbers)),
        refused=tuple(refusal.text for refusal in finding.refusals),
    )


def _compared(finding: Finding, numbers: ExamNumbers) -> Iterator[ComparedWith]:
    prior, baseline = finding.since_prior, finding.since_baseline
    if prior is None or baseline is None:
        return
    is_one = prior.reference.key == baseline.reference.key
    roles = [("prior and baseline", prior)] if is_one else [("prior", prior), ("baseline", baseline)]
    for role, change in roles:
        yield ComparedWith(
            role=role,
            on=change.reference.performed_on,
            exam=numbers.get((change.reference.key, change.reference.scanner.key)),
            bmd=bmd_in_text(change.reference_bmd),
            change=_change(change) if finding.plausible else "",
            result=VERDICTS[change.result] if finding.plausible else NOT_PLAUSIBLE,
            lsc=change.lsc,
            lsc_in_text=lsc_in_text(change.lsc.lsc) if change.lsc else "",
        )


def _change(change: Change) -> str:
    match change.result:
        case Result.GAIN | Result.LOSS:
            return f"{difference_in_text(change.difference)} g/cm² ({change.percent:+f} %)"
        case Result.NO_SIGNIFICANT_CHANGE:
            return WITHIN_LSC
        case _:
            return ""
