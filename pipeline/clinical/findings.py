"""Findings of one exam: each matched measurement compared with its prior and its baseline, in numbers, without text."""

from collections.abc import Mapping, Sequence

from pipeline.clinical.compare import compare, detectable_on
from pipeline.clinical.cross_calibration import lsc_across, predict
from pipeline.clinical.model import Change, CrossCalibration, Exam, Finding, LeastSignificantChange, Measurement
from pipeline.clinical.precision import in_force, lsc_for
from pipeline.clinical.priors import Match, shared_bmds


def compare_matches(
    exam: Exam, matches: Sequence[Match], lscs: Sequence[LeastSignificantChange]
) -> tuple[Finding, ...]:
    """Compare each matched measurement with its prior and its baseline, by the LSCs valid on the day of the exam.

    Return one finding per match, in their order; without a comparable exam it holds the refusals alone.
    """
    valid = in_force(lscs, exam.scanner, exam.performed_on)
    return tuple([_finding(exam, matched, valid) for matched in matches])


def _finding(exam: Exam, matched: Match, valid: Mapping[str, LeastSignificantChange]) -> Finding:
    measurement, comparable, refusals, cross_calibration = matched
    if not comparable:
        return Finding(measurement=measurement, refusals=refusals)
    since_prior = _since(measurement, exam, comparable[0], valid, cross_calibration)
    since_baseline = since_prior
    if len(comparable) > 1:
        since_baseline = _since(measurement, exam, comparable[-1], valid, cross_calibration)
    return Finding(
        measurement=measurement,
        since_prior=since_prior,
        since_baseline=since_baseline,
        refusals=refusals,
        detectable_on=detectable_on(since_prior, exam.performed_on),
    )


def _since(
    measurement: Measurement,
    exam: Exam,
    reference: Exam,
    valid: Mapping[str, LeastSignificantChange],
    cross_calibration: CrossCalibration | None,
) -> Change:
    """Return the change since one exam: of printed BMD, of shared vertebrae (R2.12), or across scanners (R2.10)."""
    region = measurement.region
    earlier = reference.by_region.get(region.key)
    if earlier is None:
        shared = shared_bmds(measurement, exam, reference)
        assert shared is not None, "match() found these exams comparable"
        return compare(shared.now, shared.then, exam, reference, lsc_for(valid, shared.region), shared.region)
    if cross_calibration is None:
        return compare(measurement.bmd, earlier.bmd, exam, reference, lsc_for(valid, region))
    then = predict(cross_calibration, earlier.bmd)
    assert then is not None, "match() found that the line predicts a BMD"
    return compare(measurement.bmd, then, exam, reference, lsc_across(cross_calibration, region), region)
