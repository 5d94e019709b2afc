"""Tables of the desk: accounts, sessions, and log-ins that failed."""

from sqlalchemy import Column, Index, Integer, String, Table, Text, UniqueConstraint

from pipeline.edge.store.schema_base import Instant, id_column, metadata

desk_account = Table(
    "desk_account",
    metadata,
    id_column(),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("password", Text),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("name"),
    comment="who may use the desk; password: Argon2id as a PHC string, none where a proxy says who it is",
)

desk_session = Table(
    "desk_session",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("message", Text),
    Index(None, "name"),
    comment="a browser that is logged in; digest: SHA-256 of its token; message: what the next page tells, once",
)

desk_throttle = Table(
    "desk_throttle",
    metadata,
    id_column(),
    Column("digest", String(64), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failed_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    UniqueConstraint("digest"),
    comment="refused log-ins of one name, or from one address, by its SHA-256; none is tried before due_at",
)
