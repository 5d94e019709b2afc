"""Reference data that are recorded in the database, beside those of the configuration: the precision register."""

from dataclasses import dataclass

from sqlalchemy import Connection

from pipeline.clinical.model import QcGap
from pipeline.edge.store import precision_register
from pipeline.edge.store.precision_register import RegisteredRecords


@dataclass(frozen=True, slots=True)
class RecordedReference:
    """The reference data of the database, in a fixed order."""

    register: RegisteredRecords
    qc_gaps: tuple[QcGap, ...] = ()


def load(connection: Connection, known: RegisteredRecords | None = None) -> RecordedReference:
    """Return the reference data that are recorded now; a register that is ``known`` and unchanged is not read again."""
    if known is None or known.version != precision_register.version(connection):
        known = precision_register.registered(connection)
    return RecordedReference(register=known)
