"""Conditions of the alarms: what is wrong at this moment, read from the store, the disk and the certificates."""

import socket
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from pipeline.clinical.model import LeastSignificantChange, Scanner
from pipeline.clinical.precision import REMIND, running_out
from pipeline.edge.alarms.calendar import Calendar
from pipeline.edge.alarms.state_machine import Condition
from pipeline.edge.app import App
from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.disk_space import disk_reserve_of
from pipeline.edge.overview.expiries import (
    Expiry,
    certificates_of_callers_running_out,
    certificates_running_out,
)
from pipeline.edge.overview.parts import parts
from pipeline.edge.overview.scanner_fitness import IN_USE, awaited_since
from pipeline.edge.overview.scanner_silence import LEARNED_FROM, silence
from pipeline.edge.overview.software_changes import LOOKED_AT, software_change
from pipeline.edge.quality_control.charts import service_marks
from pipeline.edge.store import (
    alarm_messages,
    audit_trail,
    destination_outages,
    held_work,
    housekeeping_log,
    open_work,
    qc_stops,
    receipts,
    refused_objects,
    scanner_exams,
    senders,
)
from pipeline.edge.store.audit_trail import Entry
from pipeline.edge.store.open_work import ScannerDays

WRONG_PATIENT = ("other_patient", "id_conflict", "same_scan")
UNKNOWN_DIALECT = "unknown_dialect"

REFUSED_LATELY = timedelta(hours=1)
REJECTED_LATELY = timedelta(hours=24)
MOST_REJECTED = 3
"""Rejections of a known device that are no longer an accident, within ``REFUSED_LATELY``."""

LEARNED_FOR = timedelta(hours=1)
"""How long what was learned of the scanners' days is kept before it is read again."""

READ_FOR = timedelta(minutes=1)
"""How long what a day of the audit trail has told is kept before it is read again."""

_FINDINGS = {housekeeping_log.DAMAGED_STORE: "store_damaged", housekeeping_log.BROKEN_AUDIT_TRAIL: "audit_broken"}

MONTH = timedelta(days=30)
WEEK = timedelta(days=7)
FOUR_WEEKS = timedelta(weeks=4)
_YEAR = timedelta(days=365)


