"""Tables of callers of the listener: who was rejected, what was refused, and whose certificate ends."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table, Text, UniqueConstraint

from pipeline.edge.store.schema_base import Instant, id_column, metadata

rejected_caller = Table(
    "rejected_caller",
    metadata,
    id_column(),
    Column("calling_ae_title", String(64), nullable=False),
    Column("host", String(64), nullable=False),
    Column("called_ae_title", String(64), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("times", BigInteger, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    UniqueConstraint("calling_ae_title", "host", "called_ae_title"),
    Index(None, "host"),
    comment="a caller whose associations were rejected, until one is admitted; bounded rows, of one host and in all",
)

refused_object = Table(
    "refused_object",
    metadata,
    id_column(),
    Column("calling_ae_title", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("times", Integer, nullable=False),
    UniqueConstraint("calling_ae_title", "host", "reason"),
    comment="objects of a caller that could not be stored and were answered with A700",
)

caller_certificate = Table(
    "caller_certificate",
    metadata,
    id_column(),
    Column("calling_ae_title", String(64), nullable=False),
    Column("host", String(64), nullable=False),
    Column("last_day", Date, nullable=False),
    Column("seen_at", Instant, nullable=False),
    UniqueConstraint("calling_ae_title", "host"),
    comment="the last day of the certificate that a caller has shown, and when it last did; bounded rows",
)
