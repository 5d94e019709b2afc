"""The text of an addendum: impression first, then regions, basis, cautions, suggestions, and what was not supplied.

Everything that is said once is not said again; rule numbers, what was not evaluated and the fitted trend stay in the
coded content and in the small print (E17).
"""

from collections.abc import Collection, Iterable, Sequence

from pipeline.clinical.context import ContextOnDay
from pipeline.clinical.model import Caution, Finding, Flag, Interpretation, Narrative, Scale
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording.comparison_basis import basis
from pipeline.clinical.wording.diagnosis import NO_CATEGORY, risk_factors, target
from pipeline.clinical.wording.findings import detectable, intervals, not_monitored, regions, response, trend
from pipeline.clinical.wording.impression import PRELIMINARY, impression, is_said_here
from pipeline.clinical.wording.names import region_name
from pipeline.clinical.wording.not_supplied import not_evaluated, not_supplied
from pipeline.clinical.wording.obstacles import refused
from pipeline.clinical.wording.suggestions import suggested

# E17: cautions that stay in the coded content unless they ask for a review: they are common, or said elsewhere.
UNSPOKEN = frozenset(
    {Flag.AREA_CHANGED, Flag.DISCORDANT_T, Flag.INTERVAL_SHORT, Flag.LSC_APPROXIMATED, Flag.PRIOR_DIAGNOSIS}
)

# E17: what a suggestion or the impression says already.
SAID_ELSEWHERE = frozenset({Flag.UNEXPECTED_DROP, Flag.PARTIAL, Flag.SUSPECT_ARTEFACT, Flag.INVALIDATED})


def narrative(
    interpretation: Interpretation,
    told: Sequence[Finding],
    *,
    counted: Collection[Finding],
    scale: Scale | None,
    context: ContextOnDay,
    rules: Rules,
) -> Narrative:
    """Everything a radiologist reads of one exam, by section (E17).

    ``told`` are the findings put into words, ``counted`` those with a part in the overall result (R3.9).
    """
    exam = interpretation.exam
    aside = [f.measurement.region for f in interpretation.findings if not f.measurement.region.monitorable]
    trends = [text for line in interpretation.trends for text in trend(line)]
    return Narrative(
        status=(PRELIMINARY,),
        impression=impression(interpretation, told, counted),
        findings=(
            *regions(told, counted, interpretation.overall, scale),
            *not_monitored(aside),
            *risk_factors(exam, context, rules),
            *target(interpretation.target),
            *response(claimed=interpretation.response),
        ),
        basis=(*basis(told, exam), *refused(told)),
        cautions=_spoken(told, interpretation.cautions),
        suggestions=tuple(map(suggested, interpretation.suggestions)),
        not_supplied=not_supplied(item for item in interpretation.not_evaluated if item.topic != NO_CATEGORY),
        small_print=(*trends, *intervals(told), *detectable(told), *not_evaluated(interpretation.not_evaluated)),
    )


def _spoken(told: Iterable[Finding], of_the_whole: Iterable[Caution]) -> tuple[str, ...]:
    """The cautions of the regions, those that say the same of several as one, then those of the whole exam."""
    by_text: dict[str, list[str]] = {}
    for finding in told:
        name = region_name(finding.measurement.region)
        for caution in filter(_is_spoken, finding.cautions):
            about, _, rest = caution.text.partition(": ")
            text, names = (rest, [name]) if about == name else (caution.text, [])
            by_text.setdefault(text, []).extend(names)
    merged = [f"{_together(names)}: {text}" if names else text for text, names in by_text.items()]
    return tuple(dict.fromkeys((*merged, *(caution.text for caution in of_the_whole if _is_spoken(caution)))))


def _together(names: Sequence[str]) -> str:
    first, *others = dict.fromkeys(names)
    return ", ".join((first, *(name[0].lower() + name[1:] for name in others)))


def _is_spoken(caution: Caution) -> bool:
    if is_said_here(caution) or caution.flag in SAID_ELSEWHERE:
        return False
    return caution.review or caution.flag not in UNSPOKEN
