"""How does a statement that every instance needs cost no more than the database takes for it?

SQLAlchemy looks a statement over at each execution and makes an object of its result, which takes several times as
long as SQLite's own work. Here it compiles a statement once, and then the driver has it at once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, ClauseElement, Connection, Dialect, Table, bindparam
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine


class Prepared:
    """One statement, whose only values are its parameters."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def execute(self, connection: Connection, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """The rows it returns, as the driver gives them: text and numbers, but no moments."""
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(self._statement, dialect)
        cursor = connection.connection.cursor()
        try:
            parameters = compiled.parameters(values)
            for listener in connection.dispatch.before_cursor_execute:  # as SQLAlchemy would tell of it
                listener(connection, cursor, compiled.sql, parameters, None, False)
            cursor.execute(compiled.sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            cursor.close()


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
    """A statement in one database's own words."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        assert isinstance(compiled, SQLCompiler)
        self.sql = compiled.string
        self._by_place = compiled.positional
        self._parameters: list[tuple[str, Callable[[Any], Any] | None]] = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or compiled.params
        ]

    def parameters(self, values: Mapping[str, object]) -> tuple[Any, ...] | dict[str, Any]:
        """The values as the driver wants them: by place or by name."""
        if self._by_place:
            return tuple([convert(values[name]) if convert else values[name] for name, convert in self._parameters])
        return {name: convert(values[name]) if convert else values[name] for name, convert in self._parameters}
