"""What have we been sent, and what is still to be read?"""

import hashlib
import zlib
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from pipeline.edge.store import audit
from pipeline.edge.store.audit import Entry, Event
from pipeline.edge.store.database import insert_if_absent, ring
from pipeline.edge.store.schema import State, receipt

OTHER_BYTES = "other_bytes"
"""The reason for which a second object with a known SOP Instance UID is held."""

_COLUMNS = (
    receipt.c.id,
    receipt.c.sop_class_uid,
    receipt.c.sop_instance_uid,
    receipt.c.transfer_syntax_uid,
    receipt.c.calling_ae_title,
    receipt.c.received_at,
    receipt.c.losses,
    receipt.c.historical,
    receipt.c.content,
)
_OF_NUMBERS = select(*_COLUMNS).where(receipt.c.id.in_(bindparam("numbers", expanding=True))).order_by(receipt.c.id)

_NOT_OF_USE = receipt.c.historical & receipt.c.state.in_((State.IGNORED, State.WAITING))
"""History that was put aside, or may yet be: it does not make another copy suspect."""

_KNOWN = select(receipt.c.id, receipt.c.digest, _NOT_OF_USE.label("not_of_use")).where(
    receipt.c.sop_instance_uid == bindparam("uid")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One DICOM instance as it came: its encoded data set, without file meta information."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One instance on file, under our own number."""

    number: int
    instance: Instance
    calling_ae_title: str
    received_at: datetime
    losses: int
    historical: bool


def keep(
    connection: Connection,
    instance: Instance,
    *,
    calling_ae_title: str,
    host: str = "",
    at: datetime,
    historical: bool = False,
) -> tuple[int, bool]:
    """Keep one instance; its number, and whether it is new.

    The same SOP Instance UID with the same bytes is kept once. With other bytes both are kept, and the later one is
    held, because nobody but a person can say which is right; a historical one is put aside, as archives alter what they
    keep. A historical instance gets no addendum, until it comes once more as one that is not.
    """
    digest = hashlib.sha256(instance.data_set).hexdigest()
    number, new = _keep(connection, instance, digest, calling_ae_title=calling_ae_title, at=at, historical=historical)
    told = {
        "sop_class_uid": instance.sop_class_uid,
        "sop_instance_uid": instance.sop_instance_uid,
        "digest": digest,
        "new": new,
    }
    received = Entry(event=Event.RECEIVED, at=at, actor=calling_ae_title, host=host, receipt=number, detail=told)
    audit.record(connection, received)
    return number, new


def load(connection: Connection, numbers: list[int]) -> list[Receipt]:
    """The receipts of these numbers that exist, in the order of their numbers."""
    return [
        Receipt(
            number=row.id,
            instance=Instance(
                sop_class_uid=row.sop_class_uid,
                sop_instance_uid=row.sop_instance_uid,
                transfer_syntax_uid=row.transfer_syntax_uid,
                data_set=zlib.decompress(row.content),
            ),
            calling_ae_title=row.calling_ae_title,
            received_at=row.received_at,
            losses=row.losses,
            historical=row.historical,
        )
        for row in connection.execute(_OF_NUMBERS, {"numbers": numbers})
    ]


def _keep(
    connection: Connection, instance: Instance, digest: str, *, calling_ae_title: str, at: datetime, historical: bool
) -> tuple[int, bool]:
    known = connection.execute(_KNOWN, {"uid": instance.sop_instance_uid}).all()
    for number, known_digest, _ in known:
        if known_digest == digest:
            _keep_again(connection, number, at=at, historical=historical)
            return number, False
    contradiction = {}
    state = State.WAITING
    if of_use := [number for number, _, not_of_use in known if not not_of_use]:
        state = State.IGNORED if historical else State.HELD
        numbers = ", ".join(map(str, of_use))
        contradiction = {
            "reason": OTHER_BYTES,
            "detail": f"the SOP Instance UID (0008,0018) is that of receipt {numbers}, the content is not",
        }
    number = insert_if_absent(
        connection,
        receipt,
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        digest=digest,
        size=len(instance.data_set),
        calling_ae_title=calling_ae_title,
        received_at=at,
        historical=historical,
        state=state,
        due_at=at,
        content=zlib.compress(instance.data_set, 1),
        **contradiction,
    )
    if number is None:  # another listener kept the same bytes a moment ago
        same = (receipt.c.sop_instance_uid == instance.sop_instance_uid) & (receipt.c.digest == digest)
        return connection.execute(select(receipt.c.id).where(same)).scalar_one(), False
    ring(connection)
    return number, True


def _keep_again(connection: Connection, number: int, *, at: datetime, historical: bool) -> None:
    """Known bytes are read again where they are to be answered now, or as history were put aside before."""
    changed = receipt.c.historical if not historical else receipt.c.historical & (receipt.c.state == State.IGNORED)
    again = update(receipt).where(receipt.c.id == number, changed, receipt.c.reason.is_distinct_from(OTHER_BYTES))
    if connection.execute(again.values(historical=historical, state=State.WAITING, due_at=at)).rowcount:
        ring(connection)
