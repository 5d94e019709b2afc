"""Every schema that was ever released is brought to the present one, with everything that is in it."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, func, insert, select

from pipeline.edge.store import schema_migration
from pipeline.edge.store.database import LATEST_REVISION, Database
from pipeline.edge.store.schema_base import metadata
from tests.factories.store_snapshot import SCHEMAS, build, newest, revisions, snapshot

RELEASED = sorted(SCHEMAS.glob("*.sql"))


def _store(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as store:
        store.executescript(sql)


def _schema(path: Path) -> set[str]:
    """Every table, index and trigger as SQLite was told."""
    with closing(sqlite3.connect(path)) as store:
        return {sql for (sql,) in store.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}


def _rows(connection: Connection) -> dict[str, int]:
    there = MetaData()
    there.reflect(connection)
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in there.sorted_tables
    }


@pytest.fixture(params=[*RELEASED, None], ids=lambda path: path.stem if path else "the present one")
def released(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A schema that was released, and a store of it; and, so that nothing here rests for want of one, the present."""
    if request.param is None:
        return newest(), snapshot(newest())
    return request.param.stem, request.param.read_text()


@pytest.fixture(params=["sqlite", "postgresql"])
def older(request: pytest.FixtureRequest, tmp_path: Path, released: tuple[str, str]) -> Iterator[Database]:
    """That store in either kind of database."""
    revision, sql = released
    _store(tmp_path / "snapshot.sqlite3", sql)
    source = Database(f"sqlite:///{tmp_path}/snapshot.sqlite3")
    if request.param == "sqlite":
        yield source
        source.close()
        return
    target = Database(request.getfixturevalue("postgresql_url"))
    with source.read() as there, target.write() as here:
        build(here, revision)
        schema = MetaData()
        schema.reflect(here)
        for table in schema.sorted_tables:
            if table.name != "alembic_version":
                here.execute(insert(table), [dict(row) for row in there.execute(select(table)).mappings()])
    source.close()
    yield target
    target.close()


def test_a_store_of_an_earlier_version_is_migrated_and_keeps_every_row(older: Database) -> None:
    with older.read() as connection:
        before = _rows(connection)
    assert set(before.values()) == {1, 2}
    older.migrate()
    with older.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        after = _rows(connection)
        assert {table: count for table, count in before.items() if table in after} == {
            table: count for table, count in after.items() if table in before
        }
    assert older.is_sound()


def test_every_schema_that_others_followed_has_its_store_here() -> None:
    """It was released, so somebody has it: see make_snapshot."""
    assert [path.stem for path in RELEASED][: len(revisions()) - 1] == revisions()[:-1]


def test_a_migration_that_was_released_is_never_edited(released: tuple[str, str], tmp_path: Path) -> None:
    revision, sql = released
    _store(tmp_path / "then.sqlite3", sql)
    with closing(Database(f"sqlite:///{tmp_path}/now.sqlite3")) as database, database.write() as connection:
        build(connection, revision)
    assert _schema(tmp_path / "now.sqlite3") == _schema(tmp_path / "then.sqlite3")


def _start(url: str) -> None:
    with closing(Database(url)) as database:
        database.migrate()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_processes_that_start_at_once_migrate_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/new.sqlite3" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_start, args=(url,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    with closing(Database(url)) as database, database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_last_revision_is_the_one_by_which_a_database_counts_as_migrated() -> None:
    assert schema_migration.heads() == [LATEST_REVISION]
