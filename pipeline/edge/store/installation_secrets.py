"""Secrets that an installation makes for itself, each once; they go with the store into backups."""

import secrets

from sqlalchemy import Connection, select

from pipeline.edge.store.inserts import insert_if_absent
from pipeline.edge.store.secret_schema import installation_secret

ANONYMITY = "anonymity"
"""Of the stand-ins in anonymous reports: with it and an id, the id's stand-in can be computed."""

_BYTES = 32


def secret(connection: Connection, purpose: str) -> bytes:
    """Return the secret of a purpose, which is made the first time; the transaction has to write."""
    insert_if_absent(connection, installation_secret, purpose=purpose, secret=secrets.token_bytes(_BYTES))
    known = select(installation_secret.c.secret).where(installation_secret.c.purpose == purpose)
    return bytes(connection.execute(known).scalar_one())
