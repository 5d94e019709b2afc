"""Tables, columns and indexes of the database: one schema for SQLite and PostgreSQL.

Some tables are also queues (``receipt``, ``exam``, ``delivery``, ``commitment_request``, ``history_query``, ``shard``,
``alarm_message``). They share the columns of ``_work``; ``work_queue.py`` moves a row from one state to the next.

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


def _reference(column: str, **options: Any) -> Column[int]:
    return Column(f"{column}_id", ForeignKey(f"{column}.id"), **options)


def _historical() -> Column[bool]:
    return Column("historical", Boolean, nullable=False, server_default=false())


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0")


def _work() -> tuple[Column[Any], ...]:
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
        _reference("set_aside"),
    )


def _open_work(name: str, *columns: str) -> tuple[Index, ...]:
    """Return partial indexes of the waiting and the held rows of a queue, which are few however many are done.

    Those that wait for a person have their own: what was set aside becomes more with the years.
    """
    states = {state.value: f"state = '{state}'" for state in (State.WAITING, State.HELD)}
    states["to_decide"] = f"{states[State.HELD]} AND set_aside_id IS NULL"
    return tuple(_index_where(which, *columns, name=f"ix_{name}_{state}") for state, which in states.items())


def _index_where(condition: str, *columns: str, name: str) -> Index:
    """Return a partial index, which costs nothing for rows that do not meet the condition."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


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
    *_work(),
    Column("released_from", String(64)),
    Column("pixel_bytes", Integer, nullable=False, server_default="0"),
    _historical(),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("sop_instance_uid", "digest"),
    *_open_work("receipt", "due_at"),
    Index(None, "historical", "received_at"),
    _index_where("pixel_bytes > 0", "received_at", name="ix_receipt_pixel_bytes"),
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
    _reference("linked_patients", nullable=False, index=True),
    UniqueConstraint("patient_id", "issuer"),
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
    _reference("patient", nullable=False, index=True),
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
    _reference("scanner", nullable=False),
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
    _reference("patient", nullable=False),
    _reference("scanner", nullable=False),
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
    *_work(),
    UniqueConstraint("patient_id", "study_instance_uid", "scanner_id", "visit"),
    *_open_work("exam", "due_at"),
    Index(None, "study_instance_uid"),
    Index(None, "patient_id", "performed_at"),
    Index(None, "scanner_id", "performed_at"),
    Index("ix_exam_late", "id", sqlite_where=text("late = 1"), postgresql_where=text("late")),
    comment="one exam: patient + study + scanner, and visit where one study was split; revision counts additions; "
    "historical: a prior only, gets no addendum; withdrawn: why it takes part in no comparison; "
    "late: its date is to be confirmed; name: compared where there is no birth date",
)

