"""The newest entries of the audit trail are found without reading all others."""

import re

import pytest
from sqlalchemy import text

from pipeline.edge.store import audit_search, audit_trail
from pipeline.edge.store.audit_schema import BESIDES_THE_USUAL, audit
from pipeline.edge.store.audit_search import USUAL, Search
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.database import Database
from tests.factories.instances import NOW

SEARCHES = {
    "people": Search(since=NOW, with_usual=False),
    "everything": Search(since=NOW),
    "one kind": Search(since=NOW, event=Event.VIEWED),
}


def test_the_condition_of_the_index_names_what_every_report_adds() -> None:
    assert set(re.findall(r"'(\w+)'", BESIDES_THE_USUAL)) == set(USUAL)


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_the_newest_entries_come_from_an_index_in_its_order(database: Database, search: Search) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL chooses by statistics, which an empty table has not")
    with database.read() as connection:
        query = audit_search._found(search).order_by(audit.c.at.desc(), audit.c.id.desc())
        sql = str(query.limit(51).compile(connection.engine))
        explained = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("",) * sql.count("?"))
        plan = "\n".join(row[3] for row in explained)
    assert "TEMP B-TREE" not in plan
    assert ("ix_audit_at" if search.with_usual and search.event is None else "ix_audit_besides_the_usual") in plan


def test_every_search_finds_the_same_in_either_database(database: Database) -> None:
    with database.write() as connection:
        audit_trail.record(
            connection,
            Entry(event=Event.RECEIVED, at=NOW, actor="SCANNER1"),
            Entry(event=Event.VIEWED, at=NOW, actor="mary", patient=1),
            Entry(event=Event.RELEASED, at=NOW, actor="mary"),
        )
    with database.read() as connection:
        found = {
            name: [one.entry.event.value for one in audit_search.page(connection, search, before=None, most=10)]
            for name, search in SEARCHES.items()
        }
        assert connection.scalar(text("SELECT count(*) FROM audit")) == 3
    assert found == {
        "people": ["released", "viewed"],
        "everything": ["released", "viewed", "received"],
        "one kind": ["viewed"],
    }
