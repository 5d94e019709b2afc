"""The impression: one to three sentences that a radiologist would sign (E4, E13, E17, E22).

First the overall result since the prior and since the baseline, with sites, percent and dates; then the diagnostic
category; then what a reader must not miss beside them.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date

from pipeline.clinical.model import (
    Caution,
    Change,
    Finding,
    Flag,
    Interpretation,
    Obstacle,
    Overall,
    Result,
    other_population,
)
from pipeline.clinical.regions import SPINE, Region, Side
from pipeline.clinical.wording.diagnosis import category, category_changed, no_category
from pipeline.clinical.wording.findings import all_unchanged
from pipeline.clinical.wording.names import clause, joined_texts, site_in_text

# Section 6, A2: nobody has verified the text yet.
PRELIMINARY = "Computer-generated; preliminary until verified by a radiologist."

# R3.8, in the order of the sentence.
CHANGES = {
    Result.LOSS: "significant loss",
    Result.GAIN: "significant gain",
    Result.NO_SIGNIFICANT_CHANGE: "no significant change",
}

NOTHING_TO_FOLLOW = "No site used for monitoring was measured: this exam is no baseline."  # R2.17

# F4: why nothing could be compared, in a few words.
NOT_COMPARED = {
    Obstacle.ID_CONFLICT: "the patient's identity is in doubt",
    Obstacle.SCANNER_UNKNOWN: "it is not known whether the scanner is the same",
    Obstacle.OTHER_SCANNER: "the earlier exam was made on another scanner",
    Obstacle.OTHER_EPOCH: "the scanner was calibrated anew after the earlier exam",
    Obstacle.OTHER_VERTEBRAE: "the earlier exam shows other vertebrae",
    Obstacle.OTHER_SIDE: "the earlier exam is of the other side",
    Obstacle.OTHER_REGION: "the earlier exam does not report these regions",
    Obstacle.NOT_FOR_MONITORING: "no site used for monitoring was measured",
    Obstacle.SAME_DAY: "the only other exam is of the same day",
    Obstacle.INVALID_SITE: "no valid site was measured",
    Obstacle.PAEDIATRIC: "below 20 years growth must be taken into account",
}

NO_STATEMENT = "no statement on change{since} is possible: {why}"  # F4

NOT_COUNTED = "Not counted"  # R2.17, E13

SUBJECT_TO_REVIEW = "subject to review"  # E22

NO_LSC = "significance cannot be assessed: no facility LSC on file for this scanner and region on this date"  # R1.13

# E22: what a radiologist should review before trusting the result; a flag not listed here appears by its own name.
REVIEWED_FOR = {
    Flag.SCAN_MODE_CHANGED: "scan mode or analysis changed",
    Flag.TOTAL_DISAGREES: "printed spine BMD does not add up",
    Flag.LSC_BEFORE_EPOCH: "LSC older than the calibration",
    Flag.AREA_CHANGED: "bone area changed",
    Flag.LEVEL_SHIFT_SUSPECTED: "other vertebral levels suspected",
    Flag.INVALIDATED: "scan may be invalid",
    Flag.QC_UNVERIFIED: "quality control of the scanner not verified",
    Flag.SPINE_SUSPECT: "spine BMD may be raised",
    Flag.IMPLAUSIBLE_CHANGE: "implausible change",
    Flag.NEW_CALLER: "sent by a system new to this scanner",
    Flag.DATE_LATE: "date of an exam not confirmed",
}

DOUBTS_OF_THE_EXAM = (Flag.NEW_CALLER, Flag.DATE_LATE)  # E22: they concern whole exams, and so every region

# E17: flags whose text is part of the impression, and so not repeated among the cautions.
IN_IMPRESSION = frozenset({Flag.PARTIAL, Flag.SUSPECT_ARTEFACT, Flag.IMPLAUSIBLE_CHANGE, Flag.SIDES_EXCHANGED})

_Compared = tuple[Finding, Change]


def impression(interpretation: Interpretation, described: Sequence[Finding]) -> tuple[str, ...]:
    """E17: the overall result first, then the category, then what else a reader must not miss."""
    must_see = (
        *outside_the_result(described, {*interpretation.counted, *interpretation.counted_since_baseline}),
        *joined_texts([c for finding in described for c in finding.cautions if is_in_impression(c)], described),
        *(caution.text for caution in interpretation.cautions if caution.flag is Flag.SUSPECT_ARTEFACT),
    )
    return (
        result(interpretation, described),
        *_category(interpretation),
        *([" ".join(must_see)] if must_see else []),
    )


def _category(interpretation: Interpretation) -> tuple[str, ...]:
    """C9, E13, E15: the category, the earlier one where it has changed, or why there is none."""
    diagnosis = interpretation.diagnosis
    if diagnosis is None:
        return no_category(interpretation.not_evaluated)
    change = interpretation.category_change
    text = category(diagnosis) if change is None else category_changed(change)
    decides = next(f for f in interpretation.findings if f.measurement.region == diagnosis.region)
    doubts = [] if decides.plausible else [REVIEWED_FOR[Flag.IMPLAUSIBLE_CHANGE]]
    then = None if change is None else change.exam.measurement_of(diagnosis.region)
    if then is not None and other_population(decides.measurement, then):
        doubts.append("reference population changed")
    return (f"{text[:-1]}; {SUBJECT_TO_REVIEW}: {', '.join(doubts)}." if doubts else text,)


def is_in_impression(caution: Caution) -> bool:
    """Whether a caution is part of the impression, and so not repeated among the cautions (E2, E11, E12, E17)."""
    return caution.flag in IN_IMPRESSION or (caution.flag is Flag.TOO_SOON and caution.review)


def result(interpretation: Interpretation, described: Sequence[Finding]) -> str:
    """Return the sentence on the overall result, with the reasons for a review (R3.3, R3.9, E22)."""
    overall = interpretation.overall
    if any(finding.of_a_child for finding in interpretation.findings):
        return _sentence([NO_STATEMENT.format(since="", why=NOT_COMPARED[Obstacle.PAEDIATRIC])])
    if not described:
        return NOTHING_TO_FOLLOW
    representative = interpretation.representative
    if overall is Overall.NO_PRIOR:
        valid = "valid exam" if any(finding.refusals for finding in representative) else "exam"
        return f"No earlier {valid} of {_sites(representative, last=' or ')} is on file; this exam is the baseline."
    since_baseline = list(_since_baseline(interpretation.counted_since_baseline))
    if overall is Overall.INDETERMINATE:
        clauses = [
            *_why_not(representative or described, beside_baseline=bool(since_baseline)),
            *_changes(since_baseline),
        ]
    elif all_unchanged(described):
        clauses = _changes([*_since_prior(described), *_since_baseline(described)])
    else:
        clauses = _changes([*_since_prior(interpretation.counted), *since_baseline])
    clauses += [clause(caution.text) for caution in interpretation.cautions if caution.flag is Flag.PARTIAL]
    if reasons := ", ".join(dict.fromkeys(_reasons_for_review(interpretation))):
        clauses.append(f"{SUBJECT_TO_REVIEW}: {reasons}")
    return _sentence([f"discordant: {clauses[0]}", *clauses[1:]] if overall is Overall.DISCORDANT else clauses)


def outside_the_result(described: Iterable[Finding], counted: Collection[Finding]) -> tuple[str, ...]:
    """Return the sentence on significant changes of regions that do not count in the overall result (R2.17, E13).

    A side is omitted beside a counted mean of both sides with the same result.
    """
    means = {(f.measurement.region.part, f.result) for f in counted if f.measurement.region.side is Side.MEAN}
    uncounted = [f for f in described if f not in counted and (f.measurement.region.part, f.result) not in means]
    uncounted = [f for f in uncounted if not any(map(is_in_impression, f.cautions))]
    significant = list(filter(_is_significant, (*_since_prior(uncounted), *_since_baseline(uncounted))))
    return (f"{NOT_COUNTED}: {'; '.join(_changes(significant))}.",) if significant else ()


def withdrawn(reason: str) -> str:
    """R2.19: a withdrawn exam takes part in no comparison; ``reason`` is that of the person who withdrew it."""
    return (
        f"This exam was withdrawn: {reason.strip().rstrip('.')}. No result and no number of an earlier addendum on it "
        "holds any longer, and no other exam is compared with it."
    )


def _sentence(clauses: Sequence[str]) -> str:
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _is_significant(compared: _Compared) -> bool:
    return compared[1].result.significant


def _since_prior(findings: Iterable[Finding]) -> Iterator[_Compared]:
    return ((f, f.since_prior) for f in findings if f.since_prior and f.since_prior.result in CHANGES)


def _since_baseline(findings: Iterable[Finding]) -> Iterator[_Compared]:
    """Yield the changes since the baseline, where it is another exam than the prior."""
    return (
        (f, f.since_baseline)
        for f in findings
        if f.since_baseline and f.since_baseline is not f.since_prior and f.since_baseline.result in CHANGES
    )


def _changes(compared: Sequence[_Compared]) -> list[str]:
    """Return one clause for each kind of change, those since the prior first."""
    kinds = sorted(CHANGES, key=lambda kind: _first_place(kind, compared))
    named = {finding.measurement.region for finding, change in compared if change.result.significant}
    clauses = []
    for kind in kinds:
        by_day: dict[date, list[_Compared]] = {}
        for finding, change in compared:
            if change.result is kind:
                by_day.setdefault(change.reference.performed_on, []).append((finding, change))
        if not by_day:
            continue
        if kind is not Result.NO_SIGNIFICANT_CHANGE:
            since = " and ".join(f"since {day} ({_with_percent(pairs)})" for day, pairs in by_day.items())
        else:
            since = _unchanged(by_day, named)
        clauses.append(f"{CHANGES[kind]} {since}")
    return clauses


def _first_place(kind: Result, compared: Sequence[_Compared]) -> tuple[bool, int]:
    """Return the sort key of a kind of change: since the prior first; among them loss, gain, no change."""
    priors = {change.result for finding, change in compared if change is finding.since_prior}
    return kind not in priors, list(CHANGES).index(kind)


def _unchanged(by_day: dict[date, list[_Compared]], named: Collection[Region]) -> str:
    """Return since when, and where, nothing changed; without the sites if a change already names them (E4, N6)."""
    sites = {day: _sites(finding for finding, _ in pairs) for day, pairs in by_day.items()}
    if len(set(sites.values())) > 1:
        return ", nor ".join(f"since {day} ({where})" for day, where in sites.items())
    since = ", nor ".join(f"since {day}" for day in sites)
    regions = {finding.measurement.region for pairs in by_day.values() for finding, _ in pairs}
    return since if regions <= set(named) else f"{since} ({next(iter(sites.values()))})"


def _with_percent(pairs: Iterable[_Compared]) -> str:
    """Return each site with its percent; the part of two sides is named once."""
    by_part: dict[str, list[_Compared]] = {}
    for finding, change in pairs:
        region = change.region or finding.measurement.region
        by_part.setdefault(region.part if region.side else site_in_text(region), []).append((finding, change))
    texts = []
    for part, of in by_part.items():
        percents = [(finding.measurement.region.side, f"{change.percent:+f} %") for finding, change in of]
        if len(of) == 1:
            texts.append(f"{site_in_text(of[0][1].region or of[0][0].measurement.region)} {percents[0][1]}")
        else:
            texts.append(f"{part} {', '.join(f'{side} {percent}' for side, percent in percents)}")
    return ", ".join(texts)


def _sites(findings: Iterable[Finding], *, last: str = ", ") -> str:
    """Return a list of sites, each once; left and right as ``both total hips``."""
    regions = list(dict.fromkeys(finding.measurement.region for finding in findings))
    sides = {(region.part, region.side) for region in regions}
    names = []
    for region in regions:
        both = {(region.part, Side.LEFT), (region.part, Side.RIGHT)} <= sides and region.side is not Side.MEAN
        names.append(f"both {region.part}s" if both else site_in_text(region))
    names = list(dict.fromkeys(names))
    return last.join(filter(None, (", ".join(names[:-1]), names[-1])))


def _why_not(findings: Sequence[Finding], *, beside_baseline: bool) -> Iterator[str]:
    """Yield why no statement on change is possible: the obstacles, and the sites without an LSC.

    ``beside_baseline`` limits it to the change since the prior, as there is a statement since the baseline.
    """
    obstacles: dict[str, list[str]] = {}
    unjudged: list[Finding] = []
    for finding in findings:
        if finding.result in CHANGES:
            obstacles[_why_uncounted(finding)] = []
        if finding.result is Result.NO_LSC:
            unjudged.append(finding)
        elif finding.result is Result.NO_PRIOR:
            obstacles[f"no earlier exam of {site_in_text(finding.measurement.region)} is on file"] = []
        for refusal in finding.refusals if finding.result is Result.NOT_COMPARABLE else ():
            days = obstacles.setdefault(NOT_COMPARED[refusal.obstacle], [])
            if not refusal.own and str(refusal.exam.performed_on) not in days:
                days.append(str(refusal.exam.performed_on))
    if obstacles:
        priors = dict.fromkeys(str(f.since_prior.reference.performed_on) for f in findings if f.since_prior)
        since = f" since {', '.join(priors)}" if beside_baseline else ""
        yield NO_STATEMENT.format(since=since, why="; ".join(_on_days(*item) for item in obstacles.items()))
    if unjudged:
        yield f"{NO_LSC} ({_sites(unjudged)})"


def _on_days(obstacle: str, days: Sequence[str]) -> str:
    """Return an obstacle with the days it concerns."""
    text = obstacle.replace("the earlier exam ", "each earlier exam ") if len(days) > 1 else obstacle
    return f"{text} ({', '.join(days)})" if days else text


def _why_uncounted(finding: Finding) -> str:
    """Return why a judged region does not count in the result (E2, E3, E11)."""
    if not finding.plausible:
        return f"change of {site_in_text(finding.measurement.region)} not plausible"
    if any(map(is_in_impression, finding.cautions)):
        return "too little time has passed"
    return f"gain of {site_in_text(finding.measurement.region)} suspect"


def _reasons_for_review(interpretation: Interpretation) -> Iterator[str]:
    """Yield each reason to review what counts in the result since the prior or since the baseline (E22).

    A change too soon since the prior is none, as the region then does not count in that result.
    """
    counted = (*interpretation.counted, *interpretation.counted_since_baseline)
    of_regions = [c for f in counted for c in f.cautions if c.review and c.flag is not Flag.TOO_SOON]
    spine = any(finding.measurement.region.part == SPINE for finding in counted)
    of_all = {*([Flag.SPINE_SUSPECT] if spine else []), *(DOUBTS_OF_THE_EXAM if counted else ())}
    for caution in (*of_regions, *(c for c in interpretation.cautions if c.flag in of_all)):
        yield REVIEWED_FOR.get(caution.flag, caution.flag.name.lower().replace("_", " "))