unidentified_scanner = Table(
    "unidentified_scanner",
    metadata,
    id_column(),
    _reference("scanner", nullable=False),
    Column("station_name", Text, nullable=False),
    Column("institution", Text, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    UniqueConstraint("scanner_id", "station_name", "institution"),
    comment="a scanner whose reports contain no serial number, by station name and institution",
)

phantom_scan = Table(
    "phantom_scan",
    metadata,
    id_column(),
    _reference("receipt"),
    _reference("scanner", nullable=False),
    Column("phantom", Text, nullable=False, server_default=""),
    Column("patient_id", Text, nullable=False, server_default=""),
    Column("patient_name", Text, nullable=False, server_default=""),
    Column("performed_at", DateTime(timezone=False), nullable=False),
    Column("software", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    UniqueConstraint("receipt_id"),
    Index(None, "scanner_id", "performed_at"),
    comment="one scan of a phantom: of a report (receipt_id), or typed in a table, which names the phantom; patient_id "
    "and patient_name: what its report says there, by which the configuration recognises it",
)

phantom_value = Table(
    "phantom_value",
    metadata,
    Column("phantom_scan_id", ForeignKey("phantom_scan.id"), primary_key=True),
    Column("region", String(64), primary_key=True),
    Column("bmd", String(32), nullable=False),
    Column("bmc", String(32)),
    Column("area", String(32)),
    comment="what a phantom scan measured in one region, as printed, in g/cm2, g, cm2",
)

qc_stop = Table(
    "qc_stop",
    metadata,
    id_column(),
    _reference("scanner", nullable=False, index=True),
    Column("phantom", Text, nullable=False),
    Column("region", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("last_good_at", DateTime(timezone=False)),
    Column("shown_at", DateTime(timezone=False), nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("remedy", Text),
    Column("remedied_on", Date),
    Column("remedied_by", Text),
    Column("remedy_recorded_at", Instant),
    Column("annulled", Boolean, nullable=False, server_default=false()),
    Column("fit_again_at", DateTime(timezone=False)),
    comment="since a phantom scan (shown_at) a scanner is unverified, and so are its exams since last_good_at, until a "
    "remedy is recorded and a good scan follows (fit_again_at); annulled: it was not the scanner, and counts nowhere",
)

qc_mark = Table(
    "qc_mark",
    metadata,
    id_column(),
    _reference("scanner", nullable=False, index=True),
    Column("day", Date, nullable=False),
    Column("what", Text, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    comment="service of a scanner, recorded by a person: drawn in its chart, and judged by phantom before and after",
)

reading = Table(
    "reading",
    metadata,
    Column("receipt_id", ForeignKey("receipt.id"), primary_key=True),
    _reference("exam", nullable=False, index=True),
    Column("performed_at", DateTime(timezone=False), nullable=False, index=True),
    Column("report", Text, nullable=False),
    Column("reader_fingerprint", String(16), nullable=False, server_default="", index=True),
    Column("rejected", Text),
    Column("accession_number", Text, nullable=False, server_default=""),
    _index_where("accession_number <> ''", "accession_number", name="ix_reading_accession_number"),
    comment="the extracted report of one receipt, as JSON; reader_fingerprint: digest of the dialects and aliases "
    "it was extracted with; rejected: title of the rejection note that names it, whereupon it does not count; "
    "accession_number: the report's, to be found by",
)

rejection = Table(
    "rejection",
    metadata,
    id_column(),
    _reference("receipt", nullable=False),
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
    _reference("exam", nullable=False, index=True),
    Column("predecessor_id", ForeignKey("addendum.id")),
    Column("rendering_of_id", ForeignKey("addendum.id")),
    Column("sop_class_uid", Text, nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("overall", String(32), nullable=False),
    Column("authored_at", Instant, nullable=False),
    Column("sections", Text),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("sop_instance_uid"),
    Index(None, "authored_at"),
    comment="an addendum, or a rendering of one (rendering_of_id): its data set as sent (zlib); digest: of its content"
    "; sections: how many of its sentences belong to each, as JSON",
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
    _reference("linked_patients"),
    _reference("scanner"),
    Column("since", Date),
    Column("dry_run", Boolean, nullable=False, server_default=false()),
    Column("requested_by", Text),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("problem", Text),
    _index_where("finished_at IS NULL", "id", name="ix_reprocessing_run_unfinished"),
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
    _reference("reprocessing_run", nullable=False),
    Column("number", Integer, nullable=False),
    Column("shards", Integer, nullable=False),
    *_work(),
    _count("last_linked_patients"),
    _count("examined"),
    _count("issued"),
    _count("unchanged"),
    _count("held"),
    UniqueConstraint("reprocessing_run_id", "number"),
    *_open_work("shard", "due_at"),
    comment="one shard of a run: linked patients with id % shards = number, done up to last_linked_patients",
)

history_query = Table(
    "history_query",
    metadata,
    id_column(),
    _reference("patient", nullable=False),
    Column("destination", Text, nullable=False),
    _reference("exam"),
    Column("requested_at", Instant, nullable=False),
    *_work(),
    _count("instances"),
    Column("responded_at", Instant),
    UniqueConstraint("patient_id", "destination"),
    Index(None, "destination", "responded_at"),
    *_open_work("history_query", "destination", "due_at"),
    comment="a query to an archive for a patient's earlier reports: for which exam, and how many instances it had",
)

delivery = Table(
    "delivery",
    metadata,
    id_column(),
    _reference("addendum", nullable=False),
    Column("destination", Text, nullable=False),
    Column("size", Integer, nullable=False),
    *_work(),
    Column("done_at", Instant),
    UniqueConstraint("addendum_id", "destination"),
    *_open_work("delivery", "destination", "due_at"),
    Index(None, "destination", "done_at"),
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
    *_work(),
    UniqueConstraint("calling_ae_title", "transaction_uid"),
    *_open_work("commitment_request", "due_at"),
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
    _count("failures"),
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
    comment="when housekeeping was last done, so that a missed schedule is caught up",
)

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
    *_work(),
    Column("done_at", Instant),
    *_open_work("alarm_message", "way", "due_at"),
    Index(None, "created_at"),
    comment="a message of alarms for one way out (mail, webhook, apprise), as JSON; names no patient",
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
    Index(None, "at"),
    _index_where("patient_id IS NOT NULL", "patient_id", name="ix_audit_patient"),
    _index_where("exam_id IS NOT NULL", "exam_id", name="ix_audit_exam"),
    _index_where(BESIDES_THE_USUAL, "at", name="ix_audit_besides_the_usual"),
    comment="audit trail: who did what to which object, when, with what outcome (PS3.15 A.5); triggers refuse changes",
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
