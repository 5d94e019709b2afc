"""Bytes of receipts as a disk that fails, or a hand in the database, leaves them."""

import zlib

import pytest
from sqlalchemy import Connection, delete, update

from pipeline.edge.app import App
from pipeline.edge.store import receipts
from pipeline.edge.store.schema import receipt_content
from tests.factories.answered_exams import LONG_AGO, l1_l4
from tests.factories.instances import instance
from tests.factories.reports import encode

CUT_SHORT = zlib.compress(bytes(99))[:-5]

DAMAGES = [b"", CUT_SHORT, b"no zlib", None]
"""What is there instead; ``None`` where the row is gone."""

damages = pytest.mark.parametrize("damage", DAMAGES, ids=["empty", "cut_short", "no_zlib", "gone"])


def receive_damaged(app: App, damage: bytes | None, *, uid: str) -> int:
    """Receive a report that no worker has read when its bytes are damaged, and return its receipt."""
    sent = instance(encode(l1_l4("0.912", study=f"{uid}.1", PatientID="P-OF-NOBODY")), uid=uid)
    with app.database.write() as connection:
        number, _ = receipts.store(connection, sent, calling_ae_title="SCANNER1", at=LONG_AGO)
        damage_content(connection, number, damage)
    return number


def damage_content(connection: Connection, number: int, damage: bytes | None) -> None:
    """Damage the content of a receipt, or take it away."""
    own = receipt_content.c.receipt_id == number
    change = delete(receipt_content) if damage is None else update(receipt_content).values(content=damage)
    assert connection.execute(change.where(own)).rowcount == 1
