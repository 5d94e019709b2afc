"""Find the scans of a report, the regions of each scan, and the vendor's own trend.

A scan is a container below the root, a region a container below a scan. A container that the dialect does not know and
that holds all there is of them is a wrapper, and is looked into. Beside a scan or region that the dialect does know it
is put aside, as is whatever calls itself earlier: a history under a name nobody told us must not pass for today's
measurement.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from pipeline.clinical.regions import Side, Site
from pipeline.sr.dialects.model import ContainerRule, Quantity, Texts, TrendRule
from pipeline.sr.dicom.content_item import Item
from pipeline.sr.extract.remarks import Notes, quoted
from pipeline.sr.extract.temporal_context import TimePointContext

_EARLIER = re.compile(
    r"\b(?:hist|prev|prior|baseline|earlier|former|past|old|last|trend|compar|development|course"
    r"|diff|change[ _](?:vs|since)"
    r"|verlauf|vor(?:befund|herig|unters|aufnahme)|fr\u00fcher|alt(?:e|er|es)?\b"
    r"|pr\u00e9c\u00e9d|ant\u00e9r|anteriores|evolu|\u00e9volu|preced|storico)",
    re.IGNORECASE,
)
"""How words begin that tell of earlier exams or of differences: English, German, French, Spanish and Italian."""

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

    time_point: TimePointContext
    scans: tuple[Scan, ...]
    trends: tuple[Trend, ...]
    elsewhere: tuple[Item, ...]


def lay_out(root: Item, time_point: TimePointContext, notes: Notes) -> Layout:
    """Find the parts of a report; a container with numbers that is none of them, or of another exam, is remarked."""
    finder = _Finder(time_point, Texts(root), notes)
    finder.look_into(root)
    return Layout(
        time_point=time_point, scans=tuple(finder.scans), trends=tuple(finder.trends), elsewhere=tuple(finder.elsewhere)
    )


class _Finder:
    """One pass over the containers of a report."""

    def __init__(self, time_point: TimePointContext, texts: Texts, notes: Notes) -> None:
        self._time_point = time_point
        self._dialect = time_point.dialect
        self._texts = texts
        self._notes = notes
        self.scans: list[Scan] = []
        self.trends: list[Trend] = []
        self.elsewhere: list[Item] = []

    def look_into(self, around: Item) -> None:
        """Put what is below the root, or below a wrapper, where it belongs."""
        wrappers = self._wrappers(around.children, self._is_scan)
        for item in around.children:
            if item.value_type != "CONTAINER":
                self.elsewhere.append(item)
            elif self._is_set_apart(item, None, None):
                continue
            elif rule := self._first(self._dialect.scans, item):
                self._keep_scan(item, rule)
            elif id(item) in wrappers:
                if earlier := self._why_earlier(item, alone=len(wrappers) == 1):
                    self._notes.ignored(item, earlier)
                else:
                    self.look_into(item)
            else:
                self._keep_elsewhere(item)

    def _keep_scan(self, item: Item, rule: ContainerRule) -> None:
        if another := self._time_point.why_another(item.children):
            self._notes.remark(f"{quoted(item)} was not read: it {another}")
            return
        site, side = self._place(item, rule)
        regions = tuple(self._regions(item, item, site, side, count(1)))
        self.scans.append(Scan(container=item, site=site, side=side, regions=regions))

    def _keep_elsewhere(self, item: Item) -> None:
        """Keep what a container tells that is no scan; its numbers may be results, and of that it is told."""
        if self._holds(item, self._is_scan):  # what else stands there is of another exam as well
            self._notes.ignored(item, "it stands beside scans, and the dialect does not know it")
            return
        self.elsewhere.append(item)
        has_numbers = any(below.value_type == "NUM" for below in item.walk())
        if has_numbers and self._dialect.noted.find(item.concept) is None:
            self._notes.ignored(item, "the dialect does not know it as a scan")

    def _wrappers(self, items: Sequence[Item], is_known: Callable[[Item], bool]) -> set[int]:
        """Which containers, by their identity, hold what is known, where none of what is known stands beside them."""
        able = [item for item in items if item.value_type == "CONTAINER" and not self._is_never(item)]
        if any(is_known(item) for item in able):
            return set()
        return {id(item) for item in able if self._holds(item, is_known)}

    def _holds(self, item: Item, is_known: Callable[[Item], bool]) -> bool:
        """Whether something known stands anywhere below a container."""
        able = (below for below in item.children if below.value_type == "CONTAINER" and not self._is_never(below))
        return any(is_known(below) or self._holds(below, is_known) for below in able)

    def _is_scan(self, item: Item) -> bool:
        return self._first(self._dialect.scans, item) is not None

    def _is_region(self, item: Item) -> bool:
        """Whether a container below a scan holds a region's results: by its name, or by the density in it."""
        wanted = self._dialect.region.container
        if wanted is not None:
            return wanted.matches(item.concept)
        return any(self._dialect.quantities.find(below.concept) is Quantity.BMD for below in item.children)

    def _is_never(self, item: Item) -> bool:
        return any(self._first(rules, item) for rules in (self._dialect.trends, self._dialect.never))

    def _why_earlier(self, wrapper: Item, *, alone: bool) -> str:
        """Why what stands in a wrapper is not of this exam; empty where nothing says so."""
        name = wrapper.concept.meaning if wrapper.concept else ""
        if _EARLIER.search(name):
            return "its name tells of earlier exams or of differences"
        if self._time_point.is_its_day(name) is False:
            return "its name is another day"
        if another := self._time_point.why_another(wrapper.children):
            return f"it {another}"
        return "" if alone or not self._time_point.is_of_another_day(wrapper.children) else "it is dated on another day"

    def _is_set_apart(self, item: Item, site: Site | None, side: Side | None) -> bool:
        """Whether a container is a trend, which is kept beside, or one that is never a measurement."""
        rule = self._first(self._dialect.trends, item)
        if rule is not None:
            own_site, own_side = self._place(item, rule)
            self.trends.append(Trend(container=item, site=own_site or site, side=own_side or side, rule=rule))
            return True
        never = self._first(self._dialect.never, item)
        if never is not None:
            self._notes.ignored(item, never.because)
        return never is not None

    def _regions(
        self, scan: Item, around: Item, site: Site | None, side: Side | None, counter: Iterator[int]
    ) -> Iterator[RegionFound]:
        """The regions of a scan below it, or below a wrapper in it; the counter tells those of one name apart."""
        wanted = self._dialect.region.container
        wrappers = self._wrappers(around.children, self._is_region)
        for item in around.children:
            if item.value_type != "CONTAINER" or self._is_set_apart(item, site, side):
                continue
            if id(item) in wrappers:
                if earlier := self._why_earlier(item, alone=len(wrappers) == 1):
                    self._notes.ignored(item, earlier)
                else:
                    yield from self._regions(scan, item, site, side, counter)
                continue
            if not self._is_region(item) and self._holds(item, self._is_region):
                self._notes.ignored(item, "it stands beside regions, and the dialect does not know it")
                continue
            number = next(counter)
            if wanted is not None and not wanted.matches(item.concept):
                continue
            if self._dialect.noted.find(item.concept):
                self._notes.remark(f"{quoted(item)} is known, and is no density")
                continue
            label = f"{quoted(item)}, number {number} of {quoted(scan)},"
            if another := self._time_point.why_another(item.children):
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
