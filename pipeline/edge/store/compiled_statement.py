"""SQL statements that SQLAlchemy compiles once, for those that every received instance and every exam need.

``connection.execute`` caches the SQL text, but looks the statement up at each execution and builds a result object,
which takes several times as long as SQLite's own work. A ``CompiledStatement`` hands its SQL text straight to the
driver and returns named tuples. The price: rows are ``Any`` to mypy, and it reads ``construct_expanded_state`` and the
event dispatch of SQLAlchemy, which is why ``SQLAlchemy<2.1`` is pinned.

It is used where a benchmark needs it: the statements of receiving one object, the some forty of extracting and
following up one exam, and those that every process asks again and again at rest. All others are plain. Measured on
SQLite, in processor time:

- receiving one object: 0.12 ms compiled, 0.73 ms plain;
- following up one exam: 6.5 ms compiled, 13.8 ms plain and built at each call, on two nearly idle cores. On busy ones
  plain statements took 19 ms: 52 exams per second and core, where 60 are the target;
- looking for work in vain: 0.12 ms compiled, 0.88 ms plain.

The way back is ``connection.execute(statement, values)`` at each use.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import BindParameter, Connection, Dialect, Table, bindparam
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import ExecutableReturnsRows


class CompiledStatement:
    """One statement, compiled once for each database and each length of its lists.

    Values are given at each execution; those of an expanding parameter as a list.
    """

    def __init__(self, statement: ExecutableReturnsRows) -> None:
        self._statement = statement
        self._compiled: dict[tuple[object, ...], _Compiled] = {}

    def execute(self, connection: Connection, values: Mapping[str, object]) -> list[Any]:
        """Execute the statement and return its rows, as named tuples of the values SQLAlchemy would return."""
        dialect = connection.dialect
        shape = (dialect.name, *[len(value) for value in values.values() if isinstance(value, list)])
        compiled = self._compiled.get(shape)
        if compiled is None:
            compiled = self._compiled[shape] = _Compiled(self._statement, dialect, values)
        cursor = connection.connection.cursor()
        try:
            parameters = compiled.parameters(values)
            for listener in connection.dispatch.before_cursor_execute:  # SQLAlchemy calls these for its own statements
                listener(connection, cursor, compiled.sql, parameters, None, False)
            cursor.execute(compiled.sql, parameters)
            return list(compiled.rows(cursor.fetchall())) if compiled.returns_rows else []
        finally:
            cursor.close()

    def scalars(self, connection: Connection, values: Mapping[str, object]) -> list[Any]:
        """Execute the statement and return the first column of each row."""
        return [row[0] for row in self.execute(connection, values)]

    def scalar(self, connection: Connection, values: Mapping[str, object]) -> Any:
        """Execute the statement and return the first column of the first row; ``None`` where there is none."""
        return next(iter(self.scalars(connection, values)), None)


def parameters_in_rows(table: Table, columns: Sequence[str], rows: int) -> list[dict[str, BindParameter[Any]]]:
    """Return the parameters of an insert of several rows, to be filled with the values that ``in_rows`` returns."""
    return [
        {name: bindparam(f"{name}_{place}", required=False, type_=table.c[name].type) for name in columns}
        for place in range(rows)
    ]


def in_rows(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the values of several rows by parameter name: column and place."""
    return {f"{name}_{place}": value for place, row in enumerate(rows) for name, value in row.items()}


class _Compiled:
    """A statement in the SQL of one database, for lists of one length."""

    def __init__(self, statement: ExecutableReturnsRows, dialect: Dialect, values: Mapping[str, object]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(values))
        assert isinstance(compiled, SQLCompiler)
        expanded = compiled.construct_expanded_state(dict(values))
        self.sql = expanded.statement
        self._is_positional = compiled.positional
        self._lists = {name: names for name, names in expanded.parameter_expansion.items() if name in values}
        given = {*values, *chain.from_iterable(self._lists.values())}
        names = expanded.positiontup or list(expanded.parameters)
        self._constants = {name: expanded.parameters[name] for name in names if name not in given}
        converters = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        converters |= expanded.processors
        self._parameters = [(name, converters.get(name)) for name in names]
        columns = list(statement.exported_columns)
        self.returns_rows = bool(columns)
        row = namedtuple("Row", [column.key for column in columns], rename=True)  # type: ignore[misc]  # known only now
        self._make: Callable[[list[Any]], Any] = row._make
        self._converters = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]

    def parameters(self, values: Mapping[str, object]) -> tuple[Any, ...] | dict[str, Any]:
        """Return the values as the driver takes them: positional or by name."""
        given = values
        if self._constants or self._lists:
            given = {**self._constants, **values}
            for name, names in self._lists.items():
                given.update(zip(names, _flat(given[name]), strict=True))
        if self._is_positional:
            return tuple([convert(given[name]) if convert else given[name] for name, convert in self._parameters])
        return {name: convert(given[name]) if convert else given[name] for name, convert in self._parameters}

    def rows(self, found: Sequence[Sequence[Any]]) -> Iterator[Any]:
        """Convert the driver's rows to named tuples of the values SQLAlchemy would return."""
        for row in found:
            yield self._make(
                [convert(value) if convert else value for convert, value in zip(self._converters, row, strict=True)]
            )


def _flat(values: Any) -> Any:
    """Return the values of a list, those of tuples one after the other."""
    return chain.from_iterable(values) if values and isinstance(values[0], tuple) else values
