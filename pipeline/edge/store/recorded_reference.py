"""Reference data that are recorded in the database: the precision register, and the stops of quality control."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Row, select

from pipeline.clinical.model import QcGap, Scanner
from pipeline.edge.store import precision_register
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.precision_register import RegisteredRecords
from pipeline.edge.store.qc_schema import qc_stop
from pipeline.edge.store.schema import scanner


@dataclass(frozen=True, slots=True)
class RecordedReference:
    """The reference data of the database, in a fixed order."""

    register: RegisteredRecords
    qc_gaps: tuple[QcGap, ...] = ()


def load(connection: Connection, known: RegisteredRecords | None = None) -> RecordedReference:
    """Return the reference data that are recorded now; a register that is ``known`` and unchanged is not read again."""
    if known is None or known.version != precision_register.version(connection):
        known = precision_register.registered(connection)
    return RecordedReference(register=known, qc_gaps=tuple(_gap(row) for row in _STOPS.execute(connection, {})))


_STOPS = CompiledStatement(
    select(
        scanner.c.manufacturer,
        scanner.c.model,
        scanner.c.serial_number,
        qc_stop.c.last_good_at,
        qc_stop.c.shown_at,
        qc_stop.c.reason,
        qc_stop.c.fit_again_at,
    )
    .join(scanner, scanner.c.id == qc_stop.c.scanner_id)
    .where(~qc_stop.c.annulled)
    .order_by(qc_stop.c.id)
)


def _gap(row: Row) -> QcGap:  # type: ignore[type-arg]
    begins, ends = row.last_good_at or row.shown_at, row.fit_again_at
    return QcGap(
        scanner=Scanner(row.manufacturer, row.model, row.serial_number),
        begins=begins.date(),
        ends=ends.date() if ends else date.max,
        reason=row.reason,
        after=row.last_good_at,
        before=ends,
    )
