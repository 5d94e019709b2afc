"""Outages of destinations: archives that accept nothing at present, and when each is tried again (back-off)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from pipeline.edge.store.schema import outage


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """The outage of one archive: ``attempts`` have failed so far, the next is at ``due_at``."""

    since: datetime
    attempts: int
    due_at: datetime
    detail: str


def current(connection: Connection, destination: str) -> Outage | None:
    """Return the current outage of an archive; ``None`` when there is none."""
    query = select(outage.c.since, outage.c.attempts, outage.c.due_at, outage.c.detail)
    row = connection.execute(query.where(outage.c.destination == destination)).one_or_none()
    return None if row is None else Outage(**row._mapping)


def record_failure(connection: Connection, destination: str, *, wait: timedelta, detail: str, at: datetime) -> None:
    """Record a failed attempt; the archive is not tried again before the wait is over."""
    before = current(connection, destination)
    end(connection, destination)
    connection.execute(
        insert(outage).values(
            destination=destination,
            since=before.since if before else at,
            attempts=before.attempts + 1 if before else 1,
            due_at=at + wait,
            detail=detail,
        )
    )


def bring_forward(connection: Connection, by: timedelta, *, at: datetime) -> int:
    """Move every later due time forward by ``by`` after the clock was set back, and return how many were moved."""
    later = connection.execute(select(outage.c.destination, outage.c.due_at).where(outage.c.due_at > at)).all()
    for row in later:
        mine = outage.c.destination == row.destination
        connection.execute(update(outage).where(mine).values(due_at=row.due_at - by))
    return len(later)


def end(connection: Connection, destination: str) -> None:
    """End an outage: the archive accepts instances again, or a person wants it tried now."""
    connection.execute(delete(outage).where(outage.c.destination == destination))
