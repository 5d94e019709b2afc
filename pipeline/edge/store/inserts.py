"""Insert rows unless a unique constraint has them already, on SQLite and PostgreSQL alike."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.edge.store.compiled_statement import CompiledStatement, in_rows, parameters_in_rows


def insert_if_absent(connection: Connection, table: Table, **values: object) -> int | None:
    """Insert one row and return its id; ``None`` when a unique constraint says that it is there already."""
    inserted = _insert_absent(connection, table, [values])
    return inserted[0][0] if inserted else None


def insert_absent(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]], *, key: Column[str]
) -> dict[str, int]:
    """Insert rows of different keys, and return the ids by key of those that were not there already."""
    if not rows:
        return {}
    return {name: number for number, name in _insert_absent(connection, table, rows, key)}


def _insert_absent(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]], *also: Column[str]
) -> list[tuple[Any, ...]]:
    statement = _insert(connection.dialect.name, table, tuple(rows[0]), len(rows), *also)
    return statement.execute(connection, in_rows(rows))


@functools.cache
def _insert(dialect: str, table: Table, columns: tuple[str, ...], rows: int, *also: Column[str]) -> CompiledStatement:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table).values(parameters_in_rows(table, columns, rows))
    return CompiledStatement(statement.on_conflict_do_nothing().returning(table.c.id, *also))
