"""What is not as it should be, each with what it means and what to do: the first thing a person wants to see."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from pipeline.edge.overview.check_result import Level
from pipeline.edge.overview.expiries import Expiry
from pipeline.edge.overview.held_reasons import explanation
from pipeline.edge.overview.parts import Part, PartState
from pipeline.edge.overview.precision_register import StudyInDoubt
from pipeline.edge.overview.scanner_fitness import Fitness, ScannerFitness
from pipeline.edge.overview.today import Disk, Today
from pipeline.edge.store.service_status import DestinationStatus, HistoryStatus

STUCK_AFTER = timedelta(minutes=10)
"""After so long something is in the way of work that is due, for a worker takes it up within seconds."""


class Urgency(IntEnum):
    """How soon somebody should look."""

    NOW = 0
    """Something does not work."""
    TODAY = 1
    """Somebody has to decide or correct something."""
    SOON = 2
    """It works, and will not for long."""


class Kind(StrEnum):
    """What a trouble is about."""

    PART = "part"
    CONFIGURATION = "configuration"
    DISK = "disk"
    WAITING = "waiting"
    DESTINATION = "destination"
    HISTORY = "history"
    HELD = "held"
    LATE = "late"
    QUALITY = "quality"
    SCANNER = "scanner"
    CALLER = "caller"
    LSC = "lsc"
    CERTIFICATE = "certificate"
    BACKUP = "backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that is not as it should be: what is wrong, and what to do.

    ``kind`` and ``subject`` name it as long as it lasts. A text between backticks is a name or a command. Nothing here
    is of a patient.
    """

    kind: Kind
    subject: str
    urgency: Urgency
    what: str
    advice: str
    since: datetime | None = None
    next_try: datetime | None = None


def troubles(now: Today) -> list[Trouble]:
    """Return what is not as it should be, the most urgent first."""
    found = [
        *(_of_part(one) for one in now.parts if not one.is_as_it_should_be),
        *(_of_disk(one) for one in now.disks if one.is_short),
        *(one for to in now.status.destinations for one in _of_destination(to, now.at)),
        *_of_waiting(now),
        *(_of_history(one) for one in now.status.history if one.unanswered and one.last_problem),
        *_of_held(now),
        *(_of_quality(one) for one in now.fitness if one.fitness in _QUALITY),
        *_of_scanners(now),
        *_of_callers(now),
        *_of_configuration(now),
        *_of_doubts(now),
        *(_of_expiry(Kind.LSC, one, now) for one in now.lscs),
        *(_of_study(one) for one in now.studies),
        *(_of_expiry(Kind.CERTIFICATE, one, now) for one in now.certificates),
        *_of_backup(now),
    ]
    return sorted(found, key=lambda one: one.urgency)


def _of_part(part: Part) -> Trouble:
    doing = {
        "listener": "Scanners cannot send. They keep their reports and send them again.",
        "worker": "Nothing is read, compared or delivered. Nothing is lost.",
    }.get(part.name, "") if part.is_missed else ""  # fmt: skip
    advice = {
        PartState.MISSING: "Start the service.",
        PartState.STOPPED: "Start the service.",
        PartState.SILENT: "See whether its computer runs and reaches the database. A computer that was taken out of "
        "service is forgotten after a week.",
        PartState.RUNNING: "Correct the files and `dxatrend reload`.",
    }.get(part.state, "Remove the cause; it is started again by itself. Its log says more.")
    reason = f": {part.reason}" if part.reason else ""
    return Trouble(
        kind=Kind.PART,
        subject=str(part),
        urgency=Urgency.NOW if part.is_missed or not part.is_alive else Urgency.TODAY,
        what=f"The {part} {_verb(part)}{reason}. {doing}".strip(),
        advice=advice,
        since=part.since,
    )


def _verb(part: Part) -> str:
    words = part.state.value
    return words if words.startswith(("cannot", "ended", "gives")) else f"is {words}"


def _of_disk(disk: Disk) -> Trouble:
    return Trouble(
        kind=Kind.DISK,
        subject=disk.name,
        urgency=Urgency.NOW,
        what=f"The disk of {disk.name} is nearly full: {disk.free_mb} MB are free, {disk.reserve_mb} MB have to stay.",
        advice="Free disk space. Until then scanners are refused and keep their reports."
        if disk.name == "the store"
        else "Free disk space. The work goes on.",
    )


