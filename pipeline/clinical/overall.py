"""What do spine and hip say together, and how far is the spine to be believed?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.clinical.age import age_on
from pipeline.clinical.cautions import Surroundings, area_change, outliers
from pipeline.clinical.compare import borderline, months_between
from pipeline.clinical.context import Therapy
from pipeline.clinical.model import Caution, Change, Exam, Finding, Overall, Result
from pipeline.clinical.regions import FEMORAL_NECK, ONE_THIRD_RADIUS, SPINE, TOTAL_HIP, Side
from pipeline.clinical.wording import overall_cautions as words

ASSESSED = frozenset({Result.GAIN, Result.LOSS, Result.NO_SIGNIFICANT_CHANGE})
SIGNIFICANT = frozenset({Result.GAIN, Result.LOSS})

CONFIRMING_MONTHS = 6
"""A prior so long after therapy began is no longer its start (R3.7)."""


class Sign(NamedTuple):
    """Something that makes the spine doubtful; ``seen`` in the scans, not only told by age or by the gain itself."""

    text: str
    seen: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The overall result, the findings it rests on, and what to keep in mind."""

    overall: Overall
    counted: tuple[Finding, ...]
    spine: tuple[Finding, ...]
    hips: tuple[Finding, ...]
    spine_suspect: bool
    cautions: tuple[Caution, ...]


def judge_together(findings: Sequence[Finding], around: Surroundings) -> Judgement:
    """The overall result over the regions used for monitoring (R3.9); partial when one of them cannot be judged."""
    spine, hips = spine_of(findings), hips_of(findings)
    signs = degenerative_signs(spine, hips, around) if spine else ()
    suspect = len(signs) >= around.rules.degenerative_signs
    sites = {"spine": spine, "hip": hips}
    if not spine and not hips:
        sites = {"one-third radius": [f for f in findings if f.measurement.region.part == ONE_THIRD_RADIUS]}
    together = [finding for site in sites.values() for finding in site]
    result = _overall({finding.result for finding in together or findings})
    cautions = []
    if result in (Overall.IMPROVED, Overall.STABLE, Overall.DECLINED, Overall.DISCORDANT):
        silent = [name for name, site in sites.items() if ASSESSED.isdisjoint(f.result for f in site)]
        cautions += [words.partial(name, sites[name]) for name in silent]
    if suspect:
        cautions.append(words.spine_suspect([sign.text for sign in signs]))
    seen = suspect and any(sign.seen for sign in signs)
    if result is Overall.IMPROVED and seen and not any(f.result is Result.GAIN for f in hips):
        result = Overall.DISCORDANT
        cautions.append(words.suspect_artefact())
    return Judgement(
        overall=result,
        counted=tuple(together),
        spine=tuple(spine),
        hips=tuple(hips),
        spine_suspect=suspect,
        cautions=(*cautions, *_doubts(findings, spine, hips, around)),
    )


def spine_of(findings: Sequence[Finding]) -> list[Finding]:
    """The set of vertebrae that speaks for the spine: one that could be judged, then the largest."""
    sets = [f for f in findings if f.measurement.region.part == SPINE and f.measurement.region.monitorable]
    return sorted(sets, key=lambda f: (f.result in ASSESSED, len(f.measurement.region.vertebrae)), reverse=True)[:1]


def hips_of(findings: Sequence[Finding]) -> list[Finding]:
    """What speaks for the hip: the total hip, else the neck; of two sides their mean if it could be judged (R1.16)."""
    for part in (TOTAL_HIP, FEMORAL_NECK):
        hips = [f for f in findings if f.measurement.region.part == part]
        mean = [f for f in hips if f.measurement.region.side is Side.MEAN]
        sides = [f for f in hips if f not in mean]
        if hips:
            return mean if not sides or any(f.result in ASSESSED for f in mean) else sides
    return []


def degenerative_signs(spine: Sequence[Finding], hips: Sequence[Finding], around: Surroundings) -> tuple[Sign, ...]:
    """What suggests that degeneration or an artefact raises the BMD of the spine (R3.11)."""
    return tuple(sign for finding in spine for sign in _signs(finding, hips, around))


