"""The text of an addendum: impression first, then regions, basis, cautions, suggestions, and what was not supplied.

Everything that is said once is not said again; rule numbers, what was not evaluated and the fitted trend stay in the
coded content and in the small print (E17).
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

# E17: cautions that stay in the coded content unless they ask for a review: they are common, or said elsewhere.
CODED_ONLY = frozenset(
    {
        *(Flag.AREA_CHANGED, Flag.DISCORDANT_T, Flag.EDGE_T, Flag.INTERVAL_SHORT, Flag.LSC_APPROXIMATED),
        *(Flag.PRIOR_DIAGNOSIS, Flag.WEIGHT_CHANGED),
    }
)

# E17: what a suggestion or the impression says already.
COVERED_ELSEWHERE = frozenset({Flag.UNEXPECTED_DROP, Flag.PARTIAL, Flag.SUSPECT_ARTEFACT, Flag.INVALIDATED})

# E17: the one of two cautions that says it all.
COVERED_BY = {Flag.BORDERLINE: Flag.ONE_OF_MANY, Flag.HIP_PREFERRED: Flag.SPINE_SUSPECT}

# R5.3: a remark on frequency is no advice; it is told in codes alone (E17).
CODED_ONLY_RULES = frozenset({"R5.3"})


def narrative(
    interpretation: Interpretation,
    told: Sequence[Finding],
    *,
    scale: Scale | None,
    clinical: ContextOnDay,
    rules: Rules,
) -> Narrative:
    """Everything a radiologist reads of one exam, by section (E17).

    ``told`` are the findings put into words.
    """
    exam = interpretation.exam
    counted = {*interpretation.counted, *interpretation.counted_since_baseline}
    not_followed = [f.measurement.region for f in interpretation.findings if not f.followed]
    plausible = {finding.measurement.region for finding in told if finding.plausible}
    trends = [text for line in interpretation.trends if line.region in plausible for text in trend(line)]
    return Narrative(
        status=(PRELIMINARY,),
        impression=impression(interpretation, told),
        findings=(
            *regions(told, counted, scale),
            *not_monitored(not_followed),
            *risk_factors(exam, clinical, rules),
            *target(interpretation.target),
            *response(claimed=interpretation.response),
        ),
        basis=(*basis(told, exam), *reference_populations(told), *refused(told)),
        cautions=_caution_texts(told, counted, interpretation.cautions),
        suggestions=tuple(suggested(item) for item in interpretation.suggestions if item.rule not in CODED_ONLY_RULES),
        not_supplied=not_supplied(interpretation.not_evaluated, clinical),
        small_print=(*trends, *intervals(told), *detectable(told), *not_evaluated(interpretation.not_evaluated)),
    )


def _caution_texts(
    told: Iterable[Finding], counted: Collection[Finding], of_the_whole: Sequence[Caution]
) -> tuple[str, ...]:
    """The cautions of the regions and of the whole exam, those that say the same of several regions as one.

    Of one region a flag is told once, of the latest exam it is about; a small margin only where the region counts.
    """
    flags = {caution.flag for caution in of_the_whole}
    of_regions = [
        caution
        for finding in told
        for caution in _first_of_each_flag(finding.cautions)
        if caution.flag is not Flag.BORDERLINE or finding in counted
    ]
    in_text = [c for c in (*of_regions, *filter(_is_in_text, of_the_whole)) if COVERED_BY.get(c.flag) not in flags]
    return joined_texts(in_text, told)


def _first_of_each_flag(cautions: Iterable[Caution]) -> Iterable[Caution]:
    """Of those that are told at all: one that is not, as it asks for no review, must not hide a later one that does."""
    first: dict[Flag, Caution] = {}
    for caution in filter(_is_in_text, cautions):
        first.setdefault(caution.flag, caution)
    return first.values()


def _is_in_text(caution: Caution) -> bool:
    if is_in_impression(caution) or caution.flag in COVERED_ELSEWHERE:
        return False
    return caution.review or caution.flag not in CODED_ONLY
