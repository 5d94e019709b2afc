"""A patient is erased whole, or not at all; what others have on file stays as it was."""

import zlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from pipeline.clinical.model import Patient
from pipeline.edge.app import App, open_app
from pipeline.edge.history.query_retrieve import _record_query
from pipeline.edge.operations.patient_erasure import Erasure, PatientNotErasedError, erase_patient, look_at
from pipeline.edge.operations.patient_merge import unmerge
from pipeline.edge.operations.patient_selection import PatientNotFoundError
from pipeline.edge.store import audit_chain, audit_trail, held_work, receipt_contents, receipts
from pipeline.edge.store.audit_schema import audit
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.database import StoreError
from pipeline.edge.store.patient_rows import LINKS
from pipeline.edge.store.schema import delivery, receipt
from pipeline.edge.store.schema_base import State
from tests.factories.answered_exams import follow_all, held, in_both_databases, l1_l4, receive, run
from tests.factories.damaged_contents import damage_content, damages, receive_damaged
from tests.factories.instances import NOW, instance
from tests.factories.marked_patient import FORMER_ID, ID, OTHER_ID, everything, fill, finish, marks_in
from tests.factories.reports import encode

KEPT = {
    *("receipt", "receipt_content", "commitment_request", "phantom_scan", "phantom_value"),
    *("reprocessing_run", "audit", "audit_seal"),
}


def erase(app: App, patient_id: str = ID, reason: str = "request 7/2026") -> Erasure:
    return erase_patient(app, patient_id, "", reason, found=look_at(app, patient_id))


@in_both_databases
@damages
def test_a_patient_whose_bytes_are_damaged_is_erased_and_no_backup_misses_them(
    folder: Path, damage: bytes | None
) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", PatientID="P1"), "2.25.1")
        follow_all(app)
        of_nobody = receive_damaged(app, damage, uid="2.25.2")
        with app.database.write() as connection:
            damage_content(connection, 1, damage)
            connection.execute(update(receipt).where(receipt.c.id == of_nobody).values(state=State.HELD))
            connection.execute(update(delivery).values(state=State.DONE))
        done = erase(app, "P1")
        assert (done.receipts, done.exams, done.damaged) == (1, 1, (of_nobody,))
        with app.database.read() as connection:
            assert receipt_contents.data_set(connection, 1) == b""


def tables_with_marks(app: App) -> set[str]:
    return {name for name, rows in everything(app.database).items() if any(map(marks_in, rows))}


