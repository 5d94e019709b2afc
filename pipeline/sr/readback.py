"""What does one of our addenda say, region by region, in the codes that outside scripts rely on?"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.sr import codes
from pipeline.sr.tree import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The overall result with its flags, and for each region key what stands under each private concept.

    Values are the code value of a CODE and the number of a NUM as it is written; texts are left out. ``PRIOR_DATE``
    and ``BASELINE_DATE`` are the study dates beside the two BMDs, as ``yyyymmdd``; ``BMD`` is the measured one.
    """

    overall: str
    flags: tuple[str, ...]
    regions: Mapping[str, Mapping[str, tuple[str, ...]]]


def read_back(addendum: Item) -> Said:
    """Everything coded in an addendum of ours."""
    document = _coded(_outside_groups(addendum))
    groups = [item for item in addendum.walk() if _is(item, codes.MEASUREMENT_GROUP.value)]
    return Said(
        overall=next(iter(document.get(codes.OVERALL.value, ())), ""),
        flags=document.get(codes.FLAG.value, ()),
        regions={_key(group): _coded(group.children) for group in groups},
    )


def _outside_groups(item: Item) -> Iterator[Item]:
    yield item
    for child in item.children:
        if not _is(child, codes.MEASUREMENT_GROUP.value):
            yield from _outside_groups(child)


def _coded(items: Iterable[Item]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}

    def add(name: str, value: str) -> None:
        found[name] = (*found.get(name, ()), value)

    for item in items:
        name = item.concept
        if name is None or item.value_type not in ("CODE", "NUM"):
            continue
        if name.scheme == codes.SCHEME:
            add(name.value, item.code.value if item.code else item.value)
        elif item.unit is not None and item.unit.value == "g/cm2":
            add("BMD", item.value)
        if name.value in _DATED:
            for child in item.children:
                if _is(child, codes.STUDY_DATE.value):
                    add(_DATED[name.value], child.value)
    return found


_DATED = {codes.PRIOR_BMD.value: "PRIOR_DATE", codes.BASELINE_BMD.value: "BASELINE_DATE"}


def _key(group: Item) -> str:
    return next(child.value for child in group.children if _is(child, codes.TRACKING_IDENTIFIER.value))


def _is(item: Item, concept: str) -> bool:
    return item.concept is not None and item.concept.value == concept