def _signs(finding: Finding, hips: Sequence[Finding], around: Surroundings) -> Iterator[Sign]:
    exam, rules = around.exam, around.rules
    age = age_on(exam)
    if age is not None and age >= rules.degenerative_age:
        yield Sign(f"age {int(age)}", seen=False)
    hip_results = {hip.result for hip in hips} & ASSESSED
    if finding.result is Result.GAIN and hip_results and Result.GAIN not in hip_results:
        yield Sign("spine gain without hip gain", seen=False)
    if outliers(exam, finding.measurement.region.vertebrae, rules):
        yield Sign(f"adjacent vertebrae more than {rules.outlier_t:f} apart in T-score")
    if finding.since_prior is not None:
        if _one_rises_alone(finding.since_prior, exam, finding.measurement.region.vertebrae):
            yield Sign("one vertebra rising while the others fall")
        earlier = finding.since_prior.reference.by_region.get(finding.measurement.region.key)
        percent = area_change(finding.measurement, earlier) if earlier else None
        if percent is not None and abs(percent) >= rules.area_review_percent:
            yield Sign("bone area changed by much")
    if _above_the_neck(finding, around):
        yield Sign(f"spine T-score at least {rules.degenerative_t_gap:f} above that of the neck")


def _one_rises_alone(change: Change, exam: Exam, vertebrae: Sequence[str]) -> bool:
    """One vertebra gained an LSC or more while all others, two at least, lost."""
    pairs = [(exam.by_region.get(level), change.reference.by_region.get(level)) for level in vertebrae]
    differences = sorted(now.bmd - then.bmd for now, then in pairs if now and then)
    if change.lsc is None or len(differences) < 3:
        return False
    return differences[-1] >= change.lsc.lsc and differences[-2] < 0


def _above_the_neck(finding: Finding, around: Surroundings) -> bool:
    necks = [m.t_score for m in around.exam.measurements if m.region.part == FEMORAL_NECK]
    told = [score for score in necks if score is not None]
    spine = finding.measurement.t_score
    return spine is not None and bool(told) and spine - min(told) >= around.rules.degenerative_t_gap


def _overall(results: set[Result]) -> Overall:
    if ASSESSED.isdisjoint(results):
        return Overall.NO_PRIOR if results <= {Result.NO_PRIOR} else Overall.INDETERMINATE
    match (Result.GAIN in results, Result.LOSS in results):
        case True, True:
            return Overall.DISCORDANT
        case True, False:
            return Overall.IMPROVED
        case False, True:
            return Overall.DECLINED
        case _:
            return Overall.STABLE


def _doubts(
    findings: Sequence[Finding], spine: Sequence[Finding], hips: Sequence[Finding], around: Surroundings
) -> Iterator[Caution]:
    age = age_on(around.exam)
    old = age is not None and age >= around.rules.degenerative_age
    spines, hip_results = {f.result for f in spine} & ASSESSED, {f.result for f in hips} & ASSESSED
    if old and spines and len(hip_results) == 1 and spines != hip_results:
        yield words.hip_preferred(around.rules)
    changes = _distinct_changes(findings)
    significant = [change for change in changes if change.result in SIGNIFICANT]
    if len(changes) > 1 and len(significant) == 1 and borderline(significant[0], around.rules.borderline_factor):
        yield words.one_of_many(len(changes))
    if any(f.result is Result.LOSS and _first_on_therapy(f, around) for f in (*spine, *hips)):
        yield words.regression_to_the_mean()


def _distinct_changes(findings: Sequence[Finding]) -> list[Change]:
    """Every judged comparison of the exam, each once."""
    both = [(finding.since_prior, finding.since_baseline) for finding in findings]
    changes = [c for prior, baseline in both for c in ((prior,) if prior is baseline else (prior, baseline))]
    return [change for change in changes if change is not None and change.result in ASSESSED]


def _first_on_therapy(finding: Finding, around: Surroundings) -> bool:
    """Whether a loss is the first interval under the present therapy (R3.7)."""
    context, change = around.context.recent, finding.since_prior
    if change is None or context.therapy in (None, Therapy.NONE) or context.therapy_since is None:
        return False
    return months_between(context.therapy_since, change.reference.performed_on) < CONFIRMING_MONTHS
