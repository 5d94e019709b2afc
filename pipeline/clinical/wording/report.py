"""The text of an addendum: impression, regions, basis, cautions, suggestions, missing inputs.

Nothing is stated twice. Rule numbers, rules not evaluated and the fitted trend stay in the coded content and the small
print (E17).
"""

from collections.abc import Collection, Iterable, Sequence

from pipeline.clinical.clinical_context import ContextOnDay
from pipeline.clinical.model import Caution, Finding, Flag, Interpretation, Narrative, Scale
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording.comparison_basis import basis, reference_populations
from pipeline.clinical.wording.diagnosis import risk_factors, target
from pipeline.clinical.wording.findings import detectable, intervals, not_monitored, regions, response, trend
from pipeline.clinical.wording.impression import PRELIMINARY, impression, is_in_impression
from pipeline.clinical.wording.names import joined_texts
from pipeline.clinical.wording.not_supplied import not_evaluated, not_supplied
from pipeline.clinical.wording.obstacles import refused
from pipeline.clinical.wording.suggestions import suggested

# E17: cautions that stay in the coded content unless they ask for a review: common ones, or stated in other sentences.
CODED_ONLY = frozenset(
    {
        *(Flag.AREA_CHANGED, Flag.DISCORDANT_T, Flag.EDGE_T, Flag.INTERVAL_SHORT, Flag.LSC_APPROXIMATED),
        *(Flag.PRIOR_DIAGNOSIS, Flag.WEIGHT_CHANGED),
    }
)

# E17: cautions already stated by a suggestion or the impression.
COVERED_ELSEWHERE = frozenset({Flag.UNEXPECTED_DROP, Flag.PARTIAL, Flag.SUSPECT_ARTEFACT, Flag.INVALIDATED})

# E17: a caution is omitted where the other one of its pair states more.
COVERED_BY = {Flag.BORDERLINE: Flag.ONE_OF_MANY, Flag.HIP_PREFERRED: Flag.SPINE_SUSPECT}

# R5.3: a remark on frequency is no advice; it is coded only (E17).
CODED_ONLY_RULES = frozenset({"R5.3"})


def narrative(
    interpretation: Interpretation,
    described: Sequence[Finding],
    *,
    scale: Scale | None,
    clinical: ContextOnDay,
    rules: Rules,
) -> Narrative:
    """Return the text of an addendum by section (E17); ``described`` are the findings to put into words."""
    exam = interpretation.exam
    counted = {*interpretation.counted, *interpretation.counted_since_baseline}
    not_followed = [f.measurement.region for f in interpretation.findings if not f.followed]
    plausible = {finding.measurement.region for finding in described if finding.plausible}
    trends = [text for line in interpretation.trends if line.region in plausible for text in trend(line)]
    return Narrative(
        status=(PRELIMINARY,),
        impression=impression(interpretation, described),
        findings=(
            *regions(described, counted, scale),
            *not_monitored(not_followed),
            *risk_factors(exam, clinical, rules),
            *target(interpretation.target),
            *response(claimed=interpretation.response),
        ),
        basis=(*basis(described, exam), *reference_populations(described), *refused(described)),
        cautions=_caution_texts(described, counted, interpretation.cautions),
        suggestions=tuple(suggested(item) for item in interpretation.suggestions if item.rule not in CODED_ONLY_RULES),
        not_supplied=not_supplied(interpretation.not_evaluated, clinical),
        small_print=(
            *trends,
            *intervals(described),
            *detectable(described),
            *not_evaluated(interpretation.not_evaluated),
        ),
    )


def _caution_texts(
    described: Iterable[Finding], counted: Collection[Finding], of_the_whole: Sequence[Caution]
) -> tuple[str, ...]:
    """Return the cautions of the regions and of the whole exam; equal texts about several regions are joined.

    A flag appears once per region, for the latest exam it concerns; BORDERLINE only where the region counts.
    """
    flags = {caution.flag for caution in of_the_whole}
    of_regions = [
        caution
        for finding in described
        for caution in _first_of_each_flag(finding.cautions)
        if caution.flag is not Flag.BORDERLINE or finding in counted
    ]
    in_text = [c for c in (*of_regions, *filter(_is_in_text, of_the_whole)) if COVERED_BY.get(c.flag) not in flags]
    return joined_texts(in_text, described)


def _first_of_each_flag(cautions: Iterable[Caution]) -> Iterable[Caution]:
    """Return the first caution of each flag among those in the text, so that a coded-only one hides no later review."""
    first: dict[Flag, Caution] = {}
    for caution in filter(_is_in_text, cautions):
        first.setdefault(caution.flag, caution)
    return first.values()


def _is_in_text(caution: Caution) -> bool:
    if is_in_impression(caution) or caution.flag in COVERED_ELSEWHERE:
        return False
    return caution.review or caution.flag not in CODED_ONLY
