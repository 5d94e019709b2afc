"""Which piece of work is due, who has it, and what became of it?

A queue is a table with the work columns (``schema._work``). Work is claimed under a lease, so that a worker that dies
blocks nothing: when the lease has run out, or its owner is known to be gone, the next one takes it.
"""

import os
import socket
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, case, func, or_, select, update

from pipeline.edge.store.schema import State, delivery, exam, receipt

QUEUES = (receipt, exam, delivery)
"""Every table that holds work."""

LEASE = timedelta(minutes=5)
"""How long a claim holds unless it is ended before; longer than any batch takes."""


def owner() -> str:
    """This process, as the name on a lease."""
    return f"{socket.gethostname()}/{os.getpid()}"


def claim(
    connection: Connection,
    queue: Table,
    *,
    limit: int,
    at: datetime,
    where: ColumnElement[bool] | None = None,
) -> list[int]:
    """Lease the longest due pieces of work to this process; their ids in the order they fell due."""
    due = (
        select(queue.c.id)
        .where(queue.c.state == State.WAITING, queue.c.due_at <= at, _free(queue, at))
        .order_by(queue.c.due_at, queue.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if where is not None:
        due = due.where(where)
    ids = list(connection.scalars(due))
    if ids:
        connection.execute(
            update(queue)
            .where(queue.c.id.in_(ids))
            .values(lease_owner=owner(), leased_until=at + LEASE, attempts=queue.c.attempts + 1)
        )
    return ids


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
    """Try held work again, from the beginning; whether it was held."""
    result = connection.execute(
        update(queue)
        .where(queue.c.id == number, queue.c.state == State.HELD)
        .values(state=State.WAITING, due_at=at, attempts=0, reason=None, detail=None)
    )
    return result.rowcount == 1


def give_back(connection: Connection, queue: Table, *, where: ColumnElement[bool] | None = None) -> None:
    """End the leases this process has; what it had claimed is free again at once."""
    mine = update(queue).where(queue.c.state == State.WAITING, queue.c.lease_owner == owner())
    if where is not None:
        mine = mine.where(where)
    connection.execute(mine.values(lease_owner=None, leased_until=None))


def reclaim_from_the_dead(connection: Connection) -> int:
    """End the leases of processes of this machine that no longer run; how many there were."""
    ended = 0
    for queue in QUEUES:
        leased = (queue.c.state == State.WAITING) & queue.c.lease_owner.is_not(None)  # only what waits has a lease
        gone = [
            name for name in connection.scalars(select(queue.c.lease_owner).where(leased).distinct()) if _is_gone(name)
        ]
        if gone:
            result = connection.execute(
                update(queue).where(leased, queue.c.lease_owner.in_(gone)).values(lease_owner=None, leased_until=None)
            )
            ended += result.rowcount
    return ended


def _free(queue: Table, at: datetime) -> ColumnElement[bool]:
    return or_(queue.c.leased_until.is_(None), queue.c.leased_until <= at)


def _settle(
    connection: Connection, queue: Table, ids: Collection[int], *, state: State, reason: str | None, detail: str | None
) -> None:
    connection.execute(
        update(queue)
        .where(queue.c.id.in_(ids))
        .values(state=state, attempts=0, lease_owner=None, leased_until=None, reason=reason, detail=detail)
    )


def _is_gone(name: str) -> bool:
    host, _, pid = name.rpartition("/")
    if host != socket.gethostname():
        return False
    if name == owner():
        return True  # our own process id, from a life before ours: we have claimed nothing yet
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
