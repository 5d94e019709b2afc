"""Assemble one exam from the partial reports of a visit; contradictions hold the exam."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import reduce
from typing import Any

from pipeline.clinical.model import Exam, Measurement, Patient
from pipeline.clinical.regions import SITE_OF_PART, VERTEBRAE, Region, Side
from pipeline.errors import DxatrendError

NUMBERS = ("bmd", "bmc", "area", "t_score", "z_score", "percent_young_adult", "percent_age_matched", "tbs")
"""The numbers of a region that two reports must not state differently."""

SEPARATOR = ", "
"""Separates the software texts of several reports."""

TEXTS = ("scan_mode", "analysis_protocol", "reference_population", "technologist")
HEADER = ("accession_number", "institution", "age", "weight_kg", "height_cm", "menopause_age")
"""The fields left empty where two reports differ: they serve cautions only, so no exam is held for them."""

PLACE_OF_PART = {part: place for place, part in enumerate(SITE_OF_PART)}
PLACE_OF_SIDE = {side: place for place, side in enumerate((None, *Side))}


class ContradictionError(DxatrendError, ValueError):
    """Two reports of one visit contradict each other; a person must decide."""


def assemble(parts: Sequence[Exam]) -> Exam:
    """Assemble one exam from its partial reports, given in any order; a part may repeat others.

    Measurements are in the order of the skeleton, so the order of arrival has no effect. The exam begins with its
    earliest part; all different software texts are kept.

    Raises:
        ContradictionError: two parts differ in what must agree; the text names the region and both numbers, or the
            DICOM field, and nothing about the patient.
        ValueError: there are no parts.
    """
    if not parts:
        raise ValueError("an exam has at least one part")
    first = min(parts, key=lambda part: (part.performed_at, str(part.scanner)))
    for part in parts:
        _require_same_visit(first, part)
    return Exam(
        study_instance_uid=first.study_instance_uid,
        patient=reduce(_merged_patient, (part.patient for part in parts)),
        scanner=first.scanner,
        performed_at=first.performed_at,
        measurements=_measurements(parts),
        software=SEPARATOR.join(sorted({text for part in parts for text in part.software.split(SEPARATOR) if text})),
        **{name: _undisputed(getattr(part, name) for part in parts) for name in HEADER},
    )


def _require_same_visit(first: Exam, part: Exam) -> None:
    if part.study_instance_uid != first.study_instance_uid:
        raise ContradictionError("parts of one exam differ in StudyInstanceUID")
    if not part.is_of_same_day(first):
        raise ContradictionError(f"parts of one exam are of two days: {first.performed_on}; {part.performed_on}")
    if part.scanner != first.scanner:
        raise ContradictionError(f"parts of one exam name two scanners: {first.scanner}; {part.scanner}")


def _merged_patient(one: Patient, other: Patient) -> Patient:
    if names := one.differing_fields(other):
        raise ContradictionError(f"parts of one exam differ in {', '.join(names)}")
    return Patient(
        patient_id=one.patient_id or other.patient_id,
        issuer=one.issuer or other.issuer,
        birth_date=one.birth_date or other.birth_date,
        sex=one.sex or other.sex,
    )


def _measurements(parts: Sequence[Exam]) -> tuple[Measurement, ...]:
    merged: dict[Region, Measurement] = {}
    for measurement in (m for part in parts for m in part.measurements):
        known = merged.get(measurement.region)
        merged[measurement.region] = measurement if known is None else _merged_measurement(known, measurement)
    return tuple(merged[region] for region in sorted(merged, key=_place))


def _merged_measurement(one: Measurement, other: Measurement) -> Measurement:
    merged: dict[str, Any] = {name: _same_number(one, other, name) for name in NUMBERS}
    merged |= {name: _undisputed((getattr(one, name), getattr(other, name))) for name in TEXTS}
    return replace(one, **merged)


def _same_number(one: Measurement, other: Measurement, name: str) -> Decimal | None:
    """Return the number that both state, or the one stated; of equal numbers the one with more decimals."""
    first: Decimal | None = getattr(one, name)
    second: Decimal | None = getattr(other, name)
    if first is None or second is None:
        return first if second is None else second
    if first != second:
        raise ContradictionError(f"{name} of {one.region} is {first} in one report and {second} in another")
    return max(first, second, key=lambda number: len(str(number)))


def _undisputed(values: Iterable[Any]) -> Any:
    """Return the value that all known values equal, else the empty one."""
    values = list(values)
    known = [value for value in values if value not in (None, "")]
    if known and all(value == known[0] for value in known):
        return max(known, key=lambda value: len(str(value)))
    return "" if isinstance(values[0], str) else None


def _place(region: Region) -> tuple[int, int, tuple[int, ...], int]:
    """Return the sort key of a region: part by part, single vertebrae before sets, from head to foot, left first."""
    levels = tuple(VERTEBRAE.index(level) for level in region.vertebrae)
    return PLACE_OF_PART[region.part], len(levels), levels, PLACE_OF_SIDE[region.side]
