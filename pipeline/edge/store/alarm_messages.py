"""Outbox of the alarms' messages: one row for each way out, sent with retry until it is out or too old."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from pipeline.edge.store import work_queue
from pipeline.edge.store.alarm_schema import alarm_message
from pipeline.edge.store.schema_base import State

TOO_OLD = timedelta(days=3)
"""A message that did not get out for so long is given up: what is still wrong is in a later one."""

KEPT = timedelta(days=90)
"""For how long messages stay on file."""

GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One message on its way; ``attempts`` counts this one."""

    number: int
    way: str
    content: Mapping[str, Any]
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WayStatus:
    """What has become of the messages of one way out."""

    way: str
    waiting: int
    oldest: datetime | None
    last_sent_at: datetime | None
    problem: str | None


def add(connection: Connection, ways: Sequence[str], content: Mapping[str, Any], *, at: datetime) -> None:
    """Add a message for each of these ways out."""
    for way in ways:
        connection.execute(
            insert(alarm_message).values(
                way=way, content=json.dumps(content), created_at=at, state=State.WAITING, due_at=at
            )
        )


def claim(connection: Connection, way: str, *, at: datetime) -> OutgoingMessage | None:
    """Claim the next due message of a way out, and give up what is too old."""
    of_way = alarm_message.c.way == way
    stale = (alarm_message.c.state == State.WAITING) & (alarm_message.c.created_at < at - TOO_OLD)
    connection.execute(
        update(alarm_message)
        .where(of_way, stale)
        .values(state=State.IGNORED, reason=GIVEN_UP, lease_owner=None, leased_until=None)
    )
    numbers = work_queue.claim(connection, alarm_message, limit=1, at=at, where=of_way)
    if not numbers:
        return None
    row = connection.execute(select(alarm_message).where(alarm_message.c.id == numbers[0])).one()
    return OutgoingMessage(
        number=row.id, way=row.way, content=json.loads(row.content), created_at=row.created_at, attempts=row.attempts
    )


def record_sent(connection: Connection, number: int, *, at: datetime) -> None:
    """Record that a message is out."""
    work_queue.done(connection, alarm_message, [number])
    connection.execute(update(alarm_message).where(alarm_message.c.id == number).values(done_at=at))


def postpone(connection: Connection, number: int, *, until: datetime, problem: str) -> None:
    """Make a message due again later, after an attempt that failed."""
    work_queue.postpone(connection, alarm_message, number, until=until, reason="not_sent", detail=problem)


def status(connection: Connection, ways: Sequence[str]) -> list[WayStatus]:
    """Return what waits for each of these ways out, and when it was last used."""
    return [_status(connection, way) for way in ways]


def drop_old(connection: Connection, *, at: datetime) -> None:
    """Drop messages at the end of their retention time."""
    connection.execute(
        delete(alarm_message).where(alarm_message.c.state != State.WAITING, alarm_message.c.created_at < at - KEPT)
    )


def _status(connection: Connection, way: str) -> WayStatus:
    waiting = (alarm_message.c.way == way) & (alarm_message.c.state == State.WAITING)
    row = connection.execute(
        select(func.count().label("number"), func.min(alarm_message.c.created_at).label("oldest")).where(waiting)
    ).one()
    problem = select(alarm_message.c.detail).where(waiting, alarm_message.c.detail.is_not(None))
    return WayStatus(
        way=way,
        waiting=row.number,
        oldest=row.oldest,
        last_sent_at=connection.scalar(select(func.max(alarm_message.c.done_at)).where(alarm_message.c.way == way)),
        problem=connection.scalar(problem.order_by(alarm_message.c.id).limit(1)),
    )
