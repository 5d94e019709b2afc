"""Tables of reports, exams and their deliveries, and what all tables of the database share.

The tables of the alarms, the audit trail, the desk, phantom control and the precision register stand beside it, in
``*_schema.py``: one schema for SQLite and PostgreSQL.

Some tables are also queues (``receipt``, ``exam``, ``delivery``, ``commitment_request``, ``history_query``, ``shard``,
``alarm_message``). They share the columns of ``work_columns``; ``work_queue.py`` moves a row from one state to the
next.

Instants are UTC. ``performed_at`` is the scanner's local time and has no time zone.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    literal,
    text,
)
from sqlalchemy.sql.operators import OperatorType


class State(StrEnum):
    """State of one piece of work."""

    WAITING = "waiting"
    """To be done once it is due."""
    DONE = "done"
    HELD = "held"
    """Waits for a person, with a reason."""
    IGNORED = "ignored"
    """Nothing to do; the reason is stored."""


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite has no time zones and stores it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a value with any time zone to UTC for the database.

        Raises:
            ValueError: the value has no time zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return a value of the database as an aware datetime in UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class _StateName(TypeDecorator[str]):
    """A state, written into the SQL text of a comparison instead of being bound.

    A database uses a partial index only if it sees the state in the statement. Nearly every row of a queue is done, so
    an index over all rows would be large, and by its statistics no better than a scan of the table.
    """

    impl = String
    cache_ok = True

    class Comparator(TypeDecorator.Comparator[str]):
        """Write states as literals instead of binding them."""

        def operate(self, op: OperatorType, *other: Any, **kwargs: Any) -> ColumnElement[Any]:
            """Return the comparison, with its strings as literals."""
            written = [literal(one, literal_execute=True) if isinstance(one, str) else one for one in other]
            return super().operate(op, *written, **kwargs)

    comparator_factory = Comparator


def id_column() -> Column[int]:
    """Return a new primary key; SQLite assigns row numbers only in a column declared INTEGER."""
    return Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)


def reference(column: str, **options: Any) -> Column[int]:
    """Return a column that refers to the primary key of the table of this name."""
    return Column(f"{column}_id", ForeignKey(f"{column}.id"), **options)


def _historical() -> Column[bool]:
    return Column("historical", Boolean, nullable=False, server_default=false())


def count_column(name: str) -> Column[int]:
    """Return a column that counts from 0."""
    return Column(name, Integer, nullable=False, server_default="0")


def work_columns() -> tuple[Column[Any], ...]:
    """Return the columns of a queue: state, due time, attempts, worker crashes, lease, and reason of a hold.

    What is held and was set aside stays held in every respect, but no longer waits for a person.
    """
    return (
        Column("state", _StateName(16), nullable=False),
        Column("due_at", Instant, nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("worker_crashes", Integer, nullable=False, server_default="0"),
        Column("lease_owner", String(128)),
        Column("leased_until", Instant),
        Column("reason", String(64)),
        Column("detail", Text),
        reference("set_aside"),
    )


def open_work_indexes(name: str, *columns: str) -> tuple[Index, ...]:
    """Return partial indexes of the waiting and the held rows of a queue, which are few however many are done.

    Those that wait for a person have their own: what was set aside becomes more with the years.
    """
    states = {state.value: f"state = '{state}'" for state in (State.WAITING, State.HELD)}
    states["to_decide"] = f"{states[State.HELD]} AND set_aside_id IS NULL"
    return tuple(index_where(which, *columns, name=f"ix_{name}_{state}") for state, which in states.items())


def index_where(condition: str, *columns: str, name: str) -> Index:
    """Return a partial index, which costs nothing for rows that do not meet the condition."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


