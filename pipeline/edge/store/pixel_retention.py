"""Drop the pixel data of received images after a retention time.

The extracted results and the receipt stay. The receipt keeps the digest of the bytes received, so that the same image
sent again is recognised.
"""

import zlib
from datetime import datetime

from sqlalchemy import Connection, literal_column, select, update

from pipeline.edge.store import receipt_contents
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import receipt, receipt_content
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
        .with_for_update(skip_locked=True)  # else bytes that were read here could come back after an erasure
    )
    found = connection.execute(old).all()
    for row in found:
        content = receipt_contents.load(connection, row.id)
        if content is not None:
            smaller = without_pixels(zlib.decompress(content), row.transfer_syntax_uid)
            receipt_contents.replace(connection, receipt_content.c.receipt_id == row.id, smaller)
        connection.execute(update(receipt).where(receipt.c.id == row.id).values(pixel_bytes=0))
    return len(found)
