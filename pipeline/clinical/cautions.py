"""Cautions about the comparison of one region, and the rules that lacked an input (R1, R2, R7)."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from pipeline.clinical.compare import HUNDRED, borderline, implausible, months_between
from pipeline.clinical.comparison_context import ComparisonContext
from pipeline.clinical.model import (
    Caution,
    Change,
    Exam,
    Finding,
    Measurement,
    NotEvaluated,
    QcGap,
    other_population,
)
from pipeline.clinical.precision import WORST_LSC_PERCENT, only_at_80_percent
from pipeline.clinical.priors import last_break, total_agrees
from pipeline.clinical.regions import FEMORAL_NECK, SPINE, TOTAL_HIP, Region, Side, Site
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording import comparison_cautions as words
from pipeline.clinical.wording import validity as words_on_validity
from pipeline.clinical.wording.names import region_name

_FIGURES = re.compile(r"\d+")

AREA_PARTS = (SPINE, FEMORAL_NECK, TOTAL_HIP)
"""The parts whose change in bone area deserves a caution (R2.15)."""


def add_cautions(finding: Finding, context: ComparisonContext) -> Finding:
    """Return the finding with its cautions, each once: of the scan, since the prior, since the baseline."""
    changes = [change for change in (finding.since_prior, finding.since_baseline) if change is not None]
    found = [
        *_of_the_scan(finding, context),
        *(caution for change in changes for caution in _of_a_change(finding.measurement, change, context)),
    ]
    return replace(finding, cautions=tuple(dict.fromkeys(found))) if found else finding


def add_side_cautions(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings, both hips with a caution where their sides seem exchanged (R2.16)."""
    found: dict[Region, list[Caution]] = {}
    for part in (TOTAL_HIP, FEMORAL_NECK):
        sided = {f.measurement.region.side: f for f in findings if f.measurement.region.part == part}
        left, right = sided.get(Side.LEFT), sided.get(Side.RIGHT)
        if left is None or right is None:
            continue
        for one, other in zip(_changes(left), _changes(right), strict=False):
            if one.reference is other.reference and _exchanged(left.measurement, one, right.measurement, other):
                for finding in (left, right):
                    found.setdefault(finding.measurement.region, []).append(
                        words_on_validity.sides_exchanged(part, one.reference)
                    )
    return tuple(
        replace(f, cautions=tuple(dict.fromkeys((*f.cautions, *found[f.measurement.region]))))
        if f.measurement.region in found
        else f
        for f in findings
    )


def height_loss(exam: Exam, earlier: Sequence[Exam], rules: Rules) -> Iterator[Caution]:
    """Yield a caution for height lost since the last exam with a height, else since the first (BHOF 2022)."""
    with_height = sorted((e for e in earlier if e.height_cm), key=lambda e: e.performed_at, reverse=True)
    for other in (*with_height[:1], *with_height[-1:]):
        if exam.height_cm and other.height_cm and other.height_cm - exam.height_cm >= rules.height_loss_cm:
            yield words_on_validity.height_loss(other.height_cm - exam.height_cm, other)
            return


class _BothSides(NamedTuple):
    """One number of both sides, now and in the earlier exam."""

    left: Decimal | None
    right: Decimal | None
    then_left: Decimal | None
    then_right: Decimal | None

    @property
    def fits_better_crossed(self) -> bool:
        """Whether each side is nearer to the other side's earlier value than to its own."""
        left, right, then_left, then_right = self
        if left is None or right is None or then_left is None or then_right is None:
            return False
        crossed, straight = (left - then_right, right - then_left), (left - then_left, right - then_right)
        return all(abs(one) < abs(other) for one, other in zip(crossed, straight, strict=True))


def _changes(finding: Finding) -> tuple[Change, ...]:
    return tuple(change for change in (finding.since_prior, finding.since_baseline) if change is not None)


def _exchanged(left: Measurement, since_left: Change, right: Measurement, since_right: Change) -> bool:
    """Whether both sides fit the other's earlier scan better in BMD and area, and one changed by its LSC or more."""
    then_left = since_left.reference.by_region[left.region.key]
    then_right = since_right.reference.by_region[right.region.key]
    bmds = _BothSides(left.bmd, right.bmd, then_left.bmd, then_right.bmd)
    areas = _BothSides(left.area, right.area, then_left.area, then_right.area)
    crossed = bmds.fits_better_crossed and areas.fits_better_crossed
    beyond = any(c.lsc is not None and abs(c.difference) >= c.lsc.lsc for c in (since_left, since_right))
    return crossed and beyond


