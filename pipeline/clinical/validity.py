"""Validity of measurements: invalid sites and patients below 20 are excluded before anything is judged (R2.22, N5).

All other rules see only the valid part of an exam. An excluded measurement has no part in any comparison, diagnosis or
suggestion, as if it had not been made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pipeline.clinical.age import age_on
from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.clinical.model import Exam, Measurement, Obstacle, Refusal
from pipeline.clinical.regions import Region, Side, Site
from pipeline.clinical.wording import validity as words

ADULT_FROM = 20
"""Age in years from which the T-score, category and LSC of adults apply (ISCD paediatric positions)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidPart:
    """The measurements of an exam that may be judged, and the refusals of the others by region key."""

    exam: Exam
    refused: Mapping[str, Refusal]


def valid_part(exam: Exam, context: ClinicalContext, *, own: bool = False) -> ValidPart:
    """Remove from an exam the measurements that must not be judged, by the clinical context of its day.

    ``own`` is true for the exam an addendum is made for, false for an earlier one.
    """
    refused: dict[str, Refusal] = {}
    for region in (measurement.region for measurement in exam.measurements):
        if is_child(exam):
            text = words.paediatric(exam, own=own)
            refused[region.key] = Refusal(obstacle=Obstacle.PAEDIATRIC, exam=exam, text=text, own=own)
        elif reasons := invalid_because(region, context):
            text = words.invalid_site(exam, reasons, own=own)
            refused[region.key] = Refusal(obstacle=Obstacle.INVALID_SITE, exam=exam, text=text, own=own)
    if not refused:
        return ValidPart(exam=exam, refused=refused)
    left = tuple(m for m in exam.measurements if m.region.key not in refused)
    return ValidPart(exam=replace(exam, measurements=left), refused=refused)


def is_child(exam: Exam) -> bool:
    """Whether the patient was below 20 on the day of the exam; an unknown age is not below."""
    age = age_on(exam)
    return age is not None and age < ADULT_FROM


def invalid_because(region: Region, context: ClinicalContext) -> tuple[str, ...]:
    """Return what lies in or over the bone by the record of that day, so that its BMD is not that of bone (R2.22)."""
    return tuple(name for name, present in _noted(region, context) if present)


def without_invalid_scores(measurement: Measurement, refusal: Refusal) -> Measurement:
    """Return a measurement without the scores that must not be reported: all of an invalid site, a child's T-score."""
    if refusal.obstacle is Obstacle.PAEDIATRIC:
        return _without_t_score(measurement)
    return replace(_without_t_score(measurement), z_score=None, percent_age_matched=None, tbs=None)


def without_t_scores(exam: Exam) -> Exam:
    """Return an exam without T-scores, nor the percentage of young adults, which carries the same information."""
    return replace(exam, measurements=tuple(map(_without_t_score, exam.measurements)))


def _without_t_score(measurement: Measurement) -> Measurement:
    return replace(measurement, t_score=None, percent_young_adult=None)


def _noted(region: Region, context: ClinicalContext) -> Iterator[tuple[str, bool | None]]:
    if region.site is Site.SPINE:
        yield "hardware in the spine", context.spinal_hardware
        yield "artefact over the spine", context.spine_artefact
        yield "calcium tablet within 24 hours", context.calcium_tablet
    if region.site is Site.HIP and region.side is not Side.RIGHT:
        yield "hardware in the left hip", context.left_hip_prosthesis
    if region.site is Site.HIP and region.side is not Side.LEFT:
        yield "hardware in the right hip", context.right_hip_prosthesis
    if region.site in (Site.SPINE, Site.HIP):
        yield "recent contrast or nuclear study", context.contrast
