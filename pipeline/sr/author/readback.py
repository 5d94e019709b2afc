"""What does one of our addenda say, region by region, in the codes that outside scripts rely on?"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.sr import codes
from pipeline.sr.dicom.content_tree import Code, Item


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """The overall result with its flags, what else is said of the whole exam, and of each region key, by name.

    A name is the value of a private concept, or ``BMD``, ``T_SCORE``, ``Z_SCORE``, ``AREA``, ``DATE`` or ``STUDY``;
    what stands below another item has that item's name before it: ``PRIOR_DATE``, ``BASELINE_STUDY``, ``DIFF_BMD``,
    ``OBSTACLE_DATE``, ``PCATEGORY_DATE``, ``LSC_CONFIDENCE``. Values are the value of a code, and a number or a date
    (``yyyymmdd``) as it is written; sentences are left out.
    """

    overall: str
    flags: tuple[str, ...]
    whole: Mapping[str, tuple[str, ...]]
    regions: Mapping[str, Mapping[str, tuple[str, ...]]]


def read_back(addendum: Item) -> ReadBack:
    """Everything coded in an addendum of ours."""
    document = _told(_outside_groups(addendum))
    groups = [item for item in addendum.walk() if _is(item, codes.MEASUREMENT_GROUP)]
    return ReadBack(
        overall=next(iter(document.get("OVERALL", ())), ""),
        flags=document.get("FLAG", ()),
        whole={name: values for name, values in document.items() if name not in ("OVERALL", "FLAG")},
        regions={_region(group): _told(group.children) for group in groups},
    )


_BEFORE_CHILDREN = {"PRIOR_BMD": "PRIOR_", "BASELINE_BMD": "BASELINE_"}
"""What stands before the names of an item's children, where it is not the item's own."""


def _outside_groups(item: Item) -> Iterator[Item]:
    for child in item.children:
        if not _is(child, codes.MEASUREMENT_GROUP):
            yield child
            if child.value_type == "CONTAINER":
                yield from _outside_groups(child)


def _told(items: Iterable[Item]) -> dict[str, tuple[str, ...]]:
    told: dict[str, tuple[str, ...]] = {}
    for name, value in _named(items, ""):
        told[name] = (*told.get(name, ()), value)
    return told


def _named(items: Iterable[Item], before: str) -> Iterator[tuple[str, str]]:
    for item in items:
        name = codes.key(item.concept) if item.concept else ""
        if name and item.value_type in ("CODE", "NUM", "DATE", "UIDREF"):
            yield before + name, item.code.value if item.code else item.value
            yield from _named(item.children, _BEFORE_CHILDREN.get(name, f"{name}_"))


def _region(group: Item) -> str:
    keys = (child.value for child in group.children if _is(child, codes.TRACKING_IDENTIFIER))
    return next(keys, "")


def _is(item: Item, concept: Code) -> bool:
    return item.concept is not None and item.concept.identity == concept.identity
