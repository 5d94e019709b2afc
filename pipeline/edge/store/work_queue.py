"""Leased work queue in the database: claim, release, hold, postpone and finish work.

A queue is a table with the work columns (``schema._work``). Work is claimed under a lease, so that a worker that dies
blocks nothing: the next worker claims it when the lease has run out, or its owner is known to be gone. Work whose
worker crashed is a crash suspect and is claimed alone from then on, so that it takes no other work with it.
"""

import functools
import os
import socket
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from pipeline.edge.store.alarm_schema import alarm_message
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.reprocessing_schema import shard
from pipeline.edge.store.schema import commitment_request, delivery, exam, history_query, receipt
from pipeline.edge.store.schema import set_aside as set_aside_table
from pipeline.edge.store.schema_base import State

QUEUES = (receipt, exam, delivery, commitment_request, history_query, shard, alarm_message)
"""Every table that is a queue."""

LEASE = timedelta(minutes=5)
"""How long a claim lasts unless it is ended earlier; longer than any batch takes."""

MAX_WORKER_CRASHES = 3
"""Work whose worker crashed this often is held."""


def owner(pid: int | None = None) -> str:
    """Return the name of a process of this host, by default this one: host, id and start time, as ids are reused."""
    pid = os.getpid() if pid is None else pid
    return f"{socket.gethostname()}/{pid}.{_started(pid)}"


def host() -> str:
    """Return the name of this machine, as owners have it."""
    return socket.gethostname()


def is_gone(name: str) -> bool:
    """Return whether an owner is a process of this host that no longer runs."""
    host, _, process = name.rpartition("/")
    pid, _, started = process.partition(".")
    return host == socket.gethostname() and _started(int(pid)) != started


