"""Which tables hold what we know?

One schema for SQLite and PostgreSQL. Some tables are queues as well (``receipt``, ``exam``, ``delivery``, ``inquiry``,
``shard``): they share the columns of ``_work``, and ``work.py`` alone moves a row from one state to the next.
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
    """Where a piece of work stands."""

    WAITING = "waiting"
    """It is done once it is due."""
    DONE = "done"
    HELD = "held"
    """It waits for a person, with a reason."""
    IGNORED = "ignored"
    """There is nothing to do, for a reason that is kept."""


class Instant(TypeDecorator[datetime]):
    """A moment in UTC; SQLite, which has no time zones, keeps it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: in UTC, whatever its own time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: in UTC, and saying so."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class _StateName(TypeDecorator[str]):
    """A state; in a comparison its name stands in the statement itself.

    Only then do databases see that a partial index answers, and nearly every row of a queue is done: an index over all
    of them is larger than useful, and by its statistics no better than reading the whole table.
    """

    impl = String
    cache_ok = True

    class Comparator(TypeDecorator.Comparator[str]):
        """Writes a state out instead of binding it."""

        def operate(self, op: OperatorType, *other: Any, **kwargs: Any) -> ColumnElement[Any]:
            """Compare."""
            written = [literal(one, literal_execute=True) if isinstance(one, str) else one for one in other]
            return super().operate(op, *written, **kwargs)

    comparator_factory = Comparator


def _id() -> Column[int]:
    # SQLite numbers rows by itself only in a column declared INTEGER.
    return Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)


def _reference(column: str, **options: Any) -> Column[int]:
    return Column(f"{column}_id", ForeignKey(f"{column}.id"), **options)


def _historical() -> Column[bool]:
    return Column("historical", Boolean, nullable=False, server_default=false())


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0")


