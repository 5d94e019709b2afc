"""Which piece of work is due, who has it, and what became of it?

A queue is a table with the work columns (``schema._work``). Work is claimed under a lease, so that a worker that dies
blocks nothing: when the lease has run out, or its owner is known to be gone, the next one takes it. What has lost a
worker is suspected of having ended it, and is claimed alone from then on, so that it takes nothing else with it again.
"""

import functools
import os
import socket
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, bindparam, case, func, literal, or_, select, update

from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.schema import State, commitment_request, delivery, exam, history_query, receipt, shard

QUEUES = (receipt, exam, delivery, commitment_request, history_query, shard)
"""Every table that holds work."""

LEASE = timedelta(minutes=5)
"""How long a claim holds unless it is ended before; longer than any batch takes."""


MAX_WORKER_CRASHES = 3
"""What has lost its worker this often is held."""


def owner() -> str:
    """This process, as the name on a lease: a number that another process had before it would not do."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}.{_started(pid)}"


def is_gone(name: str) -> bool:
    """Whether an owner was a process of this machine, and is no more."""
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
    """Lease the longest due pieces of work to this process; their ids in the order they fell due.

    A piece that has lost a worker is leased alone; with ``suspects`` no other is, and what lost fewest comes first, so
    that whatever ends its worker is tried when all that was near it is done. With ``most_bytes`` they have no more in
    all, by the queue's ``size``, unless the first one alone has.
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
    ids = _bearable(_without_crash_suspects(connection.execute(due).all()), max_bytes)
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
    """Go on with what this process has claimed and takes longer over."""
    mine = (queue.c.id == number) & (queue.c.state == State.WAITING) & (queue.c.lease_owner == owner())
    connection.execute(update(queue).where(mine).values(leased_until=at + LEASE))


def next_due(connection: Connection, queue: Table, *, where: ColumnElement[bool] | None = None) -> datetime | None:
    """When the next piece of work falls due, or a lease that may have been left behind runs out; ``None`` if none."""
    moment = case((queue.c.leased_until > queue.c.due_at, queue.c.leased_until), else_=queue.c.due_at)
    query = select(func.min(moment)).where(queue.c.state == State.WAITING)
    due: datetime | None = connection.scalar(query if where is None else query.where(where))
    return due


def done(connection: Connection, queue: Table, ids: Collection[int], *, state: State = State.DONE) -> None:
    """This work has come to its end."""
    _settle(connection, queue, ids, state=state, reason=None, detail=None)


def ignore(connection: Connection, queue: Table, number: int, *, reason: str, detail: str) -> None:
    """There is nothing to do, for a reason that is kept."""
    _settle(connection, queue, [number], state=State.IGNORED, reason=reason, detail=detail)


def hold(connection: Connection, queue: Table, number: int, *, reason: str, detail: str) -> None:
    """A person has to look; the reason and its detail name no patient."""
    _settle(connection, queue, [number], state=State.HELD, reason=reason, detail=detail)


def postpone(connection: Connection, queue: Table, number: int, *, until: datetime, reason: str, detail: str) -> None:
    """It did not work now; it will be due again later."""
    connection.execute(
        update(queue)
        .where(queue.c.id == number, queue.c.state == State.WAITING)  # it may have been ended meanwhile
        .values(due_at=until, lease_owner=None, leased_until=None, reason=reason, detail=detail)
    )


def release(connection: Connection, queue: Table, number: int, *, at: datetime) -> bool:
    """Try held work again, from the beginning; whether it was held.

    Of a receipt it is kept from what it was released, as that may be what a person has confirmed.
    """
    values: dict[str, object] = {"state": State.WAITING, "due_at": at, "attempts": 0, "worker_crashes": 0}
    if queue is receipt:
        values["released_from"] = receipt.c.reason
    result = connection.execute(
        update(queue)
        .where(queue.c.id == number, queue.c.state == State.HELD)
        .values(**values, reason=None, detail=None)
    )
    return result.rowcount == 1


def requeue(connection: Connection, queue: Table, *, where: ColumnElement[bool] | None = None) -> None:
    """End the leases this process has, as if it had never claimed; what it had claimed is free again at once."""
    mine = update(queue).where(queue.c.state == State.WAITING, queue.c.lease_owner == owner())
    if where is not None:
        mine = mine.where(where)
    connection.execute(mine.values(lease_owner=None, leased_until=None, attempts=queue.c.attempts - 1))


def reclaim_from_dead_processes(connection: Connection) -> int:
    """End the leases of processes of this machine that no longer run; how many there were."""
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
    """Make earlier by so much whatever would be due later than now: the clock went back; how much that was."""
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
    _settling(queue).execute(connection, {"ids": list(ids), "to": state, "why": reason, "told": detail})


@functools.cache
def _settling(queue: Table) -> CompiledStatement:
    return CompiledStatement(
        update(queue)
        .where(queue.c.id.in_(bindparam("ids", expanding=True)))
        .values(state=bindparam("to"), reason=bindparam("why"), detail=bindparam("told"))
        .values(attempts=0, worker_crashes=0, lease_owner=None, leased_until=None)
    )


def _bearable(due: Sequence[Row[Any]], max_bytes: int | None) -> list[int]:
    """The pieces from the first one on that together have so many bytes."""
    sums = accumulate(row.size for row in due)
    bearable = [row.id for row, total in zip(due, sums, strict=True) if max_bytes is None or total <= max_bytes]
    return bearable or [row.id for row in due[:1]]


def _without_crash_suspects(due: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """The pieces before the first one that has lost a worker; that one alone where it comes first."""
    crash_suspects = [position for position, row in enumerate(due) if row.worker_crashes or row.lease_owner]
    return due[: max(1, crash_suspects[0]) if crash_suspects else None]


def _started(pid: int) -> str:
    """When a process of this machine began, in ticks since the machine did; empty when there is no such process."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, *numbers = told.rpartition(")")[2].split()  # proc(5): from field 3 on; the name may hold anything
    return "" if state in "ZX" else numbers[18]  # what has ended and was not yet waited for does nothing any more
