"""A compiled statement gives what SQLAlchemy gives for it, in both kinds of database."""

from datetime import timedelta

import pytest
from sqlalchemy import bindparam, func, insert, select, tuple_, update

from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.schema import linked_patients, patient, receipt, receipt_content
from pipeline.edge.store.schema_base import State
from tests.factories.instances import NOW

COLUMNS = {
    "sop_class_uid": "1.2",
    "transfer_syntax_uid": "1.2.1",
    "digest": "d",
    "size": 1,
    "calling_ae_title": "SCANNER1",
    "host": "",
    "state": State.WAITING,
}
KEEP = insert(receipt).returning(receipt.c.id)
KEEP_BYTES = insert(receipt_content)
FIND = (
    select(receipt.c.sop_instance_uid, receipt.c.received_at, receipt.c.leased_until, receipt.c.historical)
    .add_columns(receipt_content.c.content, func.coalesce(receipt.c.reason, "none"))
    .join_from(receipt, receipt_content)
    .where(receipt.c.sop_instance_uid.in_(bindparam("uids", expanding=True)), receipt.c.state == State.WAITING)
    .order_by(receipt.c.id)
)


@pytest.fixture
def full(database: Database) -> Database:
    """A database with three receipts, each a minute later than the one before."""
    keep, keep_bytes = CompiledStatement(KEEP), CompiledStatement(KEEP_BYTES)
    with database.write() as connection:
        for number in range(3):
            moment = NOW + timedelta(minutes=number)
            of_it = {"sop_instance_uid": f"2.25.{number}", "received_at": moment, "due_at": moment}
            assert keep.execute(connection, {**COLUMNS, **of_it, "historical": number == 1}) == [(number + 1,)]
            assert keep_bytes.execute(connection, {"receipt_id": number + 1, "content": b"\0\xff"}) == []
    return database


@pytest.mark.parametrize("uids", [[], ["2.25.1"], ["2.25.2", "2.25.0"], ["2.25.0", "2.25.1", "2.25.2", "2.25.3"]])
def test_moments_flags_bytes_and_lists_of_any_length_are_what_sqlalchemy_gives(full: Database, uids: list[str]) -> None:
    find = CompiledStatement(FIND)
    with full.read() as connection:
        for _ in range(2):
            found = find.execute(connection, {"uids": uids})
            assert [tuple(row) for row in found] == [tuple(row) for row in connection.execute(FIND, {"uids": uids})]
            assert {row.received_at.tzinfo for row in found} <= {NOW.tzinfo}


def test_a_list_of_pairs_finds_each_pair_and_no_other_mixture(database: Database) -> None:
    pair = tuple_(patient.c.patient_id, patient.c.issuer)
    find = CompiledStatement(
        select(patient.c.id).where(pair.in_(bindparam("pairs", expanding=True))).order_by(patient.c.id)
    )
    with database.write() as connection:
        connection.execute(insert(linked_patients), [{"id": 1}])
        named = [{"patient_id": who, "issuer": issuer, "linked_patients_id": 1} for who in "AB" for issuer in "XY"]
        connection.execute(insert(patient), named)
        assert find.scalars(connection, {"pairs": [("A", "Y"), ("B", "X")]}) == [2, 3]
        assert find.scalar(connection, {"pairs": [("C", "X")]}) is None


def test_what_a_statement_itself_sets_is_set_beside_what_is_given(full: Database) -> None:
    hold = CompiledStatement(
        update(receipt)
        .where(receipt.c.id == bindparam("number"))
        .values(state=State.HELD, worker_crashes=receipt.c.worker_crashes + 2, due_at=bindparam("until"))
        .returning(receipt.c.worker_crashes, receipt.c.due_at)
    )
    with full.write() as connection:
        assert hold.execute(connection, {"number": 2, "until": NOW}) == [(2, NOW)]
        assert hold.execute(connection, {"number": 9, "until": NOW}) == []


def test_what_the_database_refuses_is_a_failed_store_and_has_not_happened(full: Database) -> None:
    with pytest.raises(StoreError, match=r"IntegrityError|UniqueViolation"), full.write() as connection:
        CompiledStatement(update(receipt).values(sop_instance_uid=bindparam("uid"))).execute(
            connection, {"uid": "2.25.7"}
        )
    with full.read() as connection:
        assert connection.scalar(select(func.count(receipt.c.sop_instance_uid.distinct()))) == 3
