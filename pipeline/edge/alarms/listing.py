"""The open alarms as a person looks at them, and as a monitor judges them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from pipeline.edge.alarm_kinds import KINDS, Priority
from pipeline.edge.alarms import wording
from pipeline.edge.alarms.state_machine import Alarm
from pipeline.edge.alarms.watch import open_alarms, to_alarm
from pipeline.edge.store import alarms
from pipeline.edge.store.alarms import Shelf

UNWATCHED = timedelta(minutes=5)
"""After so long without a look nobody watches, and what is listed is old."""

_ORDER = tuple(Priority)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAlarm:
    """One alarm: what is wrong, since when, and what to do; ``ended_at`` where it is over, ``shelf`` if it has one."""

    kind: str
    subject: str
    priority: Priority
    headline: str
    detail: str
    since: datetime
    advice: str
    page: str
    """The path of the page of the desk to look at."""
    command: str
    is_flapping: bool
    ended_at: datetime | None
    shelf: Shelf | None

    @property
    def name(self) -> str:
        """Kind and subject, as ``dxatrend alarms shelve`` takes them."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind


def raised(connection: Connection, *, at: datetime) -> list[ListedAlarm]:
    """Return the alarms that are raised: those that nobody has shelved first, then the most pressing."""
    shelves = {(shelf.kind, shelf.subject): shelf for shelf in alarms.shelves(connection, at=at)}
    found = [
        _listed(alarm, shelves.get(alarm.key) or shelves.get((alarm.kind, "")))
        for alarm in open_alarms(connection)
        if alarm.is_raised
    ]
    return sorted(found, key=lambda one: (one.shelf is not None, _ORDER.index(one.priority), one.since))


def over(connection: Connection, *, since: datetime) -> list[ListedAlarm]:
    """Return the alarms that have ended since a moment, the latest first."""
    return [_listed(to_alarm(row), None) for row in alarms.ended_rows(connection, since=since)]


def unwatched_since(connection: Connection, *, at: datetime) -> datetime | None:
    """Return since when nobody looks at the conditions; ``None`` while somebody does, or before anybody did."""
    watch = alarms.watch(connection)
    if watch is None or watch.looked_at is None or abs(at - watch.looked_at) <= UNWATCHED:
        return None
    return watch.looked_at


def _listed(alarm: Alarm, shelf: Shelf | None) -> ListedAlarm:
    kind = KINDS[alarm.kind]
    return ListedAlarm(
        kind=alarm.kind,
        subject=alarm.subject,
        priority=alarm.priority,
        headline=wording.headline(alarm.kind, alarm.subject),
        detail=alarm.detail,
        since=alarm.since,
        advice=kind.advice,
        page=kind.page,
        command=wording.command(alarm.kind, alarm.subject),
        is_flapping=alarm.is_flapping,
        ended_at=alarm.gone_at if alarm.ended_at else None,
        shelf=shelf,
    )
