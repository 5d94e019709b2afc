"""What is said of each region: its BMD, score and change (F2, F3)."""

from collections.abc import Iterable

from pipeline.clinical.model import Change, Finding, LeastSignificantChange, Result, Scale, Trend
from pipeline.clinical.regions import Region
from pipeline.clinical.wording.names import region_name

ASIDE = "Not part of the overall result."  # R2.17: neck and radius are secondary, as is a side beside the mean

NO_LSC = "Significance cannot be assessed: no facility LSC on file for this scanner and region on this date."  # R1.13


def measured(finding: Finding, scale: Scale | None) -> str:
    """C6, C7, C8: the BMD of one region, and its score as the patient's group asks; both where the group is unknown."""
    measurement = finding.measurement
    parts = [f"BMD {measurement.bmd:f} g/cm2"]
    if measurement.t_score is not None and scale is not Scale.Z_SCORE:
        parts.append(f"T-score {measurement.t_score:f}")
    if measurement.z_score is not None and scale is not Scale.T_SCORE:
        parts.append(f"Z-score {measurement.z_score:f}")
    if measurement.tbs is not None:
        parts.append(f"TBS {measurement.tbs:f} (information only)")  # R2.18: no trend verdict, nor alone a decision
    return f"{region_name(measurement.region)}: {', '.join(parts)}."


def verdict(finding: Finding, *, counts: bool) -> str:
    """F2, F3: what became of one region; a change that is not significant is never put in numbers (N6).

    ``counts`` says whether the region has a part in the overall result (R3.9).
    """
    name = region_name(finding.measurement.region)
    if finding.since_prior is None or finding.since_baseline is None:
        return f"{name}: no earlier exam of this site is on file." if not finding.refusals else f"{name}: not compared."
    parts = [f"{name}: {_change(finding.since_prior)}."]
    if finding.since_baseline is not finding.since_prior:
        parts.append(f"Since the baseline: {_change(finding.since_baseline)}.")
    records = dict.fromkeys((finding.since_prior.lsc, finding.since_baseline.lsc))
    parts += [NO_LSC if lsc is None else _lsc(lsc) for lsc in records]
    return " ".join(parts if counts else (*parts, ASIDE))


def trend(fitted: Trend) -> str:
    """R3.5: secondary information; without significance no number (N6)."""
    text = f"{region_name(fitted.region)}: over {fitted.exams} exams since {fitted.since} the fitted trend is"
    if not fitted.significant:
        return f"{text} not significant (secondary information)."
    return f"{text} {fitted.slope:+.4f} g/cm2 per year (secondary information)."


def not_monitored(regions: Iterable[Region]) -> tuple[str, ...]:
    """R2.17: what was measured but is not followed."""
    names = ", ".join(region_name(region) for region in regions)
    return (f"Not used for monitoring: {names}.",) if names else ()


def _change(change: Change) -> str:
    since = f"since {change.reference.performed_on}" + (f" on {change.region}" if change.region else "")
    if change.result is Result.NO_LSC:
        return f"significance of change {since} unknown"
    if change.result is Result.NO_SIGNIFICANT_CHANGE:
        return f"no significant change {since}"
    kind = "gain" if change.result is Result.GAIN else "loss"
    then, now = change.reference_bmd, change.reference_bmd + change.difference
    rate = "" if change.rate is None else f", {change.rate:+f} g/cm2 per year"
    return (
        f"significant {kind} {since} of {change.difference:+f} g/cm2 ({change.percent:+f} %{rate}), "
        f"from {then:f} to {now:f} g/cm2"
    )


def _lsc(lsc: LeastSignificantChange) -> str:
    return f"LSC {lsc.lsc:f} g/cm2 at 95 % confidence ({lsc.source})."
