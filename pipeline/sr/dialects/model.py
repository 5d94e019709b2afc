"""What can a dialect say of a vendor's reports?

Texts are compared without regard to letter case and spacing; in a name ``*`` stands for any text. A code value with its
scheme counts before any name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Generic, TypeVar

from pipeline.clinical.regions import Side, Site
from pipeline.sr.dicom.content_item import Code, Item, folded

LONGEST_NAME = 256
"""A code meaning has 64 characters (PS3.5 6.2 LO); a longer one than this names nothing we know."""


class Quantity(StrEnum):
    """What a report can say of a region; each is a field of ``Measurement``."""

    BMD = "bmd"
    BMC = "bmc"
    AREA = "area"
    T_SCORE = "t_score"
    Z_SCORE = "z_score"
    PERCENT_YOUNG_ADULT = "percent_young_adult"
    PERCENT_AGE_MATCHED = "percent_age_matched"
    TBS = "tbs"


class Fact(StrEnum):
    """What else a report can tell: of the scan, of its analysis, of the patient on that day."""

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
    """Which change a vendor's own trend tells: against which earlier exam, and in g/cm2 or percent."""

    PREVIOUS = "previous"
    PREVIOUS_PERCENT = "previous_percent"
    BASELINE = "baseline"
    BASELINE_PERCENT = "baseline_percent"


class DateOrder(StrEnum):
    """How this vendor's consoles at this site write a date in figures; unstated, an ambiguous one is not used."""

    MONTH_FIRST = "month first"
    DAY_FIRST = "day first"


class NamedFor(StrEnum):
    """What the containers within a vendor's trend are named for."""

    DATE = "date"
    REGION = "region"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A meaning with ``*`` in it, by what stands around each; a name is gone through once, however many there are."""

    first: str
    between: tuple[str, ...]
    last: str

    @classmethod
    def of(cls, name: str) -> "Pattern":
        """The pattern that a name with ``*`` is."""
        first, *between, last = folded(name).split("*")
        return cls(first, tuple(between), last)

    def fits(self, name: str) -> bool:
        """Whether a folded name is one that is meant."""
        return self.rest(name) is not None

    def rest(self, name: str) -> str | None:
        """What stands in it for the first ``*``, as much as there can; ``None`` where it does not fit."""
        begin, end = len(self.first), len(name) - len(self.last)
        if end < begin or not (name.startswith(self.first) and name.endswith(self.last)):
            return None
        for part in reversed(self.between):
            end = name.rfind(part, begin, end)
            if end < 0:
                return None
        return name[begin:end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """What a vendor calls a thing: a code value with its scheme, meanings, or both, of which any will do."""

    value: str = ""
    scheme: str = ""
    meanings: tuple[str, ...] = ()
    identity: tuple[str, str] = field(init=False, repr=False, compare=False)
    _plain: frozenset[str] = field(init=False, repr=False, compare=False)
    _patterns: tuple["Pattern", ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", Code(self.value, self.scheme, "").identity)
        object.__setattr__(self, "_plain", frozenset(folded(name) for name in self.meanings if "*" not in name))
        object.__setattr__(self, "_patterns", tuple(Pattern.of(name) for name in self.meanings if "*" in name))

    @property
    def plain(self) -> frozenset[str]:
        """The meanings without ``*``, folded."""
        return self._plain

    @property
    def patterns(self) -> tuple["Pattern", ...]:
        """The meanings with ``*``."""
        return self._patterns

    def matches(self, code: Code | None) -> bool:
        """Whether a code in a report names this concept."""
        if code is None:
            return False
        if self.value and code.identity == self.identity:
            return True
        return self.names_it(code.meaning)

    def names_it(self, text: str) -> bool:
        """Whether a text is one of the meanings."""
        name = _name(text)
        return name in self._plain or any([pattern.fits(name) for pattern in self._patterns])

    def rest(self, text: str) -> str | None:
        """What stands in a text for the ``*`` of a meaning that fits it; ``None`` when none does."""
        name = _name(text)
        rests = (pattern.rest(name) for pattern in self._patterns)
        return next((rest.strip() for rest in rests if rest is not None), None)


_T = TypeVar("_T")

_MOST_FOUND = 4096


class Lookup(Generic[_T]):
    """What a code stands for among listed concepts: the first whose code it is, else the first whose name."""

    def __init__(self, listed: Iterable[tuple[Concept, _T]]) -> None:
        self._codes: dict[tuple[str, str], _T] = {}
        self._names: dict[str, _T] = {}
        self._patterns: list[tuple[Pattern, _T]] = []
        self._found: dict[Code, _T | None] = {}
        for concept, what in listed:
            if concept.value:
                self._codes.setdefault(concept.identity, what)
            for name in concept.plain:
                self._names.setdefault(name, what)
            self._patterns += [(pattern, what) for pattern in concept.patterns]

    def find(self, code: Code | None) -> _T | None:
        """What it stands for; ``None`` when nobody told us."""
        if code is None:
            return None
        if code not in self._found:
            if len(self._found) >= _MOST_FOUND:  # scanners use a few codes again and again; others may use any
                self._found.clear()
            self._found[code] = self._find(code)
        return self._found[code]

    def _find(self, code: Code) -> _T | None:
        if code.identity in self._codes:
            return self._codes[code.identity]
        name = _name(code.meaning)
        if name in self._names:
            return self._names[name]
        return next((what for pattern, what in self._patterns if pattern.fits(name)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A TEXT item that must be there and contain some words: a child of the container, or anywhere in the report.

    Of several words any will do.
    """

    text: Concept
    contains: tuple[str, ...]
    anywhere: bool = False


