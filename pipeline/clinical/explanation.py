"""What each sentence of an addendum rests on: its rules, the published source of a suggestion, and the regions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.clinical.model import Caution, Finding, Interpretation, Overall, Refusal, Scale
from pipeline.clinical.rule_book import OF_FLAG, OF_OBSTACLE, OF_RESULT
from pipeline.clinical.wording.comparison_basis import LSC_OF_EACH, REFERENCE_POPULATION
from pipeline.clinical.wording.diagnosis import category, category_changed, target
from pipeline.clinical.wording.findings import not_monitored, response
from pipeline.clinical.wording.impression import NOT_COUNTED
from pipeline.clinical.wording.names import region_name
from pipeline.clinical.wording.suggestions import suggested


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One sentence, or a few that belong together, under the heading of its section.

    ``rules`` are keys of ``rule_book.RULES``. ``source`` and ``facts`` are those of a suggestion. ``findings`` are the
    regions whose numbers it rests on.
    """

    section: str
    text: str
    rules: tuple[str, ...]
    source: str = ""
    facts: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def explain(interpretation: Interpretation) -> tuple[Explained, ...]:
    """Return every sentence of an addendum in its order, each with what it rests on."""
    narrative = interpretation.narrative
    parts: tuple[tuple[Sequence[str], Callable[[Interpretation, str], Explained]], ...] = (
        (narrative.status, _status),
        (narrative.impression, _impression),
        (narrative.findings, _region),
        (narrative.basis, _basis),
        (narrative.cautions, _caution),
        (narrative.suggestions, _suggestion),
        (narrative.not_supplied, _not_supplied),
    )
    return tuple(explained(interpretation, text) for texts, explained in parts for text in texts)


def _status(_: Interpretation, text: str) -> Explained:
    return Explained(section="Status", text=text, rules=("A2",))


def _impression(interpretation: Interpretation, text: str) -> Explained:
    if interpretation.overall is Overall.WITHDRAWN:
        return Explained(section="Impression", text=text, rules=("R2.19",))
    if text == interpretation.narrative.impression[0]:
        return _overall(interpretation, text)
    if cautions := _cautions_in(interpretation, text):
        findings = _named(interpretation, text) or interpretation.representative
        rules = _rules(("R2.17",) if NOT_COUNTED in text else (), *(OF_FLAG[one.flag] for one in cautions))
        return Explained(section="Impression", text=text, rules=rules, findings=findings)
    if text.startswith(NOT_COUNTED):
        findings = _named(interpretation, text)
        rules = _rules(("R2.17",), *(OF_RESULT[one.result] for one in findings))
        return Explained(section="Impression", text=text, rules=rules, findings=findings)
    return _category(interpretation, text)


def _overall(interpretation: Interpretation, text: str) -> Explained:
    """Explain the overall result: the regions that count in it, else those that represent spine and hip."""
    counted = (*interpretation.counted, *interpretation.counted_since_baseline)
    findings = tuple(dict.fromkeys(counted or interpretation.representative or _followed(interpretation)))
    reviewed = [caution for finding in findings for caution in finding.cautions if caution.review]
    rules = _rules(
        ("R3.9", "R3.8") if counted else (),
        *(OF_RESULT[finding.result] for finding in findings),
        ("R3.3",) if any(finding.since_prior is not finding.since_baseline for finding in findings) else (),
        *(OF_OBSTACLE[refusal.obstacle] for finding in findings for refusal in finding.refusals),
        *(OF_FLAG[caution.flag] for caution in reviewed),
    )
    return Explained(section="Impression", text=text, rules=rules or ("R2.17",), findings=findings)


def _category(interpretation: Interpretation, text: str) -> Explained:
    """Explain the diagnostic category, or why there is none."""
    diagnosis, change = interpretation.diagnosis, interpretation.category_change
    if diagnosis is None:
        return Explained(section="Impression", text=text, rules=("R4.1",))
    stated = category(diagnosis) if change is None else category_changed(change)
    findings = tuple(one for one in interpretation.findings if one.measurement.region == diagnosis.region)
    rules = _rules(
        ("R4.1",),
        ("R4.2", "R4.3") if diagnosis.scale is Scale.T_SCORE else ("R4.4",),
        ("R4.8",) if diagnosis.superseded else (),
        ("R3.1", "R4.5") if text != stated else (),  # it is marked as subject to review
    )
    return Explained(section="Impression", text=text, rules=rules, findings=findings)


