"""The parts of the service: whether each is alive, since when, and if not, why."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from pipeline.edge.store import processes
from pipeline.edge.store.processes import ProcessOnFile, ProcessState

NEEDED = ("listener", "worker")
"""The parts without which no report is received, and no addendum written or delivered."""

OFTEN = 3
"""A part that has failed so often in a row does not run well, even while it runs."""


class PartState(StrEnum):
    """How a part of the service is, in words."""

    RUNNING = "running"
    UNSTEADY = "running, but keeps failing"
    CANNOT_START = "cannot start"
    ENDED = "ended unexpectedly"
    SILENT = "gives no sign of life"
    """It neither renews its heartbeat nor has said that it ends: killed, hung, or cut off from the database."""
    STOPPED = "stopped"
    MISSING = "not running"
    """None of it is on file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the service on one host; ``since`` it is in this state, ``seen_at`` was its last heartbeat.

    A part that is ``MISSING`` has neither, no host and no process id. ``is_missed`` is whether the service needs the
    part and nobody else runs it.
    """

    name: str
    state: PartState
    host: str = ""
    pid: int | None = None
    since: datetime | None = None
    seen_at: datetime | None = None
    reason: str = ""
    is_missed: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.state in (PartState.RUNNING, PartState.UNSTEADY)

    @property
    def is_as_it_should_be(self) -> bool:
        """Whether nobody needs to look at it: it runs well, or was stopped and is not missed."""
        runs_well = self.state is PartState.RUNNING and not self.reason
        return runs_well or (self.state is PartState.STOPPED and not self.is_missed)

    def __str__(self) -> str:
        return f"{self.name} on {self.host}" if self.host else self.name


def parts(connection: Connection, *, at: datetime) -> list[Part]:
    """Return the parts of the service by name and host, those that are not as they should be first.

    A part that the service needs and that never ran is there as well, as ``MISSING``.
    """
    on_file = processes.on_file(connection, at=at)
    missed = set(NEEDED) - {process.part for process in on_file if process.is_alive}
    known = [_part(process, missed) for process in on_file]
    never = missed - {one.name for one in known}
    missing = [Part(name=name, state=PartState.MISSING, is_missed=True) for name in never]
    return sorted([*known, *missing], key=lambda one: (one.is_as_it_should_be, one.name, one.host, one.pid or 0))


def _part(process: ProcessOnFile, missed: Collection[str]) -> Part:
    state = _state(process)
    return Part(
        name=process.part,
        state=state,
        host=process.host,
        pid=process.pid,
        since=process.seen_at if state is PartState.SILENT else process.since,
        seen_at=process.seen_at,
        reason=_reason(process, state),
        is_missed=process.part in missed,
    )


def _state(process: ProcessOnFile) -> PartState:
    match process.state:
        case ProcessState.RUNNING | ProcessState.RESTED if not process.is_alive:
            return PartState.SILENT
        case ProcessState.RUNNING | ProcessState.RESTED:
            return PartState.UNSTEADY if process.failures >= OFTEN else PartState.RUNNING
        case ProcessState.CANNOT_START:
            return PartState.CANNOT_START
        case ProcessState.ENDED:
            return PartState.ENDED
        case ProcessState.STOPPED:
            return PartState.STOPPED


def _reason(process: ProcessOnFile, state: PartState) -> str:
    if state is PartState.UNSTEADY:
        return f"it had to be started again {process.failures} times"
    if process.is_alive and process.problem:
        return f"it keeps its former configuration: {process.problem}"
    return process.reason
