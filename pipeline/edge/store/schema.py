"""Tables of reports, exams, patients and scanners, and of what is sent about them."""

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from pipeline.edge.store.schema_base import (
    NEVER_TWICE,
    Instant,
    count_column,
    id_column,
    index_where,
    metadata,
    open_work_indexes,
    reference,
    work_columns,
)


def _historical() -> Column[bool]:
    return Column("historical", Boolean, nullable=False, server_default=false())


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
    UniqueConstraint("sop_instance_uid", "digest"),
    *open_work_indexes("receipt", "due_at"),
    Index(None, "historical", "received_at"),
    index_where("pixel_bytes > 0", "received_at", name="ix_receipt_pixel_bytes"),
    comment="one received instance; its bytes are in receipt_content; pixel_bytes is what dropping its pixel data "
    "would free; state says whether it was extracted",
)

receipt_content = Table(
    "receipt_content",
    metadata,
    Column("receipt_id", ForeignKey("receipt.id"), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    comment="the bytes of each receipt: its data set as received (zlib), without pixel data once that was dropped; "
    "apart from the receipt, as SQLite writes a row whole whenever anything in it changes",
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
