"""Callers whose associations were rejected, each with how often, first and last, for the person who may let them in.

Whoever reaches the listener writes here, so everything has a bound: the length of each text, the rows of one host, and
the rows in all. Of too many, those go that were not rejected for longest.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from pipeline.edge.store.caller_schema import rejected_caller
from pipeline.edge.store.inserts import insert_if_absent

MOST_ROWS = 200
"""How many rows there are at most."""

MOST_OF_ONE_HOST = 10
"""How many of them one host may have, so that it cannot push out the others with titles that it makes up."""

LONGEST_TEXT = 64
"""Characters that are kept of a title or an address: 16 bytes of a title have so many if each is escaped."""


class RejectedFor(StrEnum):
    """Why an association was rejected."""

    OTHER_CALLED = "other_called"
    """It called another AE title than ours."""
    NOT_CONFIGURED = "not_configured"
    """No ``listener.caller`` has its AE title and host."""
    OTHER_CERTIFICATE = "other_certificate"
    """Its certificate is not made out to ``listener.caller.certificate``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedCaller:
    """A calling AE title at an address that called an AE title and was rejected; ``reason`` is that of the last time.

    The texts are as the caller sent them: anything may be in them.
    """

    calling_ae_title: str
    host: str
    called_ae_title: str
    reason: RejectedFor
    times: int
    first_at: datetime
    last_at: datetime


def record(connection: Connection, callers: Collection[RejectedCaller]) -> None:
    """Add what was rejected since the last call: ``times`` are counted on, and ``first_at`` stays that of the row."""
    for caller in callers:
        key = {name: _kept(getattr(caller, name)) for name in ("calling_ae_title", "host", "called_ae_title")}
        values = {"reason": caller.reason.value, "last_at": caller.last_at}
        if (
            insert_if_absent(connection, rejected_caller, **key, **values, times=caller.times, first_at=caller.first_at)
            is None
        ):
            same = and_(*(rejected_caller.c[name] == text for name, text in key.items()))
            times = rejected_caller.c.times + caller.times
            connection.execute(update(rejected_caller).where(same).values(times=times, **values))
    for host in {_kept(caller.host) for caller in callers}:
        _drop_all_but_latest(connection, MOST_OF_ONE_HOST, rejected_caller.c.host == host)
    _drop_all_but_latest(connection, MOST_ROWS)


def forget(connection: Connection, admitted: Collection[tuple[str, str]]) -> None:
    """Delete the rows of calling AE titles at their hosts: they are admitted now."""
    for calling_ae_title, host in admitted:
        connection.execute(delete(rejected_caller).where(_is(calling_ae_title, host)))


def all_of_them(connection: Connection) -> list[RejectedCaller]:
    """Return the rejected callers, the one rejected last first."""
    query = select(rejected_caller).order_by(rejected_caller.c.last_at.desc(), rejected_caller.c.id.desc())
    return [
        RejectedCaller(
            calling_ae_title=row.calling_ae_title,
            host=row.host,
            called_ae_title=row.called_ae_title,
            reason=RejectedFor(row.reason),
            times=row.times,
            first_at=row.first_at,
            last_at=row.last_at,
        )
        for row in connection.execute(query)
    ]


def _is(calling_ae_title: str, host: str) -> ColumnElement[bool]:
    return and_(rejected_caller.c.calling_ae_title == _kept(calling_ae_title), rejected_caller.c.host == _kept(host))


def _kept(text: str) -> str:
    return text.replace("\0", "")[:LONGEST_TEXT]  # PostgreSQL stores no NUL


def _drop_all_but_latest(connection: Connection, most: int, *which: ColumnElement[bool]) -> None:
    latest = (
        select(rejected_caller.c.id)
        .where(*which)
        .order_by(rejected_caller.c.last_at.desc(), rejected_caller.c.id.desc())
    )
    old = list(connection.scalars(latest.offset(most)))
    if old:
        connection.execute(delete(rejected_caller).where(rejected_caller.c.id.in_(old)))
