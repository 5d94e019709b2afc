"""Read clinical context (therapy, fractures, menopause …) from CSV tables, and store its records by patient.

The columns are ``patient_id``, ``issuer`` (optional) and the fields of ``ClinicalContext``, which docs/operations.md
explains. An empty cell says nothing; ``unknown`` takes back what earlier records said.
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

from pipeline.clinical.clinical_context import FIELDS, ClinicalContext, ImpossibleContextError
from pipeline.clinical.regions import Side
from pipeline.edge.audit import events
from pipeline.edge.operations.csv_table import (
    CsvTableError,
    Row,
    as_date,
    as_number,
    as_one_of,
    as_yes_or_no,
    read_csv_table,
)
from pipeline.edge.store import audit_trail, exams, patients
from pipeline.edge.store.audit_trail import Event

WHO = ("patient_id", "recorded_on")
ISSUER = "issuer"
UNKNOWN = "unknown"
DAYS = ("recorded_on", "therapy_since")
"""The columns of dates, which cannot lie in the future."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRecord:
    """One record of clinical context, its patient, and its line in the table."""

    patient_id: str
    issuer: str
    record: ClinicalContext
    line: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many records were new, how many exams are due again because of them, and what an operator should check."""

    records: int
    exams: int
    warnings: tuple[str, ...] = ()


def columns() -> dict[str, Callable[[str], Any]]:
    """Return the columns that a record may have, each with its reader."""
    hints = get_type_hints(ClinicalContext)
    names = [field.name for field in dataclasses.fields(ClinicalContext) if field.name != UNKNOWN]
    return {name: _reader(hints[name]) for name in names}


def read_context(path: Path, *, today: date | None = None) -> list[PatientRecord]:
    """Return the records of a table; ``today``, by default this computer's, is the last day that one may have.

    Raises:
        CsvTableError: with every error of every line; then nothing of the table is to be used.
    """
    readers = columns()
    today = today or date.today()  # noqa: DTZ011 - the department's own day
    rows = list(read_csv_table(path, required=WHO, optional=[ISSUER, *readers]))
    records = [_record(row, readers, today) for row in rows]
    if mistakes := [mistake for row in rows for mistake in row.mistakes]:
        raise CsvTableError(mistakes)
    return [record for record in records if record is not None]


def store_records(connection: Connection, records: list[PatientRecord], *, at: datetime | None = None) -> Loaded:
    """Store records; the exams of their patients from the day of the record on become due again.

    A record whose patient has exams only under another issuer concerns none of them; it is stored, with a warning.
    """
    now = at or datetime.now(UTC)
    new = due = 0
    warnings = []
    for one in records:
        if patients.is_on_file_only_under_another_issuer(connection, one.patient_id, one.issuer):
            warnings.append(
                f"line {one.line}: the patient is on file only under another Issuer of Patient ID (0010,0021) than the "
                "one in the column issuer; the record concerns none of those exams"
            )
        number = patients.number_of(connection, one.patient_id, one.issuer)
        if patients.record_context(connection, number, one.record, at=now):
            new += 1
            audit_trail.record(connection, events.by_operator(Event.CONTEXT_LOADED, at=now, patient=number))
            due += exams.reexamine_since(connection, number, since=one.record.recorded_on, at=now)
    return Loaded(new, due, tuple(warnings))


def _record(row: Row, readers: Mapping[str, Callable[[str], Any]], today: date) -> PatientRecord | None:
    patient_id = row.required("patient_id")
    row.required("recorded_on")
    unknown = tuple(name for name in FIELDS if row.text(name).lower() == UNKNOWN)
    values = {name: row.read(name, reader) for name, reader in readers.items() if name not in unknown}
    given = {name: value for name, value in values.items() if value is not None}
    row.mistakes += [
        f"line {row.line}: {name}: a day that has not come yet" for name in DAYS if given.get(name, today) > today
    ]
    if row.mistakes:
        return None
    try:
        record = ClinicalContext(**given, unknown=unknown)
    except ImpossibleContextError as impossible:
        row.mistakes.append(f"line {row.line}: {impossible}")
        return None
    return PatientRecord(patient_id=patient_id, issuer=row.text(ISSUER), record=record, line=row.line)


def _reader(hint: Any) -> Callable[[str], Any]:
    (kind,) = (kind for kind in get_args(hint) or (hint,) if kind is not types.NoneType)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return as_one_of([word for word in kind if word is not Side.MEAN])  # no arm is a mean of both
    readers: dict[type, Callable[[str], Any]] = {date: as_date, Decimal: as_number, bool: as_yes_or_no, str: str}
    return readers[kind]
