"""The state of the service as a monitoring system wants it: one level, one line, and figures (Nagios plugin API)."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from pipeline.edge.alarm_kinds import Priority
from pipeline.edge.alarms import wording
from pipeline.edge.alarms.listing import ListedAlarm, raised, unwatched_since
from pipeline.edge.alarms.watch import calendar_of
from pipeline.edge.app import App
from pipeline.edge.disk_space import disk_reserve_of
from pipeline.edge.store import alarms, held_work, open_work


class Level(IntEnum):
    """The exit status of a plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its value, unit, and the least that is not critical."""

    name: str
    value: int
    unit: str = ""
    least: int | None = None

    def __str__(self) -> str:
        limit = "" if self.least is None else f";;{self.least}:"
        return f"{self.name}={self.value}{self.unit}{limit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the service is; low alarms are mentioned, and no warning."""

    level: Level
    text: str
    figures: tuple[Figure, ...] = ()

    def __str__(self) -> str:
        figures = " ".join(map(str, self.figures))
        text = self.text.replace("|", "/").replace("\n", " ")  # what a plugin may not print
        return f"DXATREND {self.level.name} - {text}" + (f" | {figures}" if figures else "")


def verdict(app: App, at: datetime) -> Verdict:
    """Return how the service is at a moment.

    Raises:
        StoreError: the database could not be queried.
    """
    with app.database.read() as connection:
        found = [one for one in raised(connection, at=at) if one.shelf is None]
        unwatched = unwatched_since(connection, at=at)
        never = alarms.watch(connection) is None
        waiting = open_work.waiting(connection)
        held = sum(one.count for one in held_work.by_reason(connection))
    disk = disk_reserve_of(app.database, app.settings.service.store.reserve_mb)
    oldest = min((one.since for one in waiting.values() if one.since), default=at)
    figures = [
        *(Figure(f"waiting_{stage}", one.count) for stage, one in waiting.items()),
        Figure("oldest_waiting", max(0, round((at - oldest).total_seconds())), "s"),
        Figure("held", held),
        Figure("alarms", len(found)),
    ]
    if (free := disk.free_mb()) is not None:
        figures.append(Figure("free", free, "MB", disk.reserve_mb))
    level, text = _judge(found)
    if never:
        level, text = Level.UNKNOWN, "the service has not run yet"
    elif unwatched is not None:
        since = wording.moment(unwatched, calendar_of(app.settings.service))
        level, text = Level.CRITICAL, f"the service does not run: neither worker nor monitor since {since}"
    return Verdict(level=level, text=text, figures=tuple(figures))


def _judge(found: list[ListedAlarm]) -> tuple[Level, str]:
    if not found:
        return Level.OK, "nothing is wrong"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    text = f"{found[0].headline}{more}"
    match found[0].priority:
        case Priority.HIGH:
            return Level.CRITICAL, text
        case Priority.MEDIUM:
            return Level.WARNING, text
        case Priority.LOW:
            return Level.OK, f"notice: {text}"
