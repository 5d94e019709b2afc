"""Objects that could not be stored and were refused (A700), by caller and reason, each with how often and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from pipeline.edge.store.caller_schema import refused_object

MOST_ROWS = 200
"""How many rows there are at most; of more, the oldest go."""

LONGEST_TEXT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedObjects:
    """What a caller was refused for one reason."""

    calling_ae_title: str
    host: str
    reason: str
    first_at: datetime
    last_at: datetime
    times: int


def record(connection: Connection, refused: Sequence[RefusedObjects]) -> None:
    """Add what was refused since the last call; after an hour without, a row begins anew."""
    for one in refused:
        key = {
            name: getattr(one, name).replace("\0", "")[:LONGEST_TEXT] for name in ("calling_ae_title", "host", "reason")
        }
        same = [refused_object.c[name] == text for name, text in key.items()]
        before = connection.execute(select(refused_object).where(*same)).one_or_none()
        if before is None:
            connection.execute(
                insert(refused_object).values(**key, first_at=one.first_at, last_at=one.last_at, times=one.times)
            )
            continue
        goes_on = (one.first_at - before.last_at).total_seconds() < 3600
        connection.execute(
            update(refused_object)
            .where(refused_object.c.id == before.id)
            .values(
                first_at=before.first_at if goes_on else one.first_at,
                last_at=one.last_at,
                times=one.times + (before.times if goes_on else 0),
            )
        )
    old = select(refused_object.c.id).order_by(refused_object.c.last_at.desc(), refused_object.c.id.desc())
    if gone := list(connection.scalars(old.offset(MOST_ROWS))):
        connection.execute(delete(refused_object).where(refused_object.c.id.in_(gone)))


def since(connection: Connection, moment: datetime) -> list[RefusedObjects]:
    """Return what was refused since a moment, the latest first."""
    query = select(refused_object).where(refused_object.c.last_at >= moment)
    return [
        RefusedObjects(
            calling_ae_title=row.calling_ae_title,
            host=row.host,
            reason=row.reason,
            first_at=row.first_at,
            last_at=row.last_at,
            times=row.times,
        )
        for row in connection.execute(query.order_by(refused_object.c.last_at.desc()))
    ]
