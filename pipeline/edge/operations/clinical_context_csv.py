"""Read clinical context (therapy, fractures, menopause …) from CSV tables.

The columns are ``patient_id``, ``issuer`` (optional) and the fields of ``ClinicalContext``.
"""

from datetime import date
from pathlib import Path

from pipeline.edge.operations.clinical_context import PatientRecord, UnusableRecordError, read_record, readers
from pipeline.edge.operations.csv_table import CsvTableError, Row, read_csv_table

WHO = ("patient_id", "recorded_on")
ISSUER = "issuer"


def read_context(path: Path, *, today: date | None = None) -> list[PatientRecord]:
    """Return the records of a table; ``today``, by default this computer's, is the last day that one may have.

    Raises:
        CsvTableError: with every error of every line; then nothing of the table is to be used.
    """
    today = today or date.today()  # noqa: DTZ011 - the department's own day
    rows = list(read_csv_table(path, required=WHO, optional=[ISSUER, *readers()]))
    records = [_record(row, today) for row in rows]
    if mistakes := [mistake for row in rows for mistake in row.mistakes]:
        raise CsvTableError(mistakes)
    return [record for record in records if record is not None]


def _record(row: Row, today: date) -> PatientRecord | None:
    patient_id = row.required("patient_id")
    try:
        record = read_record({name: row.text(name) for name in readers()}, today=today)
    except UnusableRecordError as unusable:
        row.mistakes += [f"line {row.line}: {_mistake(field, text)}" for field, text in unusable.mistakes]
        return None
    return PatientRecord(patient_id=patient_id, issuer=row.text(ISSUER), record=record, line=row.line)


def _mistake(field: str, text: str) -> str:
    if text == "is empty":
        return f"{field} is empty"
    return f"{field}: {text}" if field else text
