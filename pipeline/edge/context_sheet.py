"""What does a table of clinical context say, patient by patient?

The columns are ``patient_id``, ``issuer`` (optional) and the fields of ``ClinicalContext``, which docs/operations.md
explains.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from sqlalchemy import Connection

from pipeline.clinical.context import ClinicalContext, ImpossibleContext
from pipeline.edge import trail
from pipeline.edge.sheets import Row, SheetError, as_date, as_number, as_one_of, as_yes_or_no, read_sheet
from pipeline.edge.store import audit, exams, patients
from pipeline.edge.store.audit import Event

WHO = ("patient_id", "recorded_on")
ISSUER = "issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextOf:
    """One record and the patient it is about."""

    patient_id: str
    issuer: str
    record: ClinicalContext


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many records said something new, and how many exams are due again for it."""

    records: int
    exams: int


def columns() -> dict[str, Callable[[str], Any]]:
    """Every column a record may have, with what reads it."""
    hints = get_type_hints(ClinicalContext)
    return {field.name: _reader(hints[field.name]) for field in dataclasses.fields(ClinicalContext)}


def read_context(path: Path) -> list[ContextOf]:
    """The records of a table.

    Raises:
        SheetError: with every mistake of every line; then nothing of it is to be used.
    """
    readers = columns()
    rows = list(read_sheet(path, required=WHO, optional=[ISSUER, *readers]))
    records = [_record(row, readers) for row in rows]
    if mistakes := [mistake for row in rows for mistake in row.mistakes]:
        raise SheetError(mistakes)
    return [record for record in records if record is not None]


def keep(connection: Connection, records: list[ContextOf], *, at: datetime | None = None) -> Loaded:
    """Keep the records; the exams of their patients from that day on become due again."""
    now = at or datetime.now(UTC)
    new = due = 0
    for one in records:
        number = patients.number_of(connection, one.patient_id, one.issuer)
        if patients.keep_context(connection, number, one.record, at=now):
            new += 1
            audit.record(connection, trail.by_operator(Event.CONTEXT_LOADED, at=now, patient=number))
            due += exams.due_again(connection, number, since=one.record.recorded_on, at=now)
    return Loaded(new, due)


def _record(row: Row, readers: Mapping[str, Callable[[str], Any]]) -> ContextOf | None:
    patient_id = row.required("patient_id")
    row.required("recorded_on")
    values = {name: row.read(name, reader) for name, reader in readers.items()}
    told = {name: value for name, value in values.items() if value is not None}
    if row.mistakes:
        return None
    try:
        return ContextOf(patient_id=patient_id, issuer=row.text(ISSUER), record=ClinicalContext(**told))
    except ImpossibleContext as impossible:
        row.mistakes.append(f"line {row.line}: {impossible}")
        return None


def _reader(hint: Any) -> Callable[[str], Any]:
    (kind,) = (kind for kind in get_args(hint) or (hint,) if kind is not types.NoneType)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return as_one_of(kind)
    readers: dict[type, Callable[[str], Any]] = {date: as_date, Decimal: as_number, bool: as_yes_or_no, str: str}
    return readers[kind]
