"""Read the coded content of an addendum back, by region, under the names that outside scripts rely on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.clinical.model import Flag, Obstacle
from pipeline.sr import codes
from pipeline.sr.dicom.content_item import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """Coded content of an addendum: overall result, flags, values of the whole exam, and values of each region key.

    Values are keyed by the value of a private concept, or by ``BMD``, ``T_SCORE``, ``Z_SCORE``, ``AREA``, ``DATE`` or
    ``STUDY``. An item below another has that item's name in front: ``PRIOR_DATE``, ``BASELINE_STUDY``, ``DIFF_BMD``,
    ``OBSTACLE_DATE``, ``PCATEGORY_DATE``, ``LSC_CONFIDENCE``. A code is its value, a number or a date (``yyyymmdd``)
    is as written; sentences are left out.
    """

    overall: str
    flags: tuple[str, ...]
    whole: Mapping[str, tuple[str, ...]]
    regions: Mapping[str, Mapping[str, tuple[str, ...]]]


def read_back(addendum: Item) -> ReadBack:
    """Return everything that an addendum of ours has in codes, numbers and dates."""
    document = _values(_outside_groups(addendum))
    groups = [item for item in addendum.walk() if item.has_concept(codes.MEASUREMENT_GROUP)]
    return ReadBack(
        overall=next(iter(document.get("OVERALL", ())), ""),
        flags=document.get("FLAG", ()),
        whole={name: values for name, values in document.items() if name not in ("OVERALL", "FLAG")},
        regions={_region(group): _values(group.children) for group in groups},
    )


def is_invalid(values: Mapping[str, tuple[str, ...]]) -> bool:
    """Return whether a region of the exam itself, not of an earlier one, is an invalid site (R2.22, N5)."""
    obstacles = zip(values.get("OBSTACLE", ()), values.get("OBSTACLE_DATE", ()), strict=False)
    return (Obstacle.INVALID_SITE, next(iter(values.get("DATE", ())), "")) in obstacles


def is_implausible(values: Mapping[str, tuple[str, ...]]) -> bool:
    """Return whether a region changed by more than bone can, so that its change is not reported (R3.1)."""
    return Flag.IMPLAUSIBLE_CHANGE in values.get("FLAG", ())


_PREFIX_OF_CHILDREN = {"PRIOR_BMD": "PRIOR_", "BASELINE_BMD": "BASELINE_"}
"""Prefixes for the names of an item's children, where that is not the item's own name."""


def _outside_groups(item: Item) -> Iterator[Item]:
    for child in item.children:
        if not child.has_concept(codes.MEASUREMENT_GROUP):
            yield child
            if child.value_type == "CONTAINER":
                yield from _outside_groups(child)


def _values(items: Iterable[Item]) -> dict[str, tuple[str, ...]]:
    values: dict[str, tuple[str, ...]] = {}
    for name, value in _named(items, ""):
        values[name] = (*values.get(name, ()), value)
    return values


def _named(items: Iterable[Item], prefix: str) -> Iterator[tuple[str, str]]:
    for item in items:
        name = codes.key(item.concept) if item.concept else ""
        if name and item.value_type in ("CODE", "NUM", "DATE", "UIDREF"):
            yield prefix + name, item.code.value if item.code else item.value
            yield from _named(item.children, _PREFIX_OF_CHILDREN.get(name, f"{name}_"))


def _region(group: Item) -> str:
    keys = (child.value for child in group.children if child.has_concept(codes.TRACKING_IDENTIFIER))
    return next(keys, "")
