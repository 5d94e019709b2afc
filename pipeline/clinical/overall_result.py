"""The overall result of spine and hip against the prior and against the baseline (R3.3, R3.9)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from pipeline.clinical.age import age_on
from pipeline.clinical.cautions import area_change, outliers
from pipeline.clinical.clinical_context import Therapy
from pipeline.clinical.compare import borderline, implausible, months_between
from pipeline.clinical.comparison_context import ComparisonContext
from pipeline.clinical.model import Caution, Change, Exam, Finding, Obstacle, Overall, Result
from pipeline.clinical.regions import FEMORAL_NECK, ONE_THIRD_RADIUS, SPINE, TOTAL_HIP, Side, Site
from pipeline.clinical.wording import overall_cautions as words

ASSESSED = frozenset({Result.GAIN, Result.LOSS, Result.NO_SIGNIFICANT_CHANGE})

FIRST_INTERVAL = (3, 6)
"""Months of a first interval on therapy: begun at most 3 before the prior, at least 6 before the exam (R3.7)."""

SITE_NAMES = {Site.SPINE: "spine", Site.HIP: "hip"}

Since = Callable[[Finding], Change | None]


class Sign(NamedTuple):
    """A sign of degeneration or artefact in the spine; ``seen`` in the scans, unlike age or the gain itself."""

    text: str
    seen: bool = True


class CombinedResult(NamedTuple):
    """The result over all sites against one of the two references.

    ``sites`` are the findings that represent each site; ``counted`` are those that count in the result; ``left_out`` is
    a suspect spine whose gain does not count.
    """

    overall: Overall
    sites: dict[str, list[Finding]]
    counted: tuple[Finding, ...]
    left_out: tuple[Finding, ...]
    signs: tuple[Sign, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallResult:
    """The overall result against prior and baseline, the findings it rests on, and its cautions."""

    overall: Overall
    overall_since_baseline: Overall
    counted: tuple[Finding, ...]
    counted_since_baseline: tuple[Finding, ...]
    spine: tuple[Finding, ...]
    hips: tuple[Finding, ...]
    representative: tuple[Finding, ...]
    spine_suspect: bool
    cautions: tuple[Caution, ...]

    @property
    def overalls(self) -> tuple[Overall, Overall]:
        """The results against the prior and against the baseline."""
        return self.overall, self.overall_since_baseline

    @property
    def discordant(self) -> tuple[Finding, ...]:
        """The findings that gained or lost, where a result is discordant."""
        pairs = [(f, f.since_prior) for f in self.counted if self.overall is Overall.DISCORDANT]
        pairs += [
            (f, f.since_baseline)
            for f in self.counted_since_baseline
            if self.overall_since_baseline is Overall.DISCORDANT
        ]
        return tuple(dict.fromkeys(f for f, change in pairs if change is not None and change.result.significant))

    @property
    def losses(self) -> tuple[tuple[Finding, Change], ...]:
        """Each counted loss, since the prior, else since the baseline."""
        prior = [(f, f.since_prior) for f in self.counted if f.result is Result.LOSS and f.since_prior]
        lost_since_prior = [finding for finding, _ in prior]
        slow = [
            (f, f.since_baseline)
            for f in self.counted_since_baseline
            if f not in lost_since_prior and f.since_baseline and f.since_baseline.result is Result.LOSS
        ]
        return (*prior, *slow)


def since_prior(finding: Finding) -> Change | None:
    """Return the change since the latest comparable exam."""
    return finding.since_prior


def since_baseline(finding: Finding) -> Change | None:
    """Return the change since the first comparable exam."""
    return finding.since_baseline


def overall_result(findings: Sequence[Finding], context: ComparisonContext) -> OverallResult:
    """Combine the regions used for monitoring into an overall result (R3.9); partial if a site cannot be judged.

    An invalid site, an implausible change and a change over less than three months do not count.
    """
    prior = _combine(findings, context, since_prior)
    baseline = _combine(findings, context, since_baseline)
    spine, hips = prior.sites.get("spine", []), prior.sites.get("hip", [])
    suspicions = [signs for _, _, _, _, signs in (prior, baseline) if _is_suspect(signs, context)]
    uncounted = _uncounted_sites(prior)
    cautions = [_partial(name, prior, context, since_prior) for name in uncounted]
    cautions += [
        _partial(name, baseline, context, since_baseline)
        for name in _uncounted_sites(baseline)
        if name not in uncounted
    ]
    cautions += [words.spine_suspect([sign.text for sign in signs]) for signs in suspicions[:1]]
    if prior.left_out or baseline.left_out:
        cautions.append(words.suspect_artefact())
    return OverallResult(
        overall=prior.overall,
        overall_since_baseline=baseline.overall,
        counted=prior.counted,
        counted_since_baseline=baseline.counted,
        spine=tuple(spine),
        hips=tuple(hips),
        representative=tuple(finding for site in prior.sites.values() for finding in site),
        spine_suspect=bool(suspicions),
        cautions=(*cautions, *_other_cautions(findings, prior, context)),
    )


def may_count(change: Change | None, context: ComparisonContext) -> bool:
    """Whether a change may count in an overall result: judged, not too soon, and plausible (R3.1, R5.3)."""
    if change is None or change.result not in ASSESSED:
        return False
    today = context.exam.performed_on
    soon = months_between(change.reference.performed_on, today) < context.rules.no_change_months
    return not soon and not implausible(change, today, context.rules)


def may_claim_response(
    result: OverallResult,
    findings: Sequence[Finding],
    since_start: Sequence[Change],
    context: ComparisonContext,
) -> bool:
    """Whether response to therapy may be claimed (R3.9, AACE 2020).

    A year of therapy that began no later than the prior; spine and hip judged; no loss since prior, baseline or
    ``since_start`` of therapy; and no fracture on therapy, which must be on record.
    """
    recent = context.clinical.recent
    begun = recent.therapy_since
    if recent.therapy in (None, Therapy.NONE) or begun is None:
        return False
    judged = {finding.measurement.region.site for finding in result.counted}
    priors = [f.since_prior.reference.performed_on for f in result.counted if f.since_prior]
    changes = [change for f in findings for change in (f.since_prior, f.since_baseline) if change]
    return (
        months_between(begun, context.exam.performed_on) >= 12
        and all(begun <= prior for prior in priors)
        and {Site.SPINE, Site.HIP} <= judged
        and all(overall in (Overall.STABLE, Overall.IMPROVED) for overall in result.overalls)
        and not any(change.result is Result.LOSS for change in (*changes, *since_start))
        and not_fractured(context)
    )


def not_fractured(context: ComparisonContext) -> bool:
    """Whether the record states that there was no fracture on therapy; unknown is never "no"."""
    clinical = context.clinical
    return clinical.fracture_on_therapy is False or (
        clinical.fracture_on_therapy is None and clinical.fragility_fracture is False
    )


def spine_of(findings: Sequence[Finding], since: Since = since_prior) -> list[Finding]:
    """Return the set of vertebrae that represents the spine: one that could be judged, then the largest."""
    sets = [f for f in findings if f.measurement.region.part == SPINE and f.measurement.region.monitorable]
    return sorted(sets, key=lambda f: (_assessed(f, since), len(f.measurement.region.vertebrae)), reverse=True)[:1]


def hips_of(findings: Sequence[Finding], since: Since = since_prior) -> list[Finding]:
    """Return what represents the hip: the total hip, else the neck; the mean if judged, else the sides (R1.16)."""
    for part in (TOTAL_HIP, FEMORAL_NECK):
        hips = [f for f in findings if f.measurement.region.part == part]
        mean = [f for f in hips if f.measurement.region.side is Side.MEAN]
        sides = [f for f in hips if f not in mean]
        if hips:
            return mean if not sides or any(_assessed(f, since) for f in mean) else sides
    return []


def _assessed(finding: Finding, since: Since) -> bool:
    change = since(finding)
    return change is not None and change.result in ASSESSED


def _combine(findings: Sequence[Finding], context: ComparisonContext, since: Since) -> CombinedResult:
    spine, hips = spine_of(findings, since), hips_of(findings, since)
    sites = {"spine": spine, "hip": hips}
    if not spine and not hips:
        sites = {"one-third radius": [f for f in findings if f.measurement.region.part == ONE_THIRD_RADIUS]}
    together = [finding for site in sites.values() for finding in site]
    counted = [finding for finding in together if may_count(since(finding), context)]
    signs = degenerative_signs(spine, hips, context, since)
    left_out = [f for f in counted if _is_suspect(signs, context) and f in spine and _result(f, since) is Result.GAIN]
    counted = [finding for finding in counted if finding not in left_out]
    results = {_result(finding, since) for finding in counted}
    overall = _overall(results) if results else _nothing_counted(together)
    return CombinedResult(overall, sites, tuple(counted), tuple(left_out), signs)


def _uncounted_sites(combined: CombinedResult) -> tuple[str, ...]:
    """Return the sites that do not count in a result, where there is a result (R3.9)."""
    if combined.overall in (Overall.INDETERMINATE, Overall.NO_PRIOR):
        return ()
    return tuple(name for name, site in combined.sites.items() if not any(f in combined.counted for f in site))


def _partial(name: str, combined: CombinedResult, context: ComparisonContext, since: Since) -> Caution:
    site = combined.sites[name]
    change = since(site[0]) if site else None
    return words.partial(
        name,
        change.result if change else site[0].result if site else None,
        left_out=bool(combined.left_out),
        invalid=_is_invalid(name, context),
        against_baseline=since is since_baseline,
    )


def _is_invalid(site: str, context: ComparisonContext) -> bool:
    """Whether a measurement of a site was excluded as not valid."""
    return any(SITE_NAMES.get(region.site) == site for region in context.excluded)


def _result(finding: Finding, since: Since) -> Result:
    change = since(finding)
    assert change is not None, "only what was compared is counted"
    return change.result


def _nothing_counted(together: Sequence[Finding]) -> Overall:
    """Return the result where nothing counts: NO_PRIOR if each site has its first valid exam (N5)."""
    if together and all(_is_first(finding) for finding in together):
        return Overall.NO_PRIOR
    return Overall.INDETERMINATE


def _is_first(finding: Finding) -> bool:
    return finding.since_prior is None and all(r.obstacle is Obstacle.INVALID_SITE for r in finding.refusals)


def degenerative_signs(
    spine: Sequence[Finding], hips: Sequence[Finding], context: ComparisonContext, since: Since = since_prior
) -> tuple[Sign, ...]:
    """Return the signs that degeneration or an artefact raises the BMD of the spine (R3.11)."""
    return tuple(sign for finding in spine for sign in _signs(finding, hips, context, since))


def _is_suspect(signs: Sequence[Sign], context: ComparisonContext) -> bool:
    """Whether the signs suffice, one of them seen in the scans; age and an isolated gain do not (R3.11)."""
    return len(signs) >= context.rules.degenerative_signs and any(sign.seen for sign in signs)


def _signs(finding: Finding, hips: Sequence[Finding], context: ComparisonContext, since: Since) -> Iterator[Sign]:
    exam, rules, change = context.exam, context.rules, since(finding)
    age = age_on(exam)
    if age is not None and age >= rules.degenerative_age:
        yield Sign(f"age {int(age)}", seen=False)
    hip_results = {_result(hip, since) for hip in hips if _assessed(hip, since)}
    if change is not None and change.result is Result.GAIN and hip_results and Result.GAIN not in hip_results:
        yield Sign("spine gain without hip gain", seen=False)
    if outliers(exam, finding.measurement.region.vertebrae, rules):
        yield Sign(f"adjacent vertebrae more than {rules.outlier_t:f} apart in T-score")
    if change is not None:
        if _one_rises_alone(change, exam, finding.measurement.region.vertebrae):
            yield Sign("one vertebra rising while the others fall")
        earlier = change.reference.by_region.get(finding.measurement.region.key)
        percent = area_change(finding.measurement, earlier) if earlier else None
        if percent is not None and abs(percent) >= rules.area_review_percent:
            yield Sign("bone area changed by much")
    if _above_the_neck(finding, context):
        yield Sign(f"spine T-score at least {rules.degenerative_t_gap:f} above that of the neck")


def _one_rises_alone(change: Change, exam: Exam, vertebrae: Sequence[str]) -> bool:
    """Whether one vertebra gained an LSC or more while all others, at least two, lost."""
    pairs = [(exam.by_region.get(level), change.reference.by_region.get(level)) for level in vertebrae]
    differences = sorted(now.bmd - then.bmd for now, then in pairs if now and then)
    if change.lsc is None or len(differences) < 3:
        return False
    return differences[-1] >= change.lsc.lsc and differences[-2] < 0


def _above_the_neck(finding: Finding, context: ComparisonContext) -> bool:
    necks = [m.t_score for m in context.exam.measurements if m.region.part == FEMORAL_NECK]
    neck_scores = [score for score in necks if score is not None]
    here = context.exam.measurement_of(finding.measurement.region)
    spine = here.t_score if here else None
    return spine is not None and bool(neck_scores) and spine - min(neck_scores) >= context.rules.degenerative_t_gap


def _overall(results: set[Result]) -> Overall:
    match (Result.GAIN in results, Result.LOSS in results):
        case True, True:
            return Overall.DISCORDANT
        case True, False:
            return Overall.IMPROVED
        case False, True:
            return Overall.DECLINED
        case _:
            return Overall.STABLE


def _other_cautions(
    findings: Sequence[Finding], prior: CombinedResult, context: ComparisonContext
) -> Iterator[Caution]:
    age = age_on(context.exam)
    old = age is not None and age >= context.rules.degenerative_age
    spines = {f.result for f in prior.counted if f.measurement.region.part == SPINE}
    hips = {f.result for f in prior.counted if f.measurement.region.part in (TOTAL_HIP, FEMORAL_NECK)}
    if old and spines and len(hips) == 1 and spines != hips:
        yield words.hip_preferred(context.rules)
    changes = _distinct_changes(findings)
    significant = [change for change in changes if change.result.significant]
    if len(changes) > 1 and len(significant) == 1 and borderline(significant[0], context.rules.borderline_factor):
        yield words.one_of_many(len(changes))
    if any(f.result is Result.LOSS and _first_on_therapy(f, context) for f in prior.counted):
        yield words.regression_to_the_mean()


def _distinct_changes(findings: Sequence[Finding]) -> list[Change]:
    """Return every judged change of the exam, each once."""
    both = [(finding.since_prior, finding.since_baseline) for finding in findings]
    changes = [c for prior, baseline in both for c in ((prior,) if prior is baseline else (prior, baseline))]
    return [change for change in changes if change is not None and change.result in ASSESSED]


def _first_on_therapy(finding: Finding, context: ComparisonContext) -> bool:
    """Whether a loss lies in the first interval on the present therapy (R3.7)."""
    recent, change = context.clinical.recent, finding.since_prior
    if change is None or recent.therapy in (None, Therapy.NONE) or recent.therapy_since is None:
        return False
    before, until = FIRST_INTERVAL
    prior, begun = change.reference.performed_on, recent.therapy_since
    long_before = months_between(begun, prior - timedelta(days=1)) >= before
    return not long_before and months_between(begun, context.exam.performed_on) >= until
