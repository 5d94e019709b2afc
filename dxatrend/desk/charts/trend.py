"""The trend plot of a region: BMD in g/cm² over time and age, with the LSC band, breaks, therapies and a legend.

What it shows is a ``Plot``, as on the pages of an addendum; the geometry is ``plot_geometry``'s for both. The present
exam has a ring, prior and baseline their names. No line crosses a break, and no reference curve is drawn.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from enum import StrEnum

from markupsafe import Markup

from dxatrend.desk.charts import svg
from dxatrend.desk.charts.svg import LINE, Area, Box, Scale
from pipeline.clinical.clinical_context import Therapy
from pipeline.clinical.wording.names import bmd_in_text, lsc_in_text
from pipeline.sr.render.plot_geometry import (
    Axis,
    age_ticks,
    bmd_axis,
    labelled_breaks,
    points,
    time_axis,
    unbroken_stretches,
)
from pipeline.sr.render.plots import NOT_COMPARABLE, Band, Plot, Point, ScanGroup

WIDTH = 600.0
_HEIGHT = 230.0
"""Height of the data, without axes, labels of the rules and legend."""

_LEFT, _RIGHT = 50.0, 8.0
_ROOM_FOR_BMD = 46.0
"""Space on the right of the present exam for its BMD."""

_STRIP = 20.0
"""Height of the strip of therapies below the years."""

_OPEN, _CROSSED = ("square", "triangle", "diamond"), ("cross", "plus")
"""Shapes of scans that are not comparable, and of those that are excluded: one for each reason."""


_BAR = "bar"
"""Stands for a filled rectangle among the shapes of the legend."""


class Reference(StrEnum):
    """The exam that the LSC band is drawn about."""

    PRIOR = "prior"
    BASELINE = "baseline"


def band_about(plot: Plot, reference: Reference) -> Band | None:
    """Return the band about a reference; that about the prior where the baseline has none of its own."""
    return plot.baseline_band if reference is Reference.BASELINE and plot.baseline_band else plot.band


def trend_plot(plot: Plot, identity: str, reference: Reference = Reference.PRIOR) -> Markup:
    """Return the plot as SVG; ``identity`` is an id that nothing else on the page has."""
    return _Drawing(plot, band_about(plot, reference), reference).svg(identity)


class _Drawing:
    """One plot while it is drawn: its scales, and the places that labels may not cover."""

    def __init__(self, plot: Plot, band: Band | None, reference: Reference) -> None:
        self.plot, self.band, self.reference = plot, band, reference
        width = WIDTH - _LEFT - _RIGHT
        self.time = time_axis(plot, width, right_margin=_ROOM_FOR_BMD, year_width=40)
        top = LINE + 8 if plot.birth_date else 0
        days = Scale(self.time.begins, self.time.ends, _LEFT, WIDTH - _RIGHT)
        rules = [(days(at), text) for at, text in labelled_breaks(plot.breaks, 0.5)]
        self.rules = svg.in_lanes(rules, Area(_LEFT, 0, WIDTH - _RIGHT, 0))
        above = LINE * (1 + max((rule.lane for rule in self.rules), default=-1))
        self.area = Area(_LEFT, top + LINE + 8, WIDTH - _RIGHT, top + LINE + 8 + above + _HEIGHT)
        self.values = bmd_axis(plot, band)
        self.x = days
        self.y = Scale(self.values.begins, self.values.ends, self.area.bottom, self.area.top + above)
        self.taken: list[Box] = []

    def svg(self, identity: str) -> Markup:
        """Return the whole picture."""
        below = self.area.bottom + LINE + 10
        strip = _STRIP if self.plot.therapies else 0.0
        legend = list(self._legend(below + strip + LINE))
        return svg.chart(
            identity,
            size=(WIDTH, below + strip + LINE * len(legend) + 8),
            title=f"{self.plot.region}: BMD over time",
            description=" ".join(self._sentences()),
            marks=[
                *self._band(),
                svg.value_axis(self.area, self.y, self.values.ticks, "g/cm²"),
                svg.time_axis(self.area, self.x, self.time.ticks),
                *self._ages(),
                *self._breaks(),
                *self._therapies(below),
                *self._scans(),
                *legend,
            ],
        )

    def _band(self) -> Iterator[Markup]:
        if self.band:
            middle, lsc = float(self.band.bmd), float(self.band.lsc)
            yield svg.band(self.area, self.y, middle - lsc, middle + lsc, "chart-band")
            yield svg.line([(self.area.left, self.y(middle)), (self.area.right, self.y(middle))], "chart-middle")

    def _ages(self) -> Iterator[Markup]:
        if self.plot.birth_date:
            most = int((self.area.right - self.area.left) / 30)
            axis = Axis(self.time.begins, self.time.ends, ())
            ticks = age_ticks(self.plot, self.plot.birth_date, axis, most=most)
            yield svg.upper_axis(self.area, self.x, ticks, "age", y=self.area.top - LINE - 4)

    def _breaks(self) -> Iterator[Markup]:
        tops = {rule.at: self.area.top + LINE * rule.lane for rule in self.rules}  # below the words of other rules
        for one in self.plot.breaks:
            at = self.x(one.on.toordinal())
            top = tops.get(at, self.area.top)
            yield svg.line([(at, top), (at, self.area.bottom)], "chart-break", one.reason)
            self.taken.append(Box(at - 1, top, at + 1, self.area.bottom))
        for rule in self.rules:
            yield svg.label(rule.begins, self.area.top + LINE * (rule.lane + 1) - 4, rule.text, "chart-break-name")

    def _therapies(self, top: float) -> Iterator[Markup]:
        for course in self.plot.therapies:
            begins, ends = (self.x.within(day.toordinal()) for day in (course.begins, course.ends))
            if ends <= begins:
                continue
            name = _THERAPIES[course.therapy]
            title = f"{name} {course.begins} to {course.ends}"
            yield svg.rectangle(
                begins, top, max(ends - begins, 2), _STRIP - 4, f"chart-therapy chart-{course.therapy}", title
            )
            if svg.text_width(name) + 8 <= ends - begins:
                yield svg.label(begins + 4, top + _STRIP - 8, name, "chart-therapy-name")

    def _scans(self) -> Iterator[Markup]:
        for point in points(self.plot):
            x, y = self._place(point)
            self.taken.append(Box(x - 6, y - 6, x + 6, y + 6))
        for group, shape in self._not_comparable():
            for point in group.points:
                yield svg.mark(shape, *self._place(point), "chart-other", f"{_scan(point)}, {group.reason}")
        for group, shape in self._excluded():
            for point in group.points:
                yield svg.mark(shape, *self._place(point), "chart-excluded", f"{point.on}, not used: {group.reason}")
        for day in self.plot.held_days:
            x, y = self.x(day.toordinal()), self.area.bottom - 7
            yield svg.mark("cross", x, y, "chart-excluded", f"{day}: held for a person")
            yield from self._name(x, y, "held", sides=svg.SIDES)
        for stretch in unbroken_stretches(self.plot):
            places = [self._place(point) for point in stretch]
            self.taken += svg.along(places)
            yield svg.line(places, "chart-line")
        for point in self.plot.series:
            name = "chart-scan chart-hollow" if point.recomputed else "chart-scan"
            this = point is self.plot.series[-1]
            yield svg.mark("ring" if this else "circle", *self._place(point), name, _scan(point))
        yield from self._names()

    def _names(self) -> Iterator[Markup]:
        """Yield the BMD of this exam, the names of prior and baseline, and sets of vertebrae that differ."""
        *earlier, this = self.plot.series
        yield from self._name(*self._place(this), bmd_in_text(this.bmd), "chart-value", distance=12, sides=svg.SIDES)
        for point in earlier:
            roles = [role for role, on in self._references() if on == point.on]
            if words := [" and ".join(roles)] * bool(roles) + [point.printed] * bool(point.printed):
                yield from self._name(*self._place(point), ", ".join(words))
        if this.printed:
            yield from self._name(*self._place(this), this.printed, distance=14)

    def _references(self) -> tuple[tuple[str, date | None], ...]:
        return ("prior", self.plot.prior_on), ("baseline", self.plot.baseline_on)

    def _name(
        self,
        x: float,
        y: float,
        text: str,
        name: str = "chart-name",
        *,
        distance: float = 9.0,
        sides: Sequence[str] = ("above", "below", "right", "left"),
    ) -> Iterator[Markup]:
        place = svg.beside(x, y, text, self.taken, self.area, distance=distance, sides=sides)
        yield svg.label(*place, text, name)

    def _place(self, point: Point) -> tuple[float, float]:
        return self.x(point.on.toordinal()), self.y(float(point.bmd))

    def _not_comparable(self) -> Iterator[tuple[ScanGroup, str]]:
        return zip(self.plot.not_comparable, _OPEN, strict=False)

    def _excluded(self) -> Iterator[tuple[ScanGroup, str]]:
        return zip(self.plot.excluded, _CROSSED, strict=False)

    def _legend(self, first: float) -> Iterator[Markup]:
        """Yield one line for each kind of mark that is drawn: the mark, and its meaning."""
        x = _LEFT + 4
        for number, (shape, name, meaning) in enumerate(self._meanings()):
            y = first + LINE * number
            if shape == _BAR:
                sample = svg.rectangle(x - 6, y - 9, 12, 10, name)
            else:
                sample = svg.mark(shape, x, y - 4.5, name, radius=2.5 if shape == "ring" else 4.5)
            text = svg.shortened(meaning, WIDTH - _LEFT - 18)
            yield svg.group("chart-legend", sample, svg.label(x + 12, y, text, "chart-name"))

    def _meanings(self) -> Iterator[tuple[str, str, str]]:
        """Yield shape, class and meaning of each kind of mark that is drawn."""
        yield "ring", "chart-scan", "this exam"
        if len(self.plot.series) > 1:
            yield "circle", "chart-scan", "earlier exams that may be compared with it"
        if any(point.recomputed for point in self.plot.series):
            yield (
                "circle",
                "chart-scan chart-hollow",
                "recomputed for these vertebrae; the set that was printed is named",
            )
        if self.band:
            yield _BAR, "chart-band", f"LSC {lsc_in_text(self.band.lsc)} g/cm² about the {self._about()}"
        for group, shape in self._not_comparable():
            words = group.reason if group.reason == NOT_COMPARABLE else f"not comparable: {group.reason}"
            yield shape, "chart-other", words
        for group, shape in self._excluded():
            yield shape, "chart-excluded", f"not used: {group.reason}"
        if self.plot.held_days:
            yield "cross", "chart-excluded", "on the axis: an exam held for a person, its BMD not used"
        for therapy in dict.fromkeys(course.therapy for course in self.plot.therapies):
            yield _BAR, f"chart-therapy chart-{therapy}", f"{_THERAPIES[therapy]} on record"

    def _about(self) -> str:
        about_baseline = self.reference is Reference.BASELINE and self.band is self.plot.baseline_band
        name, on = self._references()[1 if about_baseline else 0]
        return f"{name} of {on}" if on else name

    def _sentences(self) -> Iterator[str]:
        """Yield what is seen, for those who do not see it."""
        this, count = self.plot.series[-1], len(self.plot.series) - 1
        yield f"Exam of {this.on}: {bmd_in_text(this.bmd)} g/cm²."
        yield f"{count} earlier {'exam' if count == 1 else 'exams'} may be compared with it."
        if self.band:
            low, high = (bmd_in_text(self.band.bmd + sign * self.band.lsc) for sign in (-1, 1))
            yield f"The band of the LSC about the {self._about()} is from {low} to {high} g/cm²."
        for group in self.plot.not_comparable:
            yield f"Not comparable: {group.reason}, {_days(group)}."
        for group in self.plot.excluded:
            yield f"Not used: {_days(group)}, {group.reason}."
        for one in self.plot.breaks:
            yield f"Break on {one.on}: {one.reason}."
        for day in self.plot.held_days:
            yield f"Held for a person: {day}."
        yield "The table below has the numbers."


_THERAPIES = {
    Therapy.NONE: "no therapy",
    Therapy.ANTIRESORPTIVE: "antiresorptive therapy",
    Therapy.ANABOLIC: "anabolic therapy",
    Therapy.OTHER: "other therapy",
}


def _scan(point: Point) -> str:
    printed = f", printed {point.printed}" if point.printed else ""
    return f"{point.on}: {bmd_in_text(point.bmd)} g/cm²{printed}"


def _days(group: ScanGroup) -> str:
    return ", ".join(dict.fromkeys(str(point.on) for point in group.points))
