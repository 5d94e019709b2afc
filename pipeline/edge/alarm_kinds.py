"""The kinds of alarm: what each says, how pressing it is, for how long its cause must last, and what a person does.

An alarm needs an answer of a person (ISA-18.2); whatever mends itself is none. docs/operations.md shows this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Priority(StrEnum):
    """How pressing an alarm is: ``high`` is told at once, ``medium`` in hours of work, ``low`` in the morning."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of alarm; ``{}`` in ``headline`` and ``command`` stands for the subject."""

    name: str
    priority: Priority
    headline: str
    cause: str
    """When it is raised, as the documentation says it; ``{}`` stands for its hold-off or limit."""
    advice: str
    """What a person does."""
    page: str
    """The page of the desk to look at."""
    command: str
    """The command that shows or mends it."""
    hold_off: timedelta = timedelta()
    """For how long the cause must last before it is raised."""
    is_aged: bool = False
    """Whether ``hold_off`` counts from the age of what waits, not from when it was first seen."""
    working_days: int = 0
    """So many days of work instead of ``hold_off``."""
    is_seen_at_once: bool = True
    """Whether a look at the service shows the cause at any moment; else it is learned, found at night, or past."""
    hidden_by: tuple[tuple[str, bool], ...] = ()
    """The kinds of which this is a consequence, each with whether only that of the same subject hides it."""


