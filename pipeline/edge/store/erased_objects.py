"""Objects that were erased with a patient, known by a hash of their SOP Instance UID, and how much was erased."""

import hashlib
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, func, insert, select

from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.erasure_schema import erased_object, erasure

_AMONG = CompiledStatement(
    select(erased_object.c.uid_digest, erased_object.c.receipt_id).where(
        erased_object.c.uid_digest.in_(bindparam("digests", expanding=True))
    )
)


def among(connection: Connection, uids: Collection[str]) -> dict[str, int]:
    """Return those of some SOP Instance UIDs whose objects were erased, each with a receipt it was erased with."""
    of_digest = {_digest(uid): uid for uid in uids}
    rows = _AMONG.execute(connection, {"digests": list(of_digest)})
    return {of_digest[row.uid_digest]: row.receipt_id for row in rows}


def erased_in_all(connection: Connection) -> tuple[int, int]:
    """Return how many patients, and how many exams of theirs, were erased so far."""
    query = select(func.coalesce(func.sum(erasure.c.patients), 0), func.coalesce(func.sum(erasure.c.exams), 0))
    row = connection.execute(query).one()
    return int(row[0]), int(row[1])


def record(connection: Connection, erased: Mapping[str, int]) -> None:
    """Record the SOP Instance UIDs of objects that are erased, each with a receipt it is erased with."""
    known = among(connection, erased.keys())
    new = [{"uid_digest": _digest(uid), "receipt_id": number} for uid, number in erased.items() if uid not in known]
    if new:
        connection.execute(insert(erased_object), new)


def _digest(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()
