"""The content tree of an addendum after PS3.16 TID 1500 Measurement Report, built from an interpretation.

Its items are those of ``content_tree``, which reports are read into; ``addendum`` encodes them. A digest of the content
decides whether an exam needs another addendum.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import fields
from decimal import Decimal
from enum import StrEnum

import pipeline
from pipeline.clinical.model import (
    CategoryChange,
    Caution,
    Change,
    Exam,
    Finding,
    Interpretation,
    LeastSignificantChange,
    Narrative,
    Overall,
    Refusal,
    Trend,
)
from pipeline.clinical.regions import Region
from pipeline.sr import codes
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.header import dicom_date
from pipeline.sr.dicom.uids import DEVICE_UID, derived_uid

DEVICE = "dxatrend"
"""Our name as manufacturer and as model of the device."""

ALGORITHM = "dxatrend serial comparison"

CONFIDENCE_LEVEL = Decimal("95")
"""The confidence level of least significant changes, in percent (R1.7)."""


class Relation(StrEnum):
    """Relationship of a content item to its parent (PS3.3 C.17.3.2.4)."""

    CONTAINS = "CONTAINS"
    CONTEXT = "HAS OBS CONTEXT"
    MODIFIER = "HAS CONCEPT MOD"
    PROPERTY = "HAS PROPERTIES"
    SOURCE = "INFERRED FROM"


def document(interpretation: Interpretation, *, note: str = "") -> Item:
    """Return the content tree of an addendum; ``note`` says what differs from the addendum that it supersedes."""
    return Item(
        value_type="CONTAINER",
        concept=codes.IMAGING_MEASUREMENT_REPORT,
        children=(*_observation_context(), *_containers(interpretation, note)),
        template="1500",
    )


def section_sizes(narrative: Narrative) -> dict[str, int]:
    """Return how many conclusions of an addendum belong to each section of its narrative, in their order."""
    sections = {
        field.name: getattr(narrative, field.name) for field in fields(Narrative) if field.name != "small_print"
    }
    return {
        name: sum(len(tuple(_sentence(codes.CONCLUSION, text))) for text in texts) for name, texts in sections.items()
    }


def digest(addendum: Item, rules_version: str, source_uids: Iterable[str]) -> str:
    """Return a SHA-256 digest of an addendum's content, without a note, and of the reports that it rests on.

    It does not depend on time, machine, version of this software, code meanings, earlier addenda or the order of the
    reports.
    """
    contents = [_plain(item) for item in addendum.children if item.relationship == Relation.CONTAINS]
    canonical = json.dumps([sorted(set(source_uids)), rules_version, contents], separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _plain(item: Item) -> list[object]:
    concepts = [code.identity if code else None for code in (item.concept, item.code, item.unit)]
    return [item.relationship, item.value_type, concepts, item.value, [_plain(child) for child in item.children]]


def as_enhanced_sr(item: Item) -> Item:
    """Return the same content with the relationships that an Enhanced SR allows (PS3.3 table A.35.2-2).

    Only containers may have an observation context there, so date and study of a number or an obstacle become its
    properties.
    """
    children = tuple(map(as_enhanced_sr, item.children))
    if item.value_type != "CONTAINER":
        children = tuple(map(_as_property, children))
    return item._replace(children=children)


def decimal_string(number: Decimal) -> str:
    """Return a number in at most 16 characters (PS3.5 6.2 DS); more decimals than fit are rounded off."""
    text = f"{number:f}"
    if len(text) <= 16:
        return text
    return f"{round(number, max(0, 15 - len(text.partition('.')[0]))):f}"


def _containers(interpretation: Interpretation, note: str) -> Iterable[Item]:
    """Yield the containers of conclusions, measurements and evaluations, in the order in which a reader wants them."""
    sentences = [item for text in interpretation.conclusions for item in _sentence(codes.CONCLUSION, text)]
    if remarks := (*_sentence(codes.COMMENT, note), *sentences):
        yield _container(codes.CONCLUSIONS, remarks)
    if interpretation.findings:
        groups = tuple(_group(interpretation, finding) for finding in interpretation.findings)
        yield _container(codes.IMAGING_MEASUREMENTS, groups)
    evaluations = (*_evaluations(interpretation), *_flags(interpretation.cautions), *_rules(interpretation))
    yield _container(codes.QUALITATIVE_EVALUATIONS, evaluations)


def _evaluations(interpretation: Interpretation) -> Iterable[Item]:
    """Yield the results of the whole exam: since the prior, since the baseline, by T- or Z-score."""
    yield _code(codes.OVERALL, codes.private(interpretation.overall))
    if interpretation.overall is not Overall.WITHDRAWN:
        yield _code(codes.BOVERALL, codes.private(interpretation.overall_since_baseline))
    diagnosis, target = interpretation.diagnosis, interpretation.target
    if diagnosis and not diagnosis.superseded:
        yield _code(codes.CATEGORY, codes.private(diagnosis.category))
    if interpretation.category_change:
        yield _earlier_category(interpretation.category_change)
    if interpretation.response:
        yield _code(codes.RESPONSE, codes.RESPONSE_MET)
    if target:
        yield _number(codes.TARGET_T, target.target, codes.NO_UNITS)
        yield _number(codes.TARGET_DISTANCE, target.distance, codes.NO_UNITS)


def _earlier_category(change: CategoryChange) -> Item:
    return _code(codes.PCATEGORY, codes.private(change.before.category), children=tuple(_study(change.exam)))


def _observation_context() -> Iterable[Item]:
    """Yield language, device observer and procedure (PS3.16 TID 1204, 1002, 1004, and row 4 of TID 1500)."""
    yield _code(codes.LANGUAGE, codes.ENGLISH, Relation.MODIFIER)
    yield _code(codes.OBSERVER_TYPE, codes.DEVICE, Relation.CONTEXT)
    yield _uid(codes.DEVICE_OBSERVER_UID, DEVICE_UID)
    yield _text(codes.DEVICE_OBSERVER_NAME, f"{DEVICE} {pipeline.__version__}", Relation.CONTEXT)
    yield _text(codes.DEVICE_OBSERVER_MANUFACTURER, DEVICE, Relation.CONTEXT)
    yield _text(codes.DEVICE_OBSERVER_MODEL, DEVICE, Relation.CONTEXT)
    yield _code(codes.PROCEDURE_REPORTED, codes.DXA, Relation.MODIFIER)


def _group(interpretation: Interpretation, finding: Finding) -> Item:
    """Return the measurement group of one region (PS3.16 TID 1501)."""
    return _container(
        codes.MEASUREMENT_GROUP,
        (
            *_identity(interpretation, finding),
            *_measured(finding),
            *_compared(finding),
            *(
                item
                for line in interpretation.trends
                if line.region == finding.measurement.region
                for item in _trend(line)
            ),
            *(item for refusal in finding.refusals for item in _obstacle(refusal)),
            *_flags(finding.cautions),
        ),
        template="1501",
    )


def _identity(interpretation: Interpretation, finding: Finding) -> Iterable[Item]:
    """Yield region, change in a standard code, finding site, rules and date of a measurement group."""
    exam, region = interpretation.exam, finding.measurement.region
    yield _text(codes.TRACKING_IDENTIFIER, region.key, Relation.CONTEXT)
    yield _uid(codes.TRACKING_UID, derived_uid("tracking", exam.patient.issuer, exam.patient.patient_id, region.key))
    if finding.result in codes.CHANGE_OF_RESULT:
        yield _code(codes.FINDING, codes.CHANGE_OF_RESULT[finding.result])
    yield from _finding_sites(region)
    yield _text(codes.ALGORITHM_NAME, ALGORITHM, Relation.MODIFIER)
    yield _text(codes.ALGORITHM_VERSION, interpretation.rules_version, Relation.MODIFIER)
    yield from _time_point("Current", exam)


def _finding_sites(region: Region) -> Iterable[Item]:
    side = codes.laterality(region)
    sided = (_code(codes.LATERALITY, side, Relation.MODIFIER),) if side else ()
    for site in codes.finding_sites(region):
        yield _code(codes.FINDING_SITE, site, Relation.MODIFIER, sided)


def _time_point(label: str, exam: Exam) -> Iterable[Item]:
    """Yield the time point context (PS3.16 TID 1502) with date and study of an exam."""
    yield _text(codes.TIME_POINT, label, Relation.CONTEXT)
    yield from _study(exam)


def _study(exam: Exam) -> Iterable[Item]:
    yield _date(codes.STUDY_DATE, dicom_date(exam.performed_on), Relation.CONTEXT)
    yield _uid(codes.STUDY_UID, exam.study_instance_uid)


def _measured(finding: Finding) -> Iterable[Item]:
    measurement = finding.measurement
    region = measurement.region
    yield _number(codes.bmd(region), measurement.bmd, codes.G_PER_CM2)
    for concept, value, unit in (
        (codes.BMC, measurement.bmc, codes.GRAM),
        (codes.AREA, measurement.area, codes.CM2),
        (codes.t_score(region), measurement.t_score, codes.NO_UNITS),
        (codes.z_score(region), measurement.z_score, codes.NO_UNITS),
        (codes.PYA, measurement.percent_young_adult, codes.PERCENT),
        (codes.PAM, measurement.percent_age_matched, codes.PERCENT),
    ):
        if value is not None:
            yield _number(concept, value, unit)


def _compared(finding: Finding) -> Iterable[Item]:
    yield _code(codes.RESULT, codes.private(finding.result))
    prior, baseline = finding.since_prior, finding.since_baseline
    if prior:
        yield _number(codes.PRIOR_BMD, prior.reference_bmd, codes.G_PER_CM2, _compared_with(prior, "Prior"))
        yield _number(codes.DIFF, prior.difference, codes.G_PER_CM2, _inferred_from(prior))
        yield _number(codes.PDIFF, prior.percent, codes.PERCENT)
        yield from _interval(prior, codes.CI_LOW, codes.CI_HIGH)
        if prior.lsc:
            yield _least_significant_change(prior.lsc)
        if prior.rate is not None:
            yield _number(codes.RATE, prior.rate, codes.G_PER_CM2_PER_YEAR)
        if finding.detectable_on is not None:
            yield _date(codes.DETECTABLE_ON, dicom_date(finding.detectable_on))
    if baseline:
        # TID 300 gives a CODE under a measurement no other relation than a modifier's
        kind = _code(codes.TIME_POINT_TYPE, codes.BASELINE, Relation.MODIFIER)
        context = (*_compared_with(baseline, "Baseline"), kind)
        yield _number(codes.BASELINE_BMD, baseline.reference_bmd, codes.G_PER_CM2, context)
        yield _number(codes.BDIFF, baseline.difference, codes.G_PER_CM2, _inferred_from(baseline))
        yield _number(codes.BPDIFF, baseline.percent, codes.PERCENT)
        yield from _interval(baseline, codes.BCI_LOW, codes.BCI_HIGH)
        yield _code(codes.BRESULT, codes.private(baseline.result))


def _interval(change: Change, low: Code, high: Code) -> Iterable[Item]:
    """Yield the bounds of the 95 % interval of a significant change, in g/cm²."""
    if change.interval is not None:
        for concept, bound in zip((low, high), change.interval, strict=True):
            yield _number(concept, bound, codes.G_PER_CM2)


def _trend(fitted: Trend) -> Iterable[Item]:
    """Yield slope and standard error of the line through all comparable exams, in g/cm² a year (R3.5)."""
    yield _number(codes.SLOPE, fitted.slope, codes.G_PER_CM2_PER_YEAR)
    yield _number(codes.SLOPE_SE, fitted.standard_error, codes.G_PER_CM2_PER_YEAR)


def _compared_with(change: Change, label: str) -> tuple[Item, ...]:
    """Return date and study of the exam compared with, and its vertebrae if not all were compared (R2.12)."""
    sites = _finding_sites(change.region) if change.region else ()
    return (*_time_point(label, change.reference), *sites)


def _inferred_from(change: Change) -> tuple[Item, ...]:
    """Return the present BMD of the vertebrae that both exams have, if those are not the whole region (R2.12)."""
    if change.region is None or change.bmd is None:
        return ()
    sites = tuple(_finding_sites(change.region))
    return (_number(codes.bmd(change.region), change.bmd, codes.G_PER_CM2, sites, Relation.SOURCE),)


def _least_significant_change(lsc: LeastSignificantChange) -> Item:
    population = f"{lsc.patients} patients, {lsc.repeats} scans each" if lsc.patients and lsc.repeats else ""
    properties = (
        _number(codes.CONFIDENCE, CONFIDENCE_LEVEL, codes.PERCENT, relation=Relation.SOURCE),
        *_sentence(codes.METHOD_CITATION, lsc.source, Relation.SOURCE),
        *_sentence(codes.POPULATION_DESCRIPTION, population, Relation.PROPERTY),
    )
    return _number(codes.LSC, lsc.lsc, codes.G_PER_CM2, properties)


def _obstacle(refusal: Refusal) -> Iterable[Item]:
    """Yield why there was no comparison: a code with the study that it is about, and a sentence."""
    yield _code(codes.OBSTACLE, codes.private(refusal.obstacle), children=tuple(_study(refusal.exam)))
    yield from _sentence(codes.OBSTACLE, refusal.text)


def _flags(cautions: Iterable[Caution]) -> Iterable[Item]:
    for caution in cautions:
        yield _code(codes.FLAG, codes.private(caution.flag))
        yield from _sentence(codes.FLAG, caution.text)


def _rules(interpretation: Interpretation) -> Iterable[Item]:
    """Yield the rule of each suggestion, and each rule that lacked an input, with what it lacked (A7)."""
    for suggestion in interpretation.suggestions:
        yield _code(codes.SUGGESTION, codes.rule(suggestion.rule))
    for item in interpretation.not_evaluated:
        yield _code(codes.NOT_EVALUATED, codes.rule(item.rule))
        yield from _sentence(codes.NOT_EVALUATED, f"{item.topic}: {', '.join(item.missing)} not supplied")


def _as_property(item: Item) -> Item:
    if item.relationship != Relation.CONTEXT:
        return item
    concept = codes.STUDY_UID_AS_PROPERTY if item.concept == codes.STUDY_UID else item.concept
    return item._replace(relationship=Relation.PROPERTY, concept=concept)


def _container(concept: Code, children: tuple[Item, ...], template: str = "") -> Item:
    relationship = Relation.CONTAINS
    return Item(
        value_type="CONTAINER", relationship=relationship, concept=concept, children=children, template=template
    )


def _code(concept: Code, code: Code, relation: Relation = Relation.CONTAINS, children: tuple[Item, ...] = ()) -> Item:
    return Item(value_type="CODE", relationship=relation, concept=concept, code=code, children=children)


def _sentence(concept: Code, text: str, relation: Relation = Relation.CONTAINS) -> Iterable[Item]:
    """Yield a text item unless the text is blank: Text Value (0040,A160) may not be empty."""
    item = _text(concept, text, relation)
    if item.value:
        yield item


def _text(concept: Code, text: str, relation: Relation) -> Item:
    """Return a text item without control characters but line feeds; not every reader accepts tabs."""
    value = _CONTROLS.sub("", text.replace("\t", " ")).strip()
    return Item(value_type="TEXT", relationship=relation, concept=concept, value=value)


_CONTROLS = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def _date(concept: Code, day: str, relation: Relation = Relation.CONTAINS) -> Item:
    return Item(value_type="DATE", relationship=relation, concept=concept, value=day)


def _uid(concept: Code, uid: str) -> Item:
    return Item(value_type="UIDREF", relationship=Relation.CONTEXT, concept=concept, value=uid)


def _number(
    concept: Code,
    number: Decimal,
    unit: Code,
    children: tuple[Item, ...] = (),
    relation: Relation = Relation.CONTAINS,
) -> Item:
    """Return a numeric item with the digits of the number; zero has no sign."""
    text = decimal_string(number or abs(number))
    return Item(value_type="NUM", relationship=relation, concept=concept, value=text, unit=unit, children=children)
