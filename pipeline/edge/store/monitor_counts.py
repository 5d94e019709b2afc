"""Counts for a monitoring system: what came since it last asked, so that no large table is read whole."""

import json
from collections import Counter
from datetime import datetime

from sqlalchemy import Connection, func, select

from pipeline.edge.store.audit_schema import audit
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.schema import delivery, receipt


def received_after(connection: Connection, number: int) -> Counter[str]:
    """Return how many instances each caller has sent after a receipt."""
    query = (
        select(receipt.c.calling_ae_title, func.count().label("number"))
        .where(receipt.c.id > number)
        .group_by(receipt.c.calling_ae_title)
    )
    return Counter({row.calling_ae_title: row.number for row in connection.execute(query)})


def delivered_between(connection: Connection, destination: str, after: datetime, until: datetime) -> int:
    """Return how many addenda a destination has got after a moment, up to and including another one."""
    query = select(func.count()).where(
        delivery.c.destination == destination, delivery.c.done_at > after, delivery.c.done_at <= until
    )
    return connection.execute(query).scalar_one()


def rejected_after(connection: Connection, number: int) -> Counter[str]:
    """Return how many associations were rejected after an entry of the audit trail, by reason."""
    query = select(audit.c.detail).where(audit.c.id > number, audit.c.event == Event.REFUSED_CALLER.value)
    found: Counter[str] = Counter()
    for text in connection.scalars(query):
        detail = json.loads(text)
        found[str(detail.get("reason", ""))] += int(detail.get("times", 1))
    return found
