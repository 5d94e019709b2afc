"""The sentences of an addendum in their order (section 6)."""

from collections.abc import Collection, Sequence

from pipeline.clinical.context import ContextOnDay
from pipeline.clinical.model import Finding, Interpretation, Scale
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording import (
    comparison_basis,
    comparison_cautions,
    diagnosis,
    findings,
    impression,
    obstacles,
    suggestions,
)


def sentences(
    interpretation: Interpretation,
    told: Sequence[Finding],
    *,
    counted: Collection[Finding],
    scale: Scale | None,
    context: ContextOnDay,
    rules: Rules,
) -> tuple[str, ...]:
    """Everything a radiologist reads of one exam, in the order of the ISCD follow-up checklist (section 6).

    ``told`` are the findings put into words, ``counted`` those with a part in the overall result (R3.9).
    """
    exam = interpretation.exam
    cautions = [caution for finding in told for caution in finding.cautions] + list(interpretation.cautions)
    spoken = [c.text for c in cautions if c.review or c.flag not in comparison_cautions.UNSPOKEN]
    aside = [f.measurement.region for f in interpretation.findings if not f.measurement.region.monitorable]
    return (
        impression.PRELIMINARY,
        comparison_basis.instrument(exam),
        *findings.not_monitored(aside),
        *(findings.measured(finding, scale) for finding in told),
        *([diagnosis.category(interpretation.diagnosis)] if interpretation.diagnosis else []),
        *diagnosis.risk_factors(exam, context, rules),
        *comparison_basis.references(told, exam),
        *(findings.verdict(finding, counts=finding in counted) for finding in told),
        *obstacles.refused(told),
        impression.OVERALL[interpretation.overall],
        *impression.response(interpretation.overall, context.recent),
        *(findings.trend(line) for line in interpretation.trends),
        *dict.fromkeys(spoken),
        *(suggestions.suggested(suggestion) for suggestion in interpretation.suggestions),
        *suggestions.not_evaluated(interpretation.not_evaluated),
    )
