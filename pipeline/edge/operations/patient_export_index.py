"""The index of an export: what is on file about a patient, as text for people."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from pipeline.edge.store.report_json import read_report

Row = Mapping[str, Any]
"""One row of a table, by column."""

Rows = Mapping[str, Sequence[Row]]
"""Rows by table."""


def index(
    rows: Rows, files: Mapping[str, Mapping[int, str]], names: Sequence[str], zone: tzinfo | None
) -> Iterator[str]:
    """Yield the lines of an index.

    ``files`` names the file of each receipt and addendum by its number, ``names`` are the patient's in the reports.
    """

    def local(moment: datetime | None) -> str:
        return "-" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"

    yield "EVERYTHING ON FILE ABOUT ONE PATIENT"
    yield f"written {local(datetime.now(zone).astimezone())} by dxatrend"
    yield ""
    yield "The folder received/ has the objects as scanners and archives sent them, addenda/ what dxatrend wrote; any"
    yield "DICOM viewer shows both. The folder rows/ has every row of the database, one file per table, as JSON."
    yield from _section("Ids of the patient", map(_identity, rows["patient"]))
    yield from _section("Names in the received objects", iter(names))
    yield from _section("Merges of ids", (_merge(row, rows["patient"], local) for row in rows["patient_merge"]))
    for exam in sorted(rows["exam"], key=lambda row: row["performed_at"]):
        yield from _exam(exam, rows, files, local)
    read = {row["receipt_id"] for row in rows["reading"]}
    others = (row for row in rows["receipt"] if row["id"] not in read)
    yield from _section(
        "Received, and part of no exam",
        (f"{files['receipt'][row['id']]}  {local(row['received_at'])}  {_state(row)}" for row in others),
    )
    yield from _section("Clinical context", map(_context, rows["clinical_context"]))
    queries = rows["history_query"]
    yield from _section(
        "Asked of archives", (f"{local(row['requested_at'])}  {row['destination']}  {_state(row)}" for row in queries)
    )
    trail = rows["audit"]
    yield from _section(
        "Audit trail: who did what", (f"{local(row['at'])}  {row['event']}  {row['actor']}" for row in trail)
    )
    yield from _section("Rows by table", (f"{name}: {len(found)}" for name, found in rows.items()))


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    yield from ("", title.upper(), *(f"  {line}" for line in found or ("none",)))


def _identity(row: Row) -> str:
    return f"{row['patient_id']}  issuer {row['issuer'] or '-'}"


def _merge(row: Row, patients: Sequence[Row], local: Any) -> str:
    names = {one["id"]: one["patient_id"] for one in patients}
    undone = f", undone {local(row['undone_at'])}" if row["undone_at"] else ""
    return f"{names.get(row['old_id'], '?')} into {names.get(row['new_id'], '?')}, {local(row['merged_at'])}{undone}"


def _exam(exam: Row, rows: Rows, files: Mapping[str, Mapping[int, str]], local: Any) -> Iterator[str]:
    lines = [f"born {exam['birth_date'] or '-'}, sex {exam['sex'] or '-'}"]
    for reading in rows["reading"]:
        if reading["exam_id"] == exam["id"]:
            lines.append(f"report {files['receipt'][reading['receipt_id']]}")
            lines += [f"  {region}" for region in _regions(reading)]
    for addendum in rows["addendum"]:
        if addendum["exam_id"] == exam["id"]:
            kind = "page" if addendum["rendering_of_id"] else f"addendum, {addendum['overall']}"
            lines.append(f"{kind} {files['addendum'][addendum['id']]}, {local(addendum['authored_at'])}")
            sent = (row for row in rows["delivery"] if row["addendum_id"] == addendum["id"])
            lines += [f"  to {row['destination']}: {_state(row)} {local(row['done_at'])}" for row in sent]
    withdrawn = f", withdrawn: {exam['withdrawn']}" if exam["withdrawn"] else ""
    yield from _section(f"Exam E{exam['id']} of {exam['performed_at']:%Y-%m-%d %H:%M}{withdrawn}", iter(lines))


def _regions(reading: Row) -> Iterator[str]:
    for measured in read_report(reading["report"]).exam.measurements:
        yield f"{measured.region.key}  {measured.bmd} g/cm2"


def _context(row: Row) -> str:
    values = ", ".join(f"{name} {value}" for name, value in json.loads(row["record"]).items() if value)
    return f"{values}; by {row['loaded_by'] or '-'}"


def _state(row: Row) -> str:
    return f"{row['state']} ({row['reason']})" if row["reason"] else str(row["state"])