class Conditions:
    """Reads the conditions; what changes slowly is read again once an hour only."""

    def __init__(self) -> None:
        self._learned_at: datetime | None = None
        self._scanners: Sequence[ScannerDays] = ()
        self._new_software: Sequence[Condition] = ()
        self._known: Collection[str] = ()
        """The addresses of configured callers and destinations."""
        self._rejected_at: datetime | None = None
        self._rejected: list[Condition] = []

    def read(self, app: App, calendar: Calendar, ways: Sequence[str], at: datetime) -> list[Condition]:
        """Return what is wrong at this moment.

        Raises:
            StoreError: the database could not be queried.
        """
        service = app.settings.service
        is_old = self._learned_at is None or abs(at - self._learned_at) >= LEARNED_FOR
        if is_old:
            self._known = _addresses(service)  # asks a name server, and holds no transaction meanwhile
        with app.database.read() as connection:
            if is_old:
                self._scanners = open_work.scanner_days(connection, since=(at - _YEAR).date())
                self._new_software = list(_new_software(connection, app, self._scanners, calendar, at))
                self._learned_at = at
            found = [
                *_parts(connection, at),
                *_housekeeping(connection),
                *_refused(connection, at),
                *self._rejected_lately(connection, at),
                *_destinations(connection, service),
                *_stuck(connection),
                *_held(connection),
                *self._silent(connection, calendar, at),
                *self._new_software,
                *self._phantoms(connection, app, at),
                *_backup(connection, at),
                *_messages(connection, ways),
                *_disk(connection, app, at),
            ]
            lscs = app.reference_in_force(connection).reference_data.clinical.lscs
            today = calendar.local(at).date()
            certificates = certificates_of_callers_running_out(connection, service, today)
        certificates += certificates_running_out(service, today)
        return [*found, *_lscs(lscs, calendar, at), *_certificates(certificates, calendar, at)]

    def _rejected_lately(self, connection: Connection, at: datetime) -> list[Condition]:
        if self._rejected_at is None or abs(at - self._rejected_at) >= READ_FOR:
            self._rejected = list(_rejected(connection, self._known, at))
            self._rejected_at = at
        return self._rejected

    def _silent(self, connection: Connection, calendar: Calendar, at: datetime) -> Iterator[Condition]:
        now = calendar.local(at)
        seen = open_work.last_seen(connection)
        for one in self._scanners:
            if len(one.days) < LEARNED_FROM:
                continue
            last_seen_at = seen.get(one.number, one.last_seen_at)
            last = max(one.days[-1], calendar.local(last_seen_at).date())
            found = silence(
                one.days,
                last,
                now.date(),
                calendar.working_days_between,
                is_today_over=now.time() >= calendar.ends,
            )
            if found is not None and found.is_unusual:
                days = f"{found.days} days of work, usually {found.usual} at most"
                yield Condition(kind="scanner_silent", subject=str(one), since=last_seen_at, detail=days)

    def _phantoms(self, connection: Connection, app: App, at: datetime) -> Iterator[Condition]:
        """Yield the stops of quality control, and the scanners in use whose phantom was not scanned for long."""
        limits = app.settings.service.quality_control
        first_exams = senders.first_seen_at(connection)
        for one in self._scanners:
            stops = [stop for stop in qc_stops.of_scanner(connection, one.number) if stop.is_open]
            if stops:
                said = "; ".join(f"{stop.phantom} {stop.region}: {stop.reason}" for stop in stops)
                yield Condition(
                    kind="phantom_stop",
                    subject=str(one),
                    since=min(stop.recorded_at for stop in stops),
                    detail=said,
                )
            last = one.last_phantom_at or _awaited_since(app, one, first_exams.get(one.number), at)
            if last is None or at - one.last_seen_at > IN_USE:
                continue
            since = last.replace(tzinfo=app.reference_data.zone).astimezone(UTC)
            days = (at - since).days
            kind = "phantom_overdue" if days >= limits.phantom_alarm_days else "phantom_due"
            if days >= limits.phantom_notice_days:
                said = f"{days} days ago" if one.last_phantom_at else f"none has ever come, awaited for {days} days"
                yield Condition(kind=kind, subject=str(one), since=since, detail=said)


def _awaited_since(app: App, one: ScannerDays, first_exam_at: datetime | None, at: datetime) -> datetime | None:
    """Return the begin of the day since when the first phantom scan of a scanner is awaited, in the scanner's time."""
    today = at.astimezone(app.reference_data.zone).date()
    day = awaited_since(app.reference_data, first_exam_at, on=today) if one.serial_number else None
    return None if day is None else datetime.combine(day, datetime.min.time())


def _new_software(
    connection: Connection, app: App, known: Sequence[ScannerDays], calendar: Calendar, at: datetime
) -> Iterator[Condition]:
    """Yield the scanners with new software of which nobody has recorded yet what was done on them."""
    for one in known:
        machine = Scanner(one.manufacturer, one.model, one.serial_number)
        if not machine.identified:
            continue
        exams = scanner_exams.latest(connection, machine, limit=LOOKED_AT)
        change = software_change(exams, on=calendar.local(at).date())
        marks = service_marks(connection, app.reference_data, one.number, machine) if change else []
        if change is not None and all(mark.day < change.since for mark in marks):
            since = datetime.combine(change.since, datetime.min.time(), tzinfo=calendar.local(at).tzinfo)
            said = f"now {_short(change.now)}, before {_short(change.before)}"
            yield Condition(kind="software_changed", subject=str(one), since=min(since, at), detail=said)


def _short(text: str) -> str:
    """Return what a report states, on one line and not too long for a message."""
    return " ".join(text.split())[:64]


