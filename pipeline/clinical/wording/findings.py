"""Sentences on each region: BMD, score and change (F2, F3, C6 to C8)."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from pipeline.clinical.model import Change, Finding, Result, Scale, Trend
from pipeline.clinical.regions import Region
from pipeline.clinical.wording.names import (
    bmd_in_text,
    difference_in_text,
    omitted_vertebrae,
    region_in_text,
    region_name,
    score_in_text,
)


def regions(findings: Sequence[Finding], counted: Collection[Finding], scale: Scale | None) -> tuple[str, ...]:
    """C6, C7, C8, F3: each part with BMD and score, left and right together, and each significant change in g/cm2.

    No number of a site that is not valid (N5). The impression states percent and days; days appear here too where the
    regions were not all compared with the same exams.
    """
    labels = _Labels(findings)
    in_impression = all_unchanged(findings) or not any(finding.since_prior for finding in findings)
    by_part: dict[tuple[str, bool], list[Finding]] = {}
    for finding in findings:
        region = finding.measurement.region
        by_part.setdefault((region.part if region.side else region.key, finding.valid), []).append(finding)
    sentences = []
    for of in by_part.values():
        clauses = ["not valid"]
        if of[0].valid:
            clauses = [*_measured(of, scale), *(() if in_impression else _outcome(of, labels))]
        sentences.append(f"{_heading(of, counted)}: {'; '.join(clauses)}.")
    return tuple(sentences)


def all_unchanged(findings: Iterable[Finding]) -> bool:
    """Whether no finding changed significantly, all since one prior and one baseline (R3.8, N6)."""
    changes = [(finding.since_prior, finding.since_baseline) for finding in findings]
    return _Labels(findings).one_pair and all(
        change is not None and change.result is Result.NO_SIGNIFICANT_CHANGE for pair in changes for change in pair
    )


def trend(fitted: Trend) -> tuple[str, ...]:
    """R3.5, E18: secondary information, only where its sign is that of the change since prior or baseline."""
    if not (fitted.significant and fitted.agrees):
        return ()
    name = region_name(fitted.region)
    return (
        f"{name}: over {fitted.exams} exams since {fitted.since} the fitted trend is {fitted.slope:+.4f} g/cm2 per "
        "year (secondary information).",
    )


def response(*, claimed: bool) -> tuple[str, ...]:
    """R3.9, E5: stable or rising BMD on therapy counts as response."""
    return ("On therapy, stable or rising BMD counts as response (ISCD, AACE 2020).",) if claimed else ()


def intervals(findings: Iterable[Finding]) -> tuple[str, ...]:
    """R1.7, R1.8: the 95 % interval of each significant change, the difference minus and plus the LSC."""
    named = [
        f"{region_in_text(finding.measurement.region)} since {change.reference.performed_on} "
        f"{change.interval[0]:+f} to {change.interval[1]:+f}"
        for finding in findings
        for change in dict.fromkeys((finding.since_prior, finding.since_baseline))
        if change is not None and change.interval is not None and finding.plausible
    ]
    return (f"95 % interval of each significant change, g/cm2: {'; '.join(named)}.",) if named else ()


def detectable(findings: Iterable[Finding]) -> tuple[str, ...]:
    """R2.21: when a change since this exam, at the rate since the prior, would reach the LSC; without the rate."""
    named = [
        f"{region_in_text(finding.measurement.region)} on {finding.detectable_on}"
        for finding in findings
        if finding.detectable_on is not None and finding.plausible
    ]
    text = "At the rate observed, a change since this exam would reach the LSC at the earliest: "
    return (f"{text}{'; '.join(named)}.",) if named else ()


def not_monitored(regions: Iterable[Region]) -> tuple[str, ...]:
    """R2.17: regions that were measured but are not used for monitoring, except single vertebrae."""
    named = [region for region in regions if len(region.vertebrae) != 1]
    names = ", ".join(region_in_text(region) for region in named)
    return (f"Measured but not used for monitoring: {names}.",) if names else ()


class _Labels:
    """Labels of the earlier exams: their role (prior, baseline), or their days where these differ between regions."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        compared = [(f.since_prior, f.since_baseline) for f in findings if f.since_prior and f.since_baseline]
        days = {(prior.reference.performed_on, baseline.reference.performed_on) for prior, baseline in compared}
        self.one_pair = len(days) < 2

    def since(self, change: Change, role: str) -> str:
        """Return ``since prior`` or ``since 2018-01-01``, with the vertebrae where only some were compared (R2.12)."""
        when = role if self.one_pair else str(change.reference.performed_on)
        return f"since {when}" + (f" on {change.region}" if change.region else "")


