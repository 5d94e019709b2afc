"""The dialect model: what a TOML dialect can state about a vendor's reports, as frozen values.

Texts are compared without regard to letter case and spacing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from pipeline.clinical.model import Scanner
from pipeline.clinical.regions import Side, Site
from pipeline.sr.dialects.concepts import Concept, Lookup, folded_name
from pipeline.sr.dicom.content_item import Item, folded


class Quantity(StrEnum):
    """A quantity of a region in a report; each is a field of ``Measurement``."""

    BMD = "bmd"
    BMC = "bmc"
    AREA = "area"
    T_SCORE = "t_score"
    Z_SCORE = "z_score"
    PERCENT_YOUNG_ADULT = "percent_young_adult"
    PERCENT_AGE_MATCHED = "percent_age_matched"
    TBS = "tbs"


class Fact(StrEnum):
    """A key of a dialect's ``[facts]``: observation context of the scan, its analysis, and the patient on that day."""

    SCAN_MODE = "scan_mode"
    ANALYSIS_PROTOCOL = "analysis_protocol"
    REFERENCE_POPULATION = "reference_population"
    TECHNOLOGIST = "technologist"
    SOFTWARE = "software"
    SCAN_ID = "scan_id"
    ACQUIRED_AT = "acquired_at"
    ANALYSED_AT = "analysed_at"
    AGE = "age"
    WEIGHT_KG = "weight_kg"
    HEIGHT_CM = "height_cm"
    MENOPAUSE_AGE = "menopause_age"
    ETHNIC_GROUP = "ethnic_group"
    BIRTH_DATE = "birth_date"
    SEX = "sex"


class Since(StrEnum):
    """A change in a vendor's own trend: since which earlier exam, and in g/cm² or percent."""

    PREVIOUS = "previous"
    PREVIOUS_PERCENT = "previous_percent"
    BASELINE = "baseline"
    BASELINE_PERCENT = "baseline_percent"


class DateOrder(StrEnum):
    """The order of day and month in printed dates; without it an ambiguous date is not used."""

    MONTH_FIRST = "month first"
    DAY_FIRST = "day first"


class NamedFor(StrEnum):
    """What the containers within a vendor's trend are named for."""

    DATE = "date"
    REGION = "region"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A TEXT item that must be there and contain some words: a child of the container, or anywhere in the report.

    Of several words any will do.
    """

    text: Concept
    contains: tuple[str, ...]
    anywhere: bool = False


class Texts:
    """The TEXT items of one report, searched once for each condition with ``anywhere``."""

    def __init__(self, root: Item) -> None:
        self._root = root
        self._answers: dict[Condition, bool] = {}

    def satisfy(self, conditions: Sequence[Condition], container: Item) -> bool:
        """Whether every condition holds for this container."""
        return all(self._holds(condition, container) for condition in conditions)

    def _holds(self, condition: Condition, container: Item) -> bool:
        if not condition.anywhere:
            return _is_met(condition, container.children)
        if condition not in self._answers:
            self._answers[condition] = _is_met(condition, self._root.walk())
        return self._answers[condition]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRule:
    """The site and side of a container's results, by texts in it or in the report."""

    where: tuple[Condition, ...]
    site: Site
    side: Side | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRule:
    """Which containers are meant, and the site and side of their content where the container's name shows them."""

    container: Concept
    where: tuple[Condition, ...] = ()
    site: Site | None = None
    side: Side | None = None

    def matches(self, item: Item, texts: Texts) -> bool:
        """Whether this is such a container."""
        named = item.value_type == "CONTAINER" and self.container.matches(item.concept)
        return named and texts.satisfy(self.where, item)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverRule(ContainerRule):
    """Which containers hold no measurement of this exam, and what they hold instead, for a person."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRule(ContainerRule):
    """Which containers hold the vendor's own trend, never a measurement.

    Named for dates, its containers are entries for the region that ``*`` stands for in the trend's own name; named for
    regions, each has its date in a ``date`` item.
    """

    entries: NamedFor
    date: Concept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRule:
    """Which reports the dialect is for; every condition that is given must hold."""

    root: Concept | None = None
    contains: Concept | None = None
    manufacturer: str = ""

    def fits(self, root: Item, manufacturer: str) -> bool:
        """Whether the rule is for a report with this root, of this manufacturer by its normal name."""
        children = (child for child in root.walk() if child is not root and child.value_type == "CONTAINER")
        return (
            (self.root is None or self.root.matches(root.concept))
            and (self.contains is None or any(self.contains.matches(child.concept) for child in children))
            and (not self.manufacturer or folded(self.manufacturer) == folded(manufacturer))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRule:
    """Which containers of a scan hold the results of one region, and which items in them name the region.

    Without ``container`` any container of a scan does. ``name`` is a TEXT item in the container; without it the
    container's own concept name is the region's. The codes are below the container, below each other, or below a
    number. A number with a ``derivation`` below it, such as a mean, was calculated and not measured; ``method`` is the
    Measurement Method. ``study`` and ``time_points`` identify the exam.
    """

    container: Concept | None = None
    name: Concept | None = None
    finding_site: Concept | None = None
    laterality: Concept | None = None
    modifier: Concept | None = None
    derivation: Concept | None = None
    method: Concept | None = None
    study: Concept | None = None
    time_points: tuple[Concept, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingSite:
    """The meaning of a finding site's code: a site, a part of it, or vertebrae."""

    code: Concept
    site: Site
    part: str = ""
    vertebrae: tuple[str, ...] = ()
    modifier: Concept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideNames:
    """The words and the code for left, right or mean in a report."""

    side: Side
    words: tuple[str, ...]
    code: Concept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartNames:
    """A vendor's names for one part of a site."""

    site: Site
    part: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VertebraNames:
    """How sets of vertebrae are written: words that may precede them, and whether brackets exclude a level."""

    words: tuple[str, ...] = ()
    brackets_exclude: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceItems:
    """The items of the content tree that identify the scanner, where it is not in the header alone."""

    manufacturer: Concept | None = None
    model: Concept | None = None
    serial_number: Concept | None = None


