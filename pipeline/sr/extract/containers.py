"""Find the scans of a report, the regions of each scan, and the vendor's own trend.

A scan is a container below the root, a region a container below a scan. A container that the dialect does not know is
a wrapper when all scans, or all regions, are inside such containers; a wrapper is searched. Beside a scan or region
that the dialect knows, an unknown container is ignored, as is one whose name speaks of earlier exams: a history under
an unknown name must not pass for today's measurement.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from pipeline.clinical.regions import Side, Site
from pipeline.sr.dialects.model import ContainerRule, Quantity, Texts, TrendRule
from pipeline.sr.dicom.content_item import Item
from pipeline.sr.extract.remarks import Remarks, quoted
from pipeline.sr.extract.temporal_context import TimePointContext

_EARLIER = re.compile(
    r"\b(?:hist|prev|prior|baseline|earlier|former|past|old|last|trend|compar|development|course"
    r"|diff|change[ _](?:vs|since)"
    r"|verlauf|vor(?:befund|herig|unters|aufnahme)|fr\u00fcher|alt(?:e|er|es)?\b"
    r"|pr\u00e9c\u00e9d|ant\u00e9r|anteriores|evolu|\u00e9volu|preced|storico)",
    re.IGNORECASE,
)
"""Beginnings of words for earlier exams or differences: English, German, French, Spanish and Italian."""

_Rule = TypeVar("_Rule", bound=ContainerRule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A container that a rule of the dialect found, with the site and side of its content where the rule has them."""

    container: Item
    site: Site | None
    side: Side | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend(Found):
    """A container of the scanner's own trend, and the rule that found it."""

    rule: TrendRule


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFound:
    """A container of one region's results, and its name in remarks."""

    container: Item
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Found):
    """A container of one scan, and the containers of its regions."""

    regions: tuple[RegionFound, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """The scans and trends of one report; ``outside`` are the items below the root that belong to no scan."""

    time_point: TimePointContext
    scans: tuple[Scan, ...]
    trends: tuple[Trend, ...]
    outside: tuple[Item, ...]


def find_containers(root: Item, time_point: TimePointContext, remarks: Remarks) -> Containers:
    """Find the scans and trends of a report; add a remark on each other container with numbers."""
    finder = _Finder(time_point, Texts(root), remarks)
    finder.search(root)
    return Containers(
        time_point=time_point, scans=tuple(finder.scans), trends=tuple(finder.trends), outside=tuple(finder.outside)
    )


class _Finder:
    """One pass over the containers of a report."""

    def __init__(self, time_point: TimePointContext, texts: Texts, remarks: Remarks) -> None:
        self._time_point = time_point
        self._dialect = time_point.dialect
        self._texts = texts
        self._remarks = remarks
        self.scans: list[Scan] = []
        self.trends: list[Trend] = []
        self.outside: list[Item] = []

    def search(self, parent: Item) -> None:
        """Sort what is below the root, or below a wrapper, into scans, trends and the rest."""
        wrappers = self._wrappers(parent.children, self._is_scan)
        for item in parent.children:
            if item.value_type != "CONTAINER":
                self.outside.append(item)
            elif self._is_excluded(item, None, None):
                continue
            elif rule := self._first(self._dialect.scans, item):
                self._keep_scan(item, rule)
            elif id(item) in wrappers:
                if earlier := self._why_earlier(item, alone=len(wrappers) == 1):
                    self._remarks.add_ignored(item, earlier)
                else:
                    self.search(item)
            else:
                self._keep_outside(item)

    def _keep_scan(self, item: Item, rule: ContainerRule) -> None:
        if another := self._time_point.why_another_exam(item.children):
            self._remarks.add(f"{quoted(item)} was not read: it {another}")
            return
        site, side = self._place(item, rule)
        regions = tuple(self._regions(item, item, site, side, count(1)))
        self.scans.append(Scan(container=item, site=site, side=side, regions=regions))

    def _keep_outside(self, item: Item) -> None:
        """Keep a container that is no scan for its observation context; add a remark if it has numbers."""
        if self._holds(item, self._is_scan):  # the rest of it is of another exam as well
            self._remarks.add_ignored(item, "it stands beside scans, and the dialect does not know it")
            return
        self.outside.append(item)
        has_numbers = any(below.value_type == "NUM" for below in item.walk())
        if has_numbers and self._dialect.noted.find(item.concept) is None:
            self._remarks.add_ignored(item, "the dialect does not know it as a scan")

    def _wrappers(self, items: Sequence[Item], is_known: Callable[[Item], bool]) -> set[int]:
        """Return the ids of the containers that hold something known, if nothing known is beside them."""
        candidates = [item for item in items if item.value_type == "CONTAINER" and not self._is_never(item)]
        if any(is_known(item) for item in candidates):
            return set()
        return {id(item) for item in candidates if self._holds(item, is_known)}

    def _holds(self, item: Item, is_known: Callable[[Item], bool]) -> bool:
        """Whether something known is anywhere below a container."""
        candidates = (below for below in item.children if below.value_type == "CONTAINER" and not self._is_never(below))
        return any(is_known(below) or self._holds(below, is_known) for below in candidates)

    def _is_scan(self, item: Item) -> bool:
        return self._first(self._dialect.scans, item) is not None

    def _is_region(self, item: Item) -> bool:
        """Whether a container below a scan holds a region's results: by its concept, or by a BMD in it."""
        wanted = self._dialect.region.container
        if wanted is not None:
            return wanted.matches(item.concept)
        return any(self._dialect.quantities.find(below.concept) is Quantity.BMD for below in item.children)

    def _is_never(self, item: Item) -> bool:
        return any(self._first(rules, item) for rules in (self._dialect.trends, self._dialect.never))

    def _why_earlier(self, wrapper: Item, *, alone: bool) -> str:
        """Return why the content of a wrapper is not of this exam; empty where nothing says so."""
        name = wrapper.concept.meaning if wrapper.concept else ""
        if _EARLIER.search(name):
            return "its name speaks of earlier exams or of differences"
        if self._time_point.is_this_exam(name) is False:
            return "its name is another day"
        if another := self._time_point.why_another_exam(wrapper.children):
            return f"it {another}"
        return "" if alone or not self._time_point.is_of_another_day(wrapper.children) else "it is dated on another day"

    def _is_excluded(self, item: Item, site: Site | None, side: Side | None) -> bool:
        """Whether a container is a trend, which is kept separately, or never a measurement of this exam."""
        rule = self._first(self._dialect.trends, item)
        if rule is not None:
            own_site, own_side = self._place(item, rule)
            self.trends.append(Trend(container=item, site=own_site or site, side=own_side or side, rule=rule))
            return True
        never = self._first(self._dialect.never, item)
        if never is not None:
            self._remarks.add_ignored(item, never.because)
        return never is not None

    def _regions(
        self, scan: Item, parent: Item, site: Site | None, side: Side | None, counter: Iterator[int]
    ) -> Iterator[RegionFound]:
        """Yield the regions below a scan or below a wrapper in it; ``counter`` numbers them for remarks."""
        wanted = self._dialect.region.container
        wrappers = self._wrappers(parent.children, self._is_region)
        for item in parent.children:
            if item.value_type != "CONTAINER" or self._is_excluded(item, site, side):
                continue
            if id(item) in wrappers:
                if earlier := self._why_earlier(item, alone=len(wrappers) == 1):
                    self._remarks.add_ignored(item, earlier)
                else:
                    yield from self._regions(scan, item, site, side, counter)
                continue
            if not self._is_region(item) and self._holds(item, self._is_region):
                self._remarks.add_ignored(item, "it stands beside regions, and the dialect does not know it")
                continue
            number = next(counter)
            if wanted is not None and not wanted.matches(item.concept):
                continue
            if self._dialect.noted.find(item.concept):
                self._remarks.add(f"{quoted(item)} is known, and is no density")
                continue
            label = f"{quoted(item)}, number {number} of {quoted(scan)},"
            if another := self._time_point.why_another_exam(item.children):
                self._remarks.add(f"{label} was not read: it {another}")
                continue
            yield RegionFound(container=item, label=label)

    def _place(self, item: Item, rule: ContainerRule) -> tuple[Site | None, Side | None]:
        """Return site and side of a container's results: by its rule, else by the first ``[[place]]`` that fits."""
        if rule.site is not None:
            return rule.site, rule.side
        for place in self._dialect.places:
            if self._texts.satisfy(place.where, item):
                return place.site, place.side
        return None, rule.side

    def _first(self, rules: tuple[_Rule, ...], item: Item) -> _Rule | None:
        return next((rule for rule in rules if rule.matches(item, self._texts)), None)
