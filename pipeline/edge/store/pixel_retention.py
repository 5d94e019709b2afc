"""Drop the pixel data of received images after a retention time.

The extracted results and the receipt stay. The receipt keeps the digest of the bytes received, so that the same image
sent again is recognised.
"""

from datetime import datetime

from sqlalchemy import Connection, literal_column, select, update

from pipeline.edge.store import receipt_contents
from pipeline.edge.store.receipt_contents import DamagedContentError
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


def drop_pixel_data(connection: Connection, *, received_before: datetime, damaged: set[int] | None = None) -> int:
    """Drop the pixel data of a batch of settled images received before a moment, and return how many were looked at.

    Those without readable bytes are added to ``damaged``, and those that are in it already are passed over.
    """
    damaged = set() if damaged is None else damaged
    settled = receipt.c.state.in_((State.DONE, State.IGNORED))
    old = (
        select(receipt.c.id, receipt.c.transfer_syntax_uid)
        .where(receipt.c.pixel_bytes > literal_column("0"), receipt.c.received_at < received_before, settled)
        .where(receipt.c.id.not_in(damaged))
        .order_by(receipt.c.received_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)  # else bytes that were read here could come back after an erasure
    )
    found = connection.execute(old).all()
    for row in found:
        try:
            smaller = without_pixels(receipt_contents.data_set(connection, row.id), row.transfer_syntax_uid)
        except DamagedContentError:
            damaged.add(row.id)
            continue
        receipt_contents.replace(connection, receipt_content.c.receipt_id == row.id, smaller)
        connection.execute(update(receipt).where(receipt.c.id == row.id).values(pixel_bytes=0))
    return len(found)
