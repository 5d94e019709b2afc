"""An export is whole: every row and every object in which the patient is found, and nobody else's."""

import errno
import json
import os
import stat
import zlib
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import delete

from pipeline.edge.app import open_app
from pipeline.edge.operations import patient_export
from pipeline.edge.operations.patient_export import INDEX, ExportError, export_patient
from pipeline.edge.operations.patient_selection import PatientNotFoundError
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.patient_rows import LINKS
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.edge.store.schema import receipt_content
from pipeline.sr.dicom.reader import split_file
from tests.factories.answered_exams import in_both_databases, l1_l4, receive
from tests.factories.damaged_contents import damage_content, damages, receive_damaged
from tests.factories.marked_patient import FORMER_ID, ID, OTHER_ID, everything, fill, marks_in


@in_both_databases
def test_an_export_has_every_row_in_which_the_patient_is_found(folder: Path, tmp_path: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        done = export_patient(app, FORMER_ID, "", to=tmp_path / "export")
        rows = everything(app.database)
    for name, of_table in rows.items():
        marked = [row for row in of_table if marks_in(row)]
        if name in ("audit", "audit_seal") or not marked:
            continue
        written = json.loads((tmp_path / "export" / "rows" / f"{name}.json").read_text())
        keys = [key for key in ("id", "receipt_id", "exam_id") if key in marked[0]][:1]
        exported = {row[keys[0]] for row in written}
        assert {row[keys[0]] for row in marked} <= exported, name
    for table in LINKS:
        if table.name != "audit_erasure":
            assert done.rows[table.name], f"{table.name} has rows of the patient"
    told = json.loads((tmp_path / "export" / "rows" / "audit.json").read_text())
    marked = [row for row in rows["audit"] if marks_in(row)]
    assert {row["id"] for row in marked} <= {row["id"] for row in told}


def test_exported_objects_have_the_bytes_that_came_and_that_went(folder: Path, tmp_path: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        export_patient(app, ID, "", to=tmp_path / "export")
        rows = everything(app.database)
    received = {
        row["receipt_id"]: zlib.decompress(row["content"]) for row in rows["receipt_content"] if row["receipt_id"] > 1
    }
    files = {int(path.stem): path for path in (tmp_path / "export" / "received").iterdir()}
    assert {number: split_file(path.read_bytes())[0] for number, path in files.items()} == received
    addenda = {row["id"]: row for row in rows["addendum"] if row["exam_id"] in (2, 3)}
    for path in (tmp_path / "export" / "addenda").iterdir():
        assert dcmread(path).SOPInstanceUID == addenda.pop(int(path.stem))["sop_instance_uid"]
    assert not addenda


def test_the_index_is_for_people_and_names_nobody_else(folder: Path, tmp_path: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        export_patient(app, ID, "", to=tmp_path / "export")
    index = (tmp_path / "export" / INDEX).read_text()
    for told in (ID, FORMER_ID, "ZZNAMED", "1931-04-05", "L1-L4", "0.950 g/cm2", "received/4.dcm", "held", "to pacs"):
        assert told in index
    everybody = "".join(path.read_text() for path in (tmp_path / "export" / "rows").iterdir())
    assert "Somebody" not in index + everybody
    assert "2.25.3" not in everybody
    assert f'"{OTHER_ID}"' not in everybody


def test_an_export_is_for_its_owner_alone_and_is_on_record(folder: Path, tmp_path: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        export_patient(app, ID, "", to=tmp_path / "export")
        with app.database.read() as connection:
            last = list(audit_trail.find(connection))[-1].entry
    assert last.event is Event.PATIENT_EXPORTED
    assert last.patient is not None
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "export").rglob("*") if path.is_file()}
    assert (stat.S_IMODE((tmp_path / "export").stat().st_mode), modes) == (0o700, {0o600})


def test_a_folder_that_is_there_is_not_written_into_and_an_unknown_id_makes_none(folder: Path, tmp_path: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        (tmp_path / "export").mkdir()
        with pytest.raises(ExportError, match="is there already"):
            export_patient(app, ID, "", to=tmp_path / "export")
        with pytest.raises(PatientNotFoundError):
            export_patient(app, "NOBODY", "", to=tmp_path / "other")
        assert not (tmp_path / "other").exists()


def test_an_export_that_fails_leaves_nothing_of_the_patient(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with open_app(folder) as app:
        fill(app)
        monkeypatch.setattr(patient_export, "index", full)
        with pytest.raises(ExportError, match="No space left"):
            export_patient(app, ID, "", to=tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_an_export_without_the_bytes_of_an_object_is_none(folder: Path, tmp_path: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        with app.database.write() as connection:
            connection.execute(delete(receipt_content))
        with pytest.raises(DamagedContentError, match="are damaged or gone"):
            export_patient(app, ID, "", to=tmp_path / "export")
    assert not (tmp_path / "export").exists()


@damages
def test_damaged_bytes_of_the_patient_are_named_and_those_of_nobody_only_told(
    folder: Path, tmp_path: Path, damage: bytes | None
) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", PatientID="P1"), "2.25.1")
        receive_damaged(app, damage, uid="2.25.2")
        assert export_patient(app, "P1", "", to=tmp_path / "export").damaged == (2,)
        with pytest.raises(PatientNotFoundError, match=r"nothing is on file .* receipt 2 are damaged"):
            export_patient(app, "P2", "", to=tmp_path / "other")
        with app.database.write() as connection:
            damage_content(connection, 1, damage)
        with pytest.raises(DamagedContentError, match="receipt 1 "):
            export_patient(app, "P1", "", to=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_index_does_nothing_to_the_terminal_that_shows_it(folder: Path, tmp_path: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", PatientID="P1", PatientName="Anna\x1b[2JB"), "2.25.1")
        export_patient(app, "P1", "", to=tmp_path / "export")
    assert r"Anna\x1b[2JB" in (tmp_path / "export" / INDEX).read_text()
