"""Translate a vendor's region name into a region, by the names of a dialect."""

import re
from collections.abc import Mapping
from functools import lru_cache

from pipeline.clinical.regions import (
    SITE_OF_PART,
    SPINE,
    VERTEBRAE,
    Region,
    Side,
    Site,
    UnknownRegionError,
    parse_vertebrae,
)
from pipeline.sr.dialects.concepts import LONGEST_NAME
from pipeline.sr.dialects.model import Dialect, PartNames
from pipeline.sr.dicom.content_item import folded


class UnknownNameError(UnknownRegionError):
    """The dialect does not know the name; finding sites may still identify the region."""


@lru_cache(maxsize=4096)
def name_region(dialect: Dialect, name: str, *, site: Site | None = None, side: Side | None = None) -> Region:
    """Return the region with this name; ``site`` and ``side`` are those of the scan or of its codes, where known.

    Raises:
        UnknownNameError: the dialect does not know the name.
        UnknownRegionError: the name contradicts the site or side, or leaves it open.
    """
    if len(name) > LONGEST_NAME:
        raise UnknownNameError("its name is longer than any")
    own_side, words = _take_side(dialect, _words(name))
    parts = _parts(dialect).get(words, ())
    here = [known for known in parts if site in (None, known.site)]
    if len(here) > 1:
        raise UnknownRegionError("its name means different parts at different sites, and the site is not stated")
    if here:
        if own_side and side and own_side is not side:
            raise UnknownRegionError(f"it is called {own_side} and stands in a scan of the {side}")
        return region_of_part(here[0].part, own_side or side)
    levels = () if parts else _name_vertebrae(dialect, name)
    if parts or site not in (None, Site.SPINE):
        raise UnknownRegionError(f"its name belongs to another site than the {site}")
    return Region(part=SPINE, vertebrae=levels)


def region_of_part(part: str, side: Side | None) -> Region:
    """Return the region of a part, on a side if the part has sides.

    Raises:
        UnknownRegionError: the part has sides, and the side is not known.
    """
    if SITE_OF_PART[part] not in (Site.HIP, Site.FOREARM):
        return Region(part=part)
    if side is None:
        raise UnknownRegionError("its side is not stated")
    return Region(part=part, side=side)


def _words(name: str) -> str:
    """Fold a name and drop the punctuation between its words; ``1/3`` and ``33%`` stay as they are."""
    return folded(_PUNCTUATION.sub(" ", name))


_PUNCTUATION = re.compile("[_,;:.]+")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_BRACKETED = re.compile(r"([^()]+)\(([^()]+)\)")


@lru_cache(maxsize=64)
def _parts(dialect: Dialect) -> Mapping[str, tuple[PartNames, ...]]:
    """Return the parts for each name of a dialect, at any site."""
    parts: dict[str, tuple[PartNames, ...]] = {}
    for known in dialect.parts:
        for name in dict.fromkeys(map(_words, known.names)):
            parts[name] = (*parts.get(name, ()), known)
    return parts


@lru_cache(maxsize=64)
def _sides(dialect: Dialect) -> tuple[tuple[Side, str], ...]:
    return tuple((names.side, _words(word)) for names in dialect.sides for word in names.words)


def _take_side(dialect: Dialect, words: str) -> tuple[Side | None, str]:
    """Split a name into the side it begins or ends with, and the rest."""
    for side, word in _sides(dialect):
        if words.startswith(f"{word} "):
            return side, words.removeprefix(f"{word} ")
        if words.endswith(f" {word}"):
            return side, words.removesuffix(f" {word}")
    return None, words


def _name_vertebrae(dialect: Dialect, name: str) -> tuple[str, ...]:
    """Return the vertebrae of ``L1-L4``, ``L1,L3``, ``L2 - L4`` or ``L1-L4 (L2)``, which excludes L2."""
    text = folded(_DASHES.sub("-", name))
    for word in map(folded, dialect.vertebrae.words):
        text = text.removeprefix(word).strip()
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is None:
        return _vertebrae(text)
    if not dialect.vertebrae.brackets_exclude:
        raise UnknownNameError("what the brackets in its name mean is not stated")
    levels, without = _vertebrae(bracketed[1]), _vertebrae(bracketed[2])
    kept = tuple(level for level in VERTEBRAE if level in levels and level not in without)
    if not kept or not set(without) <= set(levels):
        raise UnknownRegionError("its name leaves out vertebrae that it does not have, or all")
    return kept


def _vertebrae(text: str) -> tuple[str, ...]:
    try:
        return parse_vertebrae(text)
    except UnknownRegionError:  # its text quotes the name, which may be any TEXT of a report
        raise UnknownNameError("its name means no region that the dialect knows") from None
