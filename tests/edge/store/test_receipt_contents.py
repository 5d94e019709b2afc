"""The bytes of a receipt are written once, beside it, and neither is ever there without the other."""

import json
import random
import threading
import zlib
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom.uid import EnhancedSRStorage
from sqlalchemy import Connection, delete, insert, select, update

from pipeline.edge.store import pixel_retention, receipt_contents, receipts, work_queue
from pipeline.edge.store.audit_schema import audit
from pipeline.edge.store.commitment_requests import NO_SUCH_OBJECT_INSTANCE, failure_reason_of
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.edge.store.receipts import Arrival, Instance
from pipeline.edge.store.schema import receipt, receipt_content
from pipeline.edge.store.schema_base import State
from tests.factories.damaged_contents import DAMAGES, damage_content, damages
from tests.factories.instances import NOW, instance, lose_the_worker
from tests.factories.reports import encode, report, spine

LATER = NOW + timedelta(minutes=10)
NOISE = random.Random(1).randbytes(5_000_000)
MOST_LOG = 400_000
"""Bytes that SQLite's log may grow by with a dozen small commits, each of a few pages."""


def keep(database: Database, *sent: Instance, historical: bool = False) -> list[int]:
    """Store instances in one transaction."""
    arrivals = [Arrival.of(one, calling_ae_title="SCANNER1", at=NOW, historical=historical) for one in sent]
    with database.write() as connection:
        return [number for number, _ in receipts.store_all(connection, arrivals)]


def both(connection: Connection) -> tuple[list[int], list[int]]:
    """The numbers of all receipts, and those of which there are bytes."""
    numbers = connection.scalars(select(receipt.c.id).order_by(receipt.c.id)).all()
    of_bytes = connection.scalars(select(receipt_content.c.receipt_id).order_by(receipt_content.c.receipt_id)).all()
    return list(numbers), list(of_bytes)


def test_what_changes_a_receipt_does_not_write_its_bytes_again(tmp_path: Path) -> None:
    """A worker that wrote 63 MB again to say that it had read them kept every scanner waiting for half a second."""
    with closing(Database(f"sqlite:///{tmp_path}/store.sqlite3")) as database:
        database.migrate()
        sent = instance(NOISE)
        (number,) = keep(database, sent)
        database.optimize()
        log = tmp_path / "store.sqlite3-wal"
        assert log.stat().st_size == 0
        for _ in range(2):
            with database.write() as connection:
                assert work_queue.claim(connection, receipt, limit=1, at=LATER) == [number]
            with database.write() as connection:
                work_queue.requeue(connection, receipt)
        with database.write() as connection:
            assert work_queue.claim(connection, receipt, limit=1, at=LATER) == [number]
            lose_the_worker(connection, receipt)
        with database.write() as connection:
            work_queue.hold(connection, receipt, number, reason="no_bmd", detail="nothing in it")
        with database.write() as connection:
            assert work_queue.set_aside(connection, receipt, number, actor="A", reason="later", at=NOW)
        with database.write() as connection:
            assert work_queue.release(connection, receipt, number, at=NOW)
        with database.write() as connection:
            pixel_retention.record_pixel_bytes(connection, number, instance(encode(report(spine()))))
        with database.write() as connection:
            work_queue.done(connection, receipt, [number])
        assert keep(database, sent) == [number], "sent once more"
        assert 0 < log.stat().st_size < MOST_LOG
        with database.read() as connection:
            (kept,) = receipts.load(connection, [number])
        assert kept.instance.data_set == NOISE


def test_each_receipt_has_its_bytes_whether_it_comes_alone_again_or_with_others(database: Database) -> None:
    keep(database, instance(b"one"))
    keep(database, instance(b"one"))
    keep(database, instance(b"other"), instance(b"one"), instance(b"third", uid="2.25.2"), instance(b"other"))
    keep(database, instance(b"old", uid="2.25.3"), historical=True)
    keep(database, instance(b"another old one", uid="2.25.3"), historical=True)
    with database.read() as connection:
        numbers, of_bytes = both(connection)
        loaded = receipts.load(connection, numbers)
    assert numbers == of_bytes
    assert sorted(one.instance.data_set for one in loaded) == sorted(
        [b"one", b"other", b"third", b"old", b"another old one"]
    )


def test_a_transaction_that_fails_leaves_neither_a_receipt_nor_bytes(database: Database) -> None:
    with database.trial() as connection:
        receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=NOW)
        assert both(connection) == ([1], [1])
    with database.read() as connection:
        assert both(connection) == ([], [])


def test_the_database_refuses_bytes_without_a_receipt(database: Database) -> None:
    (number,) = keep(database, instance())
    with pytest.raises(StoreError, match=r"IntegrityError|ForeignKeyViolation"), database.write() as connection:
        connection.execute(insert(receipt_content).values(receipt_id=number + 1, content=b""))
    with pytest.raises(StoreError, match=r"IntegrityError|ForeignKeyViolation"), database.write() as connection:
        connection.execute(delete(receipt).where(receipt.c.id == number))


@damages
def test_bytes_that_are_damaged_or_gone_are_no_data_set(database: Database, damage: bytes | None) -> None:
    (number,) = keep(database, instance())
    with database.write() as connection:
        damage_content(connection, number, damage)
    with pytest.raises(DamagedContentError, match=f"receipt {number} "), database.read() as connection:
        receipts.load(connection, [number])
    with pytest.raises(DamagedContentError, match=f"receipt {number} "), database.read() as connection:
        receipt_contents.data_set(connection, number)
    with pytest.raises(DamagedContentError, match=f"receipt {number} "):
        receipt_contents.inflate(number, damage)


