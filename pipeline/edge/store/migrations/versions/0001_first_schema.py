"""The first schema."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table, index and trigger."""
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("receipt_id", sa.BigInteger(), nullable=True),
        sa.Column("exam_id", sa.BigInteger(), nullable=True),
        sa.Column("addendum_id", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        comment="audit trail: who did what to which object, when, with what outcome (PS3.15 A.5); triggers refuse "
        "changes; salt: random, hashed with the detail; both are emptied where an erasure lists the entry",
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"], unique=False)
    op.create_index(
        "ix_audit_patient",
        "audit",
        ["patient_id"],
        unique=False,
        sqlite_where=sa.text("patient_id IS NOT NULL"),
        postgresql_where=sa.text("patient_id IS NOT NULL"),
    )
    op.create_index(
        "ix_audit_exam",
        "audit",
        ["exam_id"],
        unique=False,
        sqlite_where=sa.text("exam_id IS NOT NULL"),
        postgresql_where=sa.text("exam_id IS NOT NULL"),
    )
    op.create_index(
        "ix_audit_besides_the_usual",
        "audit",
        ["at"],
        unique=False,
        sqlite_where=sa.text("event NOT IN ('received', 'compared', 'authored', 'delivered')"),
        postgresql_where=sa.text("event NOT IN ('received', 'compared', 'authored', 'delivered')"),
    )
    op.create_table(
        "audit_cursor",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_cursor")),
        comment="the seal up to which a receiver has the audit trail, and the worker that sends now",
    )
    op.create_table(
        "audit_cut",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_cut")),
        comment="the seal up to which old entries were dropped; the chain goes on from its digest",
    )
    op.create_table(
        "audit_seal",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("audit_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_seal")),
        sa.UniqueConstraint("audit_id", name=op.f("uq_audit_seal_audit_id")),
        comment="hash chain: SHA-256 of the previous seal and one row of audit; triggers refuse changes",
    )
    op.create_table(
        "audit_erasure",
        sa.Column("audit_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("detail_digest", sa.String(length=64), nullable=False),
        sa.Column("erasure_entry_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit_erasure")),
        comment="an entry of audit whose detail was erased with a patient: SHA-256 of salt and detail, which the hash "
        "chain goes on with, and the entry that records who erased it and why; triggers refuse changes",
    )
    op.create_table(
        "erasure",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("patients", sa.Integer(), server_default="0", nullable=False),
        sa.Column("receipts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("exams", sa.Integer(), server_default="0", nullable=False),
        sa.Column("addenda", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        comment="patients who were erased together, and how much of theirs: counts alone; each of the receipts is "
        "still a row, ignored as erased, without UID, digest and content",
    )
    op.create_table(
        "set_aside",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_set_aside")),
        comment="a person has set held work aside, for a reason: it stays held and no longer asks for a decision",
    )
    op.create_table(
        "alarm",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("is_urgent", sa.Boolean(), nullable=False),
        sa.Column("is_flapping", sa.Boolean(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_step", sa.Integer(), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
        comment="one episode of an alarm: pending until raised_at, open until ended_at; names no patient",
    )
    op.create_index(op.f("ix_alarm_ended_at"), "alarm", ["ended_at"], unique=False)
    op.create_table(
        "alarm_message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("set_aside_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["set_aside_id"], ["set_aside.id"], name=op.f("fk_alarm_message_set_aside_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_message")),
        comment="a message of alarms for one way out (mail, webhook, apprise), as JSON; names no patient",
    )
    op.create_index(op.f("ix_alarm_message_created_at"), "alarm_message", ["created_at"], unique=False)
    for state, which in (
        ("held", "state = 'held'"),
        ("to_decide", "state = 'held' AND set_aside_id IS NULL"),
        ("waiting", "state = 'waiting'"),
    ):
        op.create_index(
            f"ix_alarm_message_{state}",
            "alarm_message",
            ["way", "due_at"],
            unique=False,
            sqlite_where=sa.text(which),
            postgresql_where=sa.text(which),
        )
    op.create_table(
        "alarm_shelf",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shelved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shelved_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_shelf")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_alarm_shelf_kind_subject")),
        comment="an alarm that a person wants to hear nothing of until a moment",
    )
    op.create_table(
        "alarm_watch",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("message_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("morning", sa.Date(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarm_watch")),
        comment="one row: when the conditions were last looked at, and the process that looks now",
    )
    op.create_table(
        "commitment_request",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("calling_ae_title", sa.Text(), nullable=False),
        sa.Column("transaction_uid", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("set_aside_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["set_aside_id"], ["set_aside.id"], name=op.f("fk_commitment_request_set_aside_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment_request")),
        sa.UniqueConstraint(
            "calling_ae_title", "transaction_uid", name=op.f("uq_commitment_request_calling_ae_title_transaction_uid")
        ),
        comment="a storage commitment request of a scanner; requested: SOP class and instance UIDs as JSON; done once"
        " the result was reported (N-EVENT-REPORT)",
    )
    op.create_index(
        "ix_commitment_request_held",
        "commitment_request",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_commitment_request_to_decide",
        "commitment_request",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
        postgresql_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
    )
    op.create_index(
        "ix_commitment_request_waiting",
        "commitment_request",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "housekeeping",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_housekeeping")),
        comment="when recurring work was last done, so that a missed schedule is caught up, and why it failed",
    )
    op.create_table(
        "linked_patients",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linked_patients")),
        comment="patients who may be one human being: they share an id, or a person merged them",
    )
    op.create_table(
        "outage",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_outage")),
        comment="a destination that accepts nothing at present, and when it is tried next; no row while it works",
    )
    op.create_table(
        "process",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("part", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clinical", sa.String(length=16), nullable=True),
        sa.Column("service", sa.String(length=16), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reload_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process")),
        sa.UniqueConstraint("owner", "part", name=op.f("uq_process_owner_part")),
        comment="a process of the service: its state since when, when it was last seen, how often its like has failed"
        " in a row, and digests of the configuration that it read, if it reads one; problem: why its last reload "
        "failed",
    )
    op.create_table(
        "receipt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("calling_ae_title", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("set_aside_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("released_from", sa.String(length=64), nullable=True),
        sa.Column("pixel_bytes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("historical", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["set_aside_id"], ["set_aside.id"], name=op.f("fk_receipt_set_aside_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
        sa.UniqueConstraint("sop_instance_uid", "digest", name=op.f("uq_receipt_sop_instance_uid_digest")),
        comment="one received instance; its bytes are in receipt_content; pixel_bytes is what dropping its pixel data "
        "would free; state says whether it was extracted",
    )
    op.create_index(
        "ix_receipt_held",
        "receipt",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_receipt_pixel_bytes",
        "receipt",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("pixel_bytes > 0"),
        postgresql_where=sa.text("pixel_bytes > 0"),
    )
    op.create_index(op.f("ix_receipt_historical_received_at"), "receipt", ["historical", "received_at"], unique=False)
    op.create_index(
        "ix_receipt_to_decide",
        "receipt",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
        postgresql_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
    )
    op.create_index(
        "ix_receipt_waiting",
        "receipt",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "scanner",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("manufacturer", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scanner")),
        sa.UniqueConstraint("key", name=op.f("uq_scanner_key")),
        comment="one physical densitometer, or all of a model whose reports contain no serial number",
    )
    op.create_table(
        "patient",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("linked_patients_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["linked_patients_id"], ["linked_patients.id"], name=op.f("fk_patient_linked_patients_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint("patient_id", "issuer", name=op.f("uq_patient_patient_id_issuer")),
        sqlite_autoincrement=True,
        comment="one patient by id and issuer, both trimmed; the bytes as sent are in the receipt",
    )
    op.create_index(op.f("ix_patient_linked_patients_id"), "patient", ["linked_patients_id"], unique=False)
    op.create_table(
        "phantom_scan",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("receipt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("scanner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("phantom", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_id", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_name", sa.Text(), server_default="", nullable=False),
        sa.Column("performed_at", sa.DateTime(), nullable=False),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.id"], name=op.f("fk_phantom_scan_receipt_id")),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name=op.f("fk_phantom_scan_scanner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phantom_scan")),
        sa.UniqueConstraint("receipt_id", name=op.f("uq_phantom_scan_receipt_id")),
        comment="one scan of a phantom: of a report (receipt_id), or typed in a table, which names the phantom; "
        "patient_id and patient_name: what its report says there, by which the configuration recognises it",
    )
    op.create_index(
        op.f("ix_phantom_scan_scanner_id_performed_at"), "phantom_scan", ["scanner_id", "performed_at"], unique=False
    )
    op.create_table(
        "phantom_value",
        sa.Column("phantom_scan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("bmd", sa.String(length=32), nullable=False),
        sa.Column("bmc", sa.String(length=32), nullable=True),
        sa.Column("area", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["phantom_scan_id"], ["phantom_scan.id"], name=op.f("fk_phantom_value_phantom_scan_id")
        ),
        sa.PrimaryKeyConstraint("phantom_scan_id", "region", name=op.f("pk_phantom_value")),
        comment="what a phantom scan measured in one region, as printed, in g/cm2, g, cm2",
    )
    op.create_table(
        "qc_stop",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scanner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("phantom", sa.Text(), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("last_good_at", sa.DateTime(), nullable=True),
        sa.Column("shown_at", sa.DateTime(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=True),
        sa.Column("remedied_on", sa.Date(), nullable=True),
        sa.Column("remedied_by", sa.Text(), nullable=True),
        sa.Column("remedy_recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("annulled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("fit_again_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name=op.f("fk_qc_stop_scanner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qc_stop")),
        comment="since a phantom scan (shown_at) a scanner is unverified, and so are its exams since last_good_at, "
        "until a remedy is recorded and a good scan follows (fit_again_at); annulled: it was not the scanner, and "
        "counts nowhere",
    )
    op.create_index(op.f("ix_qc_stop_scanner_id"), "qc_stop", ["scanner_id"], unique=False)
    op.create_table(
        "qc_mark",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scanner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name=op.f("fk_qc_mark_scanner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qc_mark")),
        comment="service of a scanner, recorded by a person: drawn in its chart, and judged by phantom before and "
        "after",
    )
    op.create_index(op.f("ix_qc_mark_scanner_id"), "qc_mark", ["scanner_id"], unique=False)
    op.create_table(
        "receipt_content",
        sa.Column(
            "receipt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.id"], name=op.f("fk_receipt_content_receipt_id")),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_receipt_content")),
        comment="the bytes of each receipt: its data set as received (zlib), without pixel data once that was dropped; "
        "apart from the receipt, as SQLite writes a row whole whenever anything in it changes",
    )
    op.create_table(
        "rejection",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("receipt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.id"], name=op.f("fk_rejection_receipt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejection")),
        sa.UniqueConstraint("receipt_id", "sop_instance_uid", name=op.f("uq_rejection_receipt_id_sop_instance_uid")),
        comment="an instance named by a rejection note (IHE IOCM), whether received or not; it counts until undone_at",
    )
    op.create_index(op.f("ix_rejection_sop_instance_uid"), "rejection", ["sop_instance_uid"], unique=False)
    op.create_table(
        "rejected_caller",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("called_ae_title", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_caller")),
        sa.UniqueConstraint(
            "calling_ae_title",
            "host",
            "called_ae_title",
            name=op.f("uq_rejected_caller_calling_ae_title_host_called_ae_title"),
        ),
        comment="a caller whose associations were rejected, until one is admitted; bounded rows, of one host and in "
        "all",
    )
    op.create_index(op.f("ix_rejected_caller_host"), "rejected_caller", ["host"], unique=False)
    op.create_table(
        "refused_object",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("calling_ae_title", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_object")),
        sa.UniqueConstraint(
            "calling_ae_title", "host", "reason", name=op.f("uq_refused_object_calling_ae_title_host_reason")
        ),
        comment="objects of a caller that could not be stored and were answered with A700",
    )
    op.create_table(
        "caller_certificate",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caller_certificate")),
        sa.UniqueConstraint("calling_ae_title", "host", name=op.f("uq_caller_certificate_calling_ae_title_host")),
        comment="the last day of the certificate that a caller has shown, and when it last did; bounded rows",
    )
    op.create_table(
        "reprocessing_run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("linked_patients_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("scanner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("since", sa.Date(), nullable=True),
        sa.Column("dry_run", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["linked_patients_id"], ["linked_patients.id"], name=op.f("fk_reprocessing_run_linked_patients_id")
        ),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name=op.f("fk_reprocessing_run_scanner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reprocessing_run")),
        comment="one reprocessing run over all exams, or those of linked patients, a scanner or a time (since); "
        "dry_run: it changes nothing; requested_by: the person for whom the workers do it; problem: why it ended early",
    )
    op.create_index(
        "ix_reprocessing_run_unfinished",
        "reprocessing_run",
        ["id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "sender",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scanner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("calling_ae_title", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name=op.f("fk_sender_scanner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender")),
        sa.UniqueConstraint(
            "scanner_id", "calling_ae_title", "host", name=op.f("uq_sender_scanner_id_calling_ae_title_host")
        ),
        comment="a caller that has sent reports of a scanner; confirmed_at is set for the first one and by a person",
    )
    op.create_table(
        "register_study",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_study")),
        sa.UniqueConstraint("kind", "digest", name=op.f("uq_register_study_kind_digest")),
        comment="a study as its table was handed in (zlib), with the SHA-256 of the file; never changed",
    )
    op.create_table(
        "register_record",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=True),
        sa.Column("study_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["register_study.id"], name=op.f("fk_register_record_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_record")),
        comment="an LSC or a cross-calibration with the facts of its study, as JSON; never changed, only superseded",
    )
    op.create_index(op.f("ix_register_record_study_id"), "register_record", ["study_id"], unique=False)
    op.create_table(
        "register_decision",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("standing", sa.String(length=16), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["register_record.id"], name=op.f("fk_register_decision_record_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_decision")),
        comment="who accepted, declined or withdrew a record, when and why; the last one counts, none is changed",
    )
    op.create_index(op.f("ix_register_decision_record_id"), "register_decision", ["record_id"], unique=False)
    op.create_table(
        "unidentified_scanner",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scanner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("station_name", sa.Text(), nullable=False),
        sa.Column("institution", sa.Text(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name=op.f("fk_unidentified_scanner_scanner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unidentified_scanner")),
        sa.UniqueConstraint(
            "scanner_id",
            "station_name",
            "institution",
            name=op.f("uq_unidentified_scanner_scanner_id_station_name_institution"),
        ),
        comment="a scanner whose reports contain no serial number, by station name and institution",
    )
    op.create_table(
        "clinical_context",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("loaded_by", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_clinical_context_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinical_context")),
        comment="clinical context of a patient on a day, from CSV or the desk, as JSON; records combine field by field;"
        " loaded_by: who",
    )
    op.create_index(op.f("ix_clinical_context_patient_id"), "clinical_context", ["patient_id"], unique=False)
    op.create_table(
        "exam",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scanner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("visit", sa.Integer(), server_default="1", nullable=False),
        sa.Column("performed_at", sa.DateTime(), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("sex", sa.String(length=1), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("historical", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("late", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("withdrawn", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("set_aside_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_exam_patient_id")),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name=op.f("fk_exam_scanner_id")),
        sa.ForeignKeyConstraint(["set_aside_id"], ["set_aside.id"], name=op.f("fk_exam_set_aside_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exam")),
        sa.UniqueConstraint(
            "patient_id",
            "study_instance_uid",
            "scanner_id",
            "visit",
            name=op.f("uq_exam_patient_id_study_instance_uid_scanner_id_visit"),
        ),
        sqlite_autoincrement=True,
        comment="one exam: patient + study + scanner, and visit where one study was split; revision counts additions;"
        " historical: a prior only, gets no addendum; withdrawn: why it takes part in no comparison; late: "
        "its date is to be confirmed; name: compared where there is no birth date",
    )
    op.create_index(
        "ix_exam_held",
        "exam",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_exam_late", "exam", ["id"], unique=False, sqlite_where=sa.text("late = 1"), postgresql_where=sa.text("late")
    )
    op.create_index(op.f("ix_exam_patient_id_performed_at"), "exam", ["patient_id", "performed_at"], unique=False)
    op.create_index(op.f("ix_exam_scanner_id_performed_at"), "exam", ["scanner_id", "performed_at"], unique=False)
    op.create_index(op.f("ix_exam_study_instance_uid"), "exam", ["study_instance_uid"], unique=False)
    op.create_index(
        "ix_exam_to_decide",
        "exam",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
        postgresql_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
    )
    op.create_index(
        "ix_exam_waiting",
        "exam",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "patient_merge",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("old_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("new_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["new_id"], ["patient.id"], name=op.f("fk_patient_merge_new_id")),
        sa.ForeignKeyConstraint(["old_id"], ["patient.id"], name=op.f("fk_patient_merge_old_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_merge")),
        comment="a merge of two patients, stated by a person; it counts until undone_at",
    )
    op.create_index(op.f("ix_patient_merge_new_id"), "patient_merge", ["new_id"], unique=False)
    op.create_index(op.f("ix_patient_merge_old_id"), "patient_merge", ["old_id"], unique=False)
    op.create_table(
        "shard",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reprocessing_run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("set_aside_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("last_linked_patients", sa.Integer(), server_default="0", nullable=False),
        sa.Column("examined", sa.Integer(), server_default="0", nullable=False),
        sa.Column("issued", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("held", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["reprocessing_run_id"], ["reprocessing_run.id"], name=op.f("fk_shard_reprocessing_run_id")
        ),
        sa.ForeignKeyConstraint(["set_aside_id"], ["set_aside.id"], name=op.f("fk_shard_set_aside_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shard")),
        sa.UniqueConstraint("reprocessing_run_id", "number", name=op.f("uq_shard_reprocessing_run_id_number")),
        comment="one shard of a run: linked patients with id % shards = number, done up to last_linked_patients",
    )
    op.create_index(
        "ix_shard_held",
        "shard",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_shard_to_decide",
        "shard",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
        postgresql_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
    )
    op.create_index(
        "ix_shard_waiting",
        "shard",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "reprocessing_difference",
        sa.Column(
            "reprocessing_run_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("exam_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["exam_id"], ["exam.id"], name=op.f("fk_reprocessing_difference_exam_id")),
        sa.ForeignKeyConstraint(
            ["reprocessing_run_id"],
            ["reprocessing_run.id"],
            name=op.f("fk_reprocessing_difference_reprocessing_run_id"),
        ),
        sa.PrimaryKeyConstraint("reprocessing_run_id", "exam_id", name=op.f("pk_reprocessing_difference")),
        comment="an addendum that a dry run found to differ, with what before and after, as JSON; bounded rows",
    )
    op.create_table(
        "addendum",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("exam_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("predecessor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rendering_of_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("overall", sa.String(length=32), nullable=False),
        sa.Column("authored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sections", sa.Text(), nullable=True),
        sa.Column("without_lsc", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["exam_id"], ["exam.id"], name=op.f("fk_addendum_exam_id")),
        sa.ForeignKeyConstraint(["predecessor_id"], ["addendum.id"], name=op.f("fk_addendum_predecessor_id")),
        sa.ForeignKeyConstraint(["rendering_of_id"], ["addendum.id"], name=op.f("fk_addendum_rendering_of_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addendum")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_addendum_sop_instance_uid")),
        sqlite_autoincrement=True,
        comment="an addendum, or a rendering of one (rendering_of_id): its data set as sent (zlib); digest: of its "
        "content; sections: how many of its sentences belong to each, as JSON; without_lsc: regions whose change it "
        "does not judge for want of an LSC, as JSON",
    )
    op.create_index(op.f("ix_addendum_authored_at"), "addendum", ["authored_at"], unique=False)
    op.create_index(op.f("ix_addendum_exam_id"), "addendum", ["exam_id"], unique=False)
    op.create_table(
        "history_query",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("exam_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("set_aside_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("instances", sa.Integer(), server_default="0", nullable=False),
        sa.Column("responded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["exam_id"], ["exam.id"], name=op.f("fk_history_query_exam_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_history_query_patient_id")),
        sa.ForeignKeyConstraint(["set_aside_id"], ["set_aside.id"], name=op.f("fk_history_query_set_aside_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history_query")),
        sa.UniqueConstraint("patient_id", "destination", name=op.f("uq_history_query_patient_id_destination")),
        sqlite_autoincrement=True,
        comment="a query to an archive for a patient's earlier reports: for which exam, and how many instances it had",
    )
    op.create_index(
        op.f("ix_history_query_destination_responded_at"),
        "history_query",
        ["destination", "responded_at"],
        unique=False,
    )
    op.create_index(
        "ix_history_query_held",
        "history_query",
        ["destination", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_history_query_to_decide",
        "history_query",
        ["destination", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
        postgresql_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
    )
    op.create_index(
        "ix_history_query_waiting",
        "history_query",
        ["destination", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "provenance",
        sa.Column("exam_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("history", sa.String(length=16), nullable=False),
        sa.Column("reference_data", sa.String(length=16), nullable=False),
        sa.Column("context", sa.String(length=16), nullable=False),
        sa.Column("rules", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["exam_id"], ["exam.id"], name=op.f("fk_provenance_exam_id")),
        sa.PrimaryKeyConstraint("exam_id", name=op.f("pk_provenance")),
        comment="digests of the inputs of the latest examination of an exam; one that differs today is a changed input",
    )
    op.create_table(
        "reading",
        sa.Column("receipt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("exam_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("performed_at", sa.DateTime(), nullable=False),
        sa.Column("scanned", sa.Text(), server_default="{}", nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("reader_fingerprint", sa.String(length=16), server_default="", nullable=False),
        sa.Column("rejected", sa.Text(), nullable=True),
        sa.Column("accession_number", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["exam_id"], ["exam.id"], name=op.f("fk_reading_exam_id")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.id"], name=op.f("fk_reading_receipt_id")),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_reading")),
        comment="the extracted report of one receipt, as JSON; reader_fingerprint: digest of the dialects and aliases"
        " it was extracted with; rejected: title of the rejection note that names it, whereupon it does not "
        "count; accession_number: the report's, to be found by; scanned: its software, technologists and regions as "
        "JSON, which are read of hundreds of reports at once",
    )
    op.create_index(
        "ix_reading_accession_number",
        "reading",
        ["accession_number"],
        unique=False,
        sqlite_where=sa.text("accession_number <> ''"),
        postgresql_where=sa.text("accession_number <> ''"),
    )
    op.create_index(op.f("ix_reading_exam_id"), "reading", ["exam_id"], unique=False)
    op.create_index(op.f("ix_reading_performed_at"), "reading", ["performed_at"], unique=False)
    op.create_index(op.f("ix_reading_reader_fingerprint"), "reading", ["reader_fingerprint"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("addendum_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("set_aside_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["addendum_id"], ["addendum.id"], name=op.f("fk_delivery_addendum_id")),
        sa.ForeignKeyConstraint(["set_aside_id"], ["set_aside.id"], name=op.f("fk_delivery_set_aside_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("addendum_id", "destination", name=op.f("uq_delivery_addendum_id_destination")),
        sqlite_autoincrement=True,
        comment="the outbox: one addendum for one destination",
    )
    op.create_index(op.f("ix_delivery_destination_done_at"), "delivery", ["destination", "done_at"], unique=False)
    op.create_index(
        "ix_delivery_held",
        "delivery",
        ["destination", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_delivery_to_decide",
        "delivery",
        ["destination", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
        postgresql_where=sa.text("state = 'held' AND set_aside_id IS NULL"),
    )
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["destination", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "desk_account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_desk_account_name")),
        comment="who may use the desk; password: Argon2id as a PHC string, none where a proxy says who it is",
    )
    op.create_table(
        "desk_session",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_desk_session")),
        comment="a browser that is logged in; digest: SHA-256 of its token; message: what the next page tells, once",
    )
    op.create_index(op.f("ix_desk_session_name"), "desk_session", ["name"], unique=False)
    op.create_table(
        "desk_throttle",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_throttle")),
        sa.UniqueConstraint("digest", name=op.f("uq_desk_throttle_digest")),
        comment="refused log-ins of one name, or from one address, by its SHA-256; none is tried before due_at",
    )
    op.create_table(
        "erased_object",
        sa.Column("uid_digest", sa.String(length=64), nullable=False),
        sa.Column("receipt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.id"], name=op.f("fk_erased_object_receipt_id")),
        sa.PrimaryKeyConstraint("uid_digest", name=op.f("pk_erased_object")),
        comment="SHA-256 of the SOP Instance UID of a received object or an addendum that was erased, so that it is "
        "known if it comes again; and its receipt, or one of its exam",
    )
    op.create_table(
        "installation_secret",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation_secret")),
        sa.UniqueConstraint("purpose", name=op.f("uq_installation_secret_purpose")),
        comment="random bytes of this installation, made when they are first needed and never changed",
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _refusals_of_sqlite() if sqlite else _refusals_of_postgresql():
        op.execute(statement)


_MAY_GO = {
    "audit": "OLD.at < (SELECT max(before) FROM audit_cut)",
    "audit_seal": "OLD.position <= (SELECT max(position) FROM audit_cut)",
    "audit_cut": "false",
    "audit_erasure": "NOT EXISTS (SELECT 1 FROM audit WHERE id = OLD.audit_id)",
}
"""Which rows of the audit trail a DELETE may take: those that a cut, itself never taken back, has told of."""

_ERASED = "NEW.detail = '{}' AND NEW.salt = '' AND EXISTS (SELECT 1 FROM audit_erasure WHERE audit_id = OLD.id)"
_AS_IT_WAS = ("id", "at", "event", "outcome", "actor", "host", "patient_id", "receipt_id", "exam_id", "addendum_id")


def _may_change(table: str, same: str) -> str:
    """Return which rows an UPDATE may change: an entry loses its detail once an erasure has listed it."""
    if table != "audit":
        return "false"
    return " AND ".join((_ERASED, *(f"NEW.{column} {same} OLD.{column}" for column in _AS_IT_WAS)))


def _refusals_of_sqlite() -> Iterator[str]:
    refuse = "BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END"
    for table, may_go in _MAY_GO.items():
        for verb, done, may in (("UPDATE", "changed", _may_change(table, "IS")), ("DELETE", "dropped", may_go)):
            yield (
                f"CREATE TRIGGER {table}_is_never_{done} BEFORE {verb} ON {table} WHEN NOT coalesce({may}, 0) {refuse}"
            )


def _refusals_of_postgresql() -> Iterator[str]:
    yield """
        CREATE OR REPLACE FUNCTION refuse_to_change_the_audit_trail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the audit trail is only added to'; END $$"""
    for table, may_go in _MAY_GO.items():
        yield (
            f"CREATE TRIGGER {table}_is_never_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_audit_trail()"
        )
        for verb, done, may, goes_on in (
            ("UPDATE", "changed", _may_change(table, "IS NOT DISTINCT FROM"), "NEW"),
            ("DELETE", "dropped", may_go, "OLD"),
        ):
            # PostgreSQL takes no question of another table in WHEN, so a function asks it.
            yield f"""
                CREATE OR REPLACE FUNCTION refuse_that_{table}_is_{done}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF coalesce({may}, false) THEN RETURN {goes_on}; END IF;
                    RAISE EXCEPTION 'the audit trail is only added to';
                END $$"""
            yield (
                f"CREATE TRIGGER {table}_is_never_{done} BEFORE {verb} ON {table}"
                f" FOR EACH ROW EXECUTE FUNCTION refuse_that_{table}_is_{done}()"
            )
