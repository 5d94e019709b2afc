"""The hash chain of the audit trail, in which each entry is sealed to the one before it, and who has got it (syslog).

An entry is sealed soon after it was added, because only one writer at a time can extend a chain and receiving must not
wait. The chain holds of each detail only a salted hash: the detail can be erased with the patient it names while the
chain still verifies, and the entry of that erasure lists the entries that lost theirs.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, literal_column, or_, select, text, update

from pipeline.edge.store import work_queue
from pipeline.edge.store.audit_schema import audit, audit_cursor, audit_cut, audit_erasure, audit_seal
from pipeline.edge.store.audit_trail import BATCH, Entry, Event, SealedEntry, sealed_entry, values_of, with_seals
from pipeline.edge.store.compiled_statement import CompiledStatement


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Result of verifying the hash chain: the counts of sealed and unsealed entries, and the first break."""

    sealed: int
    unsealed: int
    last_digest: str
    broken_at: int | None
    """The number of the first entry that was changed, is missing, or stands in the wrong place."""


_START = "0" * 64
_LOCK = 7_311_003

_RECENT = 1000
"""How many entries back to look for one whose transaction ended after a later one's; with ``all_of_it``, all."""

_LAST_SEALED = select(func.coalesce(func.max(audit_seal.c.audit_id), 0)).scalar_subquery()
_SEAL = select(audit_seal.c.audit_id).where(audit_seal.c.audit_id == audit.c.id)
_UNSEALED = CompiledStatement(
    select(audit.c.id)
    .where(audit.c.id > _LAST_SEALED - _RECENT, ~_SEAL.exists())
    .order_by(audit.c.id.desc())
    .limit(literal_column("1"))
)
"""The latest entry that is not sealed."""


def seal(connection: Connection, *, all_of_it: bool = False) -> int:
    """Seal up to a batch of entries that are committed and not sealed yet, and return their count."""
    if connection.dialect.name == "postgresql":  # on SQLite a writer excludes others already
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    position, digest = _end(connection)
    waiting = select(audit).where(~_SEAL.exists()).order_by(audit.c.id).limit(BATCH)
    if not all_of_it:
        last = connection.scalar(select(func.max(audit_seal.c.audit_id))) or 0
        waiting = waiting.where(audit.c.id > last - _RECENT)
    seals = []
    for row in connection.execute(waiting):
        position, digest = position + 1, _digest(digest, row, _detail_digest(row))
        seals.append({"position": position, "audit_id": row.id, "digest": digest})
    if seals:
        connection.execute(insert(audit_seal), seals)
    return len(seals)


def has_unsealed(connection: Connection) -> bool:
    """Return whether a recent entry is not sealed yet; cheap enough to be called every second."""
    return _UNSEALED.scalar(connection, {}) is not None


def verify(connection: Connection) -> Chain:
    """Verify the hash chain from its beginning, or its last cut, to its end."""
    position, digest = _cut(connection)
    sealed, broken_at = 0, None
    chain = (
        select(audit_seal.c.position, audit_seal.c.audit_id, audit_seal.c.digest.label("stored_digest"), audit)
        .add_columns(audit_erasure.c.detail_digest, audit_erasure.c.erasure_entry_id)
        .outerjoin(audit, audit.c.id == audit_seal.c.audit_id)
        .outerjoin(audit_erasure, audit_erasure.c.audit_id == audit.c.id)
        .where(audit_seal.c.position > position)
        .order_by(audit_seal.c.position)
    )
    listed = _listed_by_erasures(connection)
    for row in connection.execute(chain.execution_options(yield_per=BATCH)):
        fits = (
            row.id is not None
            and row.position == position + 1
            and row.stored_digest == _digest(digest, row, row.detail_digest or _detail_digest(row))
            and (row.erasure_entry_id is None or (_is_emptied(row) and row.id in listed.get(row.erasure_entry_id, ())))
        )
        if not fits and broken_at is None:
            broken_at = int(row.audit_id)
        position, digest, sealed = row.position, row.stored_digest, sealed + 1
    entries: int = connection.execute(select(func.count()).select_from(audit)).scalar_one()
    return Chain(sealed=sealed, unsealed=max(0, entries - sealed), last_digest=digest, broken_at=broken_at)


def record_erasure(connection: Connection, entry: Entry, numbers: Collection[int]) -> None:
    """Add the entry of an erasure, which lists other entries, and empty the detail of those; all are sealed first."""
    while seal(connection, all_of_it=True):
        pass
    values = values_of(replace(entry, detail={**entry.detail, "audit_entries": sorted(numbers)}))
    entry_id = connection.execute(insert(audit).values(**values).returning(audit.c.id)).scalar_one()
    listed = sorted(numbers)
    for first in range(0, len(listed), BATCH):
        some = audit.c.id.in_(listed[first : first + BATCH]) & (audit.c.salt != "")  # one may be emptied already
        rows = connection.execute(select(audit.c.id, audit.c.salt, audit.c.detail).where(some)).all()
        erased = [
            {"audit_id": row.id, "detail_digest": _detail_digest(row), "erasure_entry_id": entry_id} for row in rows
        ]
        if erased:
            connection.execute(insert(audit_erasure), erased)
            connection.execute(update(audit).where(some).values(detail="{}", salt=""))


