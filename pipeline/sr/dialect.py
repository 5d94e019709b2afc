"""How does one vendor name the things in its reports? A dialect says it as data, so that a site can add one.

A dialect is a TOML file in ``config/dialects``; ``docs`` and the shipped three show the shape. Texts are compared
without regard to letter case and spacing; in a concept's ``meaning``, ``*`` stands for any text.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from pipeline.clinical.regions import SITE_OF_PART, SPINE, Side, Site, UnknownRegion, parse_vertebrae
from pipeline.sr.tree import Code, Item, folded


class DialectError(Exception):
    """Dialects that cannot be used; its text lists every mistake on its own line, under its key."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class Quantity(StrEnum):
    """What a report can say of a region; each is a field of ``Measurement``."""

    BMD = "bmd"
    BMC = "bmc"
    AREA = "area"
    T_SCORE = "t_score"
    Z_SCORE = "z_score"
    PERCENT_YOUNG_ADULT = "percent_young_adult"
    PERCENT_AGE_MATCHED = "percent_age_matched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """What a vendor calls a thing: a code value with its scheme, a meaning, or both, of which either will do."""

    value: str = ""
    scheme: str = ""
    meaning: str = ""

    def matches(self, code: Code | None) -> bool:
        """Whether a code in a report names this concept."""
        if code is None:
            return False
        if self.value and Code(self.value, self.scheme, "").matches(Code(code.value, code.scheme, "")):
            return True
        return bool(self.meaning) and bool(_glob(self.meaning).fullmatch(folded(code.meaning)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A TEXT item that must be there and contain some words: a child of the container, or anywhere in the report."""

    text: Concept
    contains: str
    anywhere: bool = False

    def holds(self, container: Item, root: Item) -> bool:
        """Whether it is so for this container of this report."""
        items = root.walk() if self.anywhere else iter(container.children)
        texts = (item.value for item in items if item.value_type == "TEXT" and self.text.matches(item.concept))
        return any(folded(self.contains) in folded(text) for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRule:
    """Which containers are meant, and the site and side of what is in them where the container tells."""

    container: Concept
    where: tuple[Condition, ...] = ()
    site: Site | None = None
    side: Side | None = None

    def matches(self, item: Item, root: Item) -> bool:
        """Whether this is such a container."""
        named = item.value_type == "CONTAINER" and self.container.matches(item.concept)
        return named and all(condition.holds(item, root) for condition in self.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRule:
    """Which reports the dialect is for; everything that is stated must be so."""

    root: Concept | None = None
    contains: Concept | None = None
    manufacturer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRule:
    """Which containers of a scan hold the results of one region, and what in them names it.

    Without ``container`` any container of a scan does. ``name`` is a TEXT item in the container; without it the
    container's own concept name is the region's. The codes stand below the container, or below each other.
    """

    container: Concept | None = None
    name: Concept | None = None
    finding_site: Concept | None = None
    laterality: Concept | None = None
    modifier: Concept | None = None


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

    manufacturer: Concept
    model: Concept
    serial_number: Concept


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor's way of writing a report. ``units`` maps UCUM codes to the spellings seen."""

    name: str
    version: str
    reports: tuple[ReportRule, ...]
    scans: tuple[ContainerRule, ...]
    never: tuple[ContainerRule, ...]
    region: RegionRule
    parts: tuple[PartNames, ...]
    vertebrae: VertebraNames
    sides: tuple[SideNames, ...]
    finding_sites: tuple[FindingSite, ...]
    quantities: tuple[tuple[Quantity, tuple[Concept, ...]], ...]
    units: tuple[tuple[str, tuple[str, ...]], ...]
    manufacturers: tuple[tuple[str, tuple[str, ...]], ...]
    device: DeviceItems | None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def reads(self, root: Item, manufacturer: str) -> bool:
        """Whether this dialect is for such a report, of this manufacturer by its normal name."""
        return any(_rule_fits(rule, root, manufacturer) for rule in self.reports)

    def quantity(self, concept: Code | None) -> Quantity | None:
        """What an item with this concept name measures, if anything we use."""
        return next((what for what, names in self.quantities if any(name.matches(concept) for name in names)), None)

    def unit(self, spelling: str) -> str | None:
        """The UCUM code of a unit as this vendor spells it; ``None`` when nobody told us."""
        return _listed(self.units, spelling)


def normal_manufacturer(name: str, dialects: Sequence[Dialect]) -> str:
    """The one name for a maker that spells itself in several ways; an unknown maker keeps its own."""
    known = (_listed(dialect.manufacturers, name) for dialect in dialects)
    return next((maker for maker in known if maker), name.strip())


def load_dialects(texts: Mapping[str, str]) -> tuple[Dialect, ...]:
    """The dialects in TOML texts, by the name of each text's file, in the order given.

    Raises:
        DialectError: with every mistake of every text.
    """
    dialects: list[Dialect] = []
    mistakes: list[str] = []
    for file, text in texts.items():
        try:
            dialects.append(parse_dialect(tomllib.loads(text)))
        except tomllib.TOMLDecodeError as error:
            mistakes.append(f"{file}: {error}")
        except DialectError as error:
            mistakes += [f"{file}: {mistake}" for mistake in error.mistakes]
    names = [dialect.name for dialect in dialects]
    mistakes += [f"name: two dialects are called {name!r}" for name in sorted(set(names)) if names.count(name) > 1]
    if mistakes:
        raise DialectError(mistakes)
    return tuple(dialects)


def parse_dialect(data: Mapping[str, Any]) -> Dialect:
    """The dialect that a TOML document describes.

    Raises:
        DialectError: with every mistake in it.
    """
    mistakes: list[str] = []
    table = _Table(data, "", mistakes)
    dialect = Dialect(
        name=table.text("name"),
        version=table.text("version"),
        reports=tuple(_report_rule(entry) for entry in table.tables("report", required=True)),
        scans=tuple(_container_rule(entry) for entry in table.tables("scan", required=True)),
        never=tuple(_container_rule(entry) for entry in table.tables("never")),
        region=_region_rule(table.table("region")),
        parts=tuple(_part_names(table.table("names"))),
        vertebrae=_vertebra_names(table.table("vertebrae")),
        sides=tuple(_side_names(table.table("sides"))),
        finding_sites=tuple(_finding_site(entry) for entry in table.tables("finding_site")),
        quantities=tuple(_quantities(table.table("quantities"))),
        units=tuple(table.table("units").lists()),
        manufacturers=tuple(table.table("manufacturers").lists()),
        device=_device_items(table),
    )
    table.finish()
    if not any(quantity is Quantity.BMD for quantity, _ in dialect.quantities):
        mistakes.append("quantities.bmd: is missing; without it no report could be read")
    if not dialect.unit("g/cm2") and not dialect.unit("mg/cm2"):
        mistakes.append("units: neither g/cm2 nor mg/cm2 is among them; without one no BMD could be read")
    if mistakes:
        raise DialectError(mistakes)
    return dialect


_T = TypeVar("_T")


def _rule_fits(rule: ReportRule, root: Item, manufacturer: str) -> bool:
    children = (child for child in root.children if child.value_type == "CONTAINER")
    return (
        (rule.root is None or rule.root.matches(root.concept))
        and (rule.contains is None or any(rule.contains.matches(child.concept) for child in children))
        and (not rule.manufacturer or folded(rule.manufacturer) == folded(manufacturer))
    )


def _listed(names: tuple[tuple[str, tuple[str, ...]], ...], spelling: str) -> str | None:
    """The name under which a spelling is listed; a name is always a spelling of itself."""
    wanted = folded(spelling)
    return next((name for name, spellings in names if wanted in map(folded, (name, *spellings))), None)


@lru_cache(maxsize=1024)
def _glob(meaning: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in folded(meaning).split("*")), re.DOTALL)


class _Table:
    """A table of a dialect's TOML, read key by key; what is wrong or left over goes to the mistakes."""

    def __init__(self, data: Mapping[str, Any], path: str, mistakes: list[str]) -> None:
        self._left = dict(data)
        self._path = path
        self._mistakes = mistakes

    def wrong(self, key: str, what: str) -> None:
        self._mistakes.append(f"{self._path}{key}: {what}")

    def text(self, key: str, *, required: bool = True) -> str:
        value = self._left.pop(key, "")
        if not isinstance(value, str):
            self.wrong(key, "must be a text")
            return ""
        if required and not value.strip():
            self.wrong(key, "is missing")
        return value

    def flag(self, key: str) -> bool:
        value = self._left.pop(key, False)
        if not isinstance(value, bool):
            self.wrong(key, "must be true or false")
        return value is True

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
            self.wrong(key, "must be a list of texts")
            return ()
        return tuple(value)

    def lists(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for key in list(self._left):
            yield key, self.texts(key)

    def one_of(self, key: str, parse: Callable[[str], _T]) -> _T | None:
        text = self.text(key, required=False)
        if not text:
            return None
        try:
            return parse(text)
        except ValueError:
            self.wrong(key, f"{text!r} is none we know")
            return None

    def table(self, key: str) -> "_Table":
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            self.wrong(key, "must be a table")
            value = {}
        return _Table(value, f"{self._path}{key}.", self._mistakes)

    def tables(self, key: str, *, required: bool = False) -> Iterator["_Table"]:
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.wrong(key, f"must be tables, written as [[{key}]]")
            value = []
        elif required and not value:
            self.wrong(key, f"at least one [[{key}]] is needed")
        for number, entry in enumerate(value, start=1):
            table = _Table(entry, f"{self._path}{key}[{number}].", self._mistakes)
            yield table
            table.finish()

    def concept(self, key: str) -> Concept | None:
        """A concept, or ``None`` when the key is not there."""
        if key not in self._left:
            return None
        table = self.table(key)
        concept = _concept(table)
        table.finish()
        return concept

    def required_concept(self, key: str) -> Concept:
        concept = self.concept(key)
        if concept is None:
            self.wrong(key, "is missing")
        return concept or Concept()

    def finish(self) -> None:
        for key in self._left:
            self.wrong(key, "is no key we know")
        self._left = {}


def _concept(table: _Table) -> Concept:
    concept = Concept(
        value=table.text("value", required=False),
        scheme=table.text("scheme", required=False),
        meaning=table.text("meaning", required=False),
    )
    if bool(concept.value) != bool(concept.scheme) or not (concept.value or concept.meaning.strip(" *")):
        table.wrong("meaning", "needs a meaning, or a value and its scheme")
    return concept


def _report_rule(table: _Table) -> ReportRule:
    rule = ReportRule(
        root=table.concept("root"),
        contains=table.concept("contains"),
        manufacturer=table.text("manufacturer", required=False),
    )
    if rule.root is None and rule.contains is None:
        table.wrong("root", "needs a root, or something the root contains")
    return rule


def _container_rule(table: _Table) -> ContainerRule:
    return ContainerRule(
        container=table.required_concept("container"),
        where=tuple(_condition(entry) for entry in table.tables("where")),
        site=table.one_of("site", Site),
        side=table.one_of("side", Side),
    )


def _condition(table: _Table) -> Condition:
    return Condition(
        text=table.required_concept("text"), contains=table.text("contains"), anywhere=table.flag("anywhere")
    )


def _region_rule(table: _Table) -> RegionRule:
    rule = RegionRule(
        container=table.concept("container"),
        name=table.concept("name"),
        finding_site=table.concept("finding_site"),
        laterality=table.concept("laterality"),
        modifier=table.concept("modifier"),
    )
    table.finish()
    return rule


def _part_names(table: _Table) -> Iterator[PartNames]:
    """``[names.hip]`` and its like: for each part of the site, what the vendor calls it."""
    for site in Site:
        parts = table.table(site.value)
        for part, names in parts.lists():
            if SITE_OF_PART.get(part) is not site or part == SPINE:
                parts.wrong(part, f"is no part of the {site} we know")
            yield PartNames(site=site, part=part, names=names)
    table.finish()


def _vertebra_names(table: _Table) -> VertebraNames:
    names = VertebraNames(words=table.texts("words"), brackets_exclude=table.flag("brackets_exclude"))
    table.finish()
    return names


def _side_names(table: _Table) -> Iterator[SideNames]:
    for side in Side:
        names = table.table(side.value)
        yield SideNames(side=side, words=names.texts("words"), code=names.concept("code"))
        names.finish()
    table.finish()


def _finding_site(table: _Table) -> FindingSite:
    part = table.text("part", required=False)
    vertebra = table.one_of("vertebra", _one_vertebra)
    site = table.one_of("site", Site) or SITE_OF_PART.get(part) or (Site.SPINE if vertebra else None)
    if part and SITE_OF_PART.get(part) is not site:
        table.wrong("part", f"{part!r} is no part we know of this site")
    if site is None:
        table.wrong("site", "needs a site, a part or a vertebra")
    return FindingSite(
        code=table.required_concept("code"),
        site=site or Site.SPINE,
        part=part,
        vertebrae=vertebra or (),
        modifier=table.concept("modifier"),
    )


def _one_vertebra(text: str) -> tuple[str, ...]:
    levels = parse_vertebrae(text)
    if len(levels) != 1:
        raise UnknownRegion(f"{text!r} is more than one vertebra")
    return levels


def _quantities(table: _Table) -> Iterator[tuple[Quantity, tuple[Concept, ...]]]:
    for quantity in Quantity:
        concepts = tuple(_concept(entry) for entry in table.tables(quantity.value))
        if concepts:
            yield quantity, concepts
    table.finish()


def _device_items(table: _Table) -> DeviceItems | None:
    device = table.table("device")
    items = [device.concept(key) for key in ("manufacturer", "model", "serial_number")]
    device.finish()
    manufacturer, model, serial_number = items
    if manufacturer and model and serial_number:
        return DeviceItems(manufacturer=manufacturer, model=model, serial_number=serial_number)
    if any(items):
        device.wrong("serial_number", "manufacturer, model and serial_number go together")
    return None
