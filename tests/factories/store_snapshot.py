"""A store of one schema with something in every column, as SQL: what an upgrade is tested with.

At each release, ``.venv/bin/python -m tests.factories.store_snapshot`` writes that of the newest schema into
``tests/edge/store/schemas``; commit it with the release. From then on its migration is never edited again.
"""

import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    insert,
)

from pipeline.edge.store.database import Database
from pipeline.edge.store.schema_migration import _config
from tests.folders import ROOT

SCHEMAS = ROOT / "tests" / "edge" / "store" / "schemas"


def newest() -> str:
    """The revision of the present schema."""
    (head,) = ScriptDirectory.from_config(_config()).get_heads()
    return head


def knows_revision(source: str, revision: str) -> str:
    """The source of ``database.py`` in a version whose newest schema has another revision."""
    present = f'LATEST_REVISION = "{newest()}"'
    assert source.count(present) == 1, present
    return source.replace(present, f'LATEST_REVISION = "{revision}"')


def revisions() -> list[str]:
    """Every revision, the first one first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


def build(connection: Connection, revision: str) -> None:
    """Bring an empty database to one schema."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def snapshot(revision: str) -> str:
    """A store of this schema with two rows in every table: one with all columns, one with only those it must have."""
    with tempfile.TemporaryDirectory() as folder:
        with closing(Database(f"sqlite:///{folder}/store.sqlite3")) as database, database.write() as connection:
            build(connection, revision)
            _fill(connection)
        with closing(sqlite3.connect(f"{folder}/store.sqlite3")) as store:
            return "\n".join(store.iterdump()) + "\n"


def _fill(connection: Connection) -> None:
    schema = MetaData()
    schema.reflect(connection)
    for table in schema.sorted_tables:
        if table.name != "alembic_version":
            for number in (1, 2):
                needed = [column for column in table.columns if number == 1 or not column.nullable]
                connection.execute(insert(table).values({column.name: _value(column, number) for column in needed}))


def _value(column: Column[Any], number: int) -> object:
    match column.type:
        case String(length=length):
            return f"{column.name} {number}"[-(length or 99) :]
        case Float():
            return number + 0.5
        case Boolean():
            return number == 1
        case Integer():
            return number
        case DateTime():
            return datetime(2026, 3, number, 8, 30, 0, 250_000, tzinfo=UTC).replace(tzinfo=None)
        case Date():
            return date(2026, 3, number)
        case LargeBinary():
            return bytes([number]) * 300
        case other:
            raise NotImplementedError(f"say what {column} of {other} may hold")


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    path = SCHEMAS / f"{newest()}.sql"
    path.write_text(snapshot(newest()))
    print(path)