def _addresses(service: ServiceSettings) -> set[str]:
    """Return the addresses of the configured callers and destinations; a name that has none now is left out."""
    hosts = {caller.host for caller in service.listener.caller if caller.host}
    found = set()
    for host in hosts | {to.host for to in service.dicom_destinations}:
        try:
            found |= {str(address[4][0]) for address in socket.getaddrinfo(host, None)}
        except (OSError, UnicodeError):
            continue
    return found


def _parts(connection: Connection, at: datetime) -> Iterator[Condition]:
    kinds = {"listener": "no_listener", "worker": "no_worker"}
    missed = [part for part in parts(connection, at=at) if part.is_missed and part.name in kinds]
    for name in dict.fromkeys(part.name for part in missed):
        of_it = [part for part in missed if part.name == name]
        since = max((part.since for part in of_it if part.since), default=at)
        said = "; ".join(f"{part}: {part.reason or part.state.value}" for part in of_it)
        yield Condition(kind=kinds[name], since=since, detail=said)


def _housekeeping(connection: Connection) -> Iterator[Condition]:
    for name, kind in _FINDINGS.items():
        if (since := housekeeping_log.last_done(connection, name)) is not None:
            yield Condition(kind=kind, since=since)


def _refused(connection: Connection, at: datetime) -> Iterator[Condition]:
    found = refused_objects.since(connection, at - REFUSED_LATELY)
    if found:
        said = "; ".join(f"{one.times} of {one.calling_ae_title} at {one.host}: {one.reason}" for one in found[:5])
        yield Condition(kind="objects_refused", since=min(one.first_at for one in found), detail=said)


def _rejected(connection: Connection, hosts: Collection[str], at: datetime) -> Iterator[Condition]:
    """Yield the known devices that were rejected three times in an hour, until a day after the last time."""
    entries = audit_trail.rejections(connection, since=at - REJECTED_LATELY)
    for host in sorted({entry.host for entry in entries}.intersection(hosts)):
        of_it = [entry for entry in entries if entry.host == host]
        if (begin := _first_burst(of_it)) is not None:
            last = of_it[-1]
            said = f"it calls itself {last.actor!r}: {last.detail.get('reason', '')}"
            yield Condition(kind="caller_rejected", subject=host, since=begin, detail=said)


def _first_burst(entries: Sequence[Entry]) -> datetime | None:
    """Return the begin of the first hour with three rejections."""
    for number, first in enumerate(entries):
        within = [one for one in entries[number:] if one.at - first.at <= REFUSED_LATELY]
        if sum(int(one.detail.get("times", 1)) for one in within) >= MOST_REJECTED:
            return first.at
    return None


def _destinations(connection: Connection, service: ServiceSettings) -> Iterator[Condition]:
    for destination in service.destination:
        name = destination.name
        if (outage := destination_outages.current(connection, name)) is not None:
            yield Condition(kind="destination_away", subject=name, since=outage.since, detail=outage.detail)
        if (oldest := open_work.oldest_delivery(connection, name)) is not None:
            yield Condition(kind="delivery_stuck", subject=name, since=oldest.authored_at, detail=oldest.reason)
    for archive in service.archives:
        if (since := open_work.oldest_question(connection, archive.name)) is not None:
            yield Condition(kind="history_unanswered", subject=archive.name, since=since)


def _stuck(connection: Connection) -> Iterator[Condition]:
    for stage, one in open_work.waiting(connection).items():
        if stage != "deliver" and one.since is not None:
            yield Condition(kind="work_stuck", subject=stage, since=one.since, detail=f"waiting: {one.count}")


def _held(connection: Connection) -> Iterator[Condition]:
    counts: dict[str, Counter[str]] = {}
    first: dict[str, datetime] = {}
    for one in sorted(held_work.by_reason(connection), key=lambda one: one.oldest):
        kind = "held_wrong_patient" if one.reason in WRONG_PATIENT else "held"
        kind = "unknown_dialect" if one.reason == UNKNOWN_DIALECT else kind
        counts.setdefault(kind, Counter())[one.reason] += one.count
        first.setdefault(kind, one.oldest)
    for kind, reasons in counts.items():
        said = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        yield Condition(kind=kind, since=first[kind], detail=said)


