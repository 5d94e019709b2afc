"""Metrics of the service for Prometheus: gauges of what is on file, and counters since this process began.

Names after Prometheus' own rules: base units, ``_total`` for counters, moments instead of ages, no label without a
bound. Nothing here knows a patient; serial numbers name devices, and can be left out.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from pipeline import __version__
from pipeline.edge.alarms.listing import raised
from pipeline.edge.app import App
from pipeline.edge.disk_space import disk_reserve_of
from pipeline.edge.overview.expiries import Expiry, certificates, certificates_of_callers
from pipeline.edge.overview.parts import parts
from pipeline.edge.quality_control.charts import ScannerQuality, quality_in_view
from pipeline.edge.store import (
    alarms,
    audit_trail,
    destination_outages,
    held_work,
    housekeeping_log,
    monitor_counts,
    open_work,
    phantom_scans,
    receipts,
)


class Metrics(Collector):
    """Reads the metrics of the service from its store, once per scrape."""

    def __init__(self, current: Callable[[], App]) -> None:
        self._current = current
        self._lock = threading.Lock()
        self._received: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._delivered: Counter[str] = Counter()
        self._counted_at = datetime.now(UTC)
        with current().database.read() as connection:
            self._last_receipt = receipts.last_number(connection)
            self._last_entry = audit_trail.last_number(connection)

    def describe(self) -> list[Metric]:
        """Return nothing: the store is not read before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now.

        Raises:
            StoreError: the database could not be queried.
        """
        with self._lock:
            app, at = self._current(), datetime.now(UTC)
            with app.database.snapshot() as connection:  # what comes meanwhile is counted the next time, and only then
                self._count(connection, app, at)
                found = [
                    *self._counters(),
                    *_work(connection),
                    *_destinations(connection, app),
                    *_scanners(connection, app),
                    *self._deviations(connection, app),
                    *_parts(connection, at),
                    *_alarms(connection, at),
                    *_lscs(connection, app),
                ]
                of_callers = certificates_of_callers(connection, app.settings.service, at.date())
            shown = [*certificates(app.settings.service), *of_callers]
            yield from (*found, _certificates(shown), *_disk(app), _build())

    def _count(self, connection: Connection, app: App, at: datetime) -> None:
        """Count what came since the last scrape."""
        last_receipt = receipts.last_number(connection)
        last_entry = audit_trail.last_number(connection)
        self._received += monitor_counts.received_after(connection, self._last_receipt)
        self._rejected += monitor_counts.rejected_after(connection, self._last_entry)
        for destination in app.settings.service.destination:
            name = destination.name
            self._delivered[name] += monitor_counts.delivered_between(connection, name, self._counted_at, at)
        self._last_receipt, self._last_entry, self._counted_at = last_receipt, last_entry, at

    def _deviations(self, connection: Connection, app: App) -> Iterator[Metric]:
        """Yield how far the last phantom scans lie from their means."""
        if not app.settings.service.monitor.serial_numbers:
            return
        family = GaugeMetricFamily(
            "dxatrend_phantom_deviation_ratio",
            "Deviation of the last phantom scan from its mean, as a part of one",
            labels=["serial", "region"],
        )
        for number in phantom_scans.last_performed_at(connection):
            for serial, region, ratio in _ratios(quality_in_view(app, connection, number)):
                family.add_metric([serial, region], ratio)
        yield family

    def _counters(self) -> Iterator[Metric]:
        for name, what, label, counts in (
            ("received", "Instances received since this process began", "caller", self._received),
            ("rejected_associations", "Associations rejected since this process began", "reason", self._rejected),
            ("delivered", "Addenda delivered since this process began", "destination", self._delivered),
        ):
            family = CounterMetricFamily(f"dxatrend_{name}", what, labels=[label])
            for value, count in counts.items():
                family.add_metric([value], count)
            yield family


def _ratios(quality: ScannerQuality) -> Iterator[tuple[str, str, float]]:
    for series in quality.series:
        if (last := series.chart.last) is not None:
            yield quality.scanner.serial_number, series.phantom.region.key, float(last.percent) / 100


def _work(connection: Connection) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("dxatrend_waiting", "Work that waits, by stage", labels=["stage"])
    oldest = GaugeMetricFamily(
        "dxatrend_oldest_waiting_timestamp_seconds", "When the oldest of what waits was due", labels=["stage"]
    )
    for stage, one in open_work.waiting(connection).items():
        waiting.add_metric([stage], one.count)
        if one.since is not None:
            oldest.add_metric([stage], one.since.timestamp())
    held = GaugeMetricFamily("dxatrend_held", "Work held for a person, by reason", labels=["reason"])
    for of_reason in held_work.by_reason(connection):
        held.add_metric([of_reason.reason], of_reason.count)
    yield from (waiting, oldest, held)


def _destinations(connection: Connection, app: App) -> Iterator[Metric]:
    up = GaugeMetricFamily("dxatrend_destination_up", "Whether a destination takes addenda", labels=["destination"])
    oldest = GaugeMetricFamily(
        "dxatrend_destination_oldest_timestamp_seconds",
        "When the oldest addendum that waits was authored",
        labels=["destination"],
    )
    for destination in app.settings.service.destination:
        name = destination.name
        up.add_metric([name], destination_outages.current(connection, name) is None)
        if (waiting := open_work.oldest_delivery(connection, name)) is not None:
            oldest.add_metric([name], waiting.authored_at.timestamp())
    yield from (up, oldest)


def _scanners(connection: Connection, app: App) -> Iterator[Metric]:
    if not app.settings.service.monitor.serial_numbers:
        return
    seen = GaugeMetricFamily(
        "dxatrend_scanner_last_seen_timestamp_seconds", "When a scanner last sent anything", labels=["serial"]
    )
    phantom = GaugeMetricFamily(
        "dxatrend_phantom_last_timestamp_seconds", "When a scanner's phantom was last scanned", labels=["serial"]
    )
    for one in open_work.scanners_seen(connection):
        if one.serial_number:
            seen.add_metric([one.serial_number], one.last_seen_at.timestamp())
            if one.last_phantom_at is not None:
                local = one.last_phantom_at.replace(tzinfo=app.reference_data.zone)
                phantom.add_metric([one.serial_number], local.timestamp())
    yield from (seen, phantom)


def _parts(connection: Connection, at: datetime) -> Iterator[Metric]:
    latest: dict[str, datetime] = {}
    for part in parts(connection, at=at):
        if part.seen_at is not None:
            latest[part.name] = max(part.seen_at, latest.get(part.name, part.seen_at))
    family = GaugeMetricFamily(
        "dxatrend_part_heartbeat_timestamp_seconds", "When a part of the service last said it lives", labels=["part"]
    )
    for name, seen_at in latest.items():
        family.add_metric([name], seen_at.timestamp())
    yield family


def _alarms(connection: Connection, at: datetime) -> Iterator[Metric]:
    family = GaugeMetricFamily("dxatrend_alarms", "Alarms that are raised and not shelved", labels=["priority"])
    counts = Counter(one.priority.value for one in raised(connection, at=at) if one.shelf is None)
    for priority in ("high", "medium", "low"):
        family.add_metric([priority], counts[priority])
    yield family
    watch = alarms.watch(connection)
    if watch is not None and watch.looked_at is not None:
        yield _moment("alarms_looked", "When the conditions of the alarms were last looked at", watch.looked_at)
    backup = housekeeping_log.last_done(connection, housekeeping_log.BACKUP)
    if backup is not None:
        yield _moment("backup_last_success", "When the last backup was written and checked", backup)


def _moment(name: str, what: str, moment: datetime) -> Metric:
    return GaugeMetricFamily(f"dxatrend_{name}_timestamp_seconds", what, value=moment.timestamp())


def _certificates(shown: Iterable[Expiry]) -> Metric:
    ends = GaugeMetricFamily(
        "dxatrend_certificate_expiry_timestamp_seconds", "The last day of a certificate", labels=["name"]
    )
    for one in shown:
        ends.add_metric([one.what], _utc(one.last_day).timestamp())
    return ends


def _lscs(connection: Connection, app: App) -> Iterator[Metric]:
    if not app.settings.service.monitor.serial_numbers:
        return
    last: dict[tuple[str, str], datetime] = {}
    for lsc in app.reference_in_force(connection).reference_data.clinical.lscs:
        key = (lsc.scanner.serial_number, lsc.region.key)
        end = _utc(lsc.valid_until)
        last[key] = max(end, last.get(key, end))
    family = GaugeMetricFamily(
        "dxatrend_lsc_expiry_timestamp_seconds", "The last day of an LSC", labels=["serial", "region"]
    )
    for labels, end in last.items():
        family.add_metric(list(labels), end.timestamp())
    yield family


def _utc(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _disk(app: App) -> Iterator[Metric]:
    free = disk_reserve_of(app.database, 0).free_mb()
    if free is not None:
        yield GaugeMetricFamily("dxatrend_store_free_bytes", "Free space on the disk of the store", free * 1_000_000)


def _build() -> Metric:
    family = GaugeMetricFamily("dxatrend_build_info", "The version of dxatrend", labels=["version"])
    family.add_metric([__version__], 1)
    return family
