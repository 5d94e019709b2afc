"""Record what no report carries of a patient (therapy, fractures, menopause …), from words that people write.

The words are those of the CSV table and of the form of the desk alike: an empty one says nothing, ``unknown`` takes
back what earlier records said. docs/operations.md explains each field.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_type_hints

from sqlalchemy import Connection

from pipeline.clinical.clinical_context import FIELDS, ClinicalContext, ImpossibleContextError
from pipeline.clinical.regions import Side
from pipeline.edge.audit import events
from pipeline.edge.operations.csv_table import as_date, as_number, as_one_of, as_yes_or_no
from pipeline.edge.store import audit_trail, exams, patients
from pipeline.edge.store.audit_trail import Event
from pipeline.errors import DxatrendError

UNKNOWN = "unknown"
DAYS = ("recorded_on", "therapy_since")
"""The fields that are dates, which cannot lie in the future."""


class UnusableRecordError(DxatrendError):
    """A record that cannot be used; ``mistakes`` are pairs of field and text, never with what was written."""

    def __init__(self, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{field}: {text}" for field, text in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRecord:
    """One record of clinical context, its patient, and its line in the table it came from."""

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


@cache
def readers() -> Mapping[str, Callable[[str], Any]]:
    """Return the fields that a record may have, each with its reader."""
    hints = get_type_hints(ClinicalContext)
    names = [field.name for field in dataclasses.fields(ClinicalContext) if field.name != UNKNOWN]
    return {name: _reader(hints[name]) for name in names}


def choices(field: str) -> tuple[str, ...]:
    """Return the words that a field takes; empty for a date, a number or a free text."""
    kind = _kind(get_type_hints(ClinicalContext)[field])
    if kind is bool:
        return ("yes", "no")
    return tuple(word.value for word in _words(kind)) if issubclass(kind, StrEnum) else ()


def read_record(texts: Mapping[str, str], *, today: date) -> ClinicalContext:
    """Return the record that these texts state, by field; ``today`` is the last day that one may have.

    Raises:
        UnusableRecordError: with every mistake.
    """
    texts = {name: texts.get(name, "").strip() for name in readers()}
    unknown = tuple(name for name in FIELDS if texts[name].lower() == UNKNOWN)
    given: dict[str, Any] = {}
    mistakes = [] if texts["recorded_on"] else [("recorded_on", "is empty")]
    for name, read in readers().items():
        if texts[name] and name not in unknown:
            try:
                given[name] = read(texts[name])
            except ValueError as refused:
                mistakes.append((name, str(refused)))
    mistakes += [(name, "a day that has not come yet") for name in DAYS if given.get(name, today) > today]
    if mistakes:
        raise UnusableRecordError(mistakes)
    try:
        return ClinicalContext(**given, unknown=unknown)
    except ImpossibleContextError as impossible:
        raise UnusableRecordError([("", str(impossible))]) from None


def store_records(connection: Connection, records: Sequence[PatientRecord], *, at: datetime | None = None) -> Loaded:
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
        entry = events.by_operator(Event.CONTEXT_LOADED, at=now, patient=number)
        if patients.record_context(connection, number, one.record, at=now, by=entry.actor):
            new += 1
            audit_trail.record(connection, entry)
            due += exams.reexamine_since(connection, number, since=one.record.recorded_on, at=now)
    return Loaded(new, due, tuple(warnings))


def _reader(hint: Any) -> Callable[[str], Any]:
    kind = _kind(hint)
    if issubclass(kind, StrEnum):
        return as_one_of(_words(kind))
    by_type: dict[type, Callable[[str], Any]] = {date: as_date, Decimal: as_number, bool: as_yes_or_no, str: str}
    return by_type[kind]


def _kind(hint: Any) -> type:
    (kind,) = (kind for kind in get_args(hint) or (hint,) if kind is not types.NoneType)
    assert isinstance(kind, type)
    return kind


def _words(kind: type[StrEnum]) -> list[StrEnum]:
    return [word for word in kind if word is not Side.MEAN]  # no arm is a mean of both