def _backup(connection: Connection, at: datetime) -> Iterator[Condition]:
    last = housekeeping_log.last_done(connection, housekeeping_log.BACKUP)
    since = last or open_work.first_receipt_at(connection)
    if since is not None:
        said = "" if last else "no backup was ever made"
        yield Condition(kind="backup_old", since=since, detail=said)
    if (failed := housekeeping_log.last_done(connection, housekeeping_log.BACKUP_FAILED)) is not None:
        said = housekeeping_log.problem_of(connection, housekeeping_log.BACKUP_FAILED)
        yield Condition(kind="backup_failed", since=failed, detail=said)


def _messages(connection: Connection, ways: Sequence[str]) -> Iterator[Condition]:
    for one in alarm_messages.status(connection, ways):
        if one.oldest is not None and one.problem:
            yield Condition(kind="messages_stuck", subject=one.way, since=one.oldest, detail=one.problem)


def _disk(connection: Connection, app: App, at: datetime) -> Iterator[Condition]:
    disk = disk_reserve_of(app.database, app.settings.service.store.reserve_mb)
    free = disk.free_mb()
    if free is None:
        return
    if free < disk.reserve_mb:
        yield Condition(kind="no_room", since=at, detail=f"{free} MB are free, {disk.reserve_mb} MB are kept free")
        return
    weeks = _weeks_left(connection, app, free - disk.reserve_mb, at)
    if weeks is not None and weeks < 4:
        yield Condition(kind="disk_filling", since=at, detail=f"{free} MB are free, for some {weeks:.1f} weeks")


def _weeks_left(connection: Connection, app: App, free_mb: int, at: datetime) -> float | None:
    """Return for how many weeks the free space lasts at the pace of the last four; ``None`` for a young store."""
    path, first = app.database.path, open_work.first_receipt_at(connection)
    if path is None or first is None or at - first < FOUR_WEEKS:
        return None
    share = open_work.receipts_since(connection, at - FOUR_WEEKS) / receipts.last_number(connection)
    grown = share * path.stat().st_size / 1_000_000
    return 4 * free_mb / grown if grown else None


def _lscs(lscs: Sequence[LeastSignificantChange], calendar: Calendar, at: datetime) -> Iterator[Condition]:
    """Yield the scanners of which an LSC ends within 90 days, and none follows it on the next day."""
    today = calendar.local(at).date()
    ending: dict[str, list[LeastSignificantChange]] = {}
    for lsc in running_out(lscs, today):
        ending.setdefault(f"{lsc.scanner.model} {lsc.scanner.serial_number}", []).append(lsc)
    for subject, of_it in ending.items():
        last = min(lsc.valid_until for lsc in of_it)
        left = last - today
        step = 2 if left < timedelta() else 1 if left <= MONTH else 0
        regions = ", ".join(lsc.region.key for lsc in of_it)
        said = f"{regions}: {'ended' if step == 2 else 'ends'} on {last}"
        begin = datetime.combine(last - REMIND, calendar.morning, tzinfo=calendar.local(at).tzinfo)
        yield Condition(kind="lsc_ends", subject=subject, since=begin, detail=said, step=step, is_urgent=step == 2)


def _certificates(certificates: Iterable[Expiry], calendar: Calendar, at: datetime) -> Iterator[Condition]:
    for one in certificates:
        left = timedelta(days=one.days_left(calendar.local(at).date()))
        step = 2 if left < timedelta() else 1 if left <= WEEK else 0
        begin = datetime.combine(one.last_day - MONTH, calendar.morning, tzinfo=calendar.local(at).tzinfo)
        said = f"{'ended' if step == 2 else 'ends'} on {one.last_day}"
        yield Condition(
            kind="certificate_ends", subject=one.what, since=begin, detail=said, step=step, is_urgent=step >= 1
        )
