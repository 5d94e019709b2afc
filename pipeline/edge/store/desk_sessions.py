"""Sessions of the desk, and the delays between refused log-ins: tables ``desk_session`` and ``desk_throttle``.

Only digests are stored: whoever reads the database, or a backup of it, can neither take over a session nor learn what
somebody has typed into the log-in form.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from pipeline.edge.store.desk_schema import desk_session, desk_throttle
from pipeline.edge.store.inserts import insert_if_absent

LONGEST = timedelta(hours=12)
"""A session ends so long after the log-in at the latest."""

RENEWED_EVERY = timedelta(minutes=1)
"""How exactly it is known when a session was last used; more would be a write for each page."""

FORGOTTEN_AFTER = timedelta(days=1)
"""Refused log-ins that are older are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser that is logged in."""

    digest: str
    name: str
    created_at: datetime
    seen_at: datetime
    message: str | None


def digest_of(kind: str, text: str) -> str:
    """Return what is stored of a secret, a name that was typed or an address."""
    return hashlib.sha256(f"{kind}:{text}".encode()).hexdigest()


def digest_of_name(name: str) -> str:
    """Return under which digest the refused log-ins of a name are counted."""
    return digest_of("name", name)


def begin(connection: Connection, digest: str, name: str, *, idle: timedelta, at: datetime) -> None:
    """Begin a session, and delete those that have ended."""
    connection.execute(delete(desk_session).where(_ended(idle, at)))
    connection.execute(insert(desk_session).values(digest=digest, name=name, created_at=at, seen_at=at))


def find(connection: Connection, digest: str, *, idle: timedelta, at: datetime) -> Session | None:
    """Return a session that has not ended."""
    row = connection.execute(
        select(desk_session).where(desk_session.c.digest == digest, ~_ended(idle, at))
    ).one_or_none()
    return None if row is None else Session(**row._asdict())


def renew(connection: Connection, digest: str, *, at: datetime) -> None:
    """Record that a session is in use."""
    connection.execute(update(desk_session).where(desk_session.c.digest == digest).values(seen_at=at))


def set_message(connection: Connection, digest: str, message: str | None) -> None:
    """Store what the next page of a session tells, or nothing."""
    connection.execute(update(desk_session).where(desk_session.c.digest == digest).values(message=message))


def end(connection: Connection, digest: str) -> None:
    """End a session."""
    connection.execute(delete(desk_session).where(desk_session.c.digest == digest))


def end_all(connection: Connection, name: str, *, besides: str = "") -> int:
    """End every session of an account besides one, and return how many there were."""
    mine = (desk_session.c.name == name) & (desk_session.c.digest != besides)
    return connection.execute(delete(desk_session).where(mine)).rowcount


def count(connection: Connection, name: str, *, idle: timedelta, at: datetime) -> int:
    """Return how many sessions of an account are open."""
    open_ones = select(func.count()).select_from(desk_session).where(desk_session.c.name == name, ~_ended(idle, at))
    return connection.execute(open_ones).scalar_one()


def due_again(connection: Connection, digests: Iterable[str]) -> datetime | None:
    """Return the moment before which no log-in of these names or addresses is tried, if there is one."""
    asked = select(func.max(desk_throttle.c.due_at)).where(desk_throttle.c.digest.in_(list(digests)))
    due: datetime | None = connection.scalar(asked)
    return due


def count_failure(connection: Connection, digest: str, *, free: int, longest: timedelta, at: datetime) -> None:
    """Count a refused log-in: after ``free`` of them each doubles the wait, from a second to ``longest``."""
    connection.execute(delete(desk_throttle).where(desk_throttle.c.failed_at <= at - FORGOTTEN_AFTER))
    known = connection.scalar(select(desk_throttle.c.failures).where(desk_throttle.c.digest == digest))
    failures = 1 + (known or 0)
    wait = min(timedelta(seconds=2 ** min(failures - free, 30)), longest) if failures >= free else timedelta(0)
    counted = {"failures": failures, "failed_at": at, "due_at": at + wait}
    if known is None:
        insert_if_absent(connection, desk_throttle, digest=digest, **counted)
    else:
        connection.execute(update(desk_throttle).where(desk_throttle.c.digest == digest).values(**counted))


def forget_failures(connection: Connection, digest: str) -> None:
    """Forget the refused log-ins of one name or address."""
    connection.execute(delete(desk_throttle).where(desk_throttle.c.digest == digest))


def _ended(idle: timedelta, at: datetime) -> ColumnElement[bool]:
    """Return the condition of a session that has ended; one from the future is from before the clock was set back."""
    return or_(
        desk_session.c.seen_at <= at - idle,
        desk_session.c.created_at <= at - LONGEST,
        desk_session.c.created_at > at + RENEWED_EVERY,
    )