def _of_destination(to: DestinationStatus, at: datetime) -> Iterator[Trouble]:
    problem = f" Last problem: {to.last_problem}." if to.last_problem else ""
    if to.away_since is not None:
        yield Trouble(
            kind=Kind.DESTINATION,
            subject=to.name,
            urgency=Urgency.NOW,
            what=f"{to.name} takes no addenda; waiting: {to.backlog}.{problem}",
            advice="Remove the cause, then try now. It is also tried by itself, and nothing is lost.",
            since=to.away_since,
            next_try=to.next_try,
        )
    elif to.oldest is not None and at - to.oldest > STUCK_AFTER:
        yield Trouble(
            kind=Kind.DESTINATION,
            subject=to.name,
            urgency=Urgency.TODAY,
            what=f"Addenda wait for {to.name}: {to.backlog}.{problem}",
            advice="Remove the cause, then try now.",
            since=to.oldest,
        )


def _of_waiting(now: Today) -> Iterator[Trouble]:
    waiting = {
        "Reports to be read": (now.status.to_be_read, now.status.oldest_to_be_read),
        "Exams to be compared": (now.status.exams_waiting, now.status.oldest_exam_waiting),
        "Scanners' questions whether their reports are kept": (
            now.status.commitments_waiting,
            now.status.oldest_commitment_waiting,
        ),
    }
    for what, (count, oldest) in waiting.items():
        if oldest is not None and now.at - oldest > STUCK_AFTER:
            yield Trouble(
                kind=Kind.WAITING,
                subject=what,
                urgency=Urgency.TODAY,
                what=f"Work does not move. {what}: {count}, the oldest for longer than it should take.",
                advice="See whether a worker runs, and what its log says. After a large import this is to be expected.",
                since=oldest,
            )


def _of_history(archive: HistoryStatus) -> Trouble:
    return Trouble(
        kind=Kind.HISTORY,
        subject=archive.name,
        urgency=Urgency.TODAY,
        what=f"{archive.name} does not answer when asked for earlier exams; patients concerned: {archive.unanswered}. "
        f"Last problem: {archive.last_problem}.",
        advice="Repair the connection or the PACS. Addenda say that it has not answered, and are replaced once it has.",
        since=archive.unanswered_since,
        next_try=archive.next_try,
    )


def _of_held(now: Today) -> Iterator[Trouble]:
    for one in now.held:
        known = explanation(one.reason)
        yield Trouble(
            kind=Kind.HELD,
            subject=one.reason,
            urgency=Urgency.TODAY,
            what=f"{one.count} held: {known.summary}",
            advice=known.advice,
            since=one.oldest,
        )


def _of_scanners(now: Today) -> Iterator[Trouble]:
    status = now.status
    for new in status.new_senders:
        yield Trouble(
            kind=Kind.SCANNER,
            subject=f"caller {new.number}",
            urgency=Urgency.TODAY,
            what=f"{new.sender} has sent reports of {new.scanner}, which others had sent before.",
            advice=f"If it may, confirm it in Set-up or by `dxatrend confirm {new.number}`. If not, find out what "
            "sends in its name.",
            since=new.first_seen_at,
        )
    for machine in status.unidentified:
        yield Trouble(
            kind=Kind.SCANNER,
            subject=f"{machine.scanner} at {machine.station_name or machine.institution or 'an unnamed station'}",
            urgency=Urgency.TODAY,
            what=f"Reports of {machine.scanner} have no serial number, so nothing that it measures is compared.",
            advice="Read the serial number off the scanner and add it to `scanners.toml`. Set-up and `dxatrend status` "
            "have the lines.",
            since=machine.last_seen_at,
        )
    for pair in status.respelt:
        yield Trouble(
            kind=Kind.SCANNER,
            subject=str(pair.respelt),
            urgency=Urgency.TODAY,
            what=f"{pair.scanner} and {pair.respelt} seem to be one scanner with two names; nothing is compared "
            "between them.",
            advice="If it is one, add the spelling to `scanners.toml`. Set-up and `dxatrend status` have the lines.",
        )
    if status.late:
        yield Trouble(
            kind=Kind.LATE,
            subject="exams",
            urgency=Urgency.TODAY,
            what=f"{len(status.late)} exams came long after their date, so the scanner's clock may be wrong.",
            advice="If the date is right, release the exam: "
            + ", ".join(f"`E{number}`" for number in status.late[-_MOST_NAMED:])
            + ".",
        )


def _of_quality(one: ScannerFitness) -> Trouble:
    return Trouble(
        kind=Kind.QUALITY,
        subject=str(one.scanner),
        urgency=_QUALITY[one.fitness],
        what=f"{one.name or one.scanner}: {one.fitness.value}.",
        advice=" ".join(map(_sentence, one.advice)),
    )


