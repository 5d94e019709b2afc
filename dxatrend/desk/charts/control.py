"""Control charts of a phantom: deviation from the baseline with its limits, CUSUM, and content and area beside them.

Deviations are in percent of the mean of each segment's baseline, so that phantoms of different density share one scale.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from markupsafe import Markup

from dxatrend.desk.charts import svg
from dxatrend.desk.charts.svg import LINE, Area, Box, Scale
from pipeline.clinical.phantom_chart import JudgedScan, Outcome, Segment
from pipeline.clinical.phantom_qc import CUSUM_LIMIT, HUNDRED, LIMIT_PERCENT, QualityRule
from pipeline.edge.overview.chart_table import ChartRow
from pipeline.edge.quality_control.charts import Series
from pipeline.edge.store.qc_stops import Stop

WIDTH = 900.0
_LEFT, _RIGHT = 62.0, 64.0
_HEIGHT, _CUSUM_HEIGHT, _SMALL_HEIGHT = 240.0, 90.0, 80.0
_GAP = 34.0
_LEAST_PERCENT = 2.0
"""The scale shows at least so many percent to each side, so that noise looks small."""

_GAP_DAYS = 14.0
"""So many days without a scan are a gap, which no line crosses."""

_SHAPES = {
    Outcome.NO_LIMITS: ("circle", "qc-scan qc-early"),
    Outcome.FIT: ("circle", "qc-scan"),
    Outcome.WARNING: ("triangle", "qc-scan qc-warning"),
    Outcome.REFUTED: ("diamond", "qc-scan qc-warning"),
    Outcome.REPEAT: ("diamond", "qc-scan qc-out"),
    Outcome.CONFIRMED: ("cross", "qc-out"),
}
_MEANINGS = {
    Outcome.NO_LIMITS: "no limits yet",
    Outcome.FIT: "within its limits",
    Outcome.WARNING: "warning: 1-2s or CUSUM",
    Outcome.REFUTED: "outside, not confirmed by two repeats",
    Outcome.REPEAT: "outside, to be repeated twice",
    Outcome.CONFIRMED: "outside, confirmed by two repeats",
}


@dataclass(frozen=True, slots=True)
class _Panel:
    """One part of the picture: its area, and its scale of values."""

    area: Area
    y: Scale


def control_chart(
    series: Series, rows: Sequence[ChartRow], stops: Sequence[Stop], identity: str, *, today: date
) -> Markup:
    """Return the scans of some rows as SVG; ``identity`` is an id that nothing else on the page has."""
    return _Drawing(series, rows, stops, today).svg(identity)


class _Drawing:
    """One picture while it is drawn."""

    def __init__(self, series: Series, rows: Sequence[ChartRow], stops: Sequence[Stop], today: date) -> None:
        self.series, self.rows, self.stops = series, rows, stops
        first, last = (
            rows[0].performed_at,
            max(rows[-1].performed_at, datetime.combine(today, rows[0].performed_at.time())),
        )
        span = max(_days(last) - _days(first), 30.0)
        self.x = Scale(_days(last) - span - span * 0.015, _days(last) + span * 0.015, _LEFT, WIDTH - _RIGHT)
        labels = [(self.x(_days(at)), text) for at, text in self._rules()]
        self.rules = svg.in_lanes(labels, Area(_LEFT, 0, WIDTH - _RIGHT, 0))
        above = LINE * (1 + max((rule.lane for rule in self.rules), default=-1))
        top = 22.0 + above
        most = max((abs(float(row.judged.percent)) for row in rows), default=0.0)
        reach = max(_LEAST_PERCENT, min(most * 1.08, 8.0), *(3.2 * _sd_percent(one) for one in self._segments()), 0.0)
        self.main = self._panel(top, _HEIGHT, -reach, reach)
        highest = max([float(max(row.judged.cusum)) for row in rows] + [float(CUSUM_LIMIT) * 1.25])
        self.cusum = self._panel(self.main.area.bottom + _GAP, _CUSUM_HEIGHT, -highest, highest)
        self.small = self._panel(self.cusum.area.bottom + _GAP, _SMALL_HEIGHT, -reach, reach)
        self.has_small = any(row.bmc is not None or row.area is not None for row in rows)
        self.taken: list[Box] = []
        self._gap = self.x(_GAP_DAYS) - self.x(0)

    def svg(self, identity: str) -> Markup:
        """Return the whole picture."""
        bottom = self.small.area.bottom if self.has_small else self.cusum.area.bottom
        legend = list(self._legend(bottom + 2 * LINE + 12))
        return svg.chart(
            identity,
            size=(WIDTH, bottom + 2 * LINE + 12 + LINE * len(legend)),
            title=f"{self.series.phantom.name} on {self.series.scanner.serial_number}: deviation from the baseline",
            description=" ".join(self._sentences()),
            marks=[
                *self._stopped(),
                *self._limits(),
                *self._axes(bottom),
                *self._marks_of_rules(),
                *self._scans(),
                *self._cusum(),
                *(self._content_and_area() if self.has_small else ()),
                *legend,
            ],
        )

    def _panel(self, top: float, height: float, low: float, high: float) -> _Panel:
        area = Area(_LEFT, top, WIDTH - _RIGHT, top + height)
        return _Panel(area, Scale(low, high, area.bottom, area.top))

    def _segments(self) -> list[Segment]:
        return list({id(row.judged.segment): row.judged.segment for row in self.rows}.values())

    def _rules(self) -> Iterator[tuple[datetime, str]]:
        """Yield the vertical rules: work on the scanner, and why a new baseline begins."""
        first, last = self.rows[0].performed_at, self.rows[-1].performed_at
        reasons = [
            (one.begins, f"new baseline: {one.reason}") for one in self._segments() if one.reason != "first scan"
        ]
        named = {reason for _, reason in reasons}
        for bridge in self.series.chart.bridges:
            at = datetime.combine(bridge.mark.day, datetime.min.time())
            is_named = any(bridge.mark.what in reason for reason in named)
            if first <= at <= last and not is_named:
                yield at, bridge.mark.what
        yield from ((at, reason) for at, reason in reasons if first <= at)

    def _stopped(self) -> Iterator[Markup]:
        area = self.main.area
        for stop in self.stops:
            if stop.annulled or (stop.fit_again_at and stop.fit_again_at < self.rows[0].performed_at):
                continue
            begins = max(area.left, self.x(_days(stop.begins)))
            ends = min(area.right, self.x(_days(stop.fit_again_at)) if stop.fit_again_at else area.right)
            title = f"Stop {stop.number}: exams of this time carry a caution"
            width = max(ends - begins, 2.0)
            yield svg.rectangle(begins, area.top, width, area.bottom - area.top, "qc-stop", title)

    def _limits(self) -> Iterator[Markup]:
        segments = self._segments()
        area, y = self.main.area, self.main.y
        for segment, following in zip(segments, [*segments[1:], None], strict=True):
            begins = max(area.left, self.x(_days(segment.begins)))
            ends = self.x(_days(following.begins)) if following else area.right
            if segment.baseline is None:
                continue
            sd = _sd_percent(segment)
            yield svg.rectangle(
                begins, y.within(2 * sd), ends - begins, y.within(-2 * sd) - y.within(2 * sd), "qc-band"
            )
            for value, name in ((0.0, "qc-mean"), (float(LIMIT_PERCENT), "qc-limit"), (3 * sd, "qc-sd")):
                for sign in (1, -1) if value else (1,):
                    yield svg.line([(begins, y(sign * value)), (ends, y(sign * value))], name)
            if following is None:
                yield from self._names_of_limits(sd)

    def _names_of_limits(self, sd: float) -> Iterator[Markup]:
        """Yield the names of the limits on the right, the outer one of two that are close left out."""
        area, y = self.main.area, self.main.y
        names = [(0.0, "mean"), (float(LIMIT_PERCENT), "1.5 %"), (2 * sd, "2 SD"), (3 * sd, "3 SD")]
        for sign in (1, -1):
            placed: list[float] = []
            for value, name in names if sign == 1 else names[1:]:
                at = y(sign * value)
                if area.top <= at <= area.bottom and all(abs(at - other) >= LINE - 3 for other in placed):
                    placed.append(at)
                    yield svg.label(area.right + 6, at + 4.5, name, "chart-tick")

    def _axes(self, bottom: float) -> Iterator[Markup]:
        main, cusum = self.main, self.cusum
        reach = int(main.y.high)
        step = 1 if reach <= 4 else 2
        percents = [(float(value), f"{value:+d} %" if value else "0") for value in range(-reach, reach + 1, step)]
        yield svg.value_axis(main.area, main.y, percents, "BMD, deviation from the mean of the baseline")
        limit = float(CUSUM_LIMIT)
        yield svg.value_axis(
            cusum.area, cusum.y, [(-limit, "−5"), (0, "0"), (limit, "+5")], "CUSUM, in SD: a drift shows here first"
        )
        if self.has_small:
            few = [(value, text) for value, text in percents if value in (-reach, 0.0, float(reach))]
            yield svg.value_axis(self.small.area, self.small.y, few, "content (●) and area (◇), deviation")
        yield svg.time_axis(Area(_LEFT, 0, WIDTH - _RIGHT, bottom), self.x, self._days_on_axis())

    def _days_on_axis(self) -> list[tuple[float, str]]:
        """Return months, or years where there are many."""
        first, last = date.fromordinal(int(self.x.low)), date.fromordinal(int(self.x.high))
        months = [date(year, month, 1) for year in range(first.year, last.year + 1) for month in range(1, 13)]
        within = [day for day in months if first <= day <= last]
        every = next(step for step in (1, 2, 3, 6, 12, 24, 60) if len(within) / step <= 9)
        shown = [day for day in within if (day.year * 12 + day.month - 1) % every == 0]
        if not shown:
            return [(float(row.performed_at.toordinal()), f"{row.performed_at:%-d %b %Y}") for row in self.rows[:1]]
        return [(float(day.toordinal()), f"{day:%Y}" if every >= 12 else f"{day:%b %Y}") for day in shown]

    def _marks_of_rules(self) -> Iterator[Markup]:
        bottom = self.small.area.bottom if self.has_small else self.cusum.area.bottom
        for rule in self.rules:
            yield svg.line([(rule.at, self.main.area.top - LINE), (rule.at, bottom)], "chart-break")
            y = self.main.area.top - 22 - LINE * rule.lane
            yield svg.label(rule.begins, y + 2, rule.text, "chart-break-name")

    def _scans(self) -> Iterator[Markup]:
        marks = []
        repeats = {scan.number for row in self.rows for scan in row.judged.repeats}
        for row in self.rows:
            shape, name = _SHAPES[row.judged.outcome]
            if row.judged.scan.number in repeats:
                shape, name = "circle", "qc-scan qc-repeat"
            x, y = self._place(row)
            marks.append(svg.mark(shape, x, y, name, _title(row), radius=3.2 if shape == "circle" else 5.0))
            self.taken.append(Box(x - 4, y - 4, x + 4, y + 4))
        yield svg.group("qc-scans", *marks)
        for row in self.rows:
            judged = row.judged
            named = judged.failed_rules if judged.asks_for_repeats else ()
            if QualityRule.CUSUM in judged.rules:
                named = (*named, QualityRule.CUSUM)
            if named:
                text = ", ".join(rule.value for rule in named)
                yield from self._name(*self._place(row), text)

    def _name(self, x: float, y: float, text: str) -> Iterator[Markup]:
        """Yield the rules at a scan, where there is room for them; the table below has them all."""
        begins, baseline = svg.beside(x, y, text, self.taken, self.main.area)
        box = self.taken.pop()
        is_within = box.left >= self.main.area.left and box.right <= self.main.area.right
        if is_within and not any(box.overlaps(other) for other in self.taken):
            self.taken.append(box)
            yield svg.label(begins, baseline, text, "qc-rule")

    def _place(self, row: ChartRow) -> tuple[float, float]:
        return self.x(_days(row.performed_at)), self.main.y.within(float(row.judged.percent))

    def _cusum(self) -> Iterator[Markup]:
        limit = float(CUSUM_LIMIT)
        area, y = self.cusum.area, self.cusum.y
        for sign in (1, -1):
            yield svg.line([(area.left, y(sign * limit)), (area.right, y(sign * limit))], "qc-limit")
            stretch: list[tuple[float, float]] = []
            for row in self.rows:
                at = self.x(_days(row.performed_at))
                if row.judged.limits is None or (stretch and at - stretch[-1][0] > self._gap):
                    yield from _line(stretch)
                    stretch = []
                if row.judged.limits is not None:
                    stretch.append((at, y(sign * float(row.judged.cusum[0 if sign == 1 else 1]))))
            yield from _line(stretch)

    def _content_and_area(self) -> Iterator[Markup]:
        for name, shape in (("bmc", "circle"), ("area", "diamond")):
            for segment in self._segments():
                rows = [row for row in self.rows if row.judged.segment is segment]
                measured = [(row, value) for row in rows if isinstance(value := getattr(row, name), Decimal)]
                if not measured:
                    continue
                mean = sum((value for _, value in measured), Decimal(0)) / len(measured)
                for row, value in measured:
                    percent = HUNDRED * (value - mean) / mean
                    y = self.small.y.within(float(percent))
                    title = f"{row.performed_at:%Y-%m-%d}: {name} {value} ({percent:+.2f} %)"
                    yield svg.mark(shape, self.x(_days(row.performed_at)), y, f"qc-{name}", title, radius=2.6)

    def _legend(self, first: float) -> Iterator[Markup]:
        """Yield the marks that are drawn with their meanings, two in a line."""
        outcomes = {row.judged.outcome for row in self.rows}
        found = [(*_SHAPES[one], meaning) for one, meaning in _MEANINGS.items() if one in outcomes]
        if any(row.judged.repeats for row in self.rows):
            found.append(("circle", "qc-scan qc-repeat", "repeat"))
        for number in range(0, len(found), 2):
            line = []
            for column, (shape, name, meaning) in enumerate(found[number : number + 2]):
                x, y = _LEFT + 4 + column * 380, first + LINE * (number // 2)
                line.append(svg.mark(shape, x, y - 4.5, name, radius=3.2 if shape == "circle" else 5.0))
                line.append(svg.label(x + 12, y, meaning, "chart-name"))
            yield svg.group("chart-legend", *line)

    def _sentences(self) -> Iterator[str]:
        """Yield what is seen, for those who do not see it."""
        rows = self.rows
        yield f"{len(rows)} scans from {rows[0].performed_at:%Y-%m-%d} to {rows[-1].performed_at:%Y-%m-%d}."
        last = rows[-1].judged
        yield f"The last one deviates by {last.percent:+.2f} percent: {last.outcome.value}."
        for at, text in self._rules():
            yield f"{at:%Y-%m-%d}: {text}."
        for row in rows:
            if row.judged.asks_for_repeats:
                yield f"{row.performed_at:%Y-%m-%d}: {row.rules}, {row.judged.outcome.value}."
        yield "The table below has the numbers."


def _line(stretch: Sequence[tuple[float, float]]) -> Iterator[Markup]:
    if len(stretch) > 1:
        yield svg.line(stretch, "qc-cusum")


def _sd_percent(segment: Segment) -> float:
    return float(HUNDRED * segment.baseline.sd / segment.baseline.mean) if segment.baseline else 0.0


def _days(moment: datetime) -> float:
    return moment.toordinal() + (moment.hour * 60 + moment.minute) / 1440


def _title(row: ChartRow) -> str:
    judged: JudgedScan = row.judged
    rules = f", {row.rules}" if row.rules else ""
    measured = f"{judged.scan.bmd} g/cm² ({judged.percent:+.2f} %)"
    return f"{row.performed_at:%Y-%m-%d %H:%M}: {measured}{rules}, {judged.outcome.value}"
