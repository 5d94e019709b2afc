"""Tables of the precision register: studies, the records proposed from them, and what persons decided (R1.12)."""

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table, Text, UniqueConstraint

from pipeline.edge.store.schema_base import Instant, id_column, metadata

register_study = Table(
    "register_study",
    metadata,
    id_column(),
    Column("kind", String(32), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", Text, nullable=False),
    UniqueConstraint("kind", "digest"),
    comment="a study as its table was handed in (zlib), with the SHA-256 of the file; never changed",
)

register_record = Table(
    "register_record",
    metadata,
    id_column(),
    Column("kind", String(32), nullable=False),
    Column("record", Text, nullable=False),
    Column("facts", Text),
    Column("study_id", ForeignKey("register_study.id"), index=True),
    Column("origin", Text, nullable=False),
    Column("proposed_at", Instant, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    comment="an LSC or a cross-calibration with the facts of its study, as JSON; never changed, only superseded",
)

register_decision = Table(
    "register_decision",
    metadata,
    id_column(),
    Column("record_id", ForeignKey("register_record.id"), nullable=False, index=True),
    Column("standing", String(16), nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    comment="who accepted, declined or withdrew a record, when and why; the last one counts, none is changed",
)
