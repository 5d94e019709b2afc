"""Which region is a container about, and which a number in it that says so itself?

In PS3.16 TID 300 and 1419 finding site, laterality and the population that a score refers to may stand below the single
number.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from pipeline.clinical.regions import SPINE, VERTEBRAE, Region, UnknownRegionError
from pipeline.sr.dialects.model import Concept, Dialect, Fact, FindingSite
from pipeline.sr.dialects.region_names import UnknownNameError, name_region, place
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.extract.containers import Scan


def by_place(container: Item, dialect: Dialect) -> Iterator[tuple[Item, tuple[Item, ...]]]:
    """The container, and apart from it the numbers in it that tell a place or a population of their own.

    With each come the codes below its numbers that tell the place.
    """
    telling = [concept for concept in (dialect.region.finding_site, dialect.region.laterality) if concept is not None]
    if not telling:
        yield container, ()
        return
    apart: dict[tuple[tuple[Item, ...], tuple[Item, ...]], list[Item]] = {}
    rest: list[Item] = []
    for item in container.children:
        below = item.children if item.value_type in _VALUES else ()
        codes = tuple([child for child in below if any(concept.matches(child.concept) for concept in telling)])
        populations = tuple([child for child in below if _tells_population(child, dialect)])
        (apart.setdefault((codes, populations), []) if codes or populations else rest).append(item)
    if not apart:
        yield container, ()
        return
    around = [item for item in rest if item.value_type != "NUM" and dialect.quantities.find(item.concept) is None]
    if len(around) < len(rest):
        yield container._replace(children=tuple(rest)), ()
    for (codes, populations), items in apart.items():
        shared = [item for item in around if not (populations and _tells_population(item, dialect))]
        yield container._replace(children=(*shared, *populations, *items)), codes


def region_of(container: Item, dialect: Dialect, scan: Scan, own: Sequence[Item] = ()) -> Region:
    """The region a container is about: by its name, else by its finding sites, which must not disagree.

    ``own`` are the codes below the numbers in it: as far as they tell a place it must be just that.

    Raises:
        UnknownRegionError: nothing in the container tells, or two things contradict each other.
    """
    told = _Told((*container.children, *own), dialect)
    side = _agreed([scan.side, *told.sides], "its scan and its laterality are different sides")
    site = _agreed(
        [scan.site, *(known.site for known in told.sites)], "its scan and its finding site are different sites"
    )
    try:
        region = name_region(dialect, _name(container, dialect), site=site, side=side)
    except UnknownNameError:
        if told.sites and told.strange:
            raise UnknownRegionError("one of its finding sites is none that the dialect knows") from None
        part = _agreed([known.part or None for known in told.sites], "its finding sites are different parts")
        if part is None and not told.vertebrae:
            raise
        region = Region(part=SPINE, vertebrae=told.vertebrae) if told.vertebrae else place(part or SPINE, side)
    else:
        if told.vertebrae and told.vertebrae != region.vertebrae:
            raise UnknownRegionError("its name and its finding sites tell different vertebrae")
    if own:
        _require_just_that(region, _Told(own, dialect), _Told(container.children, dialect))
    return region


_T = TypeVar("_T")

_VALUES = frozenset({"NUM", "TEXT"})


def _tells_population(item: Item, dialect: Dialect) -> bool:
    return dialect.facts.find(item.concept) is Fact.REFERENCE_POPULATION


class _Told:
    """What codes among some items tell of a place; ``strange`` when one of them is none that the dialect knows."""

    def __init__(self, items: Sequence[Item], dialect: Dialect) -> None:
        rule = dialect.region
        coded_sites = list(_coded(items, rule.finding_site))
        beside = [modifier for _, modifier in _coded(items, rule.modifier)]
        found = [_finding_site(item, code, beside, dialect) for item, code in coded_sites]
        self.sites = [site for site in found if site is not None]
        below = [child for item, _ in coded_sites for child in item.children]
        lateralities = [code for _, code in _coded((*below, *items), rule.laterality)]
        self.sides = [
            names.side for code in lateralities for names in dialect.sides if names.code and names.code.matches(code)
        ]
        self.strange = len(self.sites) < len(found) or len(self.sides) < len(lateralities)

    @property
    def vertebrae(self) -> tuple[str, ...]:
        return tuple(level for level in VERTEBRAE if any(level in known.vertebrae for known in self.sites))


def _require_just_that(region: Region, own: _Told, around: _Told) -> None:
    """Make sure that a number's own codes tell the region that its container's codes and name came to.

    Raises:
        UnknownRegionError: they tell another one, or one that the dialect does not know.
    """
    levels = {told.vertebrae for told in (own, around) if told.vertebrae}
    other_levels = own.vertebrae and levels != {region.vertebrae}
    if own.strange or other_levels or any(known.part not in ("", region.part) for known in own.sites):
        raise UnknownRegionError("a number in it tells another place, or one that the dialect does not know")


def _agreed(told: Sequence[_T | None], otherwise: str) -> _T | None:
    """The one thing that is told, if anything is.

    Raises:
        UnknownRegionError: different things are told.
    """
    different = {one for one in told if one is not None}
    if len(different) > 1:
        raise UnknownRegionError(otherwise)
    return next(iter(different), None)


def _name(container: Item, dialect: Dialect) -> str:
    """What names a region; empty when nothing does.

    Raises:
        UnknownRegionError: it has two names.
    """
    concept = dialect.region.name
    if concept is None:
        return container.concept.meaning if container.concept else ""
    names = {item.value for item in container.children if item.value_type == "TEXT" and concept.matches(item.concept)}
    if len(names) > 1:
        raise UnknownRegionError("it has more than one name")
    return next(iter(names), "")


def _finding_site(item: Item, code: Code, beside: Sequence[Code], dialect: Dialect) -> FindingSite | None:
    """What the dialect knows of a finding site: the first entry whose modifier fits.

    An entry without a modifier does not tell which part of the part or the vertebra a modifier means.
    """
    modifiers = [*beside, *(modifier for _, modifier in _coded(item.children, dialect.region.modifier))]
    for entry in dialect.finding_sites:
        if entry.code.matches(code) and (entry.modifier is None or any(map(entry.modifier.matches, modifiers))):
            whole = entry.modifier is not None or not (entry.part or entry.vertebrae) or not modifiers
            return entry if whole else None
    return None


def _coded(items: Sequence[Item], concept: Concept | None) -> Iterator[tuple[Item, Code]]:
    """The items of one concept name, with their codes."""
    for item in items:
        if concept is not None and item.code is not None and concept.matches(item.concept):
            yield item, item.code
