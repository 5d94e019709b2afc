"""What all tables of the database share: their metadata, types of columns, and the columns of a queue.

One schema for SQLite and PostgreSQL. The tables stand in ``schema.py`` and ``*_schema.py`` beside it.

Some tables are also queues (``receipt``, ``exam``, ``delivery``, ``commitment_request``, ``history_query``, ``shard``,
``alarm_message``). They share the columns of ``work_columns``; ``work_queue.py`` moves a row from one state to the
next.

Instants are UTC. ``performed_at`` is the scanner's local time and has no time zone.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    literal,
    text,
)
from sqlalchemy.sql.operators import OperatorType


class State(StrEnum):
    """State of one piece of work."""

    WAITING = "waiting"
    """To be done once it is due."""
    DONE = "done"
    HELD = "held"
    """Waits for a person, with a reason."""
    IGNORED = "ignored"
    """Nothing to do; the reason is stored."""


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite has no time zones and stores it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a value with any time zone to UTC for the database.

        Raises:
            ValueError: the value has no time zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return a value of the database as an aware datetime in UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class _StateName(TypeDecorator[str]):
    """A state, written into the SQL text of a comparison instead of being bound.

    A database uses a partial index only if it sees the state in the statement. Nearly every row of a queue is done, so
    an index over all rows would be large, and by its statistics no better than a scan of the table.
    """

    impl = String
    cache_ok = True

    class Comparator(TypeDecorator.Comparator[str]):
        """Write states as literals instead of binding them."""

        def operate(self, op: OperatorType, *other: Any, **kwargs: Any) -> ColumnElement[Any]:
            """Return the comparison, with its strings as literals."""
            written = [literal(one, literal_execute=True) if isinstance(one, str) else one for one in other]
            return super().operate(op, *written, **kwargs)

    comparator_factory = Comparator


def id_column() -> Column[int]:
    """Return a new primary key; SQLite assigns row numbers only in a column declared INTEGER."""
    return Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)


def reference(column: str, **options: Any) -> Column[int]:
    """Return a column that refers to the primary key of the table of this name."""
    return Column(f"{column}_id", ForeignKey(f"{column}.id"), **options)


def count_column(name: str) -> Column[int]:
    """Return a column that counts from 0."""
    return Column(name, Integer, nullable=False, server_default="0")


def work_columns() -> tuple[Column[Any], ...]:
    """Return the columns of a queue: state, due time, attempts, worker crashes, lease, and reason of a hold.

    What is held and was set aside stays held in every respect, but no longer waits for a person.
    """
    return (
        Column("state", _StateName(16), nullable=False),
        Column("due_at", Instant, nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("worker_crashes", Integer, nullable=False, server_default="0"),
        Column("lease_owner", String(128)),
        Column("leased_until", Instant),
        Column("reason", String(64)),
        Column("detail", Text),
        reference("set_aside"),
    )


def open_work_indexes(name: str, *columns: str) -> tuple[Index, ...]:
    """Return partial indexes of the waiting and the held rows of a queue, which are few however many are done.

    Those that wait for a person have their own: what was set aside becomes more with the years.
    """
    states = {state.value: f"state = '{state}'" for state in (State.WAITING, State.HELD)}
    states["to_decide"] = f"{states[State.HELD]} AND set_aside_id IS NULL"
    return tuple(index_where(which, *columns, name=f"ix_{name}_{state}") for state, which in states.items())


def index_where(condition: str, *columns: str, name: str) -> Index:
    """Return a partial index, which costs nothing for rows that do not meet the condition."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


NEVER_TWICE = True
"""For tables whose rows an erasure may delete: the audit trail still has their numbers, which no other row may get."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
