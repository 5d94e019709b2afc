"""One report as a person looks at it: its outline, what was read and used, and what was not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.clinical.model import Measurement
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.edge.app import App
from pipeline.edge.extract.time_limit import TimeLimitError, run_with_time_limit
from pipeline.edge.store import receipts
from pipeline.edge.store.receipts import Receipt
from pipeline.sr.dicom.outline import outline
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.extract.measurements import OtherScores
from pipeline.sr.extract.phantom import PhantomReportError
from pipeline.sr.extract.report import Report, extract, trees

LONGEST_SECONDS = 5.0
"""Processor time that a look at one report may take."""

LONGEST_OUTLINE = 200_000
"""Letters of an outline that are shown; no densitometer's report has so many."""


@dataclass(frozen=True, slots=True)
class Outline:
    """One content tree of an object as text, and where in the object it is."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """Some lines on one subject."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """What there is to see of one report; ``problem`` is why it could not be read, or not to its end."""

    outlines: tuple[Outline, ...] = ()
    read_as: str = ""
    used: tuple[Measurement, ...] = ()
    not_used: tuple[Section, ...] = ()
    problem: str = ""


def view(app: App, received: Receipt) -> ReportView:
    """Return what there is to see of a received report, whatever was sent."""
    try:
        return run_with_time_limit(LONGEST_SECONDS, lambda: _view(app, received), lambda: False)
    except TimeLimitError:
        return ReportView(problem=Reason.TOO_SLOW.sentence)


def load(app: App, number: int) -> Receipt | None:
    """Return a receipt with its bytes; ``None`` where there is none of this number.

    Raises:
        DamagedContentError: its bytes are damaged or gone.
    """
    with app.database.read() as connection:
        found = receipts.load(connection, [number])
    return found[0] if found else None


def outlines(elements: Elements) -> Iterator[Outline]:
    """Yield the outline of every content tree of an object.

    Raises:
        UnreadableReportError: it cannot be read.
    """
    for place, tree in trees(elements):
        yield Outline(str(place), outline(tree))


def not_measured(report: Report) -> tuple[Section, ...]:
    """Return what else a report contains, and what of it was not read."""
    left_out = {f"{one.what} {one.reason} and was not used" for one in report.unused}
    sections = (
        _section("scans", [" ".join(filter(None, _scan(report, at))) for at in range(len(report.analyses))]),
        _section("scores against another reference population", map(_other_scores, report.other_scores)),
        _section("the scanner's own trend, never a measurement", map(_trend_point, report.vendor_trend)),
        _section("ignored", [one.replace(" was ignored", "") for one in report.ignored]),
        _section("left out", [f"{one.what} {one.reason}: {one.text!r}" for one in report.unused]),
        _section("remarks", [remark for remark in report.remarks if remark not in left_out]),
    )
    return tuple(section for section in sections if section.lines)


def measurement_line(measurement: Measurement) -> str:
    """Return a measurement as one line."""
    scores = scores_of(measurement)
    against = [f"against {measurement.reference_population}"] if scores and measurement.reference_population else []
    return "  ".join([f"  {measurement.region.key:<24}", f"{measurement.bmd} g/cm2", *scores, *against])


def scores_of(of: Measurement | OtherScores) -> list[str]:
    """Return the scores that a report states, such as ``T -1.2``."""
    return [f"{name} {score}" for name, score in (("T", of.t_score), ("Z", of.z_score)) if score is not None]


def _view(app: App, received: Receipt) -> ReportView:
    known = app.reference_data
    seen: list[Outline] = []
    try:
        elements = read_elements(received.instance.data_set, received.instance.transfer_syntax_uid)
        for one in outlines(elements):
            seen.append(one if len(one.text) <= LONGEST_OUTLINE else Outline(one.place, one.text[:LONGEST_OUTLINE]))
        report = extract(
            elements, app.dialects, known.aliases, known.spellings, phantoms=known.phantoms, zone=known.zone
        )
    except PhantomReportError as phantom:
        measured = phantom.scan.measurements
        return ReportView(outlines=tuple(seen), used=measured, problem=phantom.reason.sentence)
    except UnreadableReportError as problem:
        return ReportView(outlines=tuple(seen), problem=str(problem))
    return ReportView(
        outlines=tuple(seen),
        read_as=f"{report.dialect}, from {report.location}",
        used=report.exam.measurements,
        not_used=not_measured(report),
    )


def _section(title: str, lines: Iterable[str]) -> Section:
    return Section(title, tuple(lines))


def _scan(report: Report, at: int) -> Iterator[str]:
    analysis = report.analyses[at]
    yield analysis.side
    yield analysis.site or "unnamed scan"
    yield f"({analysis.scan})" if analysis.scan else ""
    times = " or ".join(f"{moment:%Y-%m-%d %H:%M}" for moment in analysis.analysed_at)
    yield f"analysed {times}" if times else ""


def _other_scores(scores: OtherScores) -> str:
    population = scores.reference_population or "one without a name"
    return "  ".join([f"{scores.region.key:<24}", *scores_of(scores), f"against {population}"])


def _trend_point(point: TrendPoint) -> str:
    day = point.day.isoformat() if point.day else f"{point.printed_date} ({_days(point.days)})"
    changes = (
        (point.since_previous, "g/cm2 since the previous"),
        (point.since_previous_percent, "% since the previous"),
        (point.since_baseline, "g/cm2 since the first"),
        (point.since_baseline_percent, "% since the first"),
    )
    printed = [f"{value:+f} {what}" for value, what in changes if value is not None]
    bmd = [f"{point.bmd} g/cm2"] if point.bmd is not None else []
    return "  ".join([f"{point.region.key:<24}", day, *bmd, *printed, point.marks]).rstrip()


def _days(days: Sequence[date]) -> str:
    return " or ".join(map(str, days)) or "not a date we can read"
