"""Tables of the audit trail: its entries, their seals, what was cut off, and who has it."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from pipeline.edge.store.schema_base import Instant, id_column, index_where, metadata

BESIDES_THE_USUAL = "event NOT IN ('received', 'compared', 'authored', 'delivered')"
"""The condition of an audit entry that is not one of the few which every report adds; it is quoted by queries."""

audit = Table(
    "audit",
    metadata,
    id_column(),
    Column("at", Instant, nullable=False),
    Column("event", String(32), nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("host", Text, nullable=False),
    # Numbers, not foreign keys: entries outlive the rows they name, and lock none of them.
    Column("patient_id", BigInteger),
    Column("receipt_id", BigInteger),
    Column("exam_id", BigInteger),
    Column("addendum_id", BigInteger),
    Column("detail", Text, nullable=False),
    Column("salt", String(32), nullable=False),
    Index(None, "at"),
    index_where("patient_id IS NOT NULL", "patient_id", name="ix_audit_patient"),
    index_where("exam_id IS NOT NULL", "exam_id", name="ix_audit_exam"),
    index_where(BESIDES_THE_USUAL, "at", name="ix_audit_besides_the_usual"),
    comment="audit trail: who did what to which object, when, with what outcome (PS3.15 A.5); triggers refuse changes; "
    "salt: random, hashed with the detail; both are emptied where an erasure lists the entry",
)

audit_erasure = Table(
    "audit_erasure",
    metadata,
    Column("audit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("detail_digest", String(64), nullable=False),
    Column("erasure_entry_id", BigInteger, nullable=False),
    comment="an entry of audit whose detail was erased with a patient: SHA-256 of salt and detail, which the hash "
    "chain goes on with, and the entry that records who erased it and why; triggers refuse changes",
)

audit_seal = Table(
    "audit_seal",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("audit_id", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    UniqueConstraint("audit_id"),
    comment="hash chain: SHA-256 of the previous seal and one row of audit; triggers refuse changes",
)

audit_cut = Table(
    "audit_cut",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("before", Instant, nullable=False),
    Column("at", Instant, nullable=False),
    comment="the seal up to which old entries were dropped; the chain goes on from its digest",
)

audit_cursor = Table(
    "audit_cursor",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("lease_owner", String(128)),
    Column("leased_until", Instant),
    comment="the seal up to which a receiver has the audit trail, and the worker that sends now",
)