def outliers(exam: Exam, vertebrae: Sequence[str], rules: Rules) -> tuple[tuple[str, str], ...]:
    """Return the adjacent vertebrae whose T-scores differ by more than ``rules.outlier_t`` (R2.13)."""
    scores = [(level, exam.by_region[level].t_score) for level in vertebrae if level in exam.by_region]
    known = [(level, score) for level, score in scores if score is not None]
    return tuple(
        (upper, lower)
        for (upper, one), (lower, other) in pairwise(known)
        if vertebrae.index(lower) == vertebrae.index(upper) + 1 and abs(one - other) > rules.outlier_t
    )


def area_change(now: Measurement, then: Measurement) -> Decimal | None:
    """Return the change in bone area in percent of the earlier one; ``None`` if either is unknown (R2.15)."""
    return _percent_change(now.area, then.area)


def level_shift(exam: Exam, reference: Exam, measurement: Measurement, rules: Rules) -> bool:
    """Whether other vertebral levels may have been analysed than before (R2.14)."""
    earlier = reference.by_region.get(measurement.region.key)
    if measurement.region.part != SPINE or earlier is None:
        return False
    return _shifted_by_size(measurement, earlier, rules) or _shifted_by_one(exam, reference)


def _of_the_scan(finding: Finding, context: ComparisonContext) -> Iterator[Caution]:
    """Yield the cautions about today's scan itself, whatever it is compared with."""
    region, exam = finding.measurement.region, context.exam
    name = region_name(region)
    if region.site is Site.FOREARM and context.clinical.non_dominant_arm not in (None, region.side):
        yield words.dominant_arm(name)
    for gap in _gaps(exam, context.qc_gaps):
        yield words.qc_not_verified(exam, gap)
    if region.part == SPINE:
        if pairs := outliers(exam, region.vertebrae, context.rules):
            yield words.vertebra_outlier(pairs, context.rules, compared=finding.since_prior is not None)
        if not total_agrees(exam, finding.measurement):
            yield words.total_disagrees(name, exam)


