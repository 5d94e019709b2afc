"""Whatever is done to a report: no crash, no value without a unit, no measurement invented, nothing seen otherwise.

The judge is pydicom: it reads the same bytes on its own, item by item.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from pipeline.clinical.model import Measurement
from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.dicom.character_sets import DEFAULT, declared, decoded
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.content_tree import read_instance, read_tree
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.unreadable import UnreadableReportError
from pipeline.sr.extract.report import Report, extract
from tests.factories.mutants import NAMES, mutant

GRAMS = {"g/cm2", "g/cm²", "g/cm^2"}
MILLIGRAMS = {"mg/cm2", "mg/cm²"}
TRAPS = ("trend", "diff", "change_vs", "history")

FEW = 500
CHUNK, CHUNKS = 1000, 20


def test_some_mutated_reports_are_read_as_they_stand_or_held():
    assert sum(judged(seed) for seed in range(FEW)) > FEW // 10, "most mutants were held: the run says little"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_twenty_thousand_mutated_reports_are_read_as_they_stand_or_held(chunk):
    first = FEW + chunk * CHUNK
    assert sum(judged(seed) for seed in range(first, first + CHUNK)) > CHUNK // 10


def judged(seed: int) -> bool:
    """Whether a mutant is read at all; fails when it is read as anything but what stands in it."""
    data_set, syntax = mutant(seed)
    try:
        elements = read_elements(data_set, syntax)
    except UnreadableReportError:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's opinion on values is not asked for
        judge = read_instance(data_set, syntax)
        with contextlib.suppress(UnreadableReportError):  # held: no content tree, or one that is broken at its root
            assert plain(read_tree(elements)) == reference(judge, DEFAULT), f"seed {seed}"
        outcome = read_or_held(elements)
        if isinstance(outcome, Report):
            assert_nothing_invented(outcome, judge, seed)
    assert "Marked" not in f"{outcome}", f"seed {seed}"
    return isinstance(outcome, Report)


def read_or_held(elements: Elements) -> Report | UnreadableReportError:
    try:
        return extract(elements, shipped_dialects())
    except UnreadableReportError as held:
        return held


def assert_nothing_invented(report: Report, judge: Dataset, seed: int) -> None:
    expected = list(densities(judge)) if report.location == "the content tree" else None
    for measurement in report.exam.measurements:
        assert Decimal("0.1") <= measurement.bmd <= Decimal("3.0"), f"seed {seed}"
        if expected is None:
            beside = [judge.get_item(tag).value for tag in (0x00204000, 0x00191000) if tag in judge]
            assert str(measurement.bmd) in str(beside), f"seed {seed}"
        else:
            assert any(one.is_of(measurement) for one in expected), f"seed {seed}: {measurement}"


@dataclass(frozen=True)
class Density:
    """A number somewhere in a report, with its units, what names it, and what it stands in below the root."""

    names: tuple[str, ...]
    within: tuple[str, ...]
    value: str
    units: frozenset[str]

    def is_of(self, measurement: Measurement) -> bool:
        key = measurement.region.key
        named = any(key.startswith(NAMES[name]) for name in self.names if name in NAMES)
        trapped = any(trap in name.casefold() for name in self.within for trap in TRAPS)
        right = self._is(measurement.bmd, GRAMS) or self._is(measurement.bmd * 1000, MILLIGRAMS)
        return named and not trapped and right

    def _is(self, value: Decimal, units: set[str]) -> bool:
        try:
            return bool(self.units & units) and Decimal(self.value.replace(",", ".")) == value
        except InvalidOperation:
            return False


def densities(
    item: Dataset,
    names: tuple[str, ...] = (),
    within: tuple[str, ...] = (),
    inherited: Sequence[str] = DEFAULT,
    depth: int = 0,
) -> Iterator[Density]:
    """Every number of a report as pydicom sees it, with the names and titles around it."""
    encodings = encodings_of(item, inherited)
    units: set[str] = set()
    value = text(item, 0x0040A160, encodings)
    for measured in items(item, 0x0040A300)[:1]:
        unit = code(measured, 0x004008EA, encodings)
        units = {unit.value, unit.meaning} if unit else set()
        value = text(measured, 0x0040A30A, encodings)
    number, _, printed = value.strip().partition(" ")
    expected = frozenset(one.strip().casefold() for one in (*units, printed) if one.strip())
    yield Density(names, within, number.rstrip("*#"), expected)
    children = items(item, 0x0040A730)
    name = code(item, 0x0040A043, encodings)
    meaning = (name.meaning if name and name.scheme not in ("DCM", "SCT", "LN") else "",)  # there the code counts
    texts = tuple(text(child, 0x0040A160, encodings_of(child, encodings)) for child in children)
    inside = () if depth == 0 else (*within, *meaning, *(texts if depth == 1 else ()))
    for child in children:
        yield from densities(child, (*meaning, *texts), inside, encodings, depth + 1)


# The same tree, by pydicom alone

Plain = tuple[object, ...]


def plain(item: Item) -> Plain:
    """What of an item must be the same."""
    return (
        item.value_type,
        item.relationship,
        item.concept,
        item.value if item.value_type in ("NUM", "TEXT") else "",
        item.unit,
        item.code,
        tuple(plain(child) for child in item.children),
    )


def reference(item: Dataset, inherited: Sequence[str]) -> Plain:
    """An item as pydicom sees it."""
    encodings = encodings_of(item, inherited)
    value_type = text(item, 0x0040A040, encodings)
    measured = items(item, 0x0040A300)[:1] if value_type == "NUM" else ()
    value = "".join(text(one, 0x0040A30A, encodings) for one in measured)
    units = [code(one, 0x004008EA, encodings) for one in measured]
    return (
        value_type,
        text(item, 0x0040A010, encodings),
        code(item, 0x0040A043, encodings),
        text(item, 0x0040A160, encodings) if value_type == "TEXT" else value,
        units[0] if units else None,
        code(item, 0x0040A168, encodings),
        tuple(reference(child, encodings) for child in items(item, 0x0040A730)),
    )


def items(item: Dataset, tag: int) -> Sequence[Dataset]:
    if tag not in item:
        return ()
    try:
        value = item[tag].value
    except (OSError, ValueError, NotImplementedError):
        return ()
    return list(value) if isinstance(value, DicomSequence) else ()


def code(item: Dataset, tag: int, encodings: Sequence[str]) -> Code | None:
    for coded in items(item, tag)[:1]:
        values = (text(coded, value, encodings).strip() for value in (0x00080100, 0x00080119, 0x00080120))
        scheme, meaning = (text(coded, one, encodings).strip() for one in (0x00080102, 0x00080104))
        return Code(next((value for value in values if value), ""), scheme, meaning)
    return None


def text(item: Dataset, tag: int, encodings: Sequence[str]) -> str:
    value = item.get_item(tag).value if tag in item else None
    return decoded(value, encodings).rstrip(" \0") if isinstance(value, bytes) else ""


def encodings_of(item: Dataset, inherited: Sequence[str]) -> Sequence[str]:
    value = item.get_item(0x00080005).value if 0x00080005 in item else None
    if isinstance(value, bytes):
        value = value.decode("latin-1").rstrip(" \0")
    return declared(value if isinstance(value, str) else "\\".join(value or ()), inherited)
