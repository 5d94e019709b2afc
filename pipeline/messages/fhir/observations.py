"""The observations of one region: what was measured, what it is compared with, and the comparison (FHIR R4).

The BMD has T-score, Z-score, BMC and area as its components. A comparison is an observation of its own, derived from
the BMD of both exams; the earlier BMD is here once more, under the day and the study it was measured in: nobody here
knows whether the server has that exam's own observation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.clinical.wording.names import region_name
from pipeline.messages.exam_result import ExamResult, RegionResult, short_id
from pipeline.messages.fhir.datatypes import (
    coded_value,
    concept,
    concept_of,
    day,
    interpretation,
    quantity,
    study_reference,
)
from pipeline.messages.fhir.json_text import Json
from pipeline.messages.quantities import REGION_CODES, REGION_NUMBERS
from pipeline.sr import codes

MEASURED = ("t_score", "z_score", "bmc", "area", "percent_young_adult", "percent_age_matched")
"""The components of the BMD."""

NOT_VALID = "Not valid: this is not the density of bone alone. No result rests on it, and it must not be reported."
"""The note on the BMD of an invalid site, which the addendum has in codes alone (R2.22, N5)."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The names of what is compared with one earlier exam, in ``ReadBack`` and in ``REGION_NUMBERS``."""

    result: str
    bmd: str
    date: str
    study: str
    components: tuple[str, ...]


SINCE_PRIOR = Comparison(
    "result",
    "prior_bmd",
    "PRIOR_DATE",
    "PRIOR_STUDY",
    ("change", "percent", "interval_low", "interval_high", "lsc", "rate", "slope", "slope_error"),
)
SINCE_BASELINE = Comparison(
    "baseline_result",
    "baseline_bmd",
    "BASELINE_DATE",
    "BASELINE_STUDY",
    ("baseline_change", "baseline_percent", "baseline_interval_low", "baseline_interval_high"),
)


def observations(result: ExamResult, shared: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Yield every observation of a result; ``shared`` are the elements that all of them have."""
    for region in result.regions:
        yield from _of_region(result, region, shared)


def _of_region(result: ExamResult, region: RegionResult, shared: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    label = region_name(region.region)
    common: dict[str, Json] = {
        "resourceType": "Observation",
        **shared,
        "bodySite": concept(codes.finding_sites(region.region)[0], text=label),
    }

    def made(name: str, **elements: Json) -> dict[str, Json]:
        found = (REGION_NUMBERS | REGION_CODES)[name]
        identifier = short_id("observation", result.order, region.region.key, found.key)
        code = concept_of(found, region.region, label)
        return {**common, "id": identifier, "code": code, **elements}

    bmd = region.first("BMD")
    if not bmd:
        return
    now = made(
        "bmd",
        valueQuantity=quantity(bmd, REGION_NUMBERS["bmd"].unit),
        component=_components(region, MEASURED, label),
        derivedFrom=[study_reference(region.first("STUDY"))],
        note=[] if region.is_valid else [{"text": NOT_VALID}],
    )
    yield now
    for comparison in (SINCE_PRIOR, SINCE_BASELINE):
        verdict = region.first(REGION_CODES[comparison.result].key)
        if not verdict:
            continue
        sources: list[Json] = [_reference(now)]
        if earlier := region.first(REGION_NUMBERS[comparison.bmd].key):
            then = made(
                comparison.bmd,
                valueQuantity=quantity(earlier, REGION_NUMBERS[comparison.bmd].unit),
                derivedFrom=[study_reference(region.first(comparison.study))],
                effectiveDateTime=day(region.first(comparison.date)),
                device=None,  # on which scanner and with which software is said by that exam's own result
            )
            yield then
            sources.append(_reference(then))
        yield made(
            comparison.result,
            valueCodeableConcept=coded_value(verdict),
            interpretation=interpretation(verdict) if region.is_plausible else [],
            component=[
                *_components(region, comparison.components, label),
                *(_reasons(region, label) if comparison is SINCE_PRIOR else []),
            ],
            derivedFrom=sources,
        )


def _components(region: RegionResult, names: tuple[str, ...], label: str) -> list[Json]:
    found = [(REGION_NUMBERS[name], region.first(REGION_NUMBERS[name].key)) for name in names]
    return [
        {"code": concept_of(kind, region.region, label), "valueQuantity": quantity(number, kind.unit)}
        for kind, number in found
        if number
    ]


def _reasons(region: RegionResult, label: str) -> list[Json]:
    """Return why there was no comparison, and what to doubt of it."""
    found = [(REGION_CODES[name], region.values.get(REGION_CODES[name].key, ())) for name in ("obstacles", "flags")]
    return [
        {"code": concept_of(kind, region.region, label), "valueCodeableConcept": coded_value(value)}
        for kind, values in found
        for value in dict.fromkeys(values)
    ]


def _reference(observation: Mapping[str, Json]) -> Json:
    return {"reference": f"Observation/{observation['id']}"}
