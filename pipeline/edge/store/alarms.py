"""Alarms on file: their episodes, what is shelved, and which process looks at the conditions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from pipeline.edge.store import work_queue
from pipeline.edge.store.alarm_schema import alarm, alarm_shelf, alarm_watch

LEASE = timedelta(seconds=90)
"""How long a process that looks at the conditions counts as the one that does."""

KEPT = timedelta(days=366)
"""For how long alarms that have ended stay on file."""

_NAME = "alarms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """An alarm that a person wants to hear nothing of until a moment; without a subject, every one of its kind."""

    kind: str
    subject: str
    until: datetime
    shelved_at: datetime
    shelved_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """When the conditions were last looked at, the last message, morning and heartbeat were, and who looks."""

    looked_at: datetime | None
    message_at: datetime | None
    morning: date | None
    heartbeat_at: datetime | None
    lease_owner: str | None


def is_free(connection: Connection, *, at: datetime) -> bool:
    """Return whether no other process looks at the conditions."""
    row = connection.execute(select(alarm_watch).where(_IS_IT)).one_or_none()
    if row is None or row.lease_owner is None or row.leased_until is None:
        return True
    # Far in the future is from before the clock was set back.
    is_held = at < row.leased_until <= at + 2 * LEASE
    return row.lease_owner == work_queue.owner() or not is_held or work_queue.is_gone(row.lease_owner)


def lease(connection: Connection, *, at: datetime) -> bool:
    """Lease the look at the conditions to this process, and return whether no other process has it."""
    if watch(connection) is None:
        connection.execute(insert(alarm_watch).values(name=_NAME))
    if connection.dialect.name == "postgresql":  # on SQLite a writer excludes others already
        connection.execute(select(alarm_watch.c.name).where(_IS_IT).with_for_update())
    if not is_free(connection, at=at):
        return False
    mine = {"lease_owner": work_queue.owner(), "leased_until": at + LEASE}
    connection.execute(update(alarm_watch).where(_IS_IT).values(**mine))
    return True


def watch(connection: Connection) -> Watch | None:
    """Return who looks and when; ``None`` before the first look."""
    row = connection.execute(select(alarm_watch).where(_IS_IT)).one_or_none()
    if row is None:
        return None
    return Watch(
        looked_at=row.looked_at,
        message_at=row.message_at,
        morning=row.morning,
        heartbeat_at=row.heartbeat_at,
        lease_owner=row.lease_owner,
    )


def record_look(connection: Connection, **moments: datetime | date | None) -> None:
    """Record ``looked_at``, ``message_at``, ``morning`` or ``heartbeat_at``."""
    connection.execute(update(alarm_watch).where(_IS_IT).values(**moments))


def open_rows(connection: Connection) -> Sequence[Row[Any]]:
    """Return the rows of the alarms that have not ended, the oldest first."""
    return connection.execute(select(alarm).where(alarm.c.ended_at.is_(None)).order_by(alarm.c.id)).all()


def ended_rows(connection: Connection, *, since: datetime) -> Sequence[Row[Any]]:
    """Return the rows of the alarms that have ended since a moment, the latest first."""
    return connection.execute(
        select(alarm).where(alarm.c.ended_at >= since).order_by(alarm.c.ended_at.desc(), alarm.c.id.desc())
    ).all()


def save(connection: Connection, number: int | None, values: dict[str, Any]) -> None:
    """Store an alarm that is new (without a number), or has changed."""
    if number is None:
        connection.execute(insert(alarm).values(**values))
    else:
        connection.execute(update(alarm).where(alarm.c.id == number).values(**values))


def drop(connection: Connection, number: int) -> None:
    """Drop an alarm that never was raised."""
    connection.execute(delete(alarm).where(alarm.c.id == number))


def drop_old(connection: Connection, *, at: datetime) -> None:
    """Drop alarms and shelves at the end of their retention time."""
    connection.execute(delete(alarm).where(alarm.c.ended_at < at - KEPT))
    connection.execute(delete(alarm_shelf).where(alarm_shelf.c.until < at - KEPT))


def shelves(connection: Connection, *, at: datetime) -> list[Shelf]:
    """Return what is shelved at a moment."""
    query = select(alarm_shelf).where(alarm_shelf.c.until > at).order_by(alarm_shelf.c.kind, alarm_shelf.c.subject)
    return [
        Shelf(
            kind=row.kind,
            subject=row.subject,
            until=row.until,
            shelved_at=row.shelved_at,
            shelved_by=row.shelved_by,
            reason=row.reason,
        )
        for row in connection.execute(query)
    ]


def shelve(connection: Connection, shelf: Shelf) -> None:
    """Shelve an alarm, in the place of an earlier shelf."""
    unshelve(connection, shelf.kind, shelf.subject)
    connection.execute(
        insert(alarm_shelf).values(
            kind=shelf.kind,
            subject=shelf.subject,
            until=shelf.until,
            shelved_at=shelf.shelved_at,
            shelved_by=shelf.shelved_by,
            reason=shelf.reason,
        )
    )


def unshelve(connection: Connection, kind: str, subject: str) -> bool:
    """Take an alarm off its shelf, and return whether it was on one."""
    of_it = (alarm_shelf.c.kind == kind) & (alarm_shelf.c.subject == subject)
    return connection.execute(delete(alarm_shelf).where(of_it)).rowcount > 0


_IS_IT: ColumnElement[bool] = alarm_watch.c.name == _NAME
