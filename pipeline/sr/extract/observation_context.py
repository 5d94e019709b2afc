"""Read the observation context of a scan and its region, and what a report states about the patient on that day.

A value counts where it is nearest: in the region's container, else in the scan's, else anywhere outside scans and
trends. Where one container has two different values, none is used: they only serve cautions, and no exam is held for
them. Of birth date, sex and date of acquisition every value counts, since they identify the exam.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.sr.dialects.model import Dialect, Fact
from pipeline.sr.dicom.content_item import Item, folded
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.text import person_name, printable
from pipeline.sr.dicom.values import NoNumberError, is_blank, read_number, without_noise
from pipeline.sr.extract.containers import Containers
from pipeline.sr.extract.remarks import Remarks

_AGE_STRING = re.compile(r"(\d{1,3})([DWMY])", re.ASCII)

_REPORT, _SCAN = "the report", "a scan"
CM_PER_M = 100
MONTHS, WEEKS, DAYS = 12, 52, 365
"""How many of them make a year; near enough for an age."""

YOUNGEST = Decimal("0.1")
"""Years for an age of some days; 0 would stand for an unknown age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientCharacteristics:
    """The patient on the day of the exam, ages in years; ``ethnic_group`` chooses the scanner's reference."""

    age: Decimal | None
    weight_kg: Decimal | None
    height_cm: Decimal | None
    menopause_age: Decimal | None
    ethnic_group: str


class ObservationContext:
    """The observation context of one report: texts by the dialect's ``[facts]``."""

    def __init__(self, containers: Containers, dialect: Dialect, remarks: Remarks) -> None:
        self._dialect = dialect
        self._remarks = remarks
        self._all: dict[tuple[Fact, str], set[str]] = {}
        self._of_report = self._in((below for item in containers.outside for below in item.walk()), _REPORT)

    def of(self, items: Sequence[Item] = (), inherited: Mapping[Fact, str] | None = None) -> dict[Fact, str]:
        """Return the values among these items, which take precedence over ``inherited``, or else the report's."""
        return {**(self._of_report if inherited is None else inherited), **self._in(items, _SCAN)}

    def every(self, fact: Fact) -> tuple[frozenset[str], frozenset[str]]:
        """Return all values of one that identifies the exam: those in scans and regions, and those outside."""
        return frozenset(self._all.get((fact, _SCAN), ())), frozenset(self._all.get((fact, _REPORT), ()))

    def _in(self, items: Iterable[Item], where: str) -> dict[Fact, str]:
        values: dict[Fact, set[str]] = {}
        for item in items:
            fact = self._dialect.facts.find(item.concept) if item.value_type in _VALUE_TYPES else None
            if fact is not None and not is_blank(text := _text(item)):
                values.setdefault(fact, set()).add(text)
        for fact, texts in values.items():
            if fact in _IDENTIFYING:
                self._all.setdefault((fact, where), set()).update(texts)
            if len(texts) > 1:
                self._remarks.add(f"{where} states its {fact.replace('_', ' ')} in different ways; none was used")
        return {fact: texts.pop() for fact, texts in values.items() if len(texts) == 1}


def patient_characteristics(report: Elements, context: dict[Fact, str], remarks: Remarks) -> PatientCharacteristics:
    """Return the patient's characteristics from the header, or else from the content."""
    texts = {
        Fact.AGE: _age(header_text(report, "PatientAge")) or context.get(Fact.AGE, ""),
        Fact.WEIGHT_KG: header_text(report, "PatientWeight").strip() or context.get(Fact.WEIGHT_KG, ""),
        Fact.HEIGHT_CM: _in_cm(header_text(report, "PatientSize")) or context.get(Fact.HEIGHT_CM, ""),
        Fact.MENOPAUSE_AGE: context.get(Fact.MENOPAUSE_AGE, ""),
    }
    numbers = {fact: _number(fact, text, remarks) for fact, text in texts.items()}
    return PatientCharacteristics(
        age=numbers[Fact.AGE],
        weight_kg=numbers[Fact.WEIGHT_KG],
        height_cm=numbers[Fact.HEIGHT_CM],
        menopause_age=numbers[Fact.MENOPAUSE_AGE],
        ethnic_group=printable(header_text(report, "EthnicGroup")) or context.get(Fact.ETHNIC_GROUP, ""),
    )


_IDENTIFYING = frozenset({Fact.ACQUIRED_AT, Fact.BIRTH_DATE, Fact.SEX})
"""Of these every value is checked: another day or another patient holds the report."""

_VALUE_TYPES = frozenset({"TEXT", "CODE", "NUM", "PNAME", "DATETIME", "DATE"})

_UNITS = {
    Fact.AGE: {"", "a", "y", "yr", "year", "years"},
    Fact.WEIGHT_KG: {"", "kg", "kilogram", "kilograms"},
    Fact.HEIGHT_CM: {"", "cm", "centimeter", "centimetre"},
    Fact.MENOPAUSE_AGE: {"", "a", "y", "yr", "year", "years"},
}


def _text(item: Item) -> str:
    """Return the value of an item as text, a number with its unit."""
    if item.value_type == "CODE":
        return printable(item.code.meaning or item.code.value) if item.code else ""
    if item.value_type == "PNAME":
        return person_name(item.value)
    if item.value_type == "NUM" and item.unit is not None:
        return printable(f"{item.value} {item.unit.value or item.unit.meaning}")
    return printable(item.value)


def _age(text: str) -> str:
    """Return the years in an Age String (PS3.5 6.2 AS), such as ``067Y``; empty when it is none."""
    match = _AGE_STRING.fullmatch(text.strip().upper())
    if match is None:
        return ""
    years = Decimal(match[1]) / {"D": DAYS, "W": WEEKS, "M": MONTHS, "Y": 1}[match[2]]
    if match[2] == "Y" or not years:
        return str(years)
    return str(max(round(years, 1), YOUNGEST))


def _in_cm(text: str) -> str:
    """Convert a Patient's Size (0010,1020) from metres to centimetres; empty when it is no number."""
    try:
        number = read_number(text)
    except NoNumberError:
        return ""
    return "" if number.unit else str(number.value * CM_PER_M)


def _number(fact: Fact, text: str, remarks: Remarks) -> Decimal | None:
    if not text:
        return None
    try:
        number = read_number(text)
    except NoNumberError:
        number = None
    if number is None or folded(number.unit).strip(". ") not in _UNITS[fact]:
        remarks.add_unused(fact.replace("_", " "), text, "is no number in a unit we know")
        return None
    return without_noise(number.value, 1)
