"""Table of the secrets that an installation has made for itself."""

from sqlalchemy import Column, LargeBinary, String, Table, UniqueConstraint

from pipeline.edge.store.schema_base import id_column, metadata

installation_secret = Table(
    "installation_secret",
    metadata,
    id_column(),
    Column("purpose", String(32), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    UniqueConstraint("purpose"),
    comment="random bytes of this installation, made when they are first needed and never changed",
)
