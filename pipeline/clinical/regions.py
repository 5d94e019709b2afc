"""Regions of interest: part, side and vertebrae of a measurement, and the key that names them.

Configuration, addenda and database share the region key: ``L1-L4``, ``L1,L3-L4``, ``total hip left``,
``femoral neck mean``, ``33% radius right``. Two measurements compare only when their keys are equal (R2.11).
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.errors import DxatrendError

_LEVELS = re.compile(r"\s*([TL]\d{1,2})\s*(?:-\s*([TL]\d{1,2})\s*)?")


class Site(StrEnum):
    """A skeletal site that a densitometer scans in one go."""

    SPINE = "spine"
    HIP = "hip"
    FOREARM = "forearm"
    TOTAL_BODY = "total body"


class Side(StrEnum):
    """The side of a paired bone; ``MEAN`` is the vendor's own mean of left and right."""

    LEFT = "left"
    RIGHT = "right"
    MEAN = "mean"


VERTEBRAE = ("T12", "L1", "L2", "L3", "L4", "L5")
"""The vertebrae an AP spine scan may show, from head to foot."""

LUMBAR = frozenset(VERTEBRAE[1:5])
"""L1 to L4: the vertebrae that may be reported together (R2.17)."""

SPINE = "spine"
"""The part of every set of vertebrae."""

FULL_SPINE = "L1-L4"
"""The set of vertebrae that "spine" alone means (R2.17)."""

TOTAL_HIP = "total hip"
FEMORAL_NECK = "femoral neck"
ONE_THIRD_RADIUS = "33% radius"

SITE_OF_PART = {
    SPINE: Site.SPINE,
    TOTAL_HIP: Site.HIP,
    FEMORAL_NECK: Site.HIP,
    "trochanter": Site.HIP,
    "intertrochanteric": Site.HIP,
    "ward's triangle": Site.HIP,
    "upper neck": Site.HIP,
    "lower neck": Site.HIP,
    "femoral shaft": Site.HIP,
    ONE_THIRD_RADIUS: Site.FOREARM,
    "mid radius": Site.FOREARM,
    "ultradistal radius": Site.FOREARM,
    "total radius": Site.FOREARM,
    "total forearm": Site.FOREARM,
    "total body": Site.TOTAL_BODY,
}
"""Every known part, and its site."""


class UnknownRegionError(DxatrendError, ValueError):
    """The text does not name a known region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region of interest: the part, its side if it has one, its vertebrae if it is spine."""

    part: str
    side: Side | None = None
    vertebrae: tuple[str, ...] = ()
    key: str = field(init=False, repr=False, compare=False)
    """The region key: the name in configuration, addenda and database."""

    monitorable: bool = field(init=False, repr=False, compare=False)
    """Whether a change of this region may be judged (R2.17).

    Two or more of L1-L4, total hip, femoral neck and one-third radius. Never Ward's triangle, the trochanter, the rest
    of the forearm, or a single vertebra.
    """

    def __post_init__(self) -> None:
        if self.part not in SITE_OF_PART:
            raise UnknownRegionError(f"{self.part!r} is not a part of the skeleton we know")
        if (self.part == SPINE) != bool(self.vertebrae):
            raise UnknownRegionError(f"{self.part!r} and vertebrae {self.vertebrae!r} do not go together")
        if self.side is not None and self.site not in (Site.HIP, Site.FOREARM):
            raise UnknownRegionError(f"{self.part!r} has no side")
        if self.vertebrae != tuple(level for level in VERTEBRAE if level in self.vertebrae):
            raise UnknownRegionError(f"{self.vertebrae!r} are not vertebrae in their order")
        object.__setattr__(self, "key", self._key())
        object.__setattr__(self, "monitorable", self._monitorable())

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def site(self) -> Site:
        """The skeletal site of this region."""
        return SITE_OF_PART[self.part]

    def __str__(self) -> str:
        return self.key

    def _key(self) -> str:
        if self.vertebrae:
            return vertebrae_key(self.vertebrae)
        return f"{self.part} {self.side}" if self.side else self.part

    def _monitorable(self) -> bool:
        if self.part == SPINE:
            return len(self.vertebrae) >= 2 and set(self.vertebrae) <= LUMBAR
        return self.part in (TOTAL_HIP, FEMORAL_NECK, ONE_THIRD_RADIUS)


def parse_region(text: str) -> Region:
    """Return the region of a key; letter case and stray spaces do not matter.

    Raises:
        UnknownRegionError: the text is not a region key.
    """
    words = " ".join(text.casefold().split())
    for side in Side:
        if words.endswith(f" {side}"):
            return Region(part=words.removesuffix(f" {side}"), side=side)
    if words in SITE_OF_PART and words != SPINE:
        return Region(part=words)
    return Region(part=SPINE, vertebrae=parse_vertebrae(text))


def parse_vertebrae(text: str) -> tuple[str, ...]:
    """Return the vertebrae of ``L1-L4``, ``L1,L3`` or ``L1 - L2, L4``, from head to foot.

    Raises:
        UnknownRegionError: an unknown level, a range that runs upwards, or a level named twice.
    """
    levels: list[str] = []
    for part in text.upper().split(","):
        match = _LEVELS.fullmatch(part)
        ends = [level for level in match.groups() if level] if match else []
        if not ends or not all(level in VERTEBRAE for level in ends):
            raise UnknownRegionError(f"{text.strip()!r} names no region we know")
        first, last = VERTEBRAE.index(ends[0]), VERTEBRAE.index(ends[-1])
        levels.extend(VERTEBRAE[first : last + 1])
    if len(levels) != len(set(levels)) or levels != sorted(levels, key=VERTEBRAE.index) or not levels:
        raise UnknownRegionError(f"{text.strip()!r} does not name vertebrae from head to foot, each once")
    return tuple(levels)


def vertebrae_key(vertebrae: tuple[str, ...]) -> str:
    """Return the key of a set of vertebrae: ``L1-L4`` for neighbours, ``L1,L3-L4`` where one is left out."""
    runs: list[list[str]] = []
    for level in vertebrae:
        if runs and VERTEBRAE.index(level) == VERTEBRAE.index(runs[-1][-1]) + 1:
            runs[-1].append(level)
        else:
            runs.append([level])
    return ",".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
