"""Results of an exam by region: as its addendum states them, else as its reports measured them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.clinical.model import Measurement, Obstacle, Result
from pipeline.clinical.regions import Site, parse_region
from pipeline.clinical.wording.impression import NOT_COMPARED
from pipeline.clinical.wording.names import region_name
from pipeline.edge.overview.addendum_text import AddendumText
from pipeline.edge.store.exams import ExamOnFile
from pipeline.sr import codes
from pipeline.sr.render.page_content import VERDICTS, WITHIN_LSC


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


def measured(on_file: ExamOnFile) -> tuple[RegionResult, ...]:
    """Return what the reports of an exam measured; nothing where they contradict each other."""
    try:
        exam = on_file.exam()
    except ContradictionError:
        return ()
    return tuple(_measured(one) for one in exam.measurements if one.region.monitorable)


def _is_followed(key: str) -> bool:
    """Return whether a region is used for monitoring, or is the total body that a child's BMD is told of (R2.17)."""
    region = parse_region(key)
    return region.monitorable or region.site is Site.TOTAL_BODY


def _stated(key: str, values: Mapping[str, tuple[str, ...]]) -> RegionResult:
    def first(name: str) -> str:
        return next(iter(values.get(name, ())), "")

    result = first("RESULT")
    prior, baseline = _day(first("PRIOR_DATE")), _day(first("BASELINE_DATE"))
    obstacles = zip(values.get("OBSTACLE", ()), values.get("OBSTACLE_DATE", ()), strict=False)
    invalid = (Obstacle.INVALID_SITE, first("DATE")) in obstacles  # of this exam itself, not of an earlier one (N5)
    is_other = bool(values.get("BASELINE_STUDY")) and values.get("BASELINE_STUDY") != values.get("PRIOR_STUDY")
    return RegionResult(
        region=region_name(parse_region(key)),
        bmd="not valid" if invalid else first("BMD"),
        t_score=first("T_SCORE"),
        z_score=first("Z_SCORE"),
        result=VERDICTS[Result(result)] if result else "",
        prior=prior,
        change=_change(result, first("DIFF"), values),
        lsc=first("LSC"),
        result_since_baseline=VERDICTS[Result(first("BRESULT"))] if is_other and first("BRESULT") else "",
        baseline=baseline if is_other else "",
        why=tuple(_why(values)),
        cautions=tuple(dict.fromkeys(codes.words(flag) for flag in values.get("FLAG", ()))),
    )


def _change(result: str, difference: str, values: Mapping[str, tuple[str, ...]]) -> str:
    """Return a change in g/cm2 where it is significant and plausible, else in words."""
    if result == Result.NO_SIGNIFICANT_CHANGE:
        return WITHIN_LSC
    if result not in (Result.GAIN, Result.LOSS) or "IMPLAUSIBLE" in values.get("FLAG", ()):
        return ""
    return difference if difference.startswith("-") else f"+{difference}"


def _why(values: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    days = values.get("OBSTACLE_DATE", ())
    for position, obstacle in enumerate(values.get("OBSTACLE", ())):
        on = f" ({_day(days[position])})" if position < len(days) else ""
        yield f"{NOT_COMPARED[Obstacle(obstacle)]}{on}"


def _measured(measurement: Measurement) -> RegionResult:
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