def _minutes(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


_LISTENER_GONE = ("no_listener", False)
_WORKER_GONE = ("no_worker", False)
_NO_ROOM = ("no_room", False)
_STORE_AWAY = ("store_away", False)
_PARTS = (_STORE_AWAY,)

ALL = (
    Kind(
        name="no_listener",
        priority=Priority.HIGH,
        hold_off=_minutes(5),
        headline="No listener runs: scanners cannot send",
        cause="no listener has shown a sign of life for {}",
        advice="See the log of the service for the reason, mend it, restart the service. Scanners keep their copies.",
        page="/",
        command="dxatrend status",
        hidden_by=_PARTS,
    ),
    Kind(
        name="no_worker",
        priority=Priority.HIGH,
        hold_off=_minutes(5),
        headline="No worker runs: nothing received is followed up or delivered",
        cause="no worker has shown a sign of life for {}",
        advice="See the log of the service for the reason, mend it, restart the service. Nothing is lost.",
        page="/",
        command="dxatrend status",
        hidden_by=_PARTS,
    ),
    Kind(
        name="store_away",
        priority=Priority.HIGH,
        hold_off=_minutes(5),
        headline="The database does not answer: nothing is received and nothing delivered",
        cause="the database could not be queried for {}",
        advice="Start the database, or end what has locked it. Scanners keep their copies and send again.",
        page="/",
        command="dxatrend check",
    ),
    Kind(
        name="store_damaged",
        priority=Priority.HIGH,
        is_seen_at_once=False,
        headline="The database is damaged",
        cause="the nightly check of the database has failed",
        advice="Stop the service and restore the latest backup.",
        page="/",
        command="dxatrend restore FILE --replace",
    ),
    Kind(
        name="audit_broken",
        priority=Priority.HIGH,
        is_seen_at_once=False,
        headline="The audit trail was changed: its chain is broken",
        cause="the nightly check of the audit trail's chain has failed",
        advice="Find out who has had access to the database; keep a copy of it as it is now.",
        page="/trail",
        command="dxatrend audit --verify",
        hidden_by=(("store_damaged", False),),
    ),
    Kind(
        name="no_room",
        priority=Priority.HIGH,
        headline="The disk is nearly full: scanners are refused",
        cause="less than `store.reserve_mb` is free on the disk of the store",
        advice="Free space on the disk. Scanners keep their copies and send again.",
        page="/",
        command="dxatrend status",
    ),
    Kind(
        name="objects_refused",
        priority=Priority.HIGH,
        is_seen_at_once=False,
        headline="Objects of scanners could not be stored and were refused",
        cause="an object was answered with 0xA700 within the last hour",
        advice="See the detail for the reason; scanners keep their copies, send them again once it is mended.",
        page="/",
        command="dxatrend status",
        hidden_by=(_NO_ROOM, _STORE_AWAY),
    ),
    Kind(
        name="destination_away",
        priority=Priority.MEDIUM,
        hold_off=_minutes(15),
        headline="{} takes no addenda",
        cause="the destination has been away, or has rejected us, for {}",
        advice="Do what the detail says; what waits is then sent by itself, or now by the command.",
        page="/",
        command="dxatrend release {}",
        hidden_by=(_WORKER_GONE,),
    ),
    Kind(
        name="delivery_stuck",
        priority=Priority.MEDIUM,
        hold_off=timedelta(hours=4),
        is_aged=True,
        headline="An addendum for {} is not accepted",
        cause="an addendum has waited for {} although the destination answers",
        advice="Do what the detail says, see the destination's log; then try again by the command.",
        page="/",
        command="dxatrend release {}",
        hidden_by=(("destination_away", True), _WORKER_GONE),
    ),
    Kind(
        name="history_unanswered",
        priority=Priority.MEDIUM,
        hold_off=timedelta(hours=4),
        is_aged=True,
        headline="{} does not answer questions for earlier reports",
        cause="a question for a patient's earlier reports has waited for {}",
        advice="Repair the archive, or its permission for our AE title. Addenda say that it has not answered.",
        page="/",
        command="dxatrend status",
        hidden_by=(("destination_away", True), _WORKER_GONE),
    ),
    Kind(
        name="work_stuck",
        priority=Priority.MEDIUM,
        hold_off=_minutes(60),
        is_aged=True,
        headline="Received reports wait and are not worked on ({})",
        cause="something that is due has waited for {} although a worker runs",
        advice="See the log of the worker for the reason; restart the service. Please report it.",
        page="/",
        command="dxatrend status",
        hidden_by=(_WORKER_GONE, _STORE_AWAY),
    ),
    Kind(
        name="held",
        priority=Priority.MEDIUM,
        working_days=1,
        is_aged=True,
        headline="Held work waits for a person",
        cause="something has been held for {}",
        advice="Look at each reason: mend the cause at the source, then release it, or withdraw the exam.",
        page="/held",
        command="dxatrend held",
    ),
    Kind(
        name="held_wrong_patient",
        priority=Priority.MEDIUM,
        headline="An exam may be under the wrong patient",
        cause="something is held as `other_patient`, `id_conflict` or `same_scan`",
        advice="Compare the reports with the schedule; correct it at the source, withdraw what is wrong.",
        page="/held",
        command="dxatrend held",
    ),
    Kind(
        name="unknown_dialect",
        priority=Priority.MEDIUM,
        headline="A scanner sends a kind of report that is not known",
        cause="a report is held as `unknown_dialect`",
        advice="Was its software changed? Add a dialect (docs/dialects.md), reload, release what is held.",
        page="/held",
        command="dxatrend held",
    ),
    Kind(
        name="software_changed",
        priority=Priority.MEDIUM,
        is_seen_at_once=False,
        headline="{} has new software",
        cause="the latest exam of a scanner was made with other software than the exams before it; until a service or "
        "an epoch from that day on is recorded, or for 14 days",
        advice="Scan the phantom and compare it with before. Record the update as a service of the scanner; if it "
        "touched the calibration, enter an epoch and repeat the precision study.",
        page="/scanners",
        command="dxatrend qc service",
    ),
    Kind(
        name="caller_rejected",
        priority=Priority.MEDIUM,
        headline="A known device at {} is rejected",
        cause="three associations within an hour from the address of a configured caller; ends a day after the last",
        advice="Was an AE title or certificate changed? Correct it there, or in service.toml.",
        page="/setup",
        command="dxatrend check",
    ),
    Kind(
        name="scanner_silent",
        priority=Priority.MEDIUM,
        is_seen_at_once=False,
        hold_off=_minutes(60),
        headline="{} has sent nothing for longer than usual",
        cause="nothing has come for more days of work than 99 of 100 of its gaps in a year had, and {} more; needs 20 "
        "days of exams",
        advice="Is it in use? Then look for reports that wait at the scanner. If it is not: shelve this, or name the "
        "days in `alarms.holidays`.",
        page="/",
        command="dxatrend status",
        hidden_by=(_LISTENER_GONE, _NO_ROOM, _STORE_AWAY),
    ),
    Kind(
        name="phantom_stop",
        priority=Priority.MEDIUM,
        headline="Quality control of {} says stop",
        cause="a phantom scan was out of limits and so were its repeats, or it was not repeated",
        advice="Scan no patients on it until the cause is found; record what was done, then scan the phantom.",
        page="/scanners",
        command="dxatrend status",
    ),
    Kind(
        name="phantom_due",
        priority=Priority.LOW,
        headline="The phantom of {} is due",
        cause="its last scan is `quality_control.phantom_notice_days` old, or the first is awaited for so long, and "
        "the scanner is in use",
        advice="Scan the phantom, and send the scan.",
        page="/scanners",
        command="dxatrend status",
        hidden_by=(("scanner_silent", True),),
    ),
    Kind(
        name="phantom_overdue",
        priority=Priority.MEDIUM,
        headline="The phantom of {} is overdue",
        cause="its last scan is `quality_control.phantom_alarm_days` old, or the first is awaited for so long, and "
        "the scanner is in use",
        advice="Scan the phantom before the next patient, and send the scan.",
        page="/scanners",
        command="dxatrend status",
        hidden_by=(("scanner_silent", True),),
    ),
    Kind(
        name="lsc_ends",
        priority=Priority.LOW,
        headline="The LSC of {} runs out",
        cause="an LSC ends within 90 days; told again at 30 and when it has ended",
        advice="Repeat the precision study and enter the LSC; without one no change is judged.",
        page="/precision",
        command="dxatrend status",
    ),
    Kind(
        name="certificate_ends",
        priority=Priority.LOW,
        headline="A certificate runs out: {}",
        cause="a certificate of ours, of an authority we trust, or of a caller ends within 30 days; told again at 7 "
        "and at its end",
        advice="Replace the file, then restart the service; have that of a caller renewed there.",
        page="/setup",
        command="dxatrend check",
    ),
    Kind(
        name="backup_old",
        priority=Priority.LOW,
        hold_off=timedelta(hours=52),
        is_aged=True,
        headline="There is no fresh backup",
        cause="the last backup, or the first report if there never was one, is {} old",
        advice="Run a backup, and see why the nightly one has failed.",
        page="/",
        command="dxatrend backup FILE",
    ),
    Kind(
        name="backup_failed",
        priority=Priority.MEDIUM,
        headline="The nightly backup has failed",
        cause="the last backup by schedule was not written, or not verified; ends with the next that is",
        advice="See the reason in the detail: free space, or mend the folder. If it names a receipt, have that sent "
        "again, or restore. The older backups are kept.",
        page="/",
        command="dxatrend status",
        hidden_by=(_NO_ROOM, _STORE_AWAY),
    ),
    Kind(
        name="disk_filling",
        priority=Priority.LOW,
        is_seen_at_once=False,
        headline="The disk will be full within four weeks",
        cause="at the pace of the last four weeks the disk of the store reaches its reserve within four weeks",
        advice="Add disk space, or lower `keeping.pixels_days`.",
        page="/",
        command="dxatrend status",
        hidden_by=(_NO_ROOM,),
    ),
    Kind(
        name="messages_stuck",
        priority=Priority.MEDIUM,
        is_seen_at_once=False,
        hold_off=_minutes(60),
        is_aged=True,
        headline="Messages do not get out by {}",
        cause="a message of an alarm has waited for {}; the outward heartbeat is then withheld",
        advice="Try it by the command; correct the settings below `alarms` in service.toml.",
        page="/alarms",
        command="dxatrend alarms test",
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in ALL}
"""Every kind by its name."""
