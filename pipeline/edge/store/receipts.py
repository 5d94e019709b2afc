"""Receipts: received instances, stored byte for byte with their digest, and what is to be done with each."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, Self

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    func,
    literal_column,
    select,
    text,
    update,
)

from pipeline.edge.store import audit_trail, erased_objects, receipt_contents, work_queue
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.inserts import insert_absent
from pipeline.edge.store.schema import receipt, receipt_content
from pipeline.edge.store.schema_base import State
from pipeline.edge.store.senders import Sender

log = logging.getLogger(__name__)

OTHER_BYTES = "other_bytes"
"""The reason for which a second instance with a known SOP Instance UID and different bytes is held."""

CORRECTED = "corrected"
"""The reason for which a report is ignored that was sent again with a corrected header."""

ERASED = "erased"
"""The reason for which a receipt is ignored that was erased, and for which its object is held if it comes again."""

_COLUMNS = (
    receipt.c.id,
    receipt.c.sop_class_uid,
    receipt.c.sop_instance_uid,
    receipt.c.transfer_syntax_uid,
    receipt.c.calling_ae_title,
    receipt.c.host,
    receipt.c.received_at,
    receipt.c.worker_crashes,
    receipt.c.historical,
    receipt.c.released_from,
    *receipt_contents.COLUMNS,
)

_OF_NUMBERS = CompiledStatement(
    select(*_COLUMNS)
    .outerjoin_from(receipt, receipt_content)
    .where(receipt.c.id.in_(bindparam("numbers", expanding=True)))
    .order_by(receipt.c.id)
)

_LOCK_UIDS = text("""
    SELECT pg_advisory_xact_lock(7311005, hash)
    FROM (SELECT DISTINCT hashtext(uid) AS hash FROM unnest(CAST(:uids AS text[])) AS uid ORDER BY hash) AS in_turn""")
"""Locks in one order, so that two listeners with the same UIDs never wait for each other."""

_NOT_OF_USE = receipt.c.historical & ((receipt.c.state == State.IGNORED) | (receipt.c.state == State.WAITING))
"""History that is ignored, or may yet be: a copy with other bytes is not held for it."""

_KNOWN = CompiledStatement(
    select(receipt.c.id, receipt.c.sop_instance_uid, receipt.c.digest, _NOT_OF_USE.label("not_of_use"))
    .add_columns(receipt.c.calling_ae_title, receipt.c.host)
    .where(receipt.c.sop_instance_uid.in_(bindparam("uids", expanding=True)))
    .order_by(receipt.c.id)
)

_HAS_OTHER_BYTES = and_(receipt.c.state == State.HELD, receipt.c.reason == OTHER_BYTES, receipt.c.attempts == 0)
"""Held for its other bytes, and examined by no worker yet."""

_WITH_OTHER_BYTES = CompiledStatement(select(receipt.c.id).where(_HAS_OTHER_BYTES).limit(literal_column("1")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One DICOM instance as received: its encoded data set, without file meta information."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One instance on file, by the number of its receipt."""

    number: int
    instance: Instance
    sender: Sender
    received_at: datetime
    worker_crashes: int
    historical: bool
    released_from: str | None

    def without_data_set(self) -> "Receipt":
        """Return the same receipt without its data set, to free memory once it is not needed."""
        return replace(self, instance=replace(self.instance, data_set=b""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One instance as received, and its sender, compressed and ready to be stored; made by ``Arrival.of``.

    ``size`` is in bytes as received. ``content`` is compressed and the only copy of the bytes. A historical instance
    gets no addendum, until it is received once more as one that is not.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size: int
    calling_ae_title: str
    host: str
    at: datetime
    historical: bool
    digest: str
    content: bytes | bytearray = field(repr=False)

    @classmethod
    def of(
        cls, instance: Instance, *, calling_ae_title: str, host: str = "", at: datetime, historical: bool = False
    ) -> Self:
        """With its digest and its bytes made smaller, which needs no database and holds up nobody who writes."""
        return cls(
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            size=len(instance.data_set),
            calling_ae_title=calling_ae_title,
            host=host,
            at=at,
            historical=historical,
            digest=hashlib.sha256(instance.data_set).hexdigest(),
            content=receipt_contents.compress(instance.data_set),
        )


def store(
    connection: Connection,
    instance: Instance,
    *,
    calling_ae_title: str,
    host: str = "",
    at: datetime,
    historical: bool = False,
) -> tuple[int, bool]:
    """Store one instance as ``store_all`` does, and return its number and whether it is new."""
    arrival = Arrival.of(instance, calling_ae_title=calling_ae_title, host=host, at=at, historical=historical)
    return store_all(connection, [arrival])[0]


def store_all(connection: Connection, arrivals: Sequence[Arrival]) -> list[tuple[int, bool]]:
    """Store instances, and return for each its number and whether it is new.

    The same SOP Instance UID with the same bytes is stored once. With other bytes both are stored and the later one is
    held, because only a person can say which is right; a historical one is ignored instead, as archives alter what they
    store. What was erased is held if a scanner sends it again; if it is historical, it counts as stored and is not.
    Any number of new instances costs as many statements as one. Known ones whose bytes on file are damaged or gone are
    mended with those that came.
    """
    if connection.dialect.name == "postgresql":  # else two listeners do not see what the other is storing
        connection.execute(_LOCK_UIDS, {"uids": [arrival.sop_instance_uid for arrival in arrivals]})
    erased = erased_objects.among(connection, [arrival.sop_instance_uid for arrival in arrivals])
    stored: dict[int, _Stored] = {}
    waiting = dict(enumerate(arrivals))
    while waiting:  # once, unless one UID comes several times: then the later ones find the earlier one stored
        of_uid = {arrival.sop_instance_uid: place for place, arrival in reversed(waiting.items())}
        turn = {place: waiting.pop(place) for place in sorted(of_uid.values())}
        stored.update(zip(turn, _store_different(connection, list(turn.values()), erased), strict=True))
    results = [stored[place] for place in range(len(arrivals))]
    entries = (_entry(arrival, result, erased) for arrival, result in zip(arrivals, results, strict=True))
    audit_trail.record(connection, *entries)
    if any(result.is_new for result in results):
        notify(connection)
    return [(result.number, result.is_new) for result in results]


def last_number(connection: Connection) -> int:
    """Return the number of the last receipt, which is about how many there are."""
    return connection.scalar(select(func.max(receipt.c.id))) or 0


def load(connection: Connection, numbers: list[int]) -> list[Receipt]:
    """Return the receipts of these numbers that exist, in the order of their numbers."""
    return [
        Receipt(
            number=row.id,
            instance=Instance(
                sop_class_uid=row.sop_class_uid,
                sop_instance_uid=row.sop_instance_uid,
                transfer_syntax_uid=row.transfer_syntax_uid,
                data_set=receipt_contents.data_set_of(connection, row),
            ),
            sender=Sender(ae_title=row.calling_ae_title, host=row.host),
            received_at=row.received_at,
            worker_crashes=row.worker_crashes,
            historical=row.historical,
            released_from=row.released_from,
        )
        for row in _OF_NUMBERS.execute(connection, {"numbers": list(numbers)})
    ]


def is_any_to_be_read(connection: Connection, *, at: datetime) -> bool:
    """Return whether a receipt is due, or held for its other bytes and not examined yet."""
    due = work_queue.next_due(connection, receipt)
    return (due is not None and due <= at) or _WITH_OTHER_BYTES.scalar(connection, {}) is not None


def claim_with_other_bytes(connection: Connection, *, limit: int) -> list[int]:
    """Claim receipts held for their other bytes that no worker has examined yet; each is claimed once."""
    suspected = select(receipt.c.id).where(_HAS_OTHER_BYTES).order_by(receipt.c.due_at).limit(limit)
    numbers = list(connection.scalars(suspected.with_for_update(skip_locked=True)))
    if numbers:
        connection.execute(update(receipt).where(receipt.c.id.in_(numbers)).values(attempts=1))
    return numbers


def requeue_with_other_bytes(connection: Connection, numbers: Sequence[int]) -> None:
    """Undo the claim of receipts held for their other bytes."""
    connection.execute(update(receipt).where(receipt.c.id.in_(numbers)).values(attempts=0))


class _Stored(NamedTuple):
    """What became of an arrival: its receipt, whether that is new, and whether its bytes were mended."""

    number: int
    is_new: bool
    is_mended: bool


def _store_different(connection: Connection, arrivals: Sequence[Arrival], erased: Mapping[str, int]) -> list[_Stored]:
    """Store instances of different UIDs; ``erased`` are those that were erased, each with its receipt."""
    on_file: defaultdict[str, list[Any]] = defaultdict(list)
    uids = [arrival.sop_instance_uid for arrival in arrivals]
    for known in _KNOWN.execute(connection, {"uids": uids}):
        on_file[known.sop_instance_uid].append(known)
    numbers: dict[str, int] = {}
    mended: set[int] = set()
    rows, contents = [], {}
    for arrival in arrivals:
        uid = arrival.sop_instance_uid
        same = next((known.id for known in on_file[uid] if known.digest == arrival.digest), None)
        if same is None and uid in erased and arrival.historical:
            numbers[uid] = erased[uid]  # nothing of it is stored: no import brings back what was erased
        elif same is None:
            rows.append(_row(arrival, on_file[uid], erased.get(uid)))
            contents[uid] = arrival.content
        else:
            _store_again(connection, same, arrival)
            numbers[uid] = same
            if _mend(connection, same, arrival):
                mended.add(same)
    inserted = insert_absent(connection, receipt, rows, key=receipt.c.sop_instance_uid)
    receipt_contents.store_all(connection, {number: contents[uid] for uid, number in inserted.items()})
    numbers |= inserted
    return [
        _Stored(numbers[uid], is_new=uid in inserted, is_mended=numbers[uid] in mended)
        for uid in (arrival.sop_instance_uid for arrival in arrivals)
    ]


def _row(arrival: Arrival, on_file: Sequence[Any], erased: int | None) -> dict[str, object]:
    state, reason, detail = State.WAITING, None, None
    if erased is not None:
        state, reason, detail = State.HELD, ERASED, f"it was erased before, with receipt {erased}"
    if of_use := [_named(known) for known in on_file if not known.not_of_use]:
        state = State.IGNORED if arrival.historical else State.HELD
        numbers = ", ".join(of_use)
        reason = OTHER_BYTES
        detail = f"the SOP Instance UID (0008,0018) is that of receipt {numbers}, the content is not"
    return {
        "sop_class_uid": arrival.sop_class_uid,
        "sop_instance_uid": arrival.sop_instance_uid,
        "transfer_syntax_uid": arrival.transfer_syntax_uid,
        "digest": arrival.digest,
        "size": arrival.size,
        "calling_ae_title": arrival.calling_ae_title,
        "host": arrival.host,
        "received_at": arrival.at,
        "historical": arrival.historical,
        "state": state,
        "due_at": arrival.at,
        "reason": reason,
        "detail": detail,
    }


def _named(known: Any) -> str:
    return f"{known.id} ({Sender(ae_title=known.calling_ae_title, host=known.host)})"


def _entry(arrival: Arrival, stored: _Stored, erased: Mapping[str, int]) -> Entry:
    detail = {
        "sop_class_uid": arrival.sop_class_uid,
        "sop_instance_uid": arrival.sop_instance_uid,
        "digest": arrival.digest,
        "new": stored.is_new,
    }
    if stored.is_mended:
        detail["mended"] = True
    if not stored.is_new and erased.get(arrival.sop_instance_uid) == stored.number:
        detail = {"sop_class_uid": arrival.sop_class_uid, "erased": True}
    return Entry(
        event=Event.RECEIVED,
        at=arrival.at,
        actor=arrival.calling_ae_title,
        host=arrival.host,
        receipt=stored.number,
        detail=detail,
    )


def _mend(connection: Connection, number: int, arrival: Arrival) -> bool:
    """Put known bytes that came again in the place of those on file where these are damaged or gone."""
    if receipt_contents.is_whole(connection, number, arrival.content):
        return False
    own = select(receipt.c.id).where(receipt.c.id == number, receipt.c.digest == arrival.digest)
    if connection.scalar(own.with_for_update()) is None:  # else they could come back after an erasure
        return False
    receipt_contents.mend(connection, number, arrival.content)
    log.warning("bytes that were damaged or gone came again, and are mended", extra={"receipt": number})
    return True


def _store_again(connection: Connection, number: int, arrival: Arrival) -> None:
    """Make known bytes due again where they were historical and are not now, or were ignored as history.

    Likewise where their sender has corrected them since and sends them once more: then they correct the correction.
    """
    historical = arrival.historical
    back = and_(receipt.c.calling_ae_title == arrival.calling_ae_title, receipt.c.host == arrival.host)
    back &= receipt.c.reason.is_not_distinct_from(CORRECTED)
    changed = receipt.c.historical & (receipt.c.state == State.IGNORED) if historical else receipt.c.historical | back
    again = update(receipt).where(receipt.c.id == number, changed, receipt.c.reason.is_distinct_from(OTHER_BYTES))
    values = {"historical": historical, "state": State.WAITING, "due_at": arrival.at, "reason": None, "detail": None}
    if not historical:
        values |= {"calling_ae_title": arrival.calling_ae_title, "host": arrival.host}
    if connection.execute(again.values(**values)).rowcount:
        notify(connection)
