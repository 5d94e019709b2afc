"""Sentences of suggestions to the radiologist, each with its rule and its source (R5)."""

from collections.abc import Sequence
from decimal import Decimal

from pipeline.clinical.clinical_context import ClinicalContext, FractureSite
from pipeline.clinical.model import Finding, Suggestion
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording.names import clause, region_names, score_in_text

# E17: facts already stated in the impression.
IN_THE_IMPRESSION = ("significant loss", "gain and loss", "discordance", "degeneration")


def suggested(suggestion: Suggestion) -> str:
    """R5: a suggestion with its source and the facts it rests on; its rule is coded only (E17)."""
    facts = [fact for fact in suggestion.facts if not fact.startswith(IN_THE_IMPRESSION)]
    reason = f" Reason: {', '.join(facts)}." if facts else ""
    return f"Suggestion: {clause(suggestion.text)} ({suggestion.source}).{reason}"


def next_exam_in_one_year(reasons: Sequence[str]) -> Suggestion:
    """R5.1, C13, F5: a reason for a short interval is on record."""
    return Suggestion(rule="R5.1", text="next DXA in about 1 year.", source="ISCD", facts=tuple(reasons))


def next_exam_after_discordance() -> Suggestion:
    """R5.1, R5.7, F5: spine and hip are discordant."""
    return Suggestion(rule="R5.1", text="next DXA in 1 to 2 years.", source="AACE 2020", facts=("discordance",))


def next_exam_in_two_years(rules: Rules) -> Suggestion:
    """R5.1, C13, F5: the usual interval."""
    years = f"{Decimal(rules.usual_interval_months) / 12:.1f}".removesuffix(".0")
    text = f"next DXA in about {years} years, sooner if indicated."
    return Suggestion(rule="R5.1", text=text, source="Choosing Wisely")


def next_exam_when_normal(rules: Rules) -> Suggestion:
    """R5.1: normal BMD and no risk on record."""
    years = f"2 to {rules.normal_interval_years}" if rules.normal_interval_years > 2 else "about 2"
    text = f"next DXA in {years} years, sooner if indicated."
    return Suggestion(rule="R5.1", text=text, source="Choosing Wisely", facts=("normal BMD, no risk on record",))


def instead_of_a_hip(reasons: Sequence[str], *, hip: bool, measured: bool) -> Suggestion:
    """R5.5: a hip is not valid; ``hip``: the other one is valid; ``measured``: it was measured."""
    text = "follow the one-third radius of the non-dominant arm."
    if hip:
        text = "rely on" if measured else "measure"
        text += " the other hip, else the one-third radius of the non-dominant arm."
    return Suggestion(rule="R5.5", text=text, source="ISCD; ACR", facts=tuple(reasons))


def clinical_diagnosis(site: FractureSite | None) -> Suggestion:
    """R4.2, R4.8: a fragility fracture by itself, or with low bone mass."""
    text = "a clinical diagnosis of osteoporosis may be made."
    fact = "fragility fracture" + (f" ({site})" if site else "")
    return Suggestion(rule="R4.2", text=text, source="AACE 2020; BHOF 2022", facts=(fact,))


def assess_vertebral_fractures(score: Decimal | None, reasons: Sequence[str]) -> Suggestion:
    """R5.2: the T-score is stated unless the patient is classified by the Z-score (R4.1)."""
    text = "consider vertebral fracture assessment or lateral spine radiographs."
    facts = (*(() if score is None else (f"T-score {score_in_text(score)}",)), *reasons)
    return Suggestion(rule="R5.2", text=text, source="ISCD 2019; ACR", facts=facts)


def sooner_than_usual(months: int, rules: Rules) -> Suggestion:
    """R5.3: less than the usual interval, without a reason."""
    text = f"an interval below {rules.usual_interval_months} months is rarely needed without a reason."
    source = "Choosing Wisely; Medicare"
    return Suggestion(rule="R5.3", text=text, source=source, facts=(f"{months} months since the last exam",))


def look_into_a_loss(losses: Sequence[Finding]) -> Suggestion:
    """R5.4: check the technique first."""
    text = (
        "check positioning, regions and levels first; then adherence, glucocorticoids, secondary causes (calcium, PTH, "
        "25-OH vitamin D, TSH); consider referral."
    )
    facts = (f"significant loss ({region_names(losses)})",)
    return Suggestion(rule="R5.4", text=text, source="AACE 2020; BHOF 2022", facts=facts)


def refer_fracture_on_therapy() -> Suggestion:
    """R5.4: a fracture on therapy."""
    text = "consider referral to a specialist."
    return Suggestion(rule="R5.4", text=text, source="AACE 2020", facts=("fracture on therapy",))


def use_other_sites(reasons: Sequence[str], *, hip: bool) -> Suggestion:
    """R5.5: the hip where one is valid, else the one-third radius, else QCT."""
    text = f"rely on {'the hip, else ' if hip else ''}the one-third radius, else QCT."
    return Suggestion(rule="R5.5", text=text, source="ACR", facts=tuple(reasons))


def measure_the_forearm() -> Suggestion:
    """R5.5, R2.17: hyperparathyroidism."""
    text = "include the one-third radius of the non-dominant arm."
    return Suggestion(rule="R5.5", text=text, source="Wood 2012; ISCD", facts=("hyperparathyroidism",))


def stress_fracture_path() -> Suggestion:
    """R5.6: imaging of a suspected stress fracture."""
    text = "radiograph of the area first; if negative and suspicion stays high, MRI without contrast."
    return Suggestion(rule="R5.6", text=text, source="ACR", facts=("stress fracture suspected",))


def look_into_discordance(discordant: Sequence[Finding]) -> Suggestion:
    """R5.7: the checks in this order."""
    text = (
        "check positioning, regions, levels and area first; then adherence, bone turnover markers, secondary causes "
        "(calcium, PTH, 25-OH vitamin D, TSH), falls; consider vertebral fracture assessment."
    )
    facts = (f"gain and loss ({region_names(discordant)})",)
    return Suggestion(rule="R5.7", text=text, source="AACE 2020; BHOF 2022", facts=facts)


def frax(context: ClinicalContext, rules: Rules, *, reached: bool, adjusted: Decimal | None) -> Suggestion:
    """C11, R5.8: a recorded FRAX risk beside the US thresholds."""
    facts = [f"hip {context.frax_hip_percent:f} %", f"major {context.frax_major_percent:f} %"]
    if adjusted is not None:
        facts.append(f"major adjusted for the spine {adjusted:.1f} %")
    text = (
        f"ten-year fracture risk by FRAX ({context.frax_source or 'source not stated'}) "
        f"{'reaches' if reached else 'stays below'} the US thresholds (hip {rules.frax_hip_percent:f} %, major "
        f"{rules.frax_major_percent:f} %)."
    )
    return Suggestion(rule="R5.8", text=text, source="Siris 2014", facts=tuple(facts))


def evaluate_secondary_causes() -> Suggestion:
    """C12, R4.4: a Z-score below the expected range."""
    text = "evaluation of secondary causes of low BMD may be appropriate."
    return Suggestion(rule="C12", text=text, source="ISCD", facts=("Z-score below the expected range for age",))
