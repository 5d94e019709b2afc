"""Scanners: whether each is fit by its phantom, its control chart to look at and to print, remedies and service."""

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from io import StringIO

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from dxatrend.desk import shapes
from dxatrend.desk.charts.control import control_chart
from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import NotADayError, Visit, not_found
from pipeline.clinical.model import ZERO
from pipeline.clinical.phantom_qc import BASELINE_DAYS
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations.scanner_quality import QualityRecordError, record_remedy, record_service
from pipeline.edge.overview import chart_table, scanner_fitness
from pipeline.edge.overview.chart_table import ChartRow
from pipeline.edge.overview.phantom_candidates import phantom_candidates
from pipeline.edge.overview.scanner_fitness import ScannerFitness
from pipeline.edge.quality_control.charts import Series
from pipeline.edge.store import scanners

SPANS = (("3m", "3 months", 92), ("1y", "1 year", 366), ("4y", "4 years", 4 * 366), ("all", "everything", 0))
"""How much of a chart may be shown: its name in the address, its words, its days."""

ROWS_SHOWN = 60
"""Scans in the table of the page; the CSV file has them all."""


@dataclass(frozen=True, slots=True)
class ShownSeries:
    """One phantom on the page: its picture, and its rows, the latest first."""

    series: Series
    picture: Markup
    rows: tuple[ChartRow, ...]
    broken: tuple[ChartRow, ...]
    baseline_n: int
    baseline_cv: str


def show(visit: Visit) -> Response:
    """Show a line for each scanner, what wants a person first."""
    found = scanner_fitness.fitness_of_all(visit.app, at=visit.now)
    order = list(shapes.FITNESS)
    found.sort(key=lambda one: (order.index(one.fitness), one.number))
    with visit.app.database.read() as connection:
        candidates = phantom_candidates(connection)
    if visit.sees_patients:
        for candidate in candidates:
            visit.viewed(candidate.patient)
    return visit.render("scanners.html", title="Scanners", found=found, shapes=shapes.FITNESS, candidates=candidates)


def quality(visit: Visit) -> Response:
    """Show the quality control of one scanner."""
    one = _scanner(visit)
    span = visit.text("span") or "1y"
    days = {name: days for name, _, days in SPANS}.get(span)
    if days is None:
        raise HTTPException(400)
    today = visit.today
    since = today - timedelta(days=days) if days else date.min
    return visit.render(
        "scanner_quality.html",
        title=f"Quality control of {one.name or one.scanner.serial_number}",
        one=one,
        shown=[_shown(series, one, since, today, number) for number, series in enumerate(one.series) if series.scans],
        shapes=shapes.FITNESS,
        spans=SPANS,
        span=span,
        today=today,
        fewest_days=BASELINE_DAYS[0],
        may_act=visit.may(Role.ACT),
        may_annul=visit.may(Role.CONFIGURE),
    )


def download(visit: Visit) -> Response:
    """Return every scan of every chart of one scanner as CSV."""
    one = _scanner(visit)
    table = StringIO()
    writer = csv.writer(table)
    writer.writerow(chart_table.HEADS)
    writer.writerows(chart_table.cells(row) for series in one.series for row in chart_table.rows(series))
    name = f"phantom-{one.scanner.serial_number}.csv"
    return visit.download(table.getvalue().encode("utf-8-sig"), name, "text/csv; charset=utf-8")


def remedy(visit: Visit) -> Response:
    """Record what was done about a stop, or that it was not the scanner."""
    one = _scanner(visit)
    back = f"/scanners/{one.number}/qc"
    number, annul = visit.number("stop"), bool(visit.text("annul"))
    if annul and not visit.may(Role.CONFIGURE):
        raise HTTPException(403)
    if number is None or all(stop.number != number for stop in one.every_stop):
        raise not_found()
    what = visit.text("what", longest=500)
    try:
        found = record_remedy(visit.app, number, what, on=visit.day("on"), annul=annul)
    except QualityRecordError as problem:
        return visit.redirect(back, problem=f"Nothing was recorded: {problem}.")
    except NotADayError as problem:
        return visit.redirect(back, problem=f"Nothing was recorded. {problem.detail}")
    if found.stop.annulled:
        return visit.redirect(back, done=f"Stop {number} counts nowhere any more; {found.exams} exams are due again.")
    if found.stop.fit_again_at:
        return visit.redirect(back, done=f"Recorded. Stop {number} has ended: a good scan has followed already.")
    return visit.redirect(back, done=f"Recorded. Stop {number} ends with the next good scan of the phantom.")


def service(visit: Visit) -> Response:
    """Record work on a scanner."""
    one = _scanner(visit)
    back = f"/scanners/{one.number}/qc"
    try:
        day = record_service(visit.app, one.number, visit.text("what", longest=500), on=visit.day("on"))
    except QualityRecordError as problem:
        return visit.redirect(back, problem=f"Nothing was recorded: {problem}.")
    except NotADayError as problem:
        return visit.redirect(back, problem=f"Nothing was recorded. {problem.detail}")
    return visit.redirect(back, done=f"Recorded for {day}. Scan the phantom ten times, repositioned, before patients.")


def _scanner(visit: Visit) -> ScannerFitness:
    number: int = visit.path["number"]
    with visit.app.database.read() as connection:
        if number not in scanners.numbers(connection):
            raise not_found()
    return scanner_fitness.fitness_of(visit.app, number, at=visit.now)


def _shown(series: Series, one: ScannerFitness, since: date, today: date, number: int) -> ShownSeries:
    every = list(chart_table.rows(series))
    rows = [row for row in every if row.performed_at.date() >= since] or every[-1:]
    names = {row.phantom for row in every}
    stops = [stop for stop in one.every_stop if stop.phantom in names]
    segment = series.chart.segments[-1]
    cv = 100 * segment.baseline.sd / segment.baseline.mean if segment.baseline else ZERO
    return ShownSeries(
        series=series,
        picture=control_chart(series, rows, stops, f"chart-{number}", today=today),
        rows=tuple(reversed(rows[-ROWS_SHOWN:])),
        broken=tuple(row for row in reversed(rows) if row.judged.asks_for_repeats),
        baseline_n=len(segment.days),
        baseline_cv=f"{cv:.2f}",
    )


ROUTES: tuple[DeskRoute, ...] = (
    page("/scanners", show, role=Role.LOOK),
    page("/scanners/{number:number}/qc", quality, role=Role.LOOK),
    page("/scanners/{number:number}/qc.csv", download, role=Role.LOOK),
    action("/scanners/{number:number}/remedy", remedy, role=Role.ACT),
    action("/scanners/{number:number}/service", service, role=Role.ACT),
)