def claim(
    connection: Connection,
    queue: Table,
    *,
    limit: int,
    at: datetime,
    where: ColumnElement[bool] | None = None,
    crash_suspects: bool = False,
    max_bytes: int | None = None,
) -> list[int]:
    """Lease the longest due work to this process, and return its ids in the order it fell due.

    A crash suspect is leased alone. With ``crash_suspects`` only they are leased, the one with the fewest crashes
    first, so that work that ends its worker comes last. With ``max_bytes`` their ``size`` in the queue adds up to no
    more, unless the first alone is larger.
    """
    columns = (queue.c.id, queue.c.worker_crashes, queue.c.lease_owner)
    due = (
        select(*columns, queue.c.size if max_bytes is not None else literal(0).label("size"))
        .where(queue.c.state == State.WAITING, queue.c.due_at <= at, _free(queue, at))
        .order_by(queue.c.due_at, queue.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if where is not None:
        due = due.where(where)
    if crash_suspects:
        due = (
            due.where(queue.c.worker_crashes > 0)
            .order_by(None)
            .order_by(queue.c.worker_crashes, queue.c.due_at, queue.c.id)
        )
    ids = _within_bytes(_without_crash_suspects(connection.execute(due).all()), max_bytes)
    if ids:
        lost = case((queue.c.lease_owner.is_not(None), 1), else_=0)  # its lease ran out: nobody ended it
        connection.execute(
            update(queue)
            .where(queue.c.id.in_(ids))
            .values(
                lease_owner=owner(),
                leased_until=at + LEASE,
                attempts=queue.c.attempts + 1,
                worker_crashes=queue.c.worker_crashes + lost,
            )
        )
    return ids


def keep_lease(connection: Connection, queue: Table, number: int, *, at: datetime) -> None:
    """Extend the lease of work that this process has claimed and takes longer over."""
    mine = (queue.c.id == number) & (queue.c.state == State.WAITING) & (queue.c.lease_owner == owner())
    connection.execute(update(queue).where(mine).values(leased_until=at + LEASE))


def next_due(connection: Connection, queue: Table, **of: str) -> datetime | None:
    """Return when the next work falls due, or a lease possibly left behind runs out; ``None`` if there is none.

    ``of`` are columns of the queue, and the value of each in the rows that count.
    """
    due: datetime | None = _next_due(queue, tuple(of)).scalar(connection, of)
    return due


@functools.cache
def _next_due(queue: Table, columns: Sequence[str]) -> CompiledStatement:
    """Return the statement of ``next_due``, compiled once: at rest every loop asks it again and again."""
    moment = case((queue.c.leased_until > queue.c.due_at, queue.c.leased_until), else_=queue.c.due_at)
    of = (queue.c[column] == bindparam(column) for column in columns)
    return CompiledStatement(select(func.min(moment)).where(queue.c.state == State.WAITING, *of))


def done(connection: Connection, queue: Table, ids: Collection[int], *, state: State = State.DONE) -> None:
    """Mark work as done."""
    _settle(connection, queue, ids, state=state, reason=None, detail=None)


def ignore(connection: Connection, queue: Table, number: int, *, reason: str, detail: str) -> None:
    """Mark work as ignored: there is nothing to do, for a reason that is stored."""
    _settle(connection, queue, [number], state=State.IGNORED, reason=reason, detail=detail)


def hold(connection: Connection, queue: Table, number: int, *, reason: str, detail: str) -> None:
    """Hold work for a person; the reason and its detail name no patient."""
    _settle(connection, queue, [number], state=State.HELD, reason=reason, detail=detail)


def postpone(connection: Connection, queue: Table, number: int, *, until: datetime, reason: str, detail: str) -> None:
    """Make waiting work due again later, after an attempt that failed."""
    connection.execute(
        update(queue)
        .where(queue.c.id == number, queue.c.state == State.WAITING)  # it may have been settled meanwhile
        .values(due_at=until, lease_owner=None, leased_until=None, reason=reason, detail=detail)
    )


def release(connection: Connection, queue: Table, number: int, *, at: datetime) -> bool:
    """Make held work due again, from the beginning, and return whether it was held.

    A receipt records the reason it was released from, as a person may have confirmed just that.
    """
    values: dict[str, object] = {"state": State.WAITING, "due_at": at, "attempts": 0, "worker_crashes": 0}
    if queue is receipt:
        values["released_from"] = receipt.c.reason
    result = connection.execute(
        update(queue)
        .where(queue.c.id == number, queue.c.state == State.HELD)
        .values(**values, reason=None, detail=None, set_aside_id=None)
    )
    return result.rowcount == 1


def waits_for_a_person(queue: Table) -> ColumnElement[bool]:
    """Return the condition that work is held and nobody has set it aside."""
    return (queue.c.state == State.HELD) & queue.c.set_aside_id.is_(None)


def set_aside(connection: Connection, queue: Table, number: int, *, actor: str, reason: str, at: datetime) -> bool:
    """Set held work aside, and return whether it waited for a person until now.

    It stays held in every respect; should it be held anew, it waits for a person again.
    """
    values = {"at": at, "actor": actor, "reason": reason}
    aside = connection.execute(insert(set_aside_table).values(**values).returning(set_aside_table.c.id)).scalar_one()
    waits = update(queue).where(queue.c.id == number, waits_for_a_person(queue)).values(set_aside_id=aside)
    if connection.execute(waits).rowcount == 1:
        return True
    connection.execute(delete(set_aside_table).where(set_aside_table.c.id == aside))
    return False


def take_back(connection: Connection, queue: Table, number: int) -> bool:
    """Let work that was set aside wait for a person again, and return whether it was set aside."""
    aside = (queue.c.state == State.HELD) & queue.c.set_aside_id.is_not(None)
    return connection.execute(update(queue).where(queue.c.id == number, aside).values(set_aside_id=None)).rowcount == 1


def requeue(connection: Connection, queue: Table, *, where: ColumnElement[bool] | None = None) -> None:
    """End the leases of this process as if it had never claimed the work, which is free again at once."""
    mine = update(queue).where(queue.c.state == State.WAITING, queue.c.lease_owner == owner())
    if where is not None:
        mine = mine.where(where)
    connection.execute(mine.values(lease_owner=None, leased_until=None, attempts=queue.c.attempts - 1))


def reclaim_from_dead_processes(connection: Connection) -> int:
    """End the leases of processes of this host that no longer run, and return their count."""
    ended = 0
    for queue in QUEUES:
        leased = (queue.c.state == State.WAITING) & queue.c.lease_owner.is_not(None)  # only what waits has a lease
        gone = [
            name for name in connection.scalars(select(queue.c.lease_owner).where(leased).distinct()) if is_gone(name)
        ]
        if gone:
            result = connection.execute(
                update(queue)
                .where(leased, queue.c.lease_owner.in_(gone))
                .values(lease_owner=None, leased_until=None, worker_crashes=queue.c.worker_crashes + 1)
            )
            ended += result.rowcount
    return ended


def bring_forward(connection: Connection, by: timedelta, *, at: datetime) -> int:
    """Move every later due time forward by ``by`` after the clock was set back, and return how many were moved."""
    moved = 0
    for queue in QUEUES:
        later = (queue.c.state == State.WAITING) & ((queue.c.due_at > at) | (queue.c.leased_until > at))
        for row in connection.execute(select(queue.c.id, queue.c.due_at, queue.c.leased_until).where(later)).all():
            until = row.leased_until - by if row.leased_until else None
            moment = {"due_at": row.due_at - by, "leased_until": until}
            connection.execute(update(queue).where(queue.c.id == row.id).values(**moment))
            moved += 1
    return moved


def _free(queue: Table, at: datetime) -> ColumnElement[bool]:
    return or_(queue.c.leased_until.is_(None), queue.c.leased_until <= at)


def _settle(
    connection: Connection, queue: Table, ids: Collection[int], *, state: State, reason: str | None, detail: str | None
) -> None:
    values = {"ids": list(ids), "to": state, "why": reason, "details": detail}
    _settling(queue).execute(connection, values)


@functools.cache
def _settling(queue: Table) -> CompiledStatement:
    return CompiledStatement(
        update(queue)
        .where(queue.c.id.in_(bindparam("ids", expanding=True)))
        .values(state=bindparam("to"), reason=bindparam("why"), detail=bindparam("details"))
        .values(attempts=0, worker_crashes=0, lease_owner=None, leased_until=None, set_aside_id=None)
    )


def _within_bytes(due: Sequence[Row[Any]], max_bytes: int | None) -> list[int]:
    """Return the ids from the first on whose sizes add up to no more; at least the first."""
    sums = accumulate(row.size for row in due)
    within = [row.id for row, total in zip(due, sums, strict=True) if max_bytes is None or total <= max_bytes]
    return within or [row.id for row in due[:1]]


def _without_crash_suspects(due: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """Return the work before the first crash suspect, or that one alone where it comes first."""
    crash_suspects = [position for position, row in enumerate(due) if row.worker_crashes or row.lease_owner]
    return due[: max(1, crash_suspects[0]) if crash_suspects else None]


def _started(pid: int) -> str:
    """Return when a process of this host started, in clock ticks since boot; empty if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, *numbers = stat.rpartition(")")[2].split()  # proc(5): from field 3 on; the name may contain anything
    return "" if state in "ZX" else numbers[18]  # a zombie has ended
