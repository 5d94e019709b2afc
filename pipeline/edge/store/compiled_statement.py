"""How does a statement that every instance needs cost no more than the database takes for it?

SQLAlchemy looks a statement over at each execution and makes an object of its result, which takes several times as
long as SQLite's own work. Here it compiles a statement once, and then the driver has it at once.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import BindParameter, Connection, Dialect, Table, bindparam
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import ExecutableReturnsRows
from sqlalchemy.types import TypeEngine


class CompiledStatement:
    """One statement, whose values are given at each execution; those of an expanding parameter as a list."""

    def __init__(self, statement: ExecutableReturnsRows) -> None:
        self._statement = statement
        self._compiled: dict[tuple[object, ...], _Compiled] = {}

    def execute(self, connection: Connection, values: Mapping[str, object]) -> list[Any]:
        """The rows it returns: named tuples of what SQLAlchemy would give."""
        dialect = connection.dialect
        shape = (dialect.name, *(len(value) for value in values.values() if isinstance(value, list)))
        compiled = self._compiled.get(shape)
        if compiled is None:
            compiled = self._compiled[shape] = _Compiled(self._statement, dialect, values)
        cursor = connection.connection.cursor()
        try:
            parameters = compiled.parameters(values)
            for listener in connection.dispatch.before_cursor_execute:  # as SQLAlchemy would tell of it
                listener(connection, cursor, compiled.sql, parameters, None, False)
            cursor.execute(compiled.sql, parameters)
            return list(compiled.rows(cursor.fetchall())) if compiled.returns_rows else []
        finally:
            cursor.close()

    def scalars(self, connection: Connection, values: Mapping[str, object]) -> list[Any]:
        """The first column of each row."""
        return [row[0] for row in self.execute(connection, values)]

    def scalar(self, connection: Connection, values: Mapping[str, object]) -> Any:
        """The first column of the first row; ``None`` where there is none."""
        return next(iter(self.scalars(connection, values)), None)


def parameter(name: str, of: TypeEngine[Any]) -> BindParameter[Any]:
    """A value that is given at each execution."""
    return bindparam(name, required=False, type_=of)


def parameters_in_rows(table: Table, columns: Sequence[str], rows: int) -> list[dict[str, BindParameter[Any]]]:
    """The values of an insert of so many rows: parameters that take what ``in_rows`` gives."""
    return [{name: parameter(f"{name}_{place}", table.c[name].type) for name in columns} for place in range(rows)]


def in_rows(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """The values of several rows, by column and place."""
    return {f"{name}_{place}": value for place, row in enumerate(rows) for name, value in row.items()}


class _Compiled:
    """A statement in one database's own words, for lists of one length."""

    def __init__(self, statement: ExecutableReturnsRows, dialect: Dialect, values: Mapping[str, object]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(values))
        assert isinstance(compiled, SQLCompiler)
        expanded = compiled.construct_expanded_state(dict(values))
        self.sql = expanded.statement
        self._by_place = compiled.positional
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
        """The values as the driver wants them: by place or by name."""
        given = values
        if self._constants or self._lists:
            given = {**self._constants, **values}
            for name, names in self._lists.items():
                given.update(zip(names, _flat(given[name]), strict=True))
        if self._by_place:
            return tuple([convert(given[name]) if convert else given[name] for name, convert in self._parameters])
        return {name: convert(given[name]) if convert else given[name] for name, convert in self._parameters}

    def rows(self, found: Sequence[Sequence[Any]]) -> Iterator[Any]:
        """Rows as the driver gives them, as SQLAlchemy would."""
        for row in found:
            yield self._make(
                [convert(value) if convert else value for convert, value in zip(self._converters, row, strict=True)]
            )


def _flat(values: Any) -> Any:
    """The values of a list, one after the other also where each is several."""
    return chain.from_iterable(values) if values and isinstance(values[0], tuple) else values
