"""Tables of reprocessing runs: what each is over, its shards, and what it found."""

from sqlalchemy import Boolean, Column, Date, ForeignKey, Integer, Table, Text, UniqueConstraint, false

from pipeline.edge.store.schema_base import (
    Instant,
    count_column,
    id_column,
    index_where,
    metadata,
    open_work_indexes,
    reference,
    work_columns,
)

reprocessing_run = Table(
    "reprocessing_run",
    metadata,
    id_column(),
    reference("linked_patients"),
    reference("scanner"),
    Column("since", Date),
    Column("dry_run", Boolean, nullable=False, server_default=false()),
    Column("requested_by", Text),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("problem", Text),
    index_where("finished_at IS NULL", "id", name="ix_reprocessing_run_unfinished"),
    comment="one reprocessing run over all exams, or those of linked patients, a scanner or a time (since); dry_run: "
    "it changes nothing; requested_by: the person for whom the workers do it; problem: why it ended early",
)

reprocessing_difference = Table(
    "reprocessing_difference",
    metadata,
    Column("reprocessing_run_id", ForeignKey("reprocessing_run.id"), primary_key=True),
    Column("exam_id", ForeignKey("exam.id"), primary_key=True),
    Column("content", Text, nullable=False),
    comment="an addendum that a dry run found to differ, with what before and after, as JSON; bounded rows",
)

shard = Table(
    "shard",
    metadata,
    id_column(),
    reference("reprocessing_run", nullable=False),
    Column("number", Integer, nullable=False),
    Column("shards", Integer, nullable=False),
    *work_columns(),
    count_column("last_linked_patients"),
    count_column("examined"),
    count_column("issued"),
    count_column("unchanged"),
    count_column("held"),
    UniqueConstraint("reprocessing_run_id", "number"),
    *open_work_indexes("shard", "due_at"),
    comment="one shard of a run: linked patients with id % shards = number, done up to last_linked_patients",
)
