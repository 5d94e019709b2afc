"""Tables of the processes of the service, and of what is done every night."""

from sqlalchemy import Boolean, Column, Float, String, Table, Text, UniqueConstraint, false

from pipeline.edge.store.schema_base import Instant, count_column, id_column, metadata

process = Table(
    "process",
    metadata,
    id_column(),
    Column("owner", String(128), nullable=False),
    Column("part", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", Instant, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    count_column("failures"),
    Column("seen_at", Instant, nullable=False),
    Column("clinical", String(16)),
    Column("service", String(16)),
    Column("read_at", Instant),
    Column("reload_requested", Boolean, nullable=False, server_default=false()),
    Column("problem", Text),
    UniqueConstraint("owner", "part"),
    comment="a process of the service: its state since when, when it was last seen, how often its like has failed in a "
    "row, and digests of the configuration that it read, if it reads one; problem: why its last reload failed",
)

housekeeping = Table(
    "housekeeping",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("done_at", Instant, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("problem", Text),
    comment="when recurring work was last done, so that a missed schedule is caught up, and why it failed",
)
