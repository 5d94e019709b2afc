"""The bytes of receipts, in a table of their own, so that what changes a receipt does not write its bytes again.

SQLite writes a row whole whenever anything in it changes. A worker that changed the state of a receipt of 63 MB kept
every other writer waiting for half a second while its bytes were in the same row. Each receipt has one row here from
the transaction that stored it; an erasure leaves a content of nothing.
"""

import collections
import functools
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any

from sqlalchemy import ColumnElement, Connection, LargeBinary, Row, case, delete, func, insert, literal, select, update

from pipeline.edge.store.compiled_statement import CompiledStatement, in_rows, parameters_in_rows
from pipeline.edge.store.schema import receipt_content
from pipeline.errors import DxatrendError

PIECE = 8_000_000
"""Bytes of a large content that are written or read at a time, because a driver holds them several times."""

COLUMNS = (
    case((func.length(receipt_content.c.content) <= PIECE, receipt_content.c.content)).label("content"),
    func.length(receipt_content.c.content).label("length"),
)
"""What ``data_set_of`` needs of a row besides the ``id`` of its receipt."""


class DamagedContentError(DxatrendError):
    """The bytes of a receipt are damaged, cut short or gone."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"the bytes of receipt {number} are damaged or gone: have the object sent again, or restore a backup"
        )
        self.number = number

    @property
    def sentence(self) -> str:
        """The text as a sentence of its own."""
        return f"T{str(self)[1:]}."


def compress(data_set: bytes) -> bytes | bytearray:
    """Compress a data set, a large one in pieces, so that memory holds no more than the result besides it."""
    if len(data_set) <= PIECE:
        return zlib.compress(data_set, 1)
    deflated, content = zlib.compressobj(1), bytearray()
    pieces = memoryview(data_set)
    for start in range(0, len(pieces), PIECE):
        content += deflated.compress(pieces[start : start + PIECE])
    content += deflated.flush()
    return content


def store_all(connection: Connection, contents: Mapping[int, bytes | bytearray]) -> None:
    """Store the compressed contents of new receipts, by their numbers; PostgreSQL gets a large one in pieces."""
    if not contents:
        return
    begun, large = contents, {}
    if connection.dialect.name == "postgresql":
        large = {number: memoryview(content) for number, content in contents.items() if len(content) > PIECE}
        begun = {number: bytes(content[:PIECE]) for number, content in contents.items()} if large else contents
    rows = [{"receipt_id": number, "content": content} for number, content in begun.items()]
    _insert(len(rows)).execute(connection, in_rows(rows))
    for number, content in large.items():
        for start in range(PIECE, len(content), PIECE):
            piece = literal(bytes(content[start : start + PIECE]), LargeBinary())
            longer = update(receipt_content).where(receipt_content.c.receipt_id == number)
            connection.execute(longer.values(content=receipt_content.c.content.op("||")(piece)))


def replace(connection: Connection, which: ColumnElement[bool], data_set: bytes) -> None:
    """Put one data set in the place of contents."""
    connection.execute(update(receipt_content).where(which).values(content=compress(data_set)))


def mend(connection: Connection, number: int, content: bytes | bytearray) -> None:
    """Put the compressed content of a receipt in the place of one that is damaged or gone."""
    connection.execute(delete(receipt_content).where(receipt_content.c.receipt_id == number))
    store_all(connection, {number: content})


def is_whole(connection: Connection, number: int, content: bytes | bytearray) -> bool:
    """Return whether the content of a receipt can be read.

    That is so where it is ``content``, the same data set as we would compress it today, and that costs no inflating. It
    may be another, without the pixel data or of another zlib.
    """
    row = _row_of(connection, number)
    if row is None:
        return False
    if row.length == len(content) and _is_the_same(_pieces(connection, row), memoryview(content)):
        return True
    try:
        collections.deque(_inflated(connection, row), maxlen=0)
    except DamagedContentError:
        return False
    return True


def data_set(connection: Connection, number: int) -> bytes:
    """Return the data set of a receipt.

    Raises:
        DamagedContentError: the content is damaged, cut short or missing.
    """
    row = _row_of(connection, number)
    if row is None:
        raise DamagedContentError(number)
    return data_set_of(connection, row)


def data_set_of(connection: Connection, row: Row[Any]) -> bytes:
    """Return the data set of a row; a large one is read and inflated in pieces, so that memory holds it once.

    Raises:
        DamagedContentError: the content is damaged, cut short or missing.
    """
    whole = BytesIO()
    for part in _inflated(connection, row):
        whole.write(part)
    return whole.getvalue()  # shares the bytes, and copies none


def inflate(number: int, content: bytes | None) -> bytes:
    """Return the data set of a receipt from its content, which the caller has loaded.

    Raises:
        DamagedContentError: the content is damaged, cut short or missing.
    """
    try:
        return zlib.decompress(content or b"")
    except zlib.error:
        raise DamagedContentError(number) from None


def _row_of(connection: Connection, number: int) -> Row[Any] | None:
    own = select(receipt_content.c.receipt_id.label("id"), *COLUMNS).where(receipt_content.c.receipt_id == number)
    return connection.execute(own).one_or_none()


def _is_the_same(pieces: Iterable[bytes], content: memoryview) -> bool:
    at = 0
    for piece in pieces:
        if content[at : at + len(piece)] != piece:
            return False
        at += len(piece)
    return at == len(content)


def _inflated(connection: Connection, row: Row[Any]) -> Iterator[bytes]:
    """Yield the data set of a row in parts.

    Raises:
        DamagedContentError: the content is damaged, cut short or missing.
    """
    inflated = zlib.decompressobj()
    try:
        for piece in _pieces(connection, row):
            left = piece
            while left:  # a few bytes may stand for very many
                yield inflated.decompress(left, PIECE)
                left = inflated.unconsumed_tail
        yield inflated.flush()
    except zlib.error:
        raise DamagedContentError(row.id) from None
    if not inflated.eof:
        raise DamagedContentError(row.id)


def _pieces(connection: Connection, row: Row[Any]) -> Iterator[bytes]:
    """Yield the content of a row, a large one piece by piece; SQLite would read all of it for each ``substr``."""
    number, length = row.id, row.length or 0
    if row.content is not None:
        yield row.content
        return
    if not length:
        return
    if connection.dialect.name == "postgresql":
        for start in range(1, length + 1, PIECE):
            part = func.substr(receipt_content.c.content, start, PIECE, type_=LargeBinary())
            yield connection.execute(select(part).where(receipt_content.c.receipt_id == number)).scalar_one()
        return
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    with driver.blobopen("receipt_content", "content", number, readonly=True) as blob:
        while piece := blob.read(PIECE):
            yield piece


@functools.cache
def _insert(rows: int) -> CompiledStatement:
    values = parameters_in_rows(receipt_content, ("receipt_id", "content"), rows)
    return CompiledStatement(insert(receipt_content).values(values).inline())
