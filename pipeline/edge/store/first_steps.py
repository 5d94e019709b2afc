"""What an installation had first: a report from a scanner, an exam, an addendum, and its delivery."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, false, func, select

from pipeline.edge.store.schema import addendum, delivery, exam, receipt
from pipeline.edge.store.schema_base import State


def first_report_at(connection: Connection) -> datetime | None:
    """Return when the first report came from a scanner, which no import of history is."""
    return _moment(connection, select(func.min(receipt.c.received_at)).where(receipt.c.historical == false()))


def first_addendum_at(connection: Connection) -> datetime | None:
    """Return when the first addendum was written."""
    return _moment(connection, select(func.min(addendum.c.authored_at)))


def first_delivery_at(connection: Connection, destinations: Sequence[str]) -> datetime | None:
    """Return when the first of these destinations had its first addendum."""
    of_each = (
        _moment(connection, select(func.min(delivery.c.done_at)).where(delivery.c.destination == name))
        for name in destinations
    )
    return min((moment for moment in of_each if moment is not None), default=None)


def has_exam(connection: Connection) -> bool:
    """Return whether an exam is on file that did not come as history."""
    return _is_any(connection, select(exam.c.id).where(exam.c.historical == false()))


def has_held_report(connection: Connection) -> bool:
    """Return whether a report is held."""
    return _is_any(connection, select(receipt.c.id).where(receipt.c.state == State.HELD))


def _moment(connection: Connection, query: Select[tuple[datetime]]) -> datetime | None:
    moment: datetime | None = connection.scalar(query)
    return moment


def _is_any(connection: Connection, query: Select[tuple[int]]) -> bool:
    return connection.scalar(query.limit(1)) is not None