@in_both_databases
def test_nothing_of_an_erased_patient_is_left_in_any_table(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        before = everything(app.database)
        assert all(before[table.name] for table in LINKS if table.name != "audit_erasure"), "each has rows"
        assert tables_with_marks(app) >= {"receipt", "patient", "exam", "reading", "addendum", "audit", "set_aside"}
        done = erase(app, FORMER_ID)  # any of the merged ids will do
        assert (done.ids, done.receipts, done.exams) == (2, 7, 2)
        assert tables_with_marks(app) == set()
        after = everything(app.database)
        with app.database.read() as connection:
            assert audit_chain.verify(connection).broken_at is None
    others = {name: [row for row in rows if not marks_in(row)] for name, rows in before.items()}
    for name in ("patient", "exam", "reading", "addendum", "delivery", "provenance", "clinical_context"):
        assert {row.get("id", row.get("exam_id")) for row in after[name]} <= {1}, name
    assert [row for row in after["reading"] if row["exam_id"] == 1] == [
        row for row in others["reading"] if row["exam_id"] == 1
    ]
    assert len(after["receipt"]) == len(before["receipt"]), "what was received can still be counted"
    erased = sorted((row for row in after["receipt"] if row["reason"] == "erased"), key=lambda row: row["id"])
    assert [(row["id"], row["state"], row["size"] > 0) for row in erased] == [(n, "ignored", True) for n in range(2, 9)]
    contents = {row["receipt_id"]: zlib.decompress(row["content"]) for row in after["receipt_content"]}
    assert [number for number, data_set in sorted(contents.items()) if not data_set] == [*range(2, 9)], "bytes are gone"
    assert contents.keys() == {row["id"] for row in after["receipt"]}
    assert [row["bmd"] for row in after["phantom_value"]] == ["1.000"], "the chart of the scanner keeps its values"
    assert after["commitment_request"][0]["requested"] == '[["1.2", "2.25.3"]]'


def test_the_audit_trail_tells_who_erased_and_why_and_who_was_it_does_not(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        erase(app)
        with app.database.read() as connection:
            (entry,) = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.ERASED]
            emptied = connection.scalars(select(audit.c.id).where(audit.c.detail == "{}", audit.c.salt == "")).all()
    assert entry.actor
    assert entry.detail["reason"] == "request 7/2026"
    assert entry.detail["receipts"] == [2, 3, 4, 5, 6, 7, 8]
    assert set(emptied) == set(entry.detail["audit_entries"])


@in_both_databases
def test_an_entry_of_the_trail_cannot_be_emptied_without_an_erasure_that_tells_of_it(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        with pytest.raises(StoreError), app.database.write() as connection:
            connection.execute(text("UPDATE audit SET detail = '{}', salt = '' WHERE id = 3"))
        with app.database.write() as connection:  # by somebody who may write into the database
            connection.execute(text("INSERT INTO audit_erasure VALUES (3, 'x', 1)"))
            connection.execute(text("UPDATE audit SET detail = '{}', salt = '' WHERE id = 3"))
        with app.database.read() as connection:
            assert audit_chain.verify(connection).broken_at == 3
        with pytest.raises(StoreError), app.database.write() as connection:
            connection.execute(text("DELETE FROM audit_erasure"))


def test_a_forged_erasure_with_the_right_digest_is_seen_as_no_entry_tells_of_it(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        with app.database.write() as connection:
            row = connection.execute(select(audit).where(audit.c.id == 3)).one()
            digest = audit_chain._detail_digest(row)
            connection.execute(text(f"INSERT INTO audit_erasure VALUES (3, '{digest}', 1)"))
            connection.execute(text("UPDATE audit SET detail = '{}', salt = '' WHERE id = 3"))
        with app.database.read() as connection:
            assert audit_chain.verify(connection).broken_at == 3


def test_a_detail_that_somebody_writes_where_one_was_erased_is_seen(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        erase(app)
        with app.database.write() as connection:  # by the owner of the database
            emptied = connection.scalars(select(audit.c.id).where(audit.c.salt == "").order_by(audit.c.id)).first()
            connection.execute(text("DROP TRIGGER audit_is_never_changed"))
            forged = update(audit).where(audit.c.id == emptied).values(detail='{"overall": "loss"}')
            connection.execute(forged)
        with app.database.read() as connection:
            assert audit_chain.verify(connection).broken_at == emptied


def test_ids_that_are_separated_between_the_look_and_the_erasure_stop_it(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        found = look_at(app, ID)
        unmerge(app.database, Patient(patient_id=FORMER_ID), Patient(patient_id=ID))
        finish(app.database)
        before = everything(app.database)
        with pytest.raises(PatientNotErasedError, match="merged or separated meanwhile"):
            erase_patient(app, ID, "", "request 7/2026", found=found)
        assert everything(app.database) == before


def test_a_query_about_somebody_whose_id_contains_this_one_keeps_its_detail(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", study="2.25.10", PatientID="12"), "2.25.1")
        follow_all(app)
        archive = app.settings.service.dicom_destinations[0]
        for patient_id in ("12", "4123"):
            _record_query(app.database, archive, Patient(patient_id=patient_id), {"studies": 1}, by_hand=True)
        finish(app.database)
        erase(app, "12")
        with app.database.read() as connection:
            asked = [one.entry.detail for one in audit_trail.find(connection) if one.entry.event is Event.QUERIED]
    assert [bool(detail) for detail in asked] == [False, True]


def test_the_backups_of_upgrades_are_told_of_as_they_still_hold_the_patient(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        data = app.settings.service.store.folder
        assert data is not None
        (data / "backups").mkdir()
        (data / "backups" / "before-9.0.0-20260101T120000.sqlite3").touch()
        assert erase(app).copies == (data / "backups" / "before-9.0.0-20260101T120000.sqlite3",)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("receipt", "1 received and not read yet"),
        ("exam", "1 to be compared"),
        ("delivery", "to be delivered"),
        ("history_query", "asked of an archive"),
        ("commitment_request", "question whether its reports are kept"),
    ],
)
def test_a_patient_for_whom_work_is_under_way_is_not_erased(folder: Path, table: str, said: str) -> None:
    with open_app(folder) as app:
        fill(app)
        which = {"receipt": "id = 4", "exam": "id = 3"}.get(table, "id > 0")
        with app.database.write() as connection:
            connection.execute(text(f"UPDATE {table} SET state = 'waiting' WHERE {which}"))
        before = everything(app.database)
        with pytest.raises(PatientNotErasedError, match=said):
            erase(app)
        assert everything(app.database) == before


def test_work_that_begins_between_the_look_and_the_erasure_stops_it(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        found = look_at(app, ID)
        with app.database.write() as connection:
            sent = l1_l4("0.9", study="2.25.77706", PatientID=ID)
            receipts.store(connection, instance(encode(sent), uid="2.25.77720"), calling_ae_title="SCANNER1", at=NOW)
        with pytest.raises(PatientNotErasedError, match="received and not read yet"):
            erase_patient(app, ID, "", "request 7/2026", found=found)


def test_a_reason_that_names_the_patient_is_refused_as_it_is_kept(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        with pytest.raises(PatientNotErasedError, match="names the patient"):
            erase(app, reason=f"asked by {ID.lower()}, by letter")
        with pytest.raises(PatientNotErasedError, match="names the patient"):
            erase(app, reason=f"{ID}'s letter")


def test_an_unknown_id_and_one_of_several_issuers_are_told_apart(folder: Path) -> None:
    with open_app(folder) as app:
        for number, issuer in enumerate(("A", "B"), start=1):
            sent = l1_l4("0.9", study=f"2.25.{number}0", PatientID="P1", IssuerOfPatientID=issuer)
            receive(app, sent, f"2.25.{number}")
        follow_all(app)
        finish(app.database)
        with pytest.raises(PatientNotFoundError, match="nothing is on file"):
            look_at(app, "NOBODY")
        with pytest.raises(PatientNotFoundError, match="of several issuers: A, B"):
            look_at(app, "P1")
        erase_patient(app, "P1", "A", "request", found=look_at(app, "P1", "A"))
        assert [row["issuer"] for row in everything(app.database)["patient"]] == ["B"]


@in_both_databases
def test_an_erased_object_that_a_scanner_sends_again_is_held_and_a_person_may_let_it_in(folder: Path) -> None:
    again: dict[str, Any] = {"study": "2.25.77702", "PatientID": ID}
    with open_app(folder) as app:
        fill(app)
        erase(app)
        count = len(everything(app.database)["receipt"])
        receive(app, l1_l4("0.912", **again), "2.25.77712", historical=True)
        assert len(everything(app.database)["receipt"]) == count, "no import brings it back"
        assert tables_with_marks(app) == set()
        receive(app, l1_l4("0.912", **again), "2.25.77712")
        assert held(app) == [(str(count + 1), "erased")]
        receive(app, l1_l4("0.930", study="2.25.77708", PatientID=ID), "2.25.77730")  # a new scan begins afresh
        follow_all(app)
        exams = sorted(everything(app.database)["exam"], key=lambda row: row["id"])
        assert [(row["id"], row["state"]) for row in exams] == [(1, "done"), (4, "done")], "no number is given twice"
        finish(app.database)
        erase(app)  # the held one too
        assert tables_with_marks(app) == set()


def test_exams_of_others_that_were_held_because_of_the_patient_go_on(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", study="2.25.10", PatientID="P1"), "2.25.1")
        receive(app, l1_l4("0.955", study="2.25.10", PatientID="P2"), "2.25.2")
        follow_all(app)
        finish(app.database)
        assert {reason for _, reason in held(app)} == {"id_conflict"}
        erase(app, "P1")
        follow_all(app)
        assert held(app) == []
        assert run(app).held == 0


def test_an_erased_receipt_is_no_longer_held_and_its_commitment_is_denied(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        erase(app)
        with app.database.read() as connection:
            assert held_work.held(connection) == []
            assert connection.scalars(select(receipt.c.sop_instance_uid).where(receipt.c.id == 3)).one() == "erased 3"


def test_an_entry_about_two_patients_is_emptied_with_the_first_of_them(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        with app.database.write() as connection:
            both = Entry(event=Event.COMPARED, at=NOW, actor="dxatrend", exam=1, detail={"study": "2.25.77702"})
            audit_trail.record(connection, both)
        erase(app)
        assert tables_with_marks(app) == set()
        erase(app, OTHER_ID)
        with app.database.read() as connection:
            assert audit_chain.verify(connection).broken_at is None


def test_somebody_else_can_be_erased_and_the_marked_patient_stays(folder: Path) -> None:
    with open_app(folder) as app:
        fill(app)
        before = {name: [row for row in rows if marks_in(row)] for name, rows in everything(app.database).items()}
        assert erase(app, OTHER_ID).exams == 1
        after = everything(app.database)
    for name, rows in before.items():
        if name not in KEPT:
            assert [row for row in after[name] if marks_in(row)] == rows, name