class Texts:
    """What the TEXT items of one report say, looked through once for each condition that asks anywhere."""

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
    """Where a container's results lie in the body, by what is told in it or in the report."""

    where: tuple[Condition, ...]
    site: Site
    side: Side | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRule:
    """Which containers are meant, and the site and side of what is in them where the container's name tells."""

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
    """Which containers hold no measurement of this exam, and what they hold instead, for the person who looks."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRule(ContainerRule):
    """Which containers hold the vendor's own trend, never a measurement.

    Named for dates, its containers are entries for the region that ``*`` stands for in the trend's own name; named for
    regions, each tells its date in a ``date`` item.
    """

    entries: NamedFor
    date: Concept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRule:
    """Which reports the dialect is for; everything that is stated must be so."""

    root: Concept | None = None
    contains: Concept | None = None
    manufacturer: str = ""

    def fits(self, root: Item, manufacturer: str) -> bool:
        """Whether it is for a report with this root, of this manufacturer by its normal name."""
        children = (child for child in root.walk() if child is not root and child.value_type == "CONTAINER")
        return (
            (self.root is None or self.root.matches(root.concept))
            and (self.contains is None or any(self.contains.matches(child.concept) for child in children))
            and (not self.manufacturer or folded(self.manufacturer) == folded(manufacturer))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRule:
    """Which containers of a scan hold the results of one region, and what in them names it.

    Without ``container`` any container of a scan does. ``name`` is a TEXT item in the container; without it the
    container's own concept name is the region's. The codes stand below the container, below each other, or below a
    number. A number with a ``derivation`` below it, as a mean or a standard deviation has, was calculated and not
    measured; ``method`` tells by what it was measured. ``study`` and ``time_points`` tell of which exam.
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
    """What a finding site's code means: a site, a part of it, or vertebrae."""

    code: Concept
    site: Site
    part: str = ""
    vertebrae: tuple[str, ...] = ()
    modifier: Concept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideNames:
    """The words and the code by which a report says left, right or mean."""

    side: Side
    words: tuple[str, ...]
    code: Concept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartNames:
    """What a vendor calls one part of a site."""

    site: Site
    part: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VertebraNames:
    """How sets of vertebrae are written: words that may precede them, and whether brackets leave a level out."""

    words: tuple[str, ...] = ()
    brackets_exclude: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceItems:
    """Where in the content tree the acquiring machine is named, when not in the header alone."""

    manufacturer: Concept | None = None
    model: Concept | None = None
    serial_number: Concept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSigns:
    """By what a scan of a phantom is told from a patient's: the id, the name, or a TEXT item."""

    patient_id: Concept = Concept()
    patient_name: Concept = Concept()
    texts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dialect:
    """One vendor's way of writing a report.

    ``date`` is the day of its last change, or of the shipped dialect of which it is a copy; ``fingerprint`` is the same
    for TOML documents with the same content, whatever their comments and spacing.
    ``units`` maps UCUM codes to the spellings seen, ``units_when_absent`` a quantity to the unit it has where the
    vendor writes none: a site's own assurance, never ours. ``female`` and ``male`` are how reference populations are
    called; a name that fits both is female, as "female" itself does.
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
    _makers: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_units", _by_spelling(self.units))
        object.__setattr__(self, "_makers", _by_spelling(self.manufacturers))

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def reads(self, root: Item, manufacturer: str) -> bool:
        """Whether this dialect is for such a report, of this manufacturer by its normal name."""
        return any(rule.fits(root, manufacturer) for rule in self.reports)

    def reads_below(self, root: Item, manufacturer: str) -> bool:
        """Whether this dialect is for something that stands in a report as a whole one does."""
        rooted = [rule for rule in self.reports if rule.root is not None]
        below = (item for item in root.walk() if item.value_type == "CONTAINER") if rooted else ()
        return any(rule.fits(item, manufacturer) for item in below for rule in rooted)

    def population(self, told: str) -> str:
        """A reference population as it was told, with the word "female" or "male" in it where the dialect knows."""
        if not told:
            return ""
        sex = "female" if self.female.names_it(told) else "male" if self.male.names_it(told) else ""
        return told if not sex or sex in _WORD.findall(folded(told)) else f"{sex} ({told})"

    def unit(self, spelling: str) -> str | None:
        """The UCUM code of a unit as this vendor spells it; ``None`` when nobody told us."""
        return self._units.get(_name(spelling))

    def maker(self, name: str) -> str | None:
        """The one name of a maker as this vendor spells it; ``None`` when nobody told us."""
        return self._makers.get(folded(name))


def normal_manufacturer(name: str, dialects: Sequence[Dialect]) -> str:
    """The one name for a maker that spells itself in several ways; an unknown maker keeps its own."""
    known = (dialect.maker(name) for dialect in dialects)
    return next((maker for maker in known if maker), name.strip())


def _by_spelling(names: tuple[tuple[str, tuple[str, ...]], ...]) -> Mapping[str, str]:
    """The name under which each spelling is listed; a name is always a spelling of itself."""
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


@lru_cache(maxsize=8192)
def _folded_name(text: str) -> str:
    return folded(text)


def _name(text: str) -> str:
    """A name as it is compared; of what is too long for a name nothing."""
    return _folded_name(text) if len(text) <= LONGEST_NAME else ""