def received(connection: Connection) -> list[object]:
    """What the audit trail has of each arrival about mending."""
    details = connection.scalars(select(audit.c.detail).order_by(audit.c.id))
    return [json.loads(detail).get("mended") for detail in details]


def test_damaged_bytes_are_mended_by_the_same_object_that_comes_again(database: Database) -> None:
    sent = [instance(), instance(b"sound", uid="2.25.2")]
    numbers = keep(database, *sent)
    told: list[object] = [None, None]
    for damage in DAMAGES:
        with database.write() as connection:
            damage_content(connection, numbers[0], damage)
        assert keep(database, *sent) == numbers
        assert keep(database, *sent) == numbers, "nothing is left to mend"
        told += [True, None, None, None]
        with database.read() as connection:
            assert [one.instance for one in receipts.load(connection, numbers)] == sent
            assert received(connection) == told


def test_large_bytes_of_which_one_has_flipped_are_mended(database: Database) -> None:
    sent = instance(NOISE * 2)
    (number,) = keep(database, sent)
    with database.write() as connection:
        content = bytearray(connection.scalar(select(receipt_content.c.content)) or b"")
        content[len(content) // 2] ^= 1
        damage_content(connection, number, bytes(content))
    assert keep(database, sent) == [number]
    with database.read() as connection:
        assert receipt_contents.data_set(connection, number) == sent.data_set
        assert received(connection) == [None, True]


def test_other_bytes_mend_nothing_and_bytes_without_pixels_or_of_another_zlib_are_not_damaged(
    database: Database,
) -> None:
    (number,) = keep(database, instance(b"one"))
    with database.write() as connection:
        damage_content(connection, number, zlib.compress(b"one", 9))
    keep(database, instance(b"one"))
    with database.write() as connection:
        receipt_contents.replace(connection, receipt_content.c.receipt_id == number, b"o")
    keep(database, instance(b"one"))
    with database.read() as connection:
        assert receipt_contents.data_set(connection, number) == b"o"
    with database.write() as connection:
        damage_content(connection, number, b"")
    keep(database, instance(b"other"))
    with database.read() as connection:
        assert received(connection) == [None, None, None, None]
        with pytest.raises(DamagedContentError):
            receipt_contents.data_set(connection, number)


def test_what_is_erased_meanwhile_is_not_mended(database: Database) -> None:
    """Of PostgreSQL, where an erasure may end between the look at the bytes and their mending."""
    (number,) = keep(database, instance())
    with database.write() as connection:
        damage_content(connection, number, b"")
    other = threading.Thread(target=keep, args=(database, instance()))
    with database.write() as connection:
        connection.execute(update(receipt).values(digest="", sop_instance_uid="erased 1"))
        receipt_contents.replace(connection, receipt_content.c.receipt_id == number, b"")
        other.start()
        other.join(1)
    other.join(30)
    assert not other.is_alive()
    with database.read() as connection:
        assert receipt_contents.data_set(connection, number) == b""


def test_a_damaged_object_is_not_committed_to_until_it_is_mended(database: Database) -> None:
    for damage in DAMAGES:
        (number,) = keep(database, instance())
        with database.write() as connection:
            assert failure_reason_of(connection, EnhancedSRStorage, "2.25.1") is None
            damage_content(connection, number, damage)
            assert failure_reason_of(connection, EnhancedSRStorage, "2.25.1") == NO_SUCH_OBJECT_INSTANCE


def test_a_large_content_is_replaced_by_one_that_comes_back_whole(database: Database) -> None:
    (number,) = keep(database, instance())
    with database.write() as connection:
        receipt_contents.replace(connection, receipt_content.c.receipt_id == number, NOISE * 2)
    with database.read() as connection:
        assert receipt_contents.data_set(connection, number) == NOISE * 2


@pytest.mark.parametrize("size", [receipt_contents.PIECE - 1, receipt_contents.PIECE, 2 * receipt_contents.PIECE + 1])
def test_bytes_that_are_written_and_read_in_pieces_come_back_whole(database: Database, size: int) -> None:
    sent = [instance(random.Random(size).randbytes(size)), instance(b"small", uid="2.25.2")]
    numbers = keep(database, *sent)
    with database.read() as connection:
        assert [one.instance for one in receipts.load(connection, numbers)] == sent


def test_dropped_pixels_never_bring_back_what_is_being_erased(database: Database) -> None:
    """Of PostgreSQL, where both may be at it at once, and the later one would write what it had read before."""
    (number,) = keep(database, instance())
    with database.write() as connection:
        connection.execute(update(receipt).values(pixel_bytes=1, state=State.DONE))
    found: list[int] = []

    def drop() -> None:
        with database.write() as connection:
            found.append(pixel_retention.drop_pixel_data(connection, received_before=LATER))

    other = threading.Thread(target=drop)
    with database.write() as connection:
        connection.execute(update(receipt).values(pixel_bytes=0, state=State.IGNORED))
        receipt_contents.replace(connection, receipt_content.c.receipt_id == number, b"")
        other.start()
        if not database.is_sqlite:
            other.join(30)
            assert found == [0], "it passes over what another one is changing"
    other.join(30)
    assert found == [0]
    with database.read() as connection:
        (kept,) = receipts.load(connection, [number])
    assert kept.instance.data_set == b""
