"""What else does a report tell: of a scan and its analysis, of the patient on that day?

A fact counts where it stands nearest: in the region's container, else in the scan's, else anywhere outside scans and
trends. Told differently in one place it is not told at all: these serve cautions, and no exam is lost for them. Whose
exam it is and of which day is another matter: of that every telling counts.
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
from pipeline.sr.extract.containers import Layout
from pipeline.sr.extract.remarks import Notes

_AGE_STRING = re.compile(r"(\d{1,3})([DWMY])", re.ASCII)

_REPORT, _SCAN = "the report", "a scan"
CM_PER_M = 100
MONTHS, WEEKS, DAYS = 12, 52, 365
"""How many of them make a year, near enough for an age."""

YOUNGEST = Decimal("0.1")
"""In years; a stated age of some days is one too, unlike 0, which stands for an unknown one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFacts:
    """The patient on the day: ages in years, and what the scanner's references are chosen by."""

    age: Decimal | None
    weight_kg: Decimal | None
    height_cm: Decimal | None
    menopause_age: Decimal | None
    ethnic_group: str


class Facts:
    """The facts in one report."""

    def __init__(self, layout: Layout, dialect: Dialect, notes: Notes) -> None:
        self._dialect = dialect
        self._notes = notes
        self._all: dict[tuple[Fact, str], set[str]] = {}
        self._of_report = self._in((below for item in layout.elsewhere for below in item.walk()), _REPORT)

    def of(self, items: Sequence[Item] = (), around: Mapping[Fact, str] | None = None) -> dict[Fact, str]:
        """What holds within these items, which stand in something of which other facts may hold."""
        return {**(self._of_report if around is None else around), **self._in(items, _SCAN)}

    def every(self, fact: Fact) -> tuple[frozenset[str], frozenset[str]]:
        """Every telling of one by which an exam is known, also where they differ: in scans and regions, and outside."""
        return frozenset(self._all.get((fact, _SCAN), ())), frozenset(self._all.get((fact, _REPORT), ()))

    def _in(self, items: Iterable[Item], where: str) -> dict[Fact, str]:
        told: dict[Fact, set[str]] = {}
        for item in items:
            fact = self._dialect.facts.find(item.concept) if item.value_type in _TELLING else None
            if fact is not None and not is_blank(text := _text(item)):
                told.setdefault(fact, set()).add(text)
        for fact, texts in told.items():
            if fact in _WHOSE_AND_WHEN:
                self._all.setdefault((fact, where), set()).update(texts)
            if len(texts) > 1:
                self._notes.remark(f"{where} tells its {fact.replace('_', ' ')} in different ways; none was used")
        return {fact: texts.pop() for fact, texts in told.items() if len(texts) == 1}


def patient_facts(report: Elements, facts: dict[Fact, str], notes: Notes) -> PatientFacts:
    """What the header tells of the patient on that day, and the content where the header does not."""
    told = {
        Fact.AGE: _age(header_text(report, "PatientAge")) or facts.get(Fact.AGE, ""),
        Fact.WEIGHT_KG: header_text(report, "PatientWeight").strip() or facts.get(Fact.WEIGHT_KG, ""),
        Fact.HEIGHT_CM: _in_cm(header_text(report, "PatientSize")) or facts.get(Fact.HEIGHT_CM, ""),
        Fact.MENOPAUSE_AGE: facts.get(Fact.MENOPAUSE_AGE, ""),
    }
    numbers = {fact: _number(fact, text, notes) for fact, text in told.items()}
    return PatientFacts(
        age=numbers[Fact.AGE],
        weight_kg=numbers[Fact.WEIGHT_KG],
        height_cm=numbers[Fact.HEIGHT_CM],
        menopause_age=numbers[Fact.MENOPAUSE_AGE],
        ethnic_group=printable(header_text(report, "EthnicGroup")) or facts.get(Fact.ETHNIC_GROUP, ""),
    )


_WHOSE_AND_WHEN = frozenset({Fact.ACQUIRED_AT, Fact.BIRTH_DATE, Fact.SEX})
"""No one telling of these may be passed over: another day or another patient holds the report."""

_TELLING = frozenset({"TEXT", "CODE", "NUM", "PNAME", "DATETIME", "DATE"})

_UNITS = {
    Fact.AGE: {"", "a", "y", "yr", "year", "years"},
    Fact.WEIGHT_KG: {"", "kg", "kilogram", "kilograms"},
    Fact.HEIGHT_CM: {"", "cm", "centimeter", "centimetre"},
    Fact.MENOPAUSE_AGE: {"", "a", "y", "yr", "year", "years"},
}


def _text(item: Item) -> str:
    """What an item tells, a number with its unit."""
    if item.value_type == "CODE":
        return printable(item.code.meaning or item.code.value) if item.code else ""
    if item.value_type == "PNAME":
        return person_name(item.value)
    if item.value_type == "NUM" and item.unit is not None:
        return printable(f"{item.value} {item.unit.value or item.unit.meaning}")
    return printable(item.value)


def _age(text: str) -> str:
    """The years in an Age String (PS3.5 6.2 AS), such as ``067Y``."""
    match = _AGE_STRING.fullmatch(text.strip().upper())
    if match is None:
        return ""
    years = Decimal(match[1]) / {"D": DAYS, "W": WEEKS, "M": MONTHS, "Y": 1}[match[2]]
    if match[2] == "Y" or not years:
        return str(years)
    return str(max(round(years, 1), YOUNGEST))


def _in_cm(text: str) -> str:
    """A Patient's Size (0010,1020), which is in metres."""
    try:
        number = read_number(text)
    except NoNumberError:
        return ""
    return "" if number.unit else str(number.value * CM_PER_M)


def _number(fact: Fact, text: str, notes: Notes) -> Decimal | None:
    if not text:
        return None
    try:
        number = read_number(text)
    except NoNumberError:
        number = None
    if number is None or folded(number.unit).strip(". ") not in _UNITS[fact]:
        notes.leave_out(fact.replace("_", " "), text, "is no number in a unit we know")
        return None
    return without_noise(number.value, 1)
