"""Stop a scanner whose phantom is out, and let it go on: what its charts say becomes stops in the database (R7.6).

A stop counts like a QC gap of ``scanners.toml``. Exams since the last good scan become due again at once when it
begins, and later ones when it ends.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from pipeline import __version__
from pipeline.clinical.phantom_chart import Failure, Outcome
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.quality_control.charts import Series, quality_of
from pipeline.edge.store import audit_trail, exams, qc_stops
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.qc_stops import NewStop, Stop

log = logging.getLogger(__name__)

MOST_DAYS = 30
"""How long after a scan it may still stop the scanner: what came in as history is drawn, and stops nothing."""


def update(
    connection: Connection,
    reference_data: ReferenceData,
    scanner_number: int,
    *,
    at: datetime,
    days_are_over: bool = False,
) -> int:
    """Bring the stops of a scanner up to date with its phantom scans, and return how many began, changed or ended.

    With ``days_are_over``, once a night, a scan of an earlier day that nobody has repeated stops the scanner as well.
    """
    now = at.astimezone(reference_data.zone).replace(tzinfo=None)
    changes = 0
    quality = quality_of(connection, reference_data, scanner_number)
    if not quality.scanner.identified:
        return 0  # it may be several scanners, and none of them is compared
    for series in quality.series:
        if not series.chart.scans:
            continue
        judging = _Judging(connection, scanner_number, series, now=now, at=at)
        changes += judging.settle_open() + judging.open_new(days_are_over=days_are_over)
    return changes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """Why a scanner is stopped, as addenda quote it."""

    failure: Failure

    def __str__(self) -> str:
        scan = self.failure.scan
        rules = ", ".join(rule.value for rule in scan.failed_rules)
        repeats = "two repeats confirmed it" if self.failure.confirmed_at else "it was not repeated"
        return f"phantom outside its limits on {scan.scan.day}: {rules}; {repeats}"


class _Judging:
    """The chart of one phantom on one scanner, against the stops on file."""

    def __init__(
        self, connection: Connection, scanner_number: int, series: Series, *, now: datetime, at: datetime
    ) -> None:
        self._connection = connection
        self._scanner = scanner_number
        self._series = series
        self._now, self._at = now, at
        names = {one.scan.phantom for one in series.chart.scans}
        self._on_file: Sequence[Stop] = [
            stop for stop in qc_stops.of_scanner(connection, scanner_number) if stop.phantom in names
        ]

    def settle_open(self) -> int:
        """Confirm, annul or end the open stops that later scans have settled."""
        return sum(self._settle(stop) for stop in self._on_file if stop.is_open)

    def open_new(self, *, days_are_over: bool) -> int:
        """Record what stops the scanner and is not on file."""
        failures = [one for one in self._series.chart.failures if one.confirmed_at or days_are_over]
        return sum(self._open(failure) for failure in failures if self._is_new(failure))

    def _settle(self, stop: Stop) -> bool:
        chart = self._series.chart
        if not stop.confirmed:
            failed = [one for one in chart.scans if one.scan.performed_at == stop.shown_at]
            confirmed = [f for f in chart.failures if f.scan.scan.performed_at == stop.shown_at and f.confirmed_at]
            if confirmed and confirmed[0].confirmed_at:
                reason = str(_Words(failure=confirmed[0]))
                qc_stops.confirm(self._connection, stop.number, reason=reason, shown_at=confirmed[0].confirmed_at)
                self._record(stop, "confirmed", since=stop.begins, reason=reason)
                return True
            if any(one.outcome is Outcome.REFUTED for one in failed):
                qc_stops.annul(self._connection, stop.number)
                self._record(stop, "not confirmed by repeats", since=stop.begins)
                return True
        if stop.remedied_on is None:
            return False
        fit_again_at = chart.fit_again_at(stop.shown_at, stop.remedied_on)
        if fit_again_at is None:
            return False
        qc_stops.end(self._connection, stop.number, fit_again_at=fit_again_at)
        self._record(stop, "fit again", since=fit_again_at, fit_again_at=str(fit_again_at))
        return True

    def _is_new(self, failure: Failure) -> bool:
        shown_at = failure.confirmed_at or failure.scan.scan.performed_at
        if self._now - shown_at > timedelta(days=MOST_DAYS):
            return False
        if failure.confirmed_at is None and failure.scan.scan.day >= self._now.date():
            return False  # it may still be repeated today
        return not any(stop.covers(shown_at) or stop.shown_at == shown_at for stop in self._on_file)

    def _open(self, failure: Failure) -> bool:
        new = NewStop(
            scanner=self._scanner,
            phantom=failure.scan.scan.phantom,
            region=self._series.phantom.region.key,
            reason=str(_Words(failure=failure)),
            confirmed=failure.confirmed_at is not None,
            last_good_at=failure.last_good_at,
            shown_at=failure.confirmed_at or failure.scan.scan.performed_at,
        )
        number = qc_stops.add(self._connection, new, at=self._at)
        stop = qc_stops.find(self._connection, number)
        assert stop is not None  # it was added
        self._on_file = (*self._on_file, stop)
        self._record(stop, "stopped", since=stop.begins, reason=new.reason)
        return True

    def _record(self, stop: Stop, what: str, *, since: datetime, **detail: Any) -> None:
        again = exams.reexamine_scanner(self._connection, self._scanner, since=since, at=self._at)
        found = {"stop": stop.number, "scanner": str(self._series.scanner), "what": what, "exams": again, **detail}
        entry = Entry(event=Event.QC_JUDGED, at=self._at, actor=f"dxatrend {__version__}", detail=found)
        audit_trail.record(self._connection, entry)
        log.warning("quality control: %s", what, extra={"detail": f"stop {stop.number}", "count": again})