def _work() -> tuple[Column[Any], ...]:
    """The columns of a queue: what is due, who has it, how often it was tried and lost its worker, why it is held."""
    return (
        Column("state", _StateName(16), nullable=False),
        Column("due_at", Instant, nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("worker_crashes", Integer, nullable=False, server_default="0"),
        Column("lease_owner", String(128)),
        Column("leased_until", Instant),
        Column("reason", String(64)),
        Column("detail", Text),
    )


def _open_work(name: str, *columns: str) -> tuple[Index, ...]:
    """Indexes of a queue's rows that wait, and of those that are held; together few, however many are done."""
    return tuple(
        _index_where(f"state = '{state}'", *columns, name=f"ix_{name}_{state}") for state in (State.WAITING, State.HELD)
    )


def _index_where(condition: str, *columns: str, name: str) -> Index:
    """An index of those rows for which a condition holds: to all others it costs nothing."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

receipt = Table(
    "receipt",
    metadata,
    _id(),
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
    Column("pixels", Integer, nullable=False, server_default="0"),
    _historical(),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("sop_instance_uid", "digest"),
    *_open_work("receipt", "due_at"),
    Index(None, "received_at"),
    _index_where("pixels > 0", "received_at", name="ix_receipt_pixels"),
    comment="one received instance: its data set (zlib) as it came, less pixels once dropped; whether it was read",
)

linked_patients = Table(
    "linked_patients",
    metadata,
    _id(),
    comment="the patients who may be one human being: by the same id, or because somebody merged them",
)

patient = Table(
    "patient",
    metadata,
    _id(),
    Column("issuer", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    _reference("linked_patients", nullable=False, index=True),
    UniqueConstraint("patient_id", "issuer"),
    comment="one patient by id and issuer, trimmed; the bytes as sent are in the receipt",
)

patient_merge = Table(
    "patient_merge",
    metadata,
    _id(),
    Column("old_id", ForeignKey("patient.id"), nullable=False, index=True),
    Column("new_id", ForeignKey("patient.id"), nullable=False, index=True),
    Column("merged_at", Instant, nullable=False),
    Column("undone_at", Instant),
    comment="somebody has said that two patients are one; it counts until it is undone",
)

context = Table(
    "context",
    metadata,
    _id(),
    _reference("patient", nullable=False, index=True),
    Column("recorded_on", Date, nullable=False),
    Column("record", Text, nullable=False),
    Column("loaded_at", Instant, nullable=False),
    comment="what somebody wrote down about a patient on a day, as JSON; records combine field by field",
)

scanner = Table(
    "scanner",
    metadata,
    _id(),
    Column("key", Text, nullable=False),
    Column("manufacturer", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("serial_number", Text, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    UniqueConstraint("key"),
    comment="one physical densitometer, or the ones of a model that do not tell their serial number",
)

sender = Table(
    "sender",
    metadata,
    _id(),
    _reference("scanner", nullable=False),
    Column("calling_ae_title", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("first_seen_at", Instant, nullable=False),
    Column("confirmed_at", Instant),
    UniqueConstraint("scanner_id", "calling_ae_title", "host"),
    comment="a caller that has sent reports of a machine; the first one, or confirmed by a person, or neither",
)

exam = Table(
    "exam",
    metadata,
    _id(),
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
    Index("ix_exam_late", "id", sqlite_where=text("late = 1"), postgresql_where=text("late")),
    comment="a visit: patient + study + scanner, and which of them where a study was split; revision "
    "counts what was added; a historical one is a prior only; "
    "withdrawn says why it takes part in no comparison; late that its date is to be "
    "confirmed; name tells people apart where no birth date does",
)

unidentified = Table(
    "unidentified",
    metadata,
    _id(),
    _reference("scanner", nullable=False),
    Column("station_name", Text, nullable=False),
    Column("institution", Text, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    UniqueConstraint("scanner_id", "station_name", "institution"),
    comment="a machine whose reports do not tell its serial number, by what else they may be known",
)

phantom = Table(
    "phantom",
    metadata,
    Column("receipt_id", ForeignKey("receipt.id"), primary_key=True),
    Column("region", String(64), primary_key=True),
    _reference("scanner", nullable=False),
    Column("performed_at", DateTime(timezone=False), nullable=False),
    Column("software", Text, nullable=False),
    Column("bmd", String(32)),
    Column("bmc", String(32)),
    Column("area", String(32)),
    Index(None, "scanner_id", "region", "performed_at"),
    comment="a phantom's scan: a row per region, as printed in g/cm2, g, cm2; one without region if none is known",
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
    comment="what one receipt says, as JSON; edition is a digest of the dialects and aliases it was read by; rejected "
    "is the title of a rejection note that names it: its exam is without it",
)

rejection = Table(
    "rejection",
    metadata,
    _id(),
    _reference("receipt", nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("undone_at", Instant),
    UniqueConstraint("receipt_id", "sop_instance_uid"),
    Index(None, "sop_instance_uid"),
    comment="an instance that a rejection note (IHE IOCM) names, on file or yet to come; it counts until it is undone",
)

addendum = Table(
    "addendum",
    metadata,
    _id(),
    _reference("exam", nullable=False, index=True),
    Column("predecessor_id", ForeignKey("addendum.id")),
    Column("face_of_id", ForeignKey("addendum.id")),
    Column("sop_class_uid", Text, nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("overall", String(32), nullable=False),
    Column("authored_at", Instant, nullable=False),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("sop_instance_uid"),
    Index(None, "authored_at"),
    comment="what we answered, or a face of it: the data set as it is sent (zlib); digest is of what it says",
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
    comment="digests of what the latest look at an exam rested on; where one differs today, the ground has shifted",
)

reexamination = Table(
    "reexamination",
    metadata,
    _id(),
    _reference("linked_patients"),
    _reference("scanner"),
    Column("since", Date),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    comment="one run over all exams, or those of a patient, scanner or time, whose ground may have shifted",
)

shard = Table(
    "shard",
    metadata,
    _id(),
    _reference("reexamination", nullable=False),
    Column("number", Integer, nullable=False),
    Column("shards", Integer, nullable=False),
    *_work(),
    _count("last_linked_patients"),
    _count("looked_at"),
    _count("issued"),
    _count("unchanged"),
    _count("held"),
    UniqueConstraint("reexamination_id", "number"),
    *_open_work("shard", "due_at"),
    comment="a part of a run: the persons whose number leaves this remainder, and up to which of them it has come",
)

history_query = Table(
    "history_query",
    metadata,
    _id(),
    _reference("patient", nullable=False),
    Column("destination", Text, nullable=False),
    _reference("exam"),
    Column("asked_since", Instant, nullable=False),
    *_work(),
    _count("instances"),
    Column("answered_at", Instant),
    UniqueConstraint("patient_id", "destination"),
    Index(None, "destination", "answered_at"),
    *_open_work("history_query", "destination", "due_at"),
    comment="whether an archive was asked for a patient's earlier reports, for which exam, and how many it had",
)

delivery = Table(
    "delivery",
    metadata,
    _id(),
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
    _id(),
    Column("calling_ae_title", Text, nullable=False),
    Column("transaction_uid", Text, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("asked_for", Text, nullable=False),
    *_work(),
    UniqueConstraint("calling_ae_title", "transaction_uid"),
    *_open_work("commitment_request", "due_at"),
    comment="a scanner's request for our storage commitment: class and UID of each object as JSON; done when told",
)

outage = Table(
    "outage",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("detail", Text, nullable=False),
    comment="a destination that takes nothing at present, and when it is tried next; no row while all is well",
)

process = Table(
    "process",
    metadata,
    _id(),
    Column("owner", String(128), nullable=False),
    Column("part", String(16), nullable=False),
    Column("clinical", String(16), nullable=False),
    Column("service", String(16), nullable=False),
    Column("read_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("asked", Boolean, nullable=False),
    Column("problem", Text),
    UniqueConstraint("owner", "part"),
    comment="a live process and digests of its configuration; asked to read it anew, and what was wrong with that",
)

housekeeping = Table(
    "housekeeping",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("done_at", Instant, nullable=False),
    Column("seconds", Float, nullable=False),
    comment="when housekeeping was last done, so that it is caught up when its schedule failed",
)

audit = Table(
    "audit",
    metadata,
    _id(),
    Column("at", Instant, nullable=False),
    Column("event", String(32), nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("host", Text, nullable=False),
    # Numbers and not references: the trail outlives what it tells of, and holds up nobody who writes that.
    Column("patient_id", BigInteger),
    Column("receipt_id", BigInteger),
    Column("exam_id", BigInteger),
    Column("addendum_id", BigInteger),
    Column("detail", Text, nullable=False),
    Index(None, "at"),
    comment="who did what to which object, when, and with what outcome (PS3.15 A.5); triggers refuse any change",
)

audit_seal = Table(
    "audit_seal",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("audit_id", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    UniqueConstraint("audit_id"),
    comment="the chain: SHA-256 of the seal before and of one row of audit; triggers refuse any change",
)

audit_cut = Table(
    "audit_cut",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("before", Instant, nullable=False),
    Column("at", Instant, nullable=False),
    comment="up to which seal the trail was dropped because it was old enough; the chain goes on from its digest",
)

audit_cursor = Table(
    "audit_cursor",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("lease_owner", String(128)),
    Column("leased_until", Instant),
    comment="up to which seal the trail was sent to somebody else, and which worker is at it",
)
