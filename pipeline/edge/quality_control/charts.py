"""Control charts of a scanner from what is on file: one for each phantom that is in use, with those it replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from pipeline.clinical.model import Phantom, Scanner
from pipeline.clinical.phantom_chart import ControlChart, ControlScan, ServiceMark, judge
from pipeline.edge.app import App
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.store import phantom_scans, qc_stops, scanners
from pipeline.edge.store.database import Database
from pipeline.edge.store.phantom_scans import PhantomScanOnFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One phantom on one scanner, with those it replaced: its chart, and the scans in it by number."""

    scanner: Scanner
    phantom: Phantom
    chart: ControlChart
    scans: Mapping[int, PhantomScanOnFile]
    last_at: datetime
    other_regions: tuple[str, ...] = ()
    """Regions of the last scan, where it has not the one that is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerQuality:
    """All phantom scans of a scanner: the series that are judged, and the scans of phantoms that nobody has named."""

    scanner: Scanner
    series: Sequence[Series]
    unknown: Sequence[PhantomScanOnFile]
    marks: Sequence[ServiceMark]


def quality_of(connection: Connection, reference_data: ReferenceData, scanner_number: int) -> ScannerQuality:
    """Return the control charts of a scanner, the phantom that was scanned last first."""
    scanner = scanners.of_number(connection, scanner_number)
    marks = service_marks(connection, reference_data, scanner_number, scanner)
    phantoms = {known.phantom.name: known.phantom for known in reference_data.phantoms}
    successor = {phantom.replaces: phantom.name for phantom in phantoms.values() if phantom.replaces}
    of_series: dict[str, list[tuple[str, PhantomScanOnFile]]] = {}
    unknown: list[PhantomScanOnFile] = []
    on_file = phantom_scans.of_scanner(connection, scanner_number)
    used = {scan.number: scan.is_of(reference_data.phantoms) for scan in on_file}
    for scan in on_file:
        name = used[scan.number]
        if name:
            of_series.setdefault(_last_used(name, successor, set(used.values())), []).append((name, scan))
        else:
            unknown.append(scan)
    series = [_series(scanner, phantoms, phantoms[name], scans, marks) for name, scans in of_series.items()]
    series.sort(key=lambda one: one.last_at, reverse=True)
    return ScannerQuality(scanner=scanner, series=series, unknown=unknown, marks=marks)


def quality_in_view(app: App, connection: Connection, scanner_number: int) -> ScannerQuality:
    """Return the control charts of a scanner to look at, judged anew only after something has changed.

    Years of scans take tenths of a second. The transaction must be one that only reads: what may be rolled back is not
    remembered.
    """
    scanner = scanners.of_number(connection, scanner_number)
    known = app.reference_data.phantoms
    marks = service_marks(connection, app.reference_data, scanner_number, scanner)
    rests_on = (scanner, known, marks, phantom_scans.how_many(connection, scanner_number))
    of_database = _JUDGED.setdefault(app.database, {})
    judged = of_database.get(scanner_number)
    if judged is None or judged[0] != rests_on:
        judged = rests_on, quality_of(connection, app.reference_data, scanner_number)
        of_database[scanner_number] = judged
    return judged[1]


_JUDGED: WeakKeyDictionary[Database, dict[int, tuple[object, ScannerQuality]]] = WeakKeyDictionary()
"""The charts that were looked at last, by scanner, with what they rest on."""


def service_marks(
    connection: Connection, reference_data: ReferenceData, scanner_number: int, scanner: Scanner
) -> list[ServiceMark]:
    """Return the work on a scanner: the epochs of the configuration, and what was recorded in the database.

    Work on the day of a stop came after the scan that showed it.
    """
    epochs = [
        ServiceMark(day=epoch.begins, what=epoch.reason, is_epoch=True, is_bridged=epoch.cross_calibrated)
        for epoch in reference_data.clinical.epochs
        if epoch.scanner == scanner
    ]
    recorded = [ServiceMark(day=mark.day, what=mark.what) for mark in qc_stops.marks(connection, scanner_number)]
    shown = [stop.shown_at for stop in qc_stops.of_scanner(connection, scanner_number)]
    marks = [
        replace(mark, after=max((at for at in shown if at.date() == mark.day), default=None))
        for mark in (*epochs, *recorded)
    ]
    return sorted(marks, key=lambda mark: mark.day)


def _last_used(name: str, successor: Mapping[str, str], used: set[str]) -> str:
    """Return the last phantom of a chain of replacements that this scanner has scanned."""
    found = name
    while name in successor:
        name = successor[name]
        found = name if name in used else found
    return found


def _series(
    scanner: Scanner,
    phantoms: Mapping[str, Phantom],
    phantom: Phantom,
    scans: Sequence[tuple[str, PhantomScanOnFile]],
    marks: Sequence[ServiceMark],
) -> Series:
    judged: list[ControlScan] = []
    kept: dict[int, PhantomScanOnFile] = {}
    seen = set()
    for name, scan in scans:
        measured = scan.values.get(phantoms[name].region.key)
        same = (scan.performed_at, measured)
        if measured is None or same in seen:  # a scan that was sent twice is one scan
            continue
        seen.add(same)
        kept[scan.number] = scan
        judged.append(
            ControlScan(
                number=scan.number,
                performed_at=scan.performed_at,
                phantom=name,
                bmd=measured.bmd,
                software=scan.software,
            )
        )
    last = scans[-1][1]
    return Series(
        scanner=scanner,
        phantom=phantom,
        chart=judge(judged, marks),
        scans=kept,
        last_at=last.performed_at,
        other_regions=()
        if last.number in kept or phantom.region.key in last.values
        else tuple(last.values) or ("none",),
    )
