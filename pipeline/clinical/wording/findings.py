"""What is said of each region: its BMD, score and change (F2, F3, C6 to C8)."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from pipeline.clinical.model import Change, Finding, Overall, Result, Scale, Trend
from pipeline.clinical.regions import Region
from pipeline.clinical.wording.names import left_out, region_in_text, region_name, score_in_text

ON_THE_WAY = {Result.GAIN: 1, Result.LOSS: -1}  # E18: the sign of a change


def regions(
    told: Sequence[Finding], counted: Collection[Finding], overall: Overall, scale: Scale | None
) -> tuple[str, ...]:
    """C6, C7, C8, F3: BMD and score of each region, and what became of it since prior and baseline.

    Days are told where a change is significant, or where the regions were not all compared with the same exams.
    """
    days = {(prior.reference.performed_on, baseline.reference.performed_on) for prior, baseline in _compared(told)}
    return tuple(
        f"{_name(finding, counted)}: {measured(finding, scale)}{_since(finding, overall, with_days=len(days) > 1)}."
        for finding in told
    )


def measured(finding: Finding, scale: Scale | None) -> str:
    """C6, C8: BMD, and the score the patient's group asks for; both where the group is unknown.

    Nothing of a site that is not valid (N5).
    """
    measurement = finding.measurement
    if not finding.valid:
        return "not valid"
    parts = [f"BMD {measurement.bmd:f} g/cm2"]
    if measurement.t_score is not None and scale is not Scale.Z_SCORE:
        parts.append(f"T-score {score_in_text(measurement.t_score)}")
    if measurement.z_score is not None and scale is not Scale.T_SCORE:
        parts.append(f"Z-score {score_in_text(measurement.z_score)}")
    if measurement.tbs is not None:
        parts.append(f"TBS {measurement.tbs:f} (information only)")  # R2.18: no trend verdict, nor alone a decision
    return ", ".join(parts)


def trend(fitted: Trend) -> tuple[str, ...]:
    """R3.5, E18: secondary information, told only where its sign is that of the change since prior or baseline."""
    if not (fitted.significant and fitted.agrees):
        return ()
    name = region_name(fitted.region)
    return (
        f"{name}: over {fitted.exams} exams since {fitted.since} the fitted trend is {fitted.slope:+.4f} g/cm2 per "
        "year (secondary information).",
    )


def response(*, claimed: bool) -> tuple[str, ...]:
    """R3.9, E5: on therapy, to hold is to respond, where nothing speaks against it."""
    return ("On therapy, stable or rising BMD counts as response (ISCD, AACE 2020).",) if claimed else ()


def intervals(told: Iterable[Finding]) -> tuple[str, ...]:
    """R1.7, R1.8: the 95 % interval of each significant change, the difference less and plus the LSC."""
    changes = [
        (finding, change)
        for finding in told
        for change in dict.fromkeys((finding.since_prior, finding.since_baseline))
        if change is not None and finding.plausible
    ]
    return tuple(
        f"{region_name(finding.measurement.region)}: 95 % interval of the change since {_day(change)}: "
        f"{change.interval[0]:+f} to {change.interval[1]:+f} g/cm2."
        for finding, change in changes
        if change.interval is not None
    )


def detectable(told: Iterable[Finding]) -> tuple[str, ...]:
    """R2.21: when a change since this exam, at the rate since the prior, would reach the LSC; no number of the rate."""
    return tuple(
        f"{region_name(finding.measurement.region)}: at the rate observed a change since this exam would reach the LSC "
        f"on {finding.detectable_on} at the earliest."
        for finding in told
        if finding.detectable_on is not None and finding.plausible
    )


def not_monitored(regions: Iterable[Region]) -> tuple[str, ...]:
    """R2.17: what was measured but is not followed; vertebrae that belong to a set need no naming."""
    named = [region for region in regions if len(region.vertebrae) != 1]
    names = ", ".join(region_in_text(region) for region in named)
    return (f"Measured but not used for monitoring: {names}.",) if names else ()


def _name(finding: Finding, counted: Collection[Finding]) -> str:
    """C5, C7, R2.17: the region, the vertebrae its set leaves out, and whether it has no part in the result."""
    missing = left_out(finding.measurement.region)
    notes = [f"without {', '.join(missing)}"] if missing else []
    notes += ["secondary"] if finding.since_prior and finding not in counted else []
    return region_name(finding.measurement.region) + (f" ({'; '.join(notes)})" if notes else "")


def _since(finding: Finding, overall: Overall, *, with_days: bool) -> str:
    """A change that is not significant is never put in numbers (N6)."""
    prior, baseline = finding.since_prior, finding.since_baseline
    if not finding.valid:
        return ""
    if not finding.plausible:
        return "; change not plausible, and in no number"
    if prior is None or baseline is None:
        if overall is Overall.NO_PRIOR:
            return ""
        return "; not compared" if finding.refusals else "; no earlier exam on file"
    changes = (prior,) if baseline is prior else (prior, baseline)
    if {change.result for change in changes} == {Result.NO_SIGNIFICANT_CHANGE}:
        days = f" since {', nor since '.join(map(_day, changes))}"
        return f"; no significant change{days if with_days or prior.region or baseline.region else ''}"
    return "".join(f"; {_change(change)}" for change in changes)


def _compared(told: Iterable[Finding]) -> Iterator[tuple[Change, Change]]:
    return ((f.since_prior, f.since_baseline) for f in told if f.since_prior and f.since_baseline)


def _change(change: Change) -> str:
    if change.result is Result.NO_LSC:
        return f"change since {_day(change)} not judged, no LSC"
    if change.result is Result.NO_SIGNIFICANT_CHANGE:
        return f"no significant change since {_day(change)}"
    kind = "gain" if change.result is Result.GAIN else "loss"
    return f"significant {kind} since {_day(change)} of {change.difference:+f} g/cm2 ({change.percent:+f} %)"


def _day(change: Change) -> str:
    return f"{change.reference.performed_on}" + (f" on {change.region}" if change.region else "")
