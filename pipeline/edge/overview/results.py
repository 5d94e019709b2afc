"""Results of an exam by region: as its addendum states them, else as its reports measured them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.clinical.clinical_context import ClinicalContext, context_on
from pipeline.clinical.diagnosis import with_scores_that_apply
from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.clinical.model import Measurement, Obstacle, Result
from pipeline.clinical.regions import Site, parse_region
from pipeline.clinical.rules import Rules
from pipeline.clinical.validity import invalid_because
from pipeline.clinical.wording.impression import NOT_COMPARED
from pipeline.clinical.wording.names import region_name
from pipeline.edge.overview.addendum_text import AddendumText
from pipeline.edge.store.exams import ExamOnFile
from pipeline.sr import codes
from pipeline.sr.author.readback import is_implausible, is_invalid
from pipeline.sr.render.page_content import NOT_PLAUSIBLE, NOT_VALID, VERDICTS, WITHIN_LSC


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionResult:
    """One region in words and printed numbers; empty where nothing is stated.

    ``prior`` and ``baseline`` are days as yyyy-mm-dd. ``change`` is in g/cm2, and in words where it is not significant
    (N6). ``why`` is why it was not compared.
    """

    region: str
    bmd: str
    t_score: str = ""
    z_score: str = ""
    result: str = ""
    prior: str = ""
    change: str = ""
    lsc: str = ""
    result_since_baseline: str = ""
    baseline: str = ""
    why: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def stated(addendum: AddendumText) -> tuple[RegionResult, ...]:
    """Return the results that an addendum states, without regions that are not used for monitoring."""
    return tuple(_stated(key, values) for key, values in addendum.coded.regions.items() if _is_followed(key))


def measured(on_file: ExamOnFile, records: Sequence[ClinicalContext], rules: Rules) -> tuple[RegionResult, ...]:
    """Return what the reports of an exam measured, without what must not be reported (N5, R4.1).

    ``records`` are the clinical context of the patient. Nothing is returned where the reports contradict each other.
    """
    try:
        exam = on_file.exam()
    except ContradictionError:
        return ()
    clinical = context_on(records, exam.performed_on)
    reported = with_scores_that_apply(exam, clinical, rules)
    return tuple(
        _measured(one, valid=not invalid_because(one.region, clinical))
        for one in reported.measurements
        if one.region.monitorable
    )


def _is_followed(key: str) -> bool:
    """Return whether a region is used for monitoring, or is the total body that a child's BMD is told of (R2.17)."""
    region = parse_region(key)
    return region.monitorable or region.site is Site.TOTAL_BODY


def _stated(key: str, values: Mapping[str, tuple[str, ...]]) -> RegionResult:
    def first(name: str) -> str:
        return next(iter(values.get(name, ())), "")

    result = first("RESULT")
    prior, baseline = _day(first("PRIOR_DATE")), _day(first("BASELINE_DATE"))
    is_other = bool(values.get("BASELINE_STUDY")) and values.get("BASELINE_STUDY") != values.get("PRIOR_STUDY")
    return RegionResult(
        region=region_name(parse_region(key)),
        bmd=NOT_VALID if is_invalid(values) else first("BMD"),
        t_score=first("T_SCORE"),
        z_score=first("Z_SCORE"),
        result=_verdict(result, values),
        prior=prior,
        change=_change(result, first("DIFF"), values),
        lsc=first("LSC"),
        result_since_baseline=_verdict(first("BRESULT"), values) if is_other else "",
        baseline=baseline if is_other else "",
        why=tuple(_why(values)),
        cautions=tuple(dict.fromkeys(codes.words(flag) for flag in values.get("FLAG", ()))),
    )


def _verdict(result: str, values: Mapping[str, tuple[str, ...]]) -> str:
    """Return a result as the pages of the addendum have it: one that is not plausible is no gain and no loss."""
    if not result:
        return ""
    return NOT_PLAUSIBLE if is_implausible(values) else VERDICTS[Result(result)]


def _change(result: str, difference: str, values: Mapping[str, tuple[str, ...]]) -> str:
    """Return a change in g/cm2 where it is significant and plausible, else in words."""
    if is_implausible(values):
        return ""
    if result == Result.NO_SIGNIFICANT_CHANGE:
        return WITHIN_LSC
    if result not in (Result.GAIN, Result.LOSS):
        return ""
    return difference if difference.startswith("-") else f"+{difference}"


def _why(values: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    days = values.get("OBSTACLE_DATE", ())
    for position, obstacle in enumerate(values.get("OBSTACLE", ())):
        on = f" ({_day(days[position])})" if position < len(days) else ""
        yield f"{NOT_COMPARED[Obstacle(obstacle)]}{on}"


def _measured(measurement: Measurement, *, valid: bool) -> RegionResult:
    if not valid:
        return RegionResult(region=region_name(measurement.region), bmd=NOT_VALID)
    return RegionResult(
        region=region_name(measurement.region),
        bmd=str(measurement.bmd),
        t_score=_text(measurement.t_score),
        z_score=_text(measurement.z_score),
    )


def _text(score: object) -> str:
    return "" if score is None else str(score)


def _day(written: str) -> str:
    return f"{written[:4]}-{written[4:6]}-{written[6:]}" if len(written) == 8 else written
