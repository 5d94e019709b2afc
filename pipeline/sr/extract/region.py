"""Find the region of a container by its name, finding site and laterality, and of a number that has its own.

In PS3.16 TID 300 and 1419 finding site, laterality and reference population may be below the single number.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from pipeline.clinical.regions import SPINE, VERTEBRAE, Region, UnknownRegionError
from pipeline.sr.dialects.concepts import Concept
from pipeline.sr.dialects.model import Dialect, Fact, FindingSite
from pipeline.sr.dialects.region_names import UnknownNameError, name_region, region_of_part
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.extract.containers import Scan


def split_by_place(container: Item, dialect: Dialect) -> Iterator[tuple[Item, tuple[Item, ...]]]:
    """Split a container by the finding sites, lateralities and populations below its single numbers.

    Yield the container without these numbers, then one container for each combination, with the code items for the
    place below its numbers.
    """
    place_concepts = [
        concept for concept in (dialect.region.finding_site, dialect.region.laterality) if concept is not None
    ]
    if not place_concepts:
        yield container, ()
        return
    with_own_place: dict[tuple[tuple[Item, ...], tuple[Item, ...]], list[Item]] = {}
    rest: list[Item] = []
    for item in container.children:
        below = item.children if item.value_type in _VALUES else ()
        codes = tuple([child for child in below if any(concept.matches(child.concept) for concept in place_concepts)])
        populations = tuple([child for child in below if _is_population(child, dialect)])
        (with_own_place.setdefault((codes, populations), []) if codes or populations else rest).append(item)
    if not with_own_place:
        yield container, ()
        return
    shared_items = [item for item in rest if item.value_type != "NUM" and dialect.quantities.find(item.concept) is None]
    if len(shared_items) < len(rest):
        yield container._replace(children=tuple(rest)), ()
    for (codes, populations), items in with_own_place.items():
        shared = [item for item in shared_items if not (populations and _is_population(item, dialect))]
        yield container._replace(children=(*shared, *populations, *items)), codes


def region_of(container: Item, dialect: Dialect, scan: Scan, own: Sequence[Item] = ()) -> Region:
    """Return the region of a container by its name, else by its finding sites; they must not contradict each other.

    ``own`` are the code items below its numbers: a place that they name must be the region's.

    Raises:
        UnknownRegionError: the container names no region, or two of its parts contradict each other.
    """
    coded = _CodedPlace((*container.children, *own), dialect)
    side = _agreed([scan.side, *coded.sides], "its scan and its laterality are different sides")
    site = _agreed(
        [scan.site, *(known.site for known in coded.sites)], "its scan and its finding site are different sites"
    )
    try:
        region = name_region(dialect, _name(container, dialect), site=site, side=side)
    except UnknownNameError:
        if coded.sites and coded.has_unknown:
            raise UnknownRegionError("one of its finding sites is none that the dialect knows") from None
        part = _agreed([known.part or None for known in coded.sites], "its finding sites are different parts")
        if part is None and not coded.vertebrae:
            raise
        region = (
            Region(part=SPINE, vertebrae=coded.vertebrae) if coded.vertebrae else region_of_part(part or SPINE, side)
        )
    else:
        if coded.vertebrae and coded.vertebrae != region.vertebrae:
            raise UnknownRegionError("its name and its finding sites name different vertebrae")
    if own:
        _require_just_that(region, _CodedPlace(own, dialect), _CodedPlace(container.children, dialect))
    return region


_T = TypeVar("_T")

_VALUES = frozenset({"NUM", "TEXT"})


def _is_population(item: Item, dialect: Dialect) -> bool:
    return dialect.facts.find(item.concept) is Fact.REFERENCE_POPULATION


class _CodedPlace:
    """The sites and sides that code items name; ``has_unknown`` when the dialect does not know one of them."""

    def __init__(self, items: Sequence[Item], dialect: Dialect) -> None:
        rule = dialect.region
        coded_sites = list(_coded(items, rule.finding_site))
        modifiers = [modifier for _, modifier in _coded(items, rule.modifier)]
        found = [_finding_site(item, code, modifiers, dialect) for item, code in coded_sites]
        self.sites = [site for site in found if site is not None]
        below = [child for item, _ in coded_sites for child in item.children]
        lateralities = [code for _, code in _coded((*below, *items), rule.laterality)]
        self.sides = [
            names.side for code in lateralities for names in dialect.sides if names.code and names.code.matches(code)
        ]
        self.has_unknown = len(self.sites) < len(found) or len(self.sides) < len(lateralities)

    @property
    def vertebrae(self) -> tuple[str, ...]:
        return tuple(level for level in VERTEBRAE if any(level in known.vertebrae for known in self.sites))


def _require_just_that(region: Region, own: _CodedPlace, container: _CodedPlace) -> None:
    """Check that a number's own codes name the region that was found for its container.

    Raises:
        UnknownRegionError: they name another one, or one that the dialect does not know.
    """
    levels = {place.vertebrae for place in (own, container) if place.vertebrae}
    other_levels = own.vertebrae and levels != {region.vertebrae}
    if own.has_unknown or other_levels or any(known.part not in ("", region.part) for known in own.sites):
        raise UnknownRegionError("a number in it names another place, or one that the dialect does not know")


def _agreed(values: Sequence[_T | None], problem: str) -> _T | None:
    """Return the one value among these; ``None`` when there is none.

    Raises:
        UnknownRegionError: there are different values.
    """
    different = {value for value in values if value is not None}
    if len(different) > 1:
        raise UnknownRegionError(problem)
    return next(iter(different), None)


def _name(container: Item, dialect: Dialect) -> str:
    """Return the name of a container's region; empty when it has none.

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


def _finding_site(item: Item, code: Code, shared: Sequence[Code], dialect: Dialect) -> FindingSite | None:
    """Return the dialect's first entry for a finding site whose modifier fits; ``None`` when there is none.

    An entry without a modifier does not fit a part or vertebra with a modifier, which may mean a part of it.
    """
    modifiers = [*shared, *(modifier for _, modifier in _coded(item.children, dialect.region.modifier))]
    for entry in dialect.finding_sites:
        if entry.code.matches(code) and (entry.modifier is None or any(map(entry.modifier.matches, modifiers))):
            whole = entry.modifier is not None or not (entry.part or entry.vertebrae) or not modifiers
            return entry if whole else None
    return None


def _coded(items: Sequence[Item], concept: Concept | None) -> Iterator[tuple[Item, Code]]:
    """Yield the items with one concept name, with their codes."""
    for item in items:
        if concept is not None and item.code is not None and concept.matches(item.concept):
            yield item, item.code
