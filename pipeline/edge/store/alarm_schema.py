"""Tables of the alarms: their episodes, what is shelved, and the messages about them."""

from sqlalchemy import Boolean, Column, Date, Index, Integer, String, Table, Text, UniqueConstraint

from pipeline.edge.store.schema_base import Instant, id_column, metadata, open_work_indexes, work_columns

alarm = Table(
    "alarm",
    metadata,
    id_column(),
    Column("kind", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("detail", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("is_urgent", Boolean, nullable=False),
    Column("is_flapping", Boolean, nullable=False),
    Column("observed_at", Instant, nullable=False),
    Column("raised_at", Instant),
    Column("told_at", Instant),
    Column("told_step", Integer, nullable=False),
    Column("gone_at", Instant),
    Column("ended_at", Instant),
    Index(None, "ended_at"),
    comment="one episode of an alarm: pending until raised_at, open until ended_at; names no patient",
)

alarm_shelf = Table(
    "alarm_shelf",
    metadata,
    id_column(),
    Column("kind", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("until", Instant, nullable=False),
    Column("shelved_at", Instant, nullable=False),
    Column("shelved_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("kind", "subject"),
    comment="an alarm that a person wants to hear nothing of until a moment",
)

alarm_watch = Table(
    "alarm_watch",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("looked_at", Instant),
    Column("message_at", Instant),
    Column("morning", Date),
    Column("heartbeat_at", Instant),
    Column("lease_owner", String(128)),
    Column("leased_until", Instant),
    comment="one row: when the conditions were last looked at, and the process that looks now",
)

alarm_message = Table(
    "alarm_message",
    metadata,
    id_column(),
    Column("way", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    *work_columns(),
    Column("done_at", Instant),
    *open_work_indexes("alarm_message", "way", "due_at"),
    Index(None, "created_at"),
    comment="a message of alarms for one way out (mail, webhook, apprise), as JSON; names no patient",
)
