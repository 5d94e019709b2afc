"""The live processes of the service, the configuration each works with, and requests to reload it.

A process renews its row while it lives. One that has not done so for ``STALE`` is dead or cut off from the database and
no longer counts. For processes of this host the operating system is queried instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from pipeline.edge.store import work_queue
from pipeline.edge.store.schema import process

STALE = timedelta(seconds=60)
"""A process whose row was not renewed for this long counts as dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Digests of a configuration: the part reloaded while the service runs, and the part that needs a restart."""

    clinical: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProcess:
    """One process: when it read its configuration, and the problem of its last reload, if any."""

    part: str
    host: str
    fingerprint: Fingerprint
    read_at: datetime
    is_reload_requested: bool
    problem: str | None

    def __str__(self) -> str:
        return f"{self.part} on {self.host}"


def register(connection: Connection, part: str, fingerprint: Fingerprint, *, at: datetime) -> None:
    """Register this process with its configuration, and delete the rows of dead processes."""
    for row in connection.execute(select(process.c.id, process.c.owner, process.c.seen_at)).all():
        if not _is_alive(row.owner, row.seen_at, at):
            connection.execute(delete(process).where(process.c.id == row.id))
    connection.execute(delete(process).where(_mine(part)))
    connection.execute(
        insert(process).values(
            owner=work_queue.owner(),
            part=part,
            clinical=fingerprint.clinical,
            service=fingerprint.service,
            read_at=at,
            seen_at=at,
            reload_requested=False,
        )
    )


def renew(connection: Connection, part: str, *, at: datetime) -> bool:
    """Renew the row of this process, and return whether it is still registered."""
    return connection.execute(update(process).where(_mine(part)).values(seen_at=at)).rowcount == 1


def unregister(connection: Connection, part: str) -> None:
    """Delete the row of this process, which ends."""
    connection.execute(delete(process).where(_mine(part)))


def is_reload_requested(connection: Connection, part: str) -> bool:
    """Return whether this process is requested to reload its configuration."""
    return bool(connection.scalar(select(process.c.reload_requested).where(_mine(part))))


def record_reload(
    connection: Connection, part: str, *, fingerprint: Fingerprint | None, problem: str | None, at: datetime
) -> None:
    """Record that this process has reloaded its configuration, or the problem for which it keeps the old one."""
    read = {} if fingerprint is None else {"clinical": fingerprint.clinical, "read_at": at}
    connection.execute(
        update(process).where(_mine(part)).values(reload_requested=False, problem=problem, seen_at=at, **read)
    )


def request_reload(connection: Connection, *, at: datetime) -> int:
    """Request every live process to reload its configuration, and return their count."""
    numbers = [number for number, _ in _live(connection, at)]
    connection.execute(update(process).where(process.c.id.in_(numbers)).values(reload_requested=True, problem=None))
    return len(numbers)


def live(connection: Connection, *, at: datetime) -> list[LiveProcess]:
    """Return every live process of the service, on any host."""
    return [found for _, found in _live(connection, at)]


def outdated(connection: Connection, fingerprint: Fingerprint, *, at: datetime) -> list[LiveProcess]:
    """Return the live processes that work with another configuration."""
    return [found for found in live(connection, at=at) if found.fingerprint != fingerprint]


def _live(connection: Connection, at: datetime) -> Sequence[tuple[int, LiveProcess]]:
    return [
        (
            row.id,
            LiveProcess(
                part=row.part,
                host=row.owner.rpartition("/")[0],
                fingerprint=Fingerprint(clinical=row.clinical, service=row.service),
                read_at=row.read_at,
                is_reload_requested=row.reload_requested,
                problem=row.problem,
            ),
        )
        for row in connection.execute(select(process).order_by(process.c.id))
        if _is_alive(row.owner, row.seen_at, at)
    ]


def _is_alive(owner: str, seen_at: datetime, at: datetime) -> bool:
    """Return whether a process was seen lately; a time in the future is from before the clock was set back."""
    return abs(at - seen_at) <= STALE and not work_queue.is_gone(owner)


def _mine(part: str) -> ColumnElement[bool]:
    return (process.c.owner == work_queue.owner()) & (process.c.part == part)
