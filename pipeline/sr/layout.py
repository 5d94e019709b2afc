"""Which containers of a report are scans, which are regions of a scan, and which are only the vendor's own trend?

A scan is a container below the root, a region a container below a scan, and nothing deeper or elsewhere is read: a
trend or history under a name nobody told us must not pass for today's measurement.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pipeline.clinical.regions import Side, Site
from pipeline.sr.grammar import ContainerRule, Texts, TrendRule
from pipeline.sr.notes import Notes, quoted
from pipeline.sr.occasions import Occasion
from pipeline.sr.tree import Item

_Rule = TypeVar("_Rule", bound=ContainerRule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A container that means something, with the site and side of what is in it as far as anything but names tells."""

    container: Item
    site: Site | None
    side: Side | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend(Found):
    """A container of the vendor's own trend, and the rule it was found by."""

    rule: TrendRule


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFound:
    """A container of one region's results, and how a remark calls it."""

    container: Item
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Found):
    """A container of one scan, and the containers of its regions."""

    regions: tuple[RegionFound, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The parts of one report, and of which exam it is; ``elsewhere`` is what belongs to no scan, below the root."""

    occasion: Occasion
    scans: tuple[Scan, ...]
    trends: tuple[Trend, ...]
    elsewhere: tuple[Item, ...]


def lay_out(root: Item, occasion: Occasion, notes: Notes) -> Layout:
    """Find the parts of a report; a container with numbers that is none of them, or of another exam, is remarked."""
    finder = _Finder(occasion, Texts(root), notes)
    for item in root.children:
        finder.look_at(item)
    return Layout(
        occasion=occasion, scans=tuple(finder.scans), trends=tuple(finder.trends), elsewhere=tuple(finder.elsewhere)
    )


class _Finder:
    """One pass over the containers of a report."""

    def __init__(self, occasion: Occasion, texts: Texts, notes: Notes) -> None:
        self._occasion = occasion
        self._dialect = occasion.dialect
        self._texts = texts
        self._notes = notes
        self.scans: list[Scan] = []
        self.trends: list[Trend] = []
        self.elsewhere: list[Item] = []

    def look_at(self, item: Item) -> None:
        """Put an item below the root where it belongs."""
        if item.value_type != "CONTAINER":
            self.elsewhere.append(item)
        elif self._is_set_apart(item, None, None):
            return
        elif rule := self._first(self._dialect.scans, item):
            if another := self._occasion.why_another(item.children):
                self._notes.remark(f"{quoted(item)} was not read: it {another}")
                return
            site, side = self._place(item, rule)
            regions = tuple(self._regions(item, site, side))
            self.scans.append(Scan(container=item, site=site, side=side, regions=regions))
        else:
            self.elsewhere.append(item)
            has_numbers = any(below.value_type == "NUM" for below in item.walk())
            if has_numbers and self._dialect.noted.find(item.concept) is None:
                self._notes.remark(f"{quoted(item)} was not read: the dialect does not know it as a scan")

    def _is_set_apart(self, item: Item, site: Site | None, side: Side | None) -> bool:
        """Whether a container is a trend, which is kept beside, or one that is never a measurement."""
        rule = self._first(self._dialect.trends, item)
        if rule is not None:
            own_site, own_side = self._place(item, rule)
            self.trends.append(Trend(container=item, site=own_site or site, side=own_side or side, rule=rule))
            return True
        never = self._first(self._dialect.never, item)
        if never is not None:
            self._notes.put_aside(item, never.because)
        return never is not None

    def _regions(self, scan: Item, site: Site | None, side: Side | None) -> Iterator[RegionFound]:
        wanted = self._dialect.region.container
        number = 0
        for item in scan.children:
            if item.value_type != "CONTAINER" or self._is_set_apart(item, site, side):
                continue
            number += 1
            if wanted is not None and not wanted.matches(item.concept):
                continue
            if self._dialect.noted.find(item.concept):
                self._notes.remark(f"{quoted(item)} is known, and is no density")
                continue
            label = f"{quoted(item)}, number {number} of {quoted(scan)},"
            if another := self._occasion.why_another(item.children):
                self._notes.remark(f"{label} was not read: it {another}")
                continue
            yield RegionFound(container=item, label=label)

    def _place(self, item: Item, rule: ContainerRule) -> tuple[Site | None, Side | None]:
        """Where a container's results lie: by its rule, else by the first place whose conditions hold."""
        if rule.site is not None:
            return rule.site, rule.side
        for place in self._dialect.places:
            if self._texts.satisfy(place.where, item):
                return place.site, place.side
        return None, rule.side

    def _first(self, rules: tuple[_Rule, ...], item: Item) -> _Rule | None:
        return next((rule for rule in rules if rule.matches(item, self._texts)), None)
