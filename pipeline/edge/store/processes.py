"""The processes of the service: whether each runs, the configuration it works with, and requests to reload it.

A process renews its row while it lives, and says why it ends. The row stays, so that one that died is seen, until a
process of the same part on the same host takes it over, or it is forgotten. One that was not renewed for ``STALE`` is
dead, hangs, or is cut off from the database. For processes of this host the operating system is queried as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, case, delete, func, insert, select, update

from pipeline.edge.store import work_queue
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.process_schema import process

STALE = timedelta(seconds=60)
"""A process whose row was not renewed for this long counts as dead."""

STEADY = timedelta(minutes=10)
"""After running for so long, earlier failures of its like are forgotten."""

FORGOTTEN = timedelta(days=7)
"""The row of a dead process is deleted after so long; that of one that was stopped after a day."""

_ALONE_LOCK = 7_311_017

_FORGOTTEN_ONCE_STOPPED = timedelta(days=1)

_RELOAD_REQUESTED = CompiledStatement(
    select(process.c.reload_requested).where(process.c.owner == bindparam("by"), process.c.part == bindparam("of"))
)
"""Every process looks every few seconds."""


class ProcessState(StrEnum):
    """What a process has last said of itself, or its supervisor of it."""

    RUNNING = "running"
    CANNOT_START = "cannot_start"
    """It could not begin its work, and the reason says why."""
    ENDED = "ended"
    """It ended without being told to."""
    STOPPED = "stopped"
    RESTED = "rested"
    """It has ended for another one to take its place, which counts as running for as long as its row is fresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Digests of a configuration: the part reloaded while the service runs, and the part that needs a restart."""

    clinical: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProcess:
    """One process that reads our configuration: when it read it, and the problem of its last reload, if any."""

    part: str
    host: str
    fingerprint: Fingerprint
    read_at: datetime
    is_reload_requested: bool
    problem: str | None

    def __str__(self) -> str:
        return f"{self.part} on {self.host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOnFile:
    """One process as its row tells; ``failures`` of the same part on its host went before it, one after the other.

    ``is_alive`` is whether it was seen lately and, on this host, still runs; ``problem`` why its last reload failed.
    """

    part: str
    host: str
    pid: int
    state: ProcessState
    since: datetime
    seen_at: datetime
    reason: str
    failures: int
    problem: str
    is_alive: bool


def register(
    connection: Connection, part: str, fingerprint: Fingerprint | None, *, at: datetime, owner: str | None = None
) -> None:
    """Register a process that runs, with its configuration if it reads one: this process, or another ``owner``."""
    configuration = {
        "clinical": fingerprint.clinical if fingerprint else None,
        "service": fingerprint.service if fingerprint else None,
        "read_at": at if fingerprint else None,
        "reload_requested": False,
        "problem": None,
    }
    _forget(connection, at)
    _put(connection, part, owner or work_queue.owner(), ProcessState.RUNNING, "", at, configuration)


def register_alone(connection: Connection, part: str, *, at: datetime) -> ProcessOnFile | None:
    """Register this process unless another one of its part lives, on any machine, and return that one."""
    if connection.dialect.name == "postgresql":  # on SQLite a writer excludes others already
        connection.execute(select(func.pg_advisory_xact_lock(_ALONE_LOCK)))
    mine = work_queue.owner()
    for one in on_file(connection, at=at):
        if one.part == part and one.is_alive and (one.host, one.pid) != (_host(mine), _pid(mine)):
            return one
    register(connection, part, None, at=at)
    return None


def renew(connection: Connection, part: str, *, at: datetime, owner: str | None = None) -> bool:
    """Renew the row of a process, and return whether it is still registered as running."""
    is_steady = process.c.since < at - STEADY
    renewed = (
        update(process)
        .where(_is(part, owner or work_queue.owner()), process.c.state == ProcessState.RUNNING)
        .values(seen_at=at, failures=case((is_steady, 0), else_=process.c.failures))
    )
    return connection.execute(renewed).rowcount == 1


def record_end(
    connection: Connection,
    part: str,
    state: ProcessState,
    *,
    reason: str = "",
    at: datetime,
    owner: str | None = None,
) -> None:
    """Record that a process has ended, or could not start, and why.

    What a process has said of its own end is better than what its supervisor says of it afterwards, and stays.
    """
    name = owner or work_queue.owner()
    own = connection.execute(select(process).where(_is(part, name))).one_or_none()
    if owner is not None and (
        (own is not None and own.state not in (ProcessState.RUNNING, ProcessState.RESTED))
        or (own is None and _is_replaced(connection, part, _host(name), at))
    ):
        return
    _put(connection, part, name, state, reason, at, {})


def is_reload_requested(connection: Connection, part: str) -> bool:
    """Return whether this process is requested to reload its configuration."""
    return bool(_RELOAD_REQUESTED.scalar(connection, {"of": part, "by": work_queue.owner()}))


def record_reload(
    connection: Connection, part: str, *, fingerprint: Fingerprint | None, problem: str | None, at: datetime
) -> None:
    """Record that this process has reloaded its configuration, or the problem for which it keeps the old one."""
    read = {} if fingerprint is None else {"clinical": fingerprint.clinical, "read_at": at}
    mine = _is(part, work_queue.owner())
    connection.execute(update(process).where(mine).values(reload_requested=False, problem=problem, seen_at=at, **read))


def request_reload(connection: Connection, *, at: datetime) -> int:
    """Request every live process to reload its configuration, and return their count."""
    numbers = [number for number, _ in _live(connection, at)]
    connection.execute(update(process).where(process.c.id.in_(numbers)).values(reload_requested=True, problem=None))
    return len(numbers)


def live(connection: Connection, *, at: datetime) -> list[LiveProcess]:
    """Return every live process that reads our configuration, on any host."""
    return [found for _, found in _live(connection, at)]


def outdated(connection: Connection, fingerprint: Fingerprint, *, at: datetime) -> list[LiveProcess]:
    """Return the live processes that work with another configuration."""
    return [found for found in live(connection, at=at) if found.fingerprint != fingerprint]


def on_file(connection: Connection, *, at: datetime) -> list[ProcessOnFile]:
    """Return every process on file, alive or not, by part and host."""
    rows = connection.execute(select(process).order_by(process.c.part, process.c.owner))
    return [
        ProcessOnFile(
            part=row.part,
            host=_host(row.owner),
            pid=_pid(row.owner),
            state=ProcessState(row.state),
            since=row.since,
            seen_at=row.seen_at,
            reason=row.reason,
            failures=row.failures,
            problem=row.problem or "",
            is_alive=_is_alive(row, at),
        )
        for row in rows
    ]


def _live(connection: Connection, at: datetime) -> Sequence[tuple[int, LiveProcess]]:
    return [
        (
            row.id,
            LiveProcess(
                part=row.part,
                host=_host(row.owner),
                fingerprint=Fingerprint(clinical=row.clinical, service=row.service),
                read_at=row.read_at,
                is_reload_requested=row.reload_requested,
                problem=row.problem,
            ),
        )
        for row in connection.execute(select(process).where(process.c.clinical.is_not(None)).order_by(process.c.id))
        if _is_alive(row, at)
    ]


def _put(
    connection: Connection,
    part: str,
    owner: str,
    state: ProcessState,
    reason: str,
    at: datetime,
    values: dict[str, Any],
) -> None:
    """Write the state of a process into its row, into that of a dead one it replaces, or into a new one."""
    before = _own_or_replaced(connection, part, owner, at)
    if before is None:
        new = {"owner": owner, "part": part, "state": state, "since": at, "seen_at": at, "reason": reason}
        connection.execute(insert(process).values(**new, **values))
        return
    failed = before.owner != owner and before.state not in (ProcessState.STOPPED, ProcessState.RESTED)
    goes_on = before.state == state and before.reason == reason and state != ProcessState.RUNNING
    replaced = (
        update(process)
        .where(process.c.id == before.id, process.c.owner == before.owner)  # another one may have taken it meanwhile
        .values(owner=owner, state=state, reason=reason, seen_at=at, since=before.since if goes_on else at, **values)
        .values(failures=0 if before.state == ProcessState.STOPPED else process.c.failures + int(failed))
    )
    if connection.execute(replaced).rowcount == 0:
        _put(connection, part, owner, state, reason, at, values)


def _own_or_replaced(connection: Connection, part: str, owner: str, at: datetime) -> Row[Any] | None:
    """Return the row of a process, else that of the same part and host that has ended before all others."""
    rows = connection.execute(select(process).where(process.c.part == part).order_by(process.c.seen_at)).all()
    own = next((row for row in rows if row.owner == owner), None)
    here = (row for row in rows if _host(row.owner) == _host(owner))
    ended = (row for row in here if row.state == ProcessState.RESTED or not _is_alive(row, at))
    return own or next(ended, None)


def _is_replaced(connection: Connection, part: str, host: str, at: datetime) -> bool:
    rows = connection.execute(select(process).where(process.c.part == part, process.c.since >= at))
    return any(_host(row.owner) == host for row in rows)


def _forget(connection: Connection, at: datetime) -> None:
    stopped = (process.c.state == ProcessState.STOPPED) & (process.c.seen_at < at - _FORGOTTEN_ONCE_STOPPED)
    connection.execute(delete(process).where(stopped | (process.c.seen_at < at - FORGOTTEN)))


def _is_alive(row: Row[Any], at: datetime) -> bool:
    """Return whether a process was seen lately; a time in the future is from before the clock was set back."""
    if abs(at - row.seen_at) > STALE:
        return False
    runs = row.state == ProcessState.RUNNING and not work_queue.is_gone(row.owner)
    return runs or row.state == ProcessState.RESTED


def _host(owner: str) -> str:
    return owner.rpartition("/")[0]


def _pid(owner: str) -> int:
    return int(owner.rpartition("/")[2].partition(".")[0])


def _is(part: str, owner: str) -> ColumnElement[bool]:
    return (process.c.owner == owner) & (process.c.part == part)
