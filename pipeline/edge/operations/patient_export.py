"""Write everything that is on file about a patient into a new folder: DICOM objects, rows as JSON, and an index."""

import json
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import Connection

from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.operations.patient_export_index import Row, index
from pipeline.edge.operations.patient_selection import select_patient
from pipeline.edge.operations.private_file import create_private_file
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.patient_rows import PatientRows, rows_of
from pipeline.edge.store.receipt_contents import inflate
from pipeline.edge.text_files import printable
from pipeline.errors import DxatrendError
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.header import read_header
from pipeline.sr.dicom.unreadable import UnreadableReportError
from pipeline.sr.dicom.writer import Authored, dicom_file

INDEX = "index.txt"
RECEIVED, SENT, ROWS = "received", "addenda", "rows"
"""The folders of an export: objects as received, addenda as authored, and the rows of every table."""


class ExportError(DxatrendError):
    """An export that was not written; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What an export consists of: its folder, and how many files of each kind it has."""

    folder: Path
    received: int
    addenda: int
    rows: Mapping[str, int]
    """By table, how many rows."""
    damaged: tuple[int, ...]
    """Receipts without readable bytes, which belong to no exam and may be of the patient."""


def export_patient(app: App, patient_id: str, issuer: str, *, to: Path) -> Export:
    """Write everything on file about a patient, under every id merged with it, into a new folder for its owner alone.

    Raises:
        PatientNotFoundError: nothing is on file under the id, or it is of several issuers.
        ExportError: the folder exists, or a file cannot be written.
        DamagedContentError: the bytes of an object of the patient are damaged or gone.
        StoreError: the database could not be queried.
    """
    with app.database.snapshot() as connection:
        found = select_patient(connection, patient_id, issuer)
        with _new_folder(to):
            export = _write(connection, found, to, app.reference_data.zone)
            _record(app, found, export)
    return export


@contextmanager
def _new_folder(to: Path) -> Iterator[None]:
    """Make a folder, and remove it again with what is in it unless the block succeeds: half an export is none."""
    try:
        to.mkdir(mode=0o700)
    except FileExistsError:
        raise ExportError(f"{to} is there already and is not overwritten") from None
    except OSError as error:
        raise ExportError(f"{to} cannot be written: {error.strerror}") from None
    try:
        yield
    except BaseException as error:
        shutil.rmtree(to, ignore_errors=True)
        if isinstance(error, OSError):
            raise ExportError(f"{to} cannot be written: {error.strerror}") from None
        raise


def _record(app: App, of: PatientRows, export: Export) -> None:
    about = {"patients": sorted(of.patients), "receipts": export.received, "addenda": export.addenda}
    number, now = min(of.patients, default=None), datetime.now(UTC)
    with app.database.write() as connection:
        entry = events.by_operator(Event.PATIENT_EXPORTED, at=now, patient=number, detail=about)
        audit_trail.record(connection, entry)


def _write(connection: Connection, of: PatientRows, to: Path, zone: tzinfo | None) -> Export:
    rows = {table.name: found for table, found in rows_of(connection, of)}
    contents = {row["receipt_id"]: row["content"] for row in rows["receipt_content"]}
    for row in rows["receipt"]:
        row["content"] = contents.get(row["id"])
    for name in (RECEIVED, SENT, ROWS):
        (to / name).mkdir(mode=0o700)
    files = {
        "receipt": {
            row["id"]: _write_object(to / RECEIVED, row, inflate(row["id"], row["content"]), row["transfer_syntax_uid"])
            for row in rows["receipt"]
        },
        "addendum": {
            row["id"]: _write_object(to / SENT, row, zlib.decompress(row["content"]), ExplicitVRLittleEndian)
            for row in rows["addendum"]
        },
    }
    for name, found in rows.items():
        content = [{key: _value(value, of) for key, value in row.items() if key != "content"} for row in found]
        for row in content if name in files else ():
            row["file"] = files[name][row["id"]]
        text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
        _write_file(to / ROWS / f"{name}.json", f"{text}\n".encode())
    names = sorted({name for row in rows["receipt"] if (name := _name(row))})
    lines = map(printable, index(rows, files, names, zone))  # ids and names are what others have sent
    _write_file(to / INDEX, "\n".join((*lines, "")).encode())
    return Export(
        folder=to,
        received=len(rows["receipt"]),
        addenda=len(rows["addendum"]),
        rows={name: len(found) for name, found in rows.items()},
        damaged=tuple(sorted(of.damaged)),
    )


def _write_object(folder: Path, row: Row, data_set: bytes, transfer_syntax_uid: str) -> str:
    """Write one object as a DICOM file, or its bytes alone where no file can have its UID; return the file's name."""
    instance = Authored(sop_class_uid=row["sop_class_uid"], sop_instance_uid=row["sop_instance_uid"], data_set=data_set)
    try:
        name, content = f"{row['id']}.dcm", dicom_file(instance, transfer_syntax_uid=transfer_syntax_uid)
    except ValueError:
        name, content = f"{row['id']}.bin", data_set
    _write_file(folder / name, content)
    return f"{folder.name}/{name}"


def _value(value: Any, of: PatientRows) -> Any:
    """Return a value for JSON: an instant by ISO 8601, a text that is JSON itself as that."""
    if isinstance(value, datetime):
        return value.isoformat()
    if not (isinstance(value, str) and value.startswith(("{", "["))):
        return value
    try:
        inner = json.loads(value)
    except ValueError:
        return value
    if isinstance(inner, list):  # a question for storage commitment may name objects of others
        return [pair for pair in inner if not of.uids.isdisjoint(pair)]
    return inner


def _name(row: Row) -> str:
    """Return the patient's name in a received object; empty where there is none, or it cannot be read."""
    try:
        header = read_header(inflate(row["id"], row["content"]), row["transfer_syntax_uid"])
    except UnreadableReportError:
        return ""
    return header_text(header, "PatientName")


def _write_file(path: Path, content: bytes) -> None:
    with create_private_file(path) as file:
        file.write(content)
