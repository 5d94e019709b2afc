"""Until when the certificates count that callers show over TLS: after that day the caller cannot connect."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, delete, insert, select

from pipeline.edge.store.caller_schema import caller_certificate

MOST_ROWS = 200
"""How many rows there are at most; of more, those go whose callers were not here for longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerCertificate:
    """The certificate of a calling AE title at an address: its last day, and when it was last shown."""

    calling_ae_title: str
    host: str
    last_day: date
    seen_at: datetime


def record(connection: Connection, shown: Collection[CallerCertificate]) -> None:
    """Record what callers have shown, in the place of what they showed before."""
    for one in shown:
        key = {"calling_ae_title": one.calling_ae_title[:64], "host": one.host[:64]}
        connection.execute(delete(caller_certificate).where(*(caller_certificate.c[k] == v for k, v in key.items())))
        connection.execute(insert(caller_certificate).values(**key, last_day=one.last_day, seen_at=one.seen_at))
    latest = select(caller_certificate.c.id).order_by(caller_certificate.c.seen_at.desc(), caller_certificate.c.id)
    if gone := list(connection.scalars(latest.offset(MOST_ROWS))):
        connection.execute(delete(caller_certificate).where(caller_certificate.c.id.in_(gone)))


def all_of_them(connection: Connection) -> list[CallerCertificate]:
    """Return the certificates, the first to end first."""
    query = select(caller_certificate).order_by(caller_certificate.c.last_day, caller_certificate.c.id)
    return [
        CallerCertificate(
            calling_ae_title=row.calling_ae_title, host=row.host, last_day=row.last_day, seen_at=row.seen_at
        )
        for row in connection.execute(query)
    ]