def _of_callers(now: Today) -> Iterator[Trouble]:
    lately = [one for one in now.rejected_callers if not one.is_admitted and now.at - one.caller.last_at <= _LATELY]
    for one in lately[:_MOST_NAMED]:
        caller = one.caller
        yield Trouble(
            kind=Kind.CALLER,
            subject=f"{caller.calling_ae_title} at {caller.host}",
            urgency=Urgency.TODAY,
            what=f"{caller.calling_ae_title} at {caller.host} wanted to send and was rejected, {caller.times} times "
            "in all.",
            advice=f"{one.advice} {' '.join(f'`{line}`' for line in one.lines)}".strip(),
            since=caller.last_at,
        )


def _of_configuration(now: Today) -> Iterator[Trouble]:
    if now.restart_needed:
        yield Trouble(
            kind=Kind.CONFIGURATION,
            subject="files",
            urgency=Urgency.TODAY,
            what="The files of the configuration were changed, and the service still works with the former ones.",
            advice=" ".join(map(_sentence, now.restart_needed)),
        )


def _of_doubts(now: Today) -> Iterator[Trouble]:
    """Yield each thing in the configuration that must be corrected, and one trouble for all that are doubtful."""
    for one in now.doubts:
        if one.level is Level.PROBLEM:
            yield Trouble(
                kind=Kind.CONFIGURATION,
                subject=one.what,
                urgency=Urgency.TODAY,
                what=f"{one.what}.",
                advice=_sentence(one.advice or "correct it in the configuration, then restart the service"),
            )
    doubtful = [one.text for one in now.doubts if one.level is Level.ADVICE]
    if doubtful:
        more = f" And {len(doubtful) - 1} more." if len(doubtful) > 1 else ""
        yield Trouble(
            kind=Kind.CONFIGURATION,
            subject="doubts",
            urgency=Urgency.SOON,
            what="The configuration has something to look at."
            if not more
            else f"The configuration has {len(doubtful)} things to look at.",
            advice=f"{_sentence(doubtful[0])}{more} `dxatrend check` and Set-up list them.",
        )


def _sentence(text: str) -> str:
    """Return a text as a sentence; one that begins with a key of the configuration keeps it as it is written."""
    first = text.partition(" ")[0]
    is_key = "." in first or first.endswith(":")
    begin = text[:1] if is_key else text[:1].upper()
    return f"{begin}{text[1:].removesuffix('.')}."


def _of_expiry(kind: Kind, one: Expiry, now: Today) -> Trouble:
    left = one.days_left(now.day)
    when = f"runs out in {left} days, on {one.last_day}" if left >= 0 else f"ran out on {one.last_day}"
    return Trouble(
        kind=kind,
        subject=one.what,
        urgency=Urgency.SOON if left >= 0 else Urgency.TODAY,
        what=f"{one.what} {when}.",
        advice=f"After that day {one.consequence}.",
    )


def _of_study(one: StudyInDoubt) -> Trouble:
    found = [*one.changes]
    if one.technologists == 1:
        found.append("one technologist scans who was no part of it")
    elif one.technologists:
        found.append(f"{one.technologists} technologists scan who were no part of it")
    return Trouble(
        kind=Kind.LSC,
        subject=f"study of {one.scanner}",
        urgency=Urgency.SOON,
        what=f"Since the precision study of {', '.join(one.regions)} on {one.scanner}: {'; '.join(found)}.",
        advice="See the Precision page, and repeat the study with everybody who scans.",
    )


def _of_backup(now: Today) -> Iterator[Trouble]:
    if now.backups.failed is not None:
        yield Trouble(
            kind=Kind.BACKUP,
            subject="failed backup",
            urgency=Urgency.TODAY,
            what=f"The nightly backup has failed: {now.backups.problem}.",
            advice="Free space, or mend the folder. The older backups are kept; it is tried again the next night.",
            since=now.backups.failed,
        )
    if now.backups.is_old(now.at):
        never = now.backups.last is None
        yield Trouble(
            kind=Kind.BACKUP,
            subject="backup",
            urgency=Urgency.SOON if never else Urgency.TODAY,
            what="There has been no backup yet." if never else "The last backup is old.",
            advice="Set `backup.folder`, best on another machine, or run `dxatrend backup` every night."
            if now.backups.failed is None
            else "Until the nightly one succeeds again, run `dxatrend backup` yourself.",
            since=now.backups.last,
        )


_QUALITY = {
    Fitness.STOPPED: Urgency.NOW,
    Fitness.REPEAT: Urgency.TODAY,
    Fitness.OVERDUE: Urgency.TODAY,
    Fitness.WARNING: Urgency.TODAY,
    Fitness.UNKNOWN_PHANTOM: Urgency.TODAY,
    Fitness.DUE: Urgency.SOON,
}
"""How soon somebody should look at a scanner; one without a phantom, or without limits yet, is no trouble."""

_MOST_NAMED = 5
_LATELY = timedelta(hours=24)