def _heading(of: Sequence[Finding], counted: Collection[Finding]) -> str:
    """C5, C7, R2.17: the part and its sides, the omitted vertebrae, and whether it is not counted."""
    region = of[0].measurement.region
    sides = [str(f.measurement.region.side) for f in of if f.measurement.region.side]
    name = region_name(region) if len(of) == 1 else region.part[0].upper() + region.part[1:]
    missing = omitted_vertebrae(region)
    notes = [", ".join(sides)] if len(of) > 1 else []
    notes += [f"without {', '.join(missing)}"] if missing else []
    notes += ["not counted"] if any(f.since_prior for f in of) and not any(f in counted for f in of) else []
    return name + (f" ({'; '.join(notes)})" if notes else "")


def _measured(of: Sequence[Finding], scale: Scale | None) -> Iterator[str]:
    """C6, C8: BMD, and the score that classifies the patient; both scores where that is unknown."""
    measurements = [finding.measurement for finding in of]
    yield f"BMD {', '.join(bmd_in_text(m.bmd) for m in measurements)} g/cm2"
    scores = (
        ("T-score", [m.t_score for m in measurements], Scale.T_SCORE),
        ("Z-score", [m.z_score for m in measurements], Scale.Z_SCORE),
    )
    for name, values, of_scale in scores:
        if scale in (of_scale, None) and any(value is not None for value in values):
            yield f"{name} {', '.join('none' if value is None else score_in_text(value) for value in values)}"
    if any(m.tbs is not None for m in measurements):  # R2.18: neither a trend nor a decision by itself
        tbs = ", ".join("none" if m.tbs is None else f"{m.tbs:f}" for m in measurements)
        yield f"TBS {tbs} (information only)"


def _outcome(of: Sequence[Finding], labels: _Labels) -> Iterator[str]:
    """Yield the significant changes of a part, else why there are none; sides that agree together."""
    by_text: dict[str, list[tuple[Finding, str]]] = {}
    for finding in of:
        for text, number in _changes(finding, labels):
            by_text.setdefault(text, []).append((finding, number))
    for text, pairs in by_text.items():
        sides = "" if len(pairs) == len(of) else f"{', '.join(str(f.measurement.region.side) for f, _ in pairs)}: "
        numbers = ", ".join(number for _, number in pairs if number)
        yield f"{sides}{text}" + (f" {numbers} g/cm2" if numbers else "")


def _changes(finding: Finding, labels: _Labels) -> Iterator[tuple[str, str]]:
    """Yield each significant change with its number, else one statement without a number (N6)."""
    prior, baseline = finding.since_prior, finding.since_baseline
    if not finding.plausible:
        yield "change not plausible, in no number", ""
        return
    if prior is None or baseline is None:
        yield ("not compared" if finding.refusals else "no earlier exam on file"), ""
        return
    roles = ((prior, "prior"),) if baseline is prior else ((prior, "prior"), (baseline, "baseline"))
    significant = [(change, role) for change, role in roles if change.result.significant]  # N6: those given in numbers
    for change, role in significant:
        kind = "gain" if change.result is Result.GAIN else "loss"
        yield f"significant {kind} {labels.since(change, role)}", difference_in_text(change.difference)
    if not significant:
        days = "" if labels.one_pair else f" {', nor '.join(labels.since(*pair) for pair in roles)}"
        unjudged = all(change.result is Result.NO_LSC for change, _ in roles)
        yield (f"change{days} not judged, no LSC" if unjudged else f"no significant change{days}"), ""
