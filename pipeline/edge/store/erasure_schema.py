"""Tables of erased patients: how much was erased, and by which hash an erased object is known again."""

from sqlalchemy import Column, String, Table

from pipeline.edge.store.schema_base import Instant, count_column, id_column, metadata, reference

erasure = Table(
    "erasure",
    metadata,
    id_column(),
    Column("at", Instant, nullable=False),
    count_column("patients"),
    count_column("receipts"),
    count_column("exams"),
    count_column("addenda"),
    comment="patients who were erased together, and how much of theirs: counts alone; each of the receipts is still a "
    "row, ignored as erased, without UID, digest and content",
)

erased_object = Table(
    "erased_object",
    metadata,
    Column("uid_digest", String(64), primary_key=True),
    reference("receipt", nullable=False),
    comment="SHA-256 of the SOP Instance UID of a received object or an addendum that was erased, so that it is known "
    "if it comes again; and its receipt, or one of its exam",
)