def _of_a_change(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    for judge in CAUTION_RULES:
        yield from judge(measurement, change, context)


def _plausible(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    """Yield cautions about a change too large or too soon for bone (R3.1, R5.3)."""
    today, name = context.exam.performed_on, region_name(measurement.region)
    if implausible(change, today, context.rules):
        yield words_on_validity.implausible(name, change)
    if months_between(change.reference.performed_on, today) < context.rules.no_change_months:
        yield words_on_validity.too_soon_to_count(name, change, context.rules)


def _reference_population(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    """Yield a caution where the reference population of the scores has changed (R4.5)."""
    earlier = change.reference.by_region.get(measurement.region.key)
    if earlier is not None and other_population(measurement, earlier):
        now, then = measurement.reference_population, earlier.reference_population
        yield words_on_validity.reference_changed(region_name(measurement.region), now, then, change.reference)


def _software(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    now, then = context.exam.software, change.reference.software
    if now and then and now != then:
        yield words.software_changed(change.reference, context.exam, major=major_version(now) != major_version(then))


def _scan_mode(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    """Yield cautions where scan mode or protocol of analysis has changed (R2.5)."""
    earlier = change.reference.by_region.get(measurement.region.key)
    if earlier is None:
        return
    modes = measurement.scan_mode, earlier.scan_mode
    protocols = measurement.analysis_protocol, earlier.analysis_protocol
    for what, (now, then) in (("scan mode", modes), ("analysis protocol", protocols)):
        if now and then and now != then:
            yield words.scan_mode_changed(region_name(measurement.region), change.reference, what, now, then)


def _subset(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    if change.region is None or change.reference.scanner != context.exam.scanner:
        return
    name = region_name(measurement.region)
    yield words.subset_recomputed(name, change)
    shared = set(change.region.vertebrae)
    sets = [m for m in change.reference.measurements if shared <= set(m.region.vertebrae)]
    if not all(total_agrees(change.reference, total) for total in sets):
        yield words.total_disagrees(name, change.reference)


def _across_scanners(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    if change.reference.scanner != context.exam.scanner:
        yield words.cross_calibrated(region_name(measurement.region), change)


def _quality_control(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    for gap in _gaps(change.reference, context.qc_gaps):
        yield words.qc_not_verified(change.reference, gap)


def _size(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    """Yield cautions about vertebral levels and bone area (R2.14, R2.15)."""
    rules, region = context.rules, measurement.region
    name = region_name(region)
    if level_shift(context.exam, change.reference, measurement, rules):
        yield words.level_shift(name, change.reference)
    earlier = change.reference.by_region.get(region.key)
    percent = area_change(measurement, earlier) if earlier else None
    if (
        earlier is None
        or earlier.area is None
        or percent is None
        or region.part not in (SPINE, FEMORAL_NECK, TOTAL_HIP)
    ):
        return
    wide = region.part == SPINE and abs(percent * earlier.area) >= HUNDRED * rules.area_note_spine_cm2
    if wide or abs(percent) >= rules.area_note_percent:
        review = region.part != TOTAL_HIP and abs(percent) >= rules.area_review_percent
        yield words.area_changed(name, change.reference, review=review)


def _body(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    """Yield cautions about height, weight and body mass index (R2.19, R2.20, R1.17)."""
    exam, other, rules = context.exam, change.reference, context.rules
    if exam.height_cm and other.height_cm and abs(exam.height_cm - other.height_cm) > rules.height_review_cm:
        yield words.height_changed(other, exam)
    if exam.weight_kg and other.weight_kg:
        difference = abs(exam.weight_kg - other.weight_kg)
        review = HUNDRED * difference > rules.weight_review_percent * other.weight_kg
        if review or difference > rules.weight_note_kg:
            yield words.weight_changed(other, exam, review=review)
    if (bmi := body_mass_index(exam)) is not None and bmi > rules.high_bmi and measurement.region.part == SPINE:
        yield words.high_bmi(rules)


def _interval(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    if months_between(change.reference.performed_on, context.exam.performed_on) < context.rules.short_interval_months:
        yield words.interval_short(change.reference, context.rules)


def _margin(measurement: Measurement, change: Change, context: ComparisonContext) -> Iterator[Caution]:
    """Yield cautions about the LSC and how close the change is to it (R1.7, R1.11, R1.13, R1.15, R1.17)."""
    name = region_name(measurement.region)
    if change.lsc is not None and change.lsc.approximated:
        yield words.lsc_approximated(name, change.lsc)
    epoch = last_break(context.exam.scanner, context.epochs, context.exam.performed_on)
    if change.lsc is not None and epoch is not None and change.lsc.valid_from < epoch.begins:
        yield words.lsc_before_epoch(name, epoch)
    if borderline(change, context.rules.borderline_factor):
        yield words.borderline(name, change)
    if context.rules.flag_80_percent and change.lsc is not None and only_at_80_percent(change.difference, change.lsc):
        yield words.only_at_80_percent(name, change)
    ceiling = WORST_LSC_PERCENT.get(measurement.region.part)
    exceeded = ceiling is not None and HUNDRED * abs(change.difference) >= ceiling * change.reference_bmd
    if ceiling is not None and exceeded and change.lsc is None:
        yield words.ceiling_exceeded(name, change, ceiling)


CAUTION_RULES: tuple[Callable[[Measurement, Change, ComparisonContext], Iterator[Caution]], ...] = (
    _plausible,
    _software,
    _scan_mode,
    _reference_population,
    _subset,
    _across_scanners,
    _quality_control,
    _size,
    _body,
    _interval,
    _margin,
)
"""The rules applied to every change, in the order of the report."""


def body_mass_index(exam: Exam) -> Decimal | None:
    """Return weight over height squared in kg/m2; ``None`` if either is unknown."""
    if exam.weight_kg is None or exam.height_cm is None:
        return None
    return exam.weight_kg * 10_000 / exam.height_cm**2


def cautions_not_evaluated(finding: Finding, context: ComparisonContext) -> Iterator[NotEvaluated]:
    """Yield the caution rules that could not be evaluated for a comparison, with the missing inputs."""
    change = finding.since_prior
    if change is None:
        return
    region, exams = finding.measurement.region, (context.exam, change.reference)
    both = (finding.measurement, change.reference.by_region.get(region.key))

    def is_missing(attribute: str) -> bool:
        return any(not getattr(measurement, attribute, None) for measurement in both)

    if not all(exam.software for exam in exams):
        yield NotEvaluated(rule="R2.4", topic="software", missing=("software version",))
    if is_missing("scan_mode"):
        yield NotEvaluated(rule="R2.5", topic="scan mode", missing=("scan mode",))
    if region.part in AREA_PARTS and is_missing("area"):
        yield NotEvaluated(rule="R2.15", topic="bone area", missing=("bone area",))
    if region.part == SPINE and (is_missing("bmc") or is_missing("area")):
        yield NotEvaluated(rule="R2.14", topic="level shift", missing=("bone mineral content", "bone area"))
    if region.part == SPINE and all(_t_score(context.exam, level) is None for level in region.vertebrae):
        yield NotEvaluated(rule="R2.13", topic="vertebral outliers", missing=("T-scores of single vertebrae",))
    if not all(exam.height_cm for exam in exams):
        yield NotEvaluated(rule="R2.19", topic="height", missing=("height",))
    if not all(exam.weight_kg for exam in exams):
        yield NotEvaluated(rule="R2.20", topic="weight", missing=("weight",))
    if context.clinical.calcium_tablet is None and context.clinical.contrast is None:
        yield NotEvaluated(rule="R2.22", topic="invalid scans", missing=("calcium tablet", "contrast study"))


def _gaps(exam: Exam, qc_gaps: Sequence[QcGap]) -> Iterator[QcGap]:
    """Return the QC gaps in which an exam was made (R7.6)."""
    return (gap for gap in qc_gaps if gap.scanner == exam.scanner and gap.covers(exam.performed_at))


def major_version(software: str) -> str:
    """Return the first number of a version text: ``13`` of ``13.6.0.5``, ``16`` of ``enCORE 16 [SP 2]``."""
    found = _FIGURES.search(software)
    return found.group() if found else software


def _percent_change(now: Decimal | None, then: Decimal | None) -> Decimal | None:
    return None if now is None or then is None else HUNDRED * (now - then) / then


def _shifted_by_size(now: Measurement, then: Measurement, rules: Rules) -> bool:
    """Whether content and area changed together while BMD hardly changed (R2.14)."""
    bmc, area = _percent_change(now.bmc, then.bmc), area_change(now, then)
    bmd = HUNDRED * (now.bmd - then.bmd) / then.bmd
    return (
        bmc is not None
        and area is not None
        and bmc * area > 0
        and abs(bmc) >= rules.shift_bmc_percent
        and abs(area) >= rules.shift_area_percent
        and abs(bmd) * rules.shift_bmd_ratio < abs(bmc)
    )


def _shifted_by_one(exam: Exam, reference: Exam) -> bool:
    """Whether three vertebrae now match the content of their neighbours before, better than their own (R2.14)."""
    upper, lower = ("L1", "L2", "L3"), ("L2", "L3", "L4")
    return any(
        shifted is not None and aligned is not None and shifted < aligned
        for aligned, shifted in (
            (_distance(exam, upper, reference, upper), _distance(exam, upper, reference, lower)),
            (_distance(exam, lower, reference, lower), _distance(exam, lower, reference, upper)),
        )
    )


def _distance(exam: Exam, levels: Sequence[str], reference: Exam, others: Sequence[str]) -> Decimal | None:
    """Return the summed difference in content of vertebrae, in g; ``None`` if one is unknown."""
    pairs = [
        (exam.by_region.get(one), reference.by_region.get(other)) for one, other in zip(levels, others, strict=True)
    ]
    differences = [abs(now.bmc - then.bmc) for now, then in pairs if now and then and now.bmc and then.bmc]
    return sum(differences, Decimal(0)) if len(differences) == len(pairs) else None


def _t_score(exam: Exam, level: str) -> Decimal | None:
    vertebra = exam.by_region.get(level)
    return vertebra.t_score if vertebra else None
