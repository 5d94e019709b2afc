"""Drop the pixel data of received images after a retention time.

The extracted results and the receipt stay. The receipt keeps the digest of the bytes received, so that the same image
sent again is recognised.
"""

import zlib
from datetime import datetime

from sqlalchemy import Connection, literal_column, select, update

from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import receipt
from pipeline.edge.store.schema_base import State
from pipeline.sr.dicom.reader import without_pixels

BATCH = 100
"""Images per transaction."""


def record_pixel_bytes(connection: Connection, receipt_number: int, instance: Instance) -> None:
    """Record how many bytes smaller an image would be without its pixel data."""
    smaller = len(instance.data_set) - len(without_pixels(instance.data_set, instance.transfer_syntax_uid))
    connection.execute(update(receipt).where(receipt.c.id == receipt_number).values(pixel_bytes=smaller))


def drop_pixel_data(connection: Connection, *, received_before: datetime) -> int:
    """Drop the pixel data of a batch of settled images received before a moment, and return their count."""
    settled = receipt.c.state.in_((State.DONE, State.IGNORED))
    old = (
        select(receipt.c.id, receipt.c.transfer_syntax_uid)
        .where(receipt.c.pixel_bytes > literal_column("0"), receipt.c.received_at < received_before, settled)
        .order_by(receipt.c.received_at)
        .limit(BATCH)
    )
    found = connection.execute(old).all()
    for row in found:
        content = connection.execute(select(receipt.c.content).where(receipt.c.id == row.id)).scalar_one()
        smaller = without_pixels(zlib.decompress(content), row.transfer_syntax_uid)
        connection.execute(
            update(receipt).where(receipt.c.id == row.id).values(pixel_bytes=0, content=zlib.compress(smaller, 1))
        )
    return len(found)
