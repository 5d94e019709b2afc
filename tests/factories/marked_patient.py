"""A patient with unmistakable marks and rows in every table that is linked to patients, beside another patient."""

import json
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from pipeline.clinical.model import Patient
from pipeline.edge.app import App
from pipeline.edge.history.query_retrieve import _record_query
from pipeline.edge.operations import clinical_context, exam_corrections, set_aside
from pipeline.edge.operations.clinical_context import PatientRecord, read_record
from pipeline.edge.operations.patient_merge import merge
from pipeline.edge.operations.release import parse_printed_number
from pipeline.edge.store import audit_chain, commitment_requests, history_queries
from pipeline.edge.store.database import Database
from pipeline.edge.store.qc_schema import phantom_scan, phantom_value
from pipeline.edge.store.reprocessing_schema import reprocessing_difference, reprocessing_run
from pipeline.edge.store.schema import commitment_request, delivery, history_query, rejection
from pipeline.edge.store.schema_base import State, metadata
from tests.factories.answered_exams import LONG_AGO, follow_all, l1_l4, receive
from tests.factories.rejection_notes import WORKLIST, rejection_note

ID, FORMER_ID, OTHER_ID = "ZZMARK-1", "ZZMARK-2", "P2"
MARKS = ("ZZMARK", "ZZNAMED", "19310405", "1931-04-05", "2.25.777")
"""What nothing but the patient's data contains: ids, name, birth date, and how the UIDs begin."""

_HEADER = {"PatientName": "ZZNAMED^PATIENT", "PatientBirthDate": "19310405"}
_OTHER = {"PatientName": "Somebody^Else", "PatientBirthDate": "19500101"}


def fill(app: App) -> None:
    """Put the marked patient into every table that is linked to patients, and somebody else beside.

    Of the patient are the exams E2 and E3, and the receipts 2 to 8. Nothing is left to do.
    """
    receive(app, l1_l4("0.800", study="2.25.12", PatientID=OTHER_ID, **_OTHER), "2.25.3")
    receive(app, l1_l4("0.950", study="2.25.77701", date="20220101", PatientID=FORMER_ID, **_HEADER), "2.25.77711")
    receive(app, l1_l4("0.912", study="2.25.77702", PatientID=ID, **_HEADER), "2.25.77712")
    follow_all(app)
    merge(app.database, Patient(patient_id=FORMER_ID), Patient(patient_id=ID), make_due=True)
    follow_all(app)
    receive(app, l1_l4("0.9", study="2.25.77703", date="", PatientID=ID, **_HEADER), "2.25.77713")
    receive(app, l1_l4("0.9", study="2.25.77704", PatientID="", OtherPatientIDs=ID, **_HEADER), "2.25.77714")
    receive(app, l1_l4("0.9", study="2.25.77705", SOPClassUID="1.2.3", PatientID=ID, **_HEADER), "2.25.77715")
    receive(app, rejection_note(["2.25.77799"], title=WORKLIST, PatientID=ID, **_HEADER), "2.25.77716")
    receive(app, l1_l4("0.911", study="2.25.77702", PatientID=ID, **_HEADER), "2.25.77717")
    follow_all(app)
    set_aside.set_aside(app.database, parse_printed_number("4"), "ZZNAMED called us")
    exam_corrections.withdraw(app.database, 2, "ZZNAMED was somebody else")
    exam_corrections.undo_withdrawal(app.database, 2)
    follow_all(app)
    with app.database.write() as connection:
        record = read_record({"recorded_on": "2024-01-01", "source": "ZZNAMED"}, today=date(2026, 1, 1))
        clinical_context.store_records(connection, [PatientRecord(patient_id=ID, issuer="", record=record)])
        history_queries.enqueue(connection, 3, ["archive"], at=LONG_AGO)
        both = [("1.2", "2.25.77712"), ("1.2", "2.25.3")]
        commitment_requests.record(
            connection, calling_ae_title="SCANNER1", transaction_uid="2.25.5", requested=both, at=LONG_AGO
        )
        _insert_directly(connection)
    archive = app.settings.service.dicom_destinations[0]
    _record_query(app.database, archive, Patient(patient_id="ZZMARK-1"), {"studies": 1}, by_hand=True)
    follow_all(app)
    finish(app.database)


def finish(database: Database) -> None:
    """Let everything that waits be done."""
    with database.write() as connection:
        for queue in (delivery, history_query, commitment_request):
            waiting = update(queue).where(queue.c.state == State.WAITING)
            connection.execute(waiting.values(state=State.DONE))
        while audit_chain.seal(connection, all_of_it=True):
            pass


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table."""
    with database.read() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in metadata.sorted_tables
        }


def marks_in(row: dict[str, Any]) -> list[str]:
    """Return the marks in a row, its compressed bytes unpacked."""
    texts = []
    for value in row.values():
        if isinstance(value, bytes):
            value = zlib.decompress(value).decode("latin-1")
        texts.append(value.isoformat() if isinstance(value, date | datetime) else str(value))
    return [mark for mark in MARKS if mark in json.dumps(texts)]


def marks_in_file(path: Path, marks: Sequence[str]) -> set[str]:
    """Return the marks in a file as it is, and in each row of it, unpacked, if it is a database."""
    contents = [path.read_bytes()]
    if contents[0].startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as file:
            for (table,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in file.execute(f"SELECT * FROM {table}"):
                    contents += [zlib.decompress(value) for value in row if isinstance(value, bytes)]
    return {
        mark
        for mark in marks
        for encoding in ("utf-8", "utf-16-le", "utf-16-be")
        for content in contents
        if mark.encode(encoding) in content
    }


def _insert_directly(connection: Any) -> None:
    """Write what takes a whole run, a phantom, or another SOP class to come about."""
    connection.execute(insert(rejection).values(receipt_id=7, sop_instance_uid="2.25.77799", title="ZZNAMED is wrong"))
    run = insert(reprocessing_run).values(linked_patients_id=2, dry_run=True, started_at=LONG_AGO, finished_at=LONG_AGO)
    number = connection.execute(run.returning(reprocessing_run.c.id)).scalar_one()
    difference = {"reprocessing_run_id": number, "exam_id": 3, "content": '{"study": "2.25.77702"}'}
    connection.execute(insert(reprocessing_difference).values(**difference))
    scan = insert(phantom_scan).values(
        receipt_id=6,
        scanner_id=1,
        patient_id=ID,
        patient_name="ZZNAMED^PATIENT",
        performed_at=datetime(2024, 1, 1),
        software="1",
        recorded_at=LONG_AGO,
    )
    number = connection.execute(scan.returning(phantom_scan.c.id)).scalar_one()
    connection.execute(insert(phantom_value).values(phantom_scan_id=number, region="L1-L4", bmd="1.000"))