def drop_entries(connection: Connection, *, before: datetime, at: datetime, receivers: Sequence[str] = ()) -> int:
    """Drop up to a batch of the oldest entries, all from before a moment, and return their count.

    Entries that a receiver has not got yet stay, and so do entries that are not sealed.
    """
    start, _ = _cut(connection)
    until = start + BATCH
    young = (
        select(audit_seal.c.position)
        .join(audit, audit.c.id == audit_seal.c.audit_id)
        .where(audit.c.at >= before, audit_seal.c.position > start)
        .order_by(audit_seal.c.position)
        .limit(1)
    )
    first_young: int | None = connection.scalar(young)
    end = min([until, *(_sent(connection, receiver) for receiver in receivers)])
    if first_young is not None:
        end = min(end, first_young - 1)
    old = (audit_seal.c.position > start) & (audit_seal.c.position <= end)
    last = connection.execute(
        select(audit_seal.c.position, audit_seal.c.digest).where(old).order_by(audit_seal.c.position.desc()).limit(1)
    ).one_or_none()
    if last is None:
        return 0
    connection.execute(insert(audit_cut).values(position=last.position, digest=last.digest, before=before, at=at))
    gone = connection.execute(delete(audit).where(audit.c.id.in_(select(audit_seal.c.audit_id).where(old))))
    connection.execute(delete(audit_seal).where(old))
    connection.execute(delete(audit_erasure).where(audit_erasure.c.audit_id.not_in(select(audit.c.id))))
    return gone.rowcount


def unsent(connection: Connection, receiver: str) -> list[SealedEntry]:
    """Return up to a batch of sealed entries that a receiver has not got yet, in the order of the chain."""
    query = (
        with_seals()
        .where(audit_seal.c.position > _sent(connection, receiver))
        .order_by(audit_seal.c.position)
        .limit(BATCH)
    )
    return [sealed_entry(row) for row in connection.execute(query)]


def add_receiver(connection: Connection, receiver: str, *, at: datetime) -> None:
    """Add a receiver, unless it is known, that gets entries from now on."""
    known = connection.scalar(select(audit_cursor.c.name).where(audit_cursor.c.name == receiver))
    if known is None:
        connection.execute(insert(audit_cursor).values(name=receiver, position=_end(connection)[0], at=at))


def lease_receiver(connection: Connection, receiver: str, *, at: datetime) -> bool:
    """Lease a receiver to this worker, and return whether no other worker has it."""
    free = or_(
        audit_cursor.c.leased_until.is_(None),
        audit_cursor.c.leased_until <= at,
        audit_cursor.c.lease_owner == work_queue.owner(),
    )
    taken = connection.execute(
        update(audit_cursor)
        .where(audit_cursor.c.name == receiver, free)
        .values(lease_owner=work_queue.owner(), leased_until=at + work_queue.LEASE)
    )
    return taken.rowcount == 1


def record_sent(connection: Connection, receiver: str, position: int, *, at: datetime) -> None:
    """Record that a receiver has got the chain up to a position."""
    connection.execute(update(audit_cursor).where(audit_cursor.c.name == receiver).values(position=position, at=at))


def _digest(before: str, row: Row[Any], detail_digest: str) -> str:
    """Return the seal of a row of ``audit`` after the one before it."""
    content = {name: getattr(row, name) for name in _SEALED} | {"at": row.at.isoformat(timespec="microseconds")}
    content["detail"] = detail_digest
    return hashlib.sha256(f"{before}{json.dumps(content, sort_keys=True)}".encode("ascii")).hexdigest()


_SEALED = ("id", "event", "outcome", "actor", "host", "patient_id", "receipt_id", "exam_id", "addendum_id")


def _detail_digest(row: Row[Any]) -> str:
    return hashlib.sha256(f"{row.salt}{row.detail}".encode()).hexdigest()


def _is_emptied(row: Row[Any]) -> bool:
    """Return whether nothing stands where an erased detail was: the chain would not tell what somebody wrote there."""
    return (row.detail, row.salt) == ("{}", "")


def _listed_by_erasures(connection: Connection) -> dict[int, set[int]]:
    """Return which entries each entry of an erasure lists."""
    query = select(audit.c.id, audit.c.detail).where(audit.c.event == Event.ERASED.value)
    return {row.id: set(json.loads(row.detail).get("audit_entries", ())) for row in connection.execute(query)}


def _end(connection: Connection) -> tuple[int, str]:
    """Return the position and digest of the last seal."""
    last = connection.execute(
        select(audit_seal.c.position, audit_seal.c.digest).order_by(audit_seal.c.position.desc()).limit(1)
    ).one_or_none()
    return (last.position, last.digest) if last else _cut(connection)


def _cut(connection: Connection) -> tuple[int, str]:
    """Return the position and digest after which the chain begins."""
    last = connection.execute(
        select(audit_cut.c.position, audit_cut.c.digest).order_by(audit_cut.c.position.desc()).limit(1)
    ).one_or_none()
    return (last.position, last.digest) if last else (0, _START)


def _sent(connection: Connection, receiver: str) -> int:
    return connection.scalar(select(audit_cursor.c.position).where(audit_cursor.c.name == receiver)) or 0
