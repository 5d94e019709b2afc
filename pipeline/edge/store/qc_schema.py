"""Tables of phantom quality control: scans of phantoms, stops of a scanner, and its service (R7)."""

from sqlalchemy import Boolean, Column, Date, DateTime, ForeignKey, Index, String, Table, Text, UniqueConstraint, false

from pipeline.edge.store.schema_base import Instant, id_column, metadata, reference

phantom_scan = Table(
    "phantom_scan",
    metadata,
    id_column(),
    reference("receipt"),
    reference("scanner", nullable=False),
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
    reference("scanner", nullable=False, index=True),
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
    reference("scanner", nullable=False, index=True),
    Column("day", Date, nullable=False),
    Column("what", Text, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    comment="service of a scanner, recorded by a person: drawn in its chart, and judged by phantom before and after",
)