NEVER_TWICE = True
"""For tables whose rows an erasure may delete: the audit trail still has their numbers, which no other row may get."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

set_aside = Table(
    "set_aside",
    metadata,
    id_column(),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    comment="a person has set held work aside, for a reason: it stays held and no longer asks for a decision",
)

receipt = Table(
    "receipt",
    metadata,
    id_column(),
    Column("sop_class_uid", Text, nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("calling_ae_title", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    *work_columns(),
    Column("released_from", String(64)),
    Column("pixel_bytes", Integer, nullable=False, server_default="0"),
    _historical(),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("sop_instance_uid", "digest"),
    *open_work_indexes("receipt", "due_at"),
    Index(None, "historical", "received_at"),
    index_where("pixel_bytes > 0", "received_at", name="ix_receipt_pixel_bytes"),
    comment="one received instance: its data set as received (zlib), without pixel data once that was dropped; "
    "pixel_bytes is what dropping would free; state says whether it was extracted",
)

linked_patients = Table(
    "linked_patients",
    metadata,
    id_column(),
    comment="patients who may be one human being: they share an id, or a person merged them",
)

patient = Table(
    "patient",
    metadata,
    id_column(),
    Column("issuer", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    reference("linked_patients", nullable=False, index=True),
    UniqueConstraint("patient_id", "issuer"),
    sqlite_autoincrement=NEVER_TWICE,
    comment="one patient by id and issuer, both trimmed; the bytes as sent are in the receipt",
)

patient_merge = Table(
    "patient_merge",
    metadata,
    id_column(),
    Column("old_id", ForeignKey("patient.id"), nullable=False, index=True),
    Column("new_id", ForeignKey("patient.id"), nullable=False, index=True),
    Column("merged_at", Instant, nullable=False),
    Column("undone_at", Instant),
    comment="a merge of two patients, stated by a person; it counts until undone_at",
)

clinical_context = Table(
    "clinical_context",
    metadata,
    id_column(),
    reference("patient", nullable=False, index=True),
    Column("recorded_on", Date, nullable=False),
    Column("record", Text, nullable=False),
    Column("loaded_at", Instant, nullable=False),
    Column("loaded_by", Text, nullable=False, server_default=""),
    comment="clinical context of a patient on a day, from CSV or the desk, as JSON; records combine field by field; "
    "loaded_by: who",
)

scanner = Table(
    "scanner",
    metadata,
    id_column(),
    Column("key", Text, nullable=False),
    Column("manufacturer", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("serial_number", Text, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    UniqueConstraint("key"),
    comment="one physical densitometer, or all of a model whose reports contain no serial number",
)

sender = Table(
    "sender",
    metadata,
    id_column(),
    reference("scanner", nullable=False),
    Column("calling_ae_title", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("first_seen_at", Instant, nullable=False),
    Column("confirmed_at", Instant),
    UniqueConstraint("scanner_id", "calling_ae_title", "host"),
    comment="a caller that has sent reports of a scanner; confirmed_at is set for the first one and by a person",
)

exam = Table(
    "exam",
    metadata,
    id_column(),
    reference("patient", nullable=False),
    reference("scanner", nullable=False),
    Column("study_instance_uid", Text, nullable=False),
    Column("visit", Integer, nullable=False, server_default="1"),
    Column("performed_at", DateTime(timezone=False), nullable=False),
    Column("birth_date", Date),
    Column("sex", String(1), nullable=False),
    Column("revision", Integer, nullable=False),
    _historical(),
    Column("late", Boolean, nullable=False, server_default=false()),
    Column("name", Text, nullable=False, server_default=""),
    Column("withdrawn", Text),
    *work_columns(),
    UniqueConstraint("patient_id", "study_instance_uid", "scanner_id", "visit"),
    *open_work_indexes("exam", "due_at"),
    Index(None, "study_instance_uid"),
    Index(None, "patient_id", "performed_at"),
    Index(None, "scanner_id", "performed_at"),
    Index("ix_exam_late", "id", sqlite_where=text("late = 1"), postgresql_where=text("late")),
    sqlite_autoincrement=NEVER_TWICE,
    comment="one exam: patient + study + scanner, and visit where one study was split; revision counts additions; "
    "historical: a prior only, gets no addendum; withdrawn: why it takes part in no comparison; "
    "late: its date is to be confirmed; name: compared where there is no birth date",
)

unidentified_scanner = Table(
    "unidentified_scanner",
    metadata,
    id_column(),
    reference("scanner", nullable=False),
    Column("station_name", Text, nullable=False),
    Column("institution", Text, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    UniqueConstraint("scanner_id", "station_name", "institution"),
    comment="a scanner whose reports contain no serial number, by station name and institution",
)

reading = Table(
    "reading",
    metadata,
    Column("receipt_id", ForeignKey("receipt.id"), primary_key=True),
    reference("exam", nullable=False, index=True),
    Column("performed_at", DateTime(timezone=False), nullable=False, index=True),
    Column("scanned", Text, nullable=False, server_default="{}"),
    Column("report", Text, nullable=False),
    Column("reader_fingerprint", String(16), nullable=False, server_default="", index=True),
    Column("rejected", Text),
    Column("accession_number", Text, nullable=False, server_default=""),
    index_where("accession_number <> ''", "accession_number", name="ix_reading_accession_number"),
    comment="the extracted report of one receipt, as JSON; reader_fingerprint: digest of the dialects and aliases "
    "it was extracted with; rejected: title of the rejection note that names it, whereupon it does not count; "
    "accession_number: the report's, to be found by; scanned: its software, technologists and regions as JSON, which "
    "are read of hundreds of reports at once",
)

rejection = Table(
    "rejection",
    metadata,
    id_column(),
    reference("receipt", nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("undone_at", Instant),
    UniqueConstraint("receipt_id", "sop_instance_uid"),
    Index(None, "sop_instance_uid"),
    comment="an instance named by a rejection note (IHE IOCM), whether received or not; it counts until undone_at",
)

addendum = Table(
    "addendum",
    metadata,
    id_column(),
    reference("exam", nullable=False, index=True),
    Column("predecessor_id", ForeignKey("addendum.id")),
    Column("rendering_of_id", ForeignKey("addendum.id")),
    Column("sop_class_uid", Text, nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("overall", String(32), nullable=False),
    Column("authored_at", Instant, nullable=False),
    Column("sections", Text),
    Column("without_lsc", Text),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("sop_instance_uid"),
    Index(None, "authored_at"),
    sqlite_autoincrement=NEVER_TWICE,
    comment="an addendum, or a rendering of one (rendering_of_id): its data set as sent (zlib); digest: of its content"
    "; sections: how many of its sentences belong to each, as JSON; without_lsc: regions whose change it does not "
    "judge for want of an LSC, as JSON",
)

provenance = Table(
    "provenance",
    metadata,
    Column("exam_id", ForeignKey("exam.id"), primary_key=True),
    Column("parts", Text, nullable=False),
    Column("history", String(16), nullable=False),
    Column("reference_data", String(16), nullable=False),
    Column("context", String(16), nullable=False),
    Column("rules", String(16), nullable=False),
    comment="digests of the inputs of the latest examination of an exam; one that differs today is a changed input",
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

history_query = Table(
    "history_query",
    metadata,
    id_column(),
    reference("patient", nullable=False),
    Column("destination", Text, nullable=False),
    reference("exam"),
    Column("requested_at", Instant, nullable=False),
    *work_columns(),
    count_column("instances"),
    Column("responded_at", Instant),
    UniqueConstraint("patient_id", "destination"),
    Index(None, "destination", "responded_at"),
    *open_work_indexes("history_query", "destination", "due_at"),
    sqlite_autoincrement=NEVER_TWICE,
    comment="a query to an archive for a patient's earlier reports: for which exam, and how many instances it had",
)

delivery = Table(
    "delivery",
    metadata,
    id_column(),
    reference("addendum", nullable=False),
    Column("destination", Text, nullable=False),
    Column("size", Integer, nullable=False),
    *work_columns(),
    Column("done_at", Instant),
    UniqueConstraint("addendum_id", "destination"),
    *open_work_indexes("delivery", "destination", "due_at"),
    Index(None, "destination", "done_at"),
    sqlite_autoincrement=NEVER_TWICE,
    comment="the outbox: one addendum for one destination",
)

commitment_request = Table(
    "commitment_request",
    metadata,
    id_column(),
    Column("calling_ae_title", Text, nullable=False),
    Column("transaction_uid", Text, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("requested", Text, nullable=False),
    *work_columns(),
    UniqueConstraint("calling_ae_title", "transaction_uid"),
    *open_work_indexes("commitment_request", "due_at"),
    comment="a storage commitment request of a scanner; requested: SOP class and instance UIDs as JSON; done once the "
    "result was reported (N-EVENT-REPORT)",
)

outage = Table(
    "outage",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("detail", Text, nullable=False),
    comment="a destination that accepts nothing at present, and when it is tried next; no row while it works",
)

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

housekeeping = Table(
    "housekeeping",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("done_at", Instant, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("problem", Text),
    comment="when recurring work was last done, so that a missed schedule is caught up, and why it failed",
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
