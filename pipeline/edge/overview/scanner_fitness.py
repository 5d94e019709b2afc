"""Fitness of each scanner today: its last phantom scan, what that said, open stops, phantoms that nobody has named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Self

from sqlalchemy import Connection

from pipeline.clinical.model import Scanner
from pipeline.clinical.phantom_chart import Bridge, JudgedScan, Outcome
from pipeline.edge.app import App
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.quality_control.charts import ScannerQuality, Series, quality_in_view
from pipeline.edge.store import phantom_scans, qc_stops, scanners, senders
from pipeline.edge.store.phantom_scans import PhantomScanOnFile
from pipeline.edge.store.qc_stops import Stop
from pipeline.edge.text_files import toml_string

IN_USE = timedelta(days=30)
"""A scanner that has sent nothing for longer is not in use, and nobody need scan its phantom."""

LATELY = timedelta(days=60)
"""For how long the phantom before and after work on a scanner is told."""


class Fitness(StrEnum):
    """What a person has to know first of a scanner."""

    STOPPED = "stopped"
    """Exams carry a caution until a remedy is recorded and a good scan follows."""
    REPEAT = "repeat the phantom twice"
    OVERDUE = "phantom overdue"
    """No phantom was scanned for longer than the alarm allows."""
    DUE = "phantom due"
    WARNING = "warning"
    NO_LIMITS = "no limits yet"
    UNKNOWN_PHANTOM = "phantom not named"
    """It is scanned, but no [[phantom]] of the configuration says what it is."""
    NO_PHANTOM = "no phantom scans"
    FIT = "fit"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownPhantom:
    """Scans of a phantom that the configuration does not name, under one id and name of its reports."""

    patient_id: str
    patient_name: str
    scans: int
    first: datetime
    last: datetime
    regions: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines to add to ``scanners.toml`` once a person has named the phantom."""
        return phantom_lines(
            patient_id=self.patient_id,
            patient_name=self.patient_name,
            region=self.regions[0] if self.regions else "",
            since=self.first.date(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerFitness:
    """One scanner's line: its fitness, its last phantom scan in its own time, and how many days ago that was.

    ``awaited_since`` is set where none has ever come, though the scanner sends exams and the configuration names one.
    """

    number: int
    scanner: Scanner
    name: str
    fitness: Fitness
    last_phantom_at: datetime | None
    days_ago: int | None
    awaited_since: date | None
    every_stop: Sequence[Stop]
    """Its stops, also those that have ended; oldest first."""
    today: date
    quality: ScannerQuality

    @property
    def stops(self) -> tuple[Stop, ...]:
        """Its open stops."""
        return tuple(stop for stop in self.every_stop if stop.is_open)

    @property
    def series(self) -> Sequence[Series]:
        """Its control charts, the phantom that was scanned last first."""
        return self.quality.series

    @property
    def last(self) -> JudgedScan | None:
        """The last judged scan of the phantom in use."""
        return self.series[0].chart.last if self.series else None

    @property
    def unknown(self) -> tuple[UnknownPhantom, ...]:
        """The phantoms that nobody has named."""
        found: dict[tuple[str, str], list[PhantomScanOnFile]] = {}
        for scan in self.quality.unknown:
            found.setdefault((scan.patient_id, scan.patient_name), []).append(scan)
        return tuple(
            UnknownPhantom(
                patient_id=patient_id,
                patient_name=patient_name,
                scans=len(scans),
                first=scans[0].performed_at,
                last=scans[-1].performed_at,
                regions=tuple(sorted({region for scan in scans for region in scan.values})),
            )
            for (patient_id, patient_name), scans in found.items()
        )

    @property
    def phantom_age(self) -> str:
        """How long ago a phantom was last scanned, in words; empty if none ever was, and none is awaited."""
        if self.days_ago is None:
            return f"never, awaited since {self.awaited_since}" if self.awaited_since else ""
        return {0: "today", 1: "1 day ago"}.get(self.days_ago, f"{self.days_ago} days ago")

    @property
    def advice(self) -> tuple[str, ...]:
        """What a person should do, the most urgent first."""
        return (
            *(_about_stop(stop) for stop in self.stops),
            *(text for one in self.series for text in _about_series(one)),
            *_about_fitness(self),
            *(
                _about_bridge(bridge)
                for one in self.series
                for bridge in one.chart.bridges
                if _is_news(bridge, self.today)
            ),
        )


def fitness_of_all(app: App, *, at: datetime) -> list[ScannerFitness]:
    """Return the fitness of each scanner on file with a serial number, in the order they first came."""
    with app.database.read() as connection:
        scans = _Scans.read(connection)
        return [_fitness(app, connection, number, scans, at=at) for number in scanners.numbers(connection)]


def fitness_of(app: App, scanner_number: int, *, at: datetime) -> ScannerFitness:
    """Return the fitness of one scanner."""
    with app.database.read() as connection:
        return _fitness(app, connection, scanner_number, _Scans.read(connection), at=at)


def awaited_since(reference_data: ReferenceData, first_exam_at: datetime | None, *, on: date) -> date | None:
    """Return since when the first phantom scan of a scanner is awaited; ``None`` if it is not.

    It is once the scanner has sent an exam over the network, and the configuration names a phantom for that day.
    """
    phantoms = [known.phantom for known in reference_data.phantoms]
    since = [phantom.since for phantom in phantoms if phantom.since <= on <= phantom.until]
    if first_exam_at is None or not since:
        return None
    return max(first_exam_at.astimezone(reference_data.zone).date(), min(since))


def phantom_lines(*, patient_id: str, patient_name: str = "", region: str, since: date) -> tuple[str, ...]:
    """Return the lines of ``scanners.toml`` for a phantom, whose name a person fills in."""
    by_id, by_name = toml_string(patient_id), toml_string(patient_name.replace("^", " ").strip())
    return (
        "[[phantom]]",
        'name = ""',
        f"patient_id = [{by_id}]" if patient_id.strip() else f"patient_name = [{by_name}]",
        f"region = {toml_string(region)}",
        f"since = {since}",
    )


@dataclass(frozen=True, slots=True)
class _Scans:
    """When each scanner last scanned a phantom, and when it first sent an exam, by its number."""

    last_phantom_at: Mapping[int, datetime]
    first_exam_at: Mapping[int, datetime]

    @classmethod
    def read(cls, connection: Connection) -> Self:
        return cls(phantom_scans.last_performed_at(connection), senders.first_seen_at(connection))


def _fitness(app: App, connection: Connection, number: int, scans: _Scans, *, at: datetime) -> ScannerFitness:
    last_phantom_at = scans.last_phantom_at.get(number)
    quality = quality_in_view(app, connection, number)
    stops = qc_stops.of_scanner(connection, number)
    now = at.astimezone(app.reference_data.zone).replace(tzinfo=None)
    days_ago = None if last_phantom_at is None else max(0, (now.date() - last_phantom_at.date()).days)
    awaited = None
    if last_phantom_at is None:
        awaited = awaited_since(app.reference_data, scans.first_exam_at.get(number), on=now.date())
    days_without = (now.date() - awaited).days if awaited else days_ago
    in_use = at - scanners.last_seen_at(connection, number) <= IN_USE
    return ScannerFitness(
        number=number,
        scanner=quality.scanner,
        name=_name(app, quality.scanner),
        fitness=_worst(app, quality, stops, days_without if in_use else None),
        last_phantom_at=last_phantom_at,
        days_ago=days_ago,
        awaited_since=awaited,
        every_stop=stops,
        today=now.date(),
        quality=quality,
    )


def _worst(app: App, quality: ScannerQuality, stops: Sequence[Stop], days_without: int | None) -> Fitness:
    limits = app.settings.service.quality_control
    last = quality.series[0].chart.last if quality.series else None
    if any(stop.is_open for stop in stops):
        return Fitness.STOPPED
    if any(one.chart.awaiting is not None for one in quality.series):
        return Fitness.REPEAT
    if days_without is not None and days_without >= limits.phantom_alarm_days:
        return Fitness.OVERDUE
    if days_without is not None and days_without >= limits.phantom_notice_days:
        return Fitness.DUE
    if last is None:
        return Fitness.UNKNOWN_PHANTOM if quality.unknown else Fitness.NO_PHANTOM
    match last.outcome:
        case Outcome.NO_LIMITS:
            return Fitness.NO_LIMITS
        case Outcome.WARNING:
            return Fitness.WARNING
        case _:
            return Fitness.FIT


def _name(app: App, scanner: Scanner) -> str:
    """Return what the department calls a scanner; empty where it has no name."""
    named = zip(app.settings.scanners.scanner, app.reference_data.scanners, strict=True)
    return next((entry.name for entry, known in named if known == scanner), "")


def _about_stop(stop: Stop) -> str:
    begun = f"Stop {stop.number}, since {stop.begins:%Y-%m-%d %H:%M}: {stop.reason}."
    if stop.remedied_on is None:
        return f"{begun} Measure no patients; find the cause, and record the remedy of stop {stop.number}."
    return f"{begun} Remedied on {stop.remedied_on} ({stop.remedy}). It ends with the next good scan of the phantom."


def _about_series(series: Series) -> tuple[str, ...]:
    chart, found = series.chart, []
    if chart.awaiting is not None:
        rules = ", ".join(rule.value for rule in chart.awaiting.failed_rules)
        done = len(chart.awaiting.repeats)
        again = "twice" if done == 0 else "once more"
        found.append(f"{series.phantom.name}: outside its limits ({rules}). Scan the phantom {again} today.")
    if series.other_regions:
        there = ", ".join(series.other_regions)
        found.append(
            f"{series.phantom.name}: its last scan has no {series.phantom.region}, by which it would be judged, but "
            f"{there}. Correct the region in scanners.toml, or the analysis of the phantom."
        )
    if chart.segments and chart.segments[-1].missing_days:
        segment = chart.segments[-1]
        found.append(
            f"{series.phantom.name}: no limits yet, {segment.missing_days} more days of the phantom are needed"
            f" since {segment.begins:%Y-%m-%d} ({segment.reason})."
        )
    return tuple(found)


def _about_fitness(one: ScannerFitness) -> tuple[str, ...]:
    match one.fitness:
        case Fitness.OVERDUE | Fitness.DUE if one.last_phantom_at is None:
            return (
                "No scan of its phantom has ever come: scan the phantom before the next patient, and send the scan as "
                "any report. Is it sent already? Then [[phantom]] in scanners.toml names it by another id.",
            )
        case Fitness.OVERDUE | Fitness.DUE:
            return ("Scan the phantom before the next patient.",)
        case Fitness.WARNING:
            return ("Look at the control chart: a drift shows there first. Nothing need be repeated.",)
        case Fitness.NO_PHANTOM if one.last_phantom_at is None:
            return (
                "Name its phantom as [[phantom]] in scanners.toml, scan it, and send the scan like any report. Until "
                "then nothing shows whether the scanner is fit.",
            )
        case _:
            return ()


def _is_news(bridge: Bridge, today: date) -> bool:
    """Whether the phantom says otherwise than the configuration, or of work done lately that is no epoch in it."""
    if bridge.mark.is_epoch:
        return bridge.holds is not None and bridge.holds != bridge.mark.is_bridged
    return bridge.holds is not None and today - bridge.mark.day <= LATELY


def _about_bridge(bridge: Bridge) -> str:
    moved = f"{bridge.percent:+.2f}" if bridge.percent is not None else "?"
    held = f"held within 1 % ({moved} %)" if bridge.holds else f"moved by {moved} %, more than 1 %"
    proposed = "true" if bridge.holds else "false"
    also = "" if bridge.holds else " Ask the manufacturer (R2.6)."
    return (
        f"After {bridge.mark.what} ({bridge.mark.day}) the phantom {held}.{also} If the calibration was touched, "
        f"scanners.toml says: [[scanner.epoch]] from = {bridge.mark.day}, cross_calibrated = {proposed}"
    )