_NO_CONCEPT = Concept()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSigns:
    """The patient ids, patient names and TEXT items by which a scan of a phantom is recognised."""

    patient_id: Concept = _NO_CONCEPT
    patient_name: Concept = _NO_CONCEPT
    texts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dialect:
    """How one vendor names and structures what is in its reports.

    ``date`` is the day of its last change, or of the shipped dialect of which it is a copy; ``fingerprint`` is the same
    for TOML documents with the same content, whatever their comments and spacing.

    ``units`` maps UCUM codes to the spellings seen, ``units_when_absent`` a quantity to the unit it has where the
    vendor writes none, which only a site may assure. ``female`` and ``male`` are the names of reference populations; a
    name that fits both, as "female" does, is female.
    """

    name: str
    version: str
    date: date | None
    fingerprint: str
    reports: tuple[ReportRule, ...]
    scans: tuple[ContainerRule, ...]
    places: tuple[PlaceRule, ...]
    trends: tuple[TrendRule, ...]
    never: tuple[NeverRule, ...]
    region: RegionRule
    parts: tuple[PartNames, ...]
    vertebrae: VertebraNames
    sides: tuple[SideNames, ...]
    finding_sites: tuple[FindingSite, ...]
    quantities: Lookup[Quantity]
    facts: Lookup[Fact]
    changes: Lookup[Since]
    noted: Lookup[bool]
    units: tuple[tuple[str, tuple[str, ...]], ...]
    units_when_absent: Mapping[Quantity, str]
    female: Concept
    male: Concept
    date_order: DateOrder | None
    manufacturers: tuple[tuple[str, tuple[str, ...]], ...]
    device: DeviceItems
    phantom: PhantomSigns
    _units: Mapping[str, str] = field(init=False, repr=False)
    _manufacturers: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_units", _by_spelling(self.units))
        object.__setattr__(self, "_manufacturers", _by_spelling(self.manufacturers))

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def reads(self, root: Item, manufacturer: str) -> bool:
        """Whether this dialect is for a report with this root, of this manufacturer by its normal name."""
        return any(rule.fits(root, manufacturer) for rule in self.reports)

    def reads_below(self, root: Item, manufacturer: str) -> bool:
        """Whether this dialect is for a container within a report that has the form of a whole report."""
        rooted = [rule for rule in self.reports if rule.root is not None]
        below = (item for item in root.walk() if item.value_type == "CONTAINER") if rooted else ()
        return any(rule.fits(item, manufacturer) for item in below for rule in rooted)

    def population(self, name: str) -> str:
        """Return a reference population by its name, with "female" or "male" added where only the dialect knows."""
        if not name:
            return ""
        sex = "female" if self.female.names_it(name) else "male" if self.male.names_it(name) else ""
        return name if not sex or sex in _WORD.findall(folded(name)) else f"{sex} ({name})"

    def unit(self, spelling: str) -> str | None:
        """Return the UCUM code of a unit as this vendor spells it; ``None`` when it is unknown."""
        return self._units.get(folded_name(spelling))

    def manufacturer(self, name: str) -> str | None:
        """Return the normal name of a manufacturer as this vendor spells it; ``None`` when it is unknown."""
        return self._manufacturers.get(folded(name))


def normal_manufacturer(name: str, dialects: Sequence[Dialect]) -> str:
    """Return the normal name of a manufacturer that is spelt in several ways; an unknown one keeps its own."""
    known = (dialect.manufacturer(name) for dialect in dialects)
    return next((manufacturer for manufacturer in known if manufacturer), name.strip())


def normal_scanner(scanner: Scanner, dialects: Sequence[Dialect]) -> Scanner:
    """Return a configured scanner under the manufacturer's name that its reports are read with."""
    return replace(scanner, manufacturer=normal_manufacturer(scanner.manufacturer, dialects))


def _by_spelling(names: tuple[tuple[str, tuple[str, ...]], ...]) -> Mapping[str, str]:
    """Return the normal name for each spelling; a name is always a spelling of itself."""
    listed: dict[str, str] = {}
    for name, spellings in names:
        for spelling in (name, *spellings):
            listed.setdefault(folded(spelling), name)
    return listed


def _is_met(condition: Condition, items: Iterable[Item]) -> bool:
    wanted = [folded(words) for words in condition.contains]
    texts: Iterator[str] = (
        item.value for item in items if item.value_type == "TEXT" and condition.text.matches(item.concept)
    )
    return any(words in text for text in map(folded, texts) for words in wanted)


_WORD = re.compile(r"\w+")