def _region(interpretation: Interpretation, text: str) -> Explained:
    if text in not_monitored([one.measurement.region for one in interpretation.findings if not one.followed]):
        return Explained(section="Regions", text=text, rules=("R2.17",))
    if text in response(claimed=interpretation.response):
        findings = interpretation.counted
        return Explained(section="Regions", text=text, rules=("R3.9",), findings=findings)
    if text in target(interpretation.target):
        return Explained(section="Regions", text=text, rules=("R4.2",))
    findings = _named(interpretation, text.partition(":")[0])
    if not findings:
        return Explained(section="Regions", text=text, rules=("C10", "R5.9"))
    rules = _rules(
        ("C6", "C8"),
        *(OF_RESULT[finding.result] for finding in findings),
        *(OF_OBSTACLE[refusal.obstacle] for finding in findings for refusal in finding.refusals),
        ("R2.17",) if "not counted" in text else (),
    )
    return Explained(section="Regions", text=text, rules=rules, findings=findings)


def _basis(interpretation: Interpretation, text: str) -> Explained:
    followed = _followed(interpretation)
    if refusals := [one for finding in followed for one in finding.refusals if _begins_alike(text, one)]:
        rules = _rules(("F4",), *(OF_OBSTACLE[refusal.obstacle] for refusal in refusals))
        refused = tuple(f for f in followed if any(refusal in f.refusals for refusal in refusals))
        return Explained(section="Comparison", text=text, rules=rules, findings=refused)
    if text.startswith(LSC_OF_EACH):
        judged = tuple(finding for finding in followed if finding.since_prior and finding.since_prior.lsc)
        return Explained(section="Comparison", text=text, rules=("F2", "R1.7", "R1.9", "R1.12"), findings=judged)
    if text.startswith(REFERENCE_POPULATION):
        return Explained(section="Comparison", text=text, rules=("R4.5",))
    compared = tuple(finding for finding in followed if finding.since_prior)
    rules = ("F1", "R2.1", "R3.2") if compared else ("C4", "R2.1")
    return Explained(section="Comparison", text=text, rules=rules, findings=compared)


def _caution(interpretation: Interpretation, text: str) -> Explained:
    rules = _rules(*(OF_FLAG[caution.flag] for caution in _cautions_in(interpretation, text)))
    return Explained(section="Cautions", text=text, rules=rules, findings=_named(interpretation, text))


def _suggestion(interpretation: Interpretation, text: str) -> Explained:
    one = next(one for one in interpretation.suggestions if suggested(one) == text)
    return Explained(section="Suggestions", text=text, rules=(one.rule,), source=one.source, facts=one.facts)


def _not_supplied(interpretation: Interpretation, text: str) -> Explained:
    rules = _rules(("A7",), *((item.rule,) for item in interpretation.not_evaluated))
    facts = tuple(f"{item.topic}: {', '.join(item.missing)}" for item in interpretation.not_evaluated)
    return Explained(section="Not supplied", text=text, rules=rules, facts=facts)


def _followed(interpretation: Interpretation) -> tuple[Finding, ...]:
    return tuple(finding for finding in interpretation.findings if finding.followed)


def _named(interpretation: Interpretation, text: str) -> tuple[Finding, ...]:
    """Return the monitored regions whose part of the body a text names."""
    folded = text.casefold()
    return tuple(finding for finding in _followed(interpretation) if finding.measurement.region.part in folded)


def _cautions_in(interpretation: Interpretation, text: str) -> list[Caution]:
    """Return the cautions whose sentence is part of a text; regions that share one are named together before it."""
    names = {region_name(finding.measurement.region) for finding in interpretation.findings}
    every = [*(c for finding in interpretation.findings for c in finding.cautions), *interpretation.cautions]
    return [caution for caution in every if _without_name(caution.text, names) in text]


def _without_name(text: str, names: Iterable[str]) -> str:
    about, _, rest = text.partition(": ")
    return rest if about in names else text


def _begins_alike(text: str, refusal: Refusal) -> bool:
    """Return whether a sentence is a refusal's; it may name regions before its full stop."""
    return text.startswith(refusal.text[:-1])


def _rules(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule for group in groups for rule in group))
