"""What becomes of what scanners really send: parts, repetitions, new analyses, phantoms, images, wrong patients."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGLossless
from sqlalchemy import select

from pipeline.clinical.model import Scanner
from pipeline.edge.app import App, open_app
from pipeline.edge.extract import extraction
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.store import (
    exams,
    held_work,
    phantom_scans,
    pixel_retention,
    readings,
    receipts,
    scanners,
    work_queue,
)
from pipeline.edge.store.phantom_scans import PhantomValues
from pipeline.edge.store.receipts import Instance, Receipt
from pipeline.edge.store.schema import exam, receipt
from pipeline.edge.store.schema_base import State
from pipeline.sr.dicom.unreadable import Reason
from pipeline.sr.extract.report import Report
from pipeline.sr.extract.result_locations import ResultLocation
from tests.factories.images import (
    COMPUTED_RADIOGRAPHY,
    SECONDARY_CAPTURE,
    apex,
    dxa_results,
    hologic_picture,
    picture,
    roi,
    scan,
)
from tests.factories.instances import NOW, instance
from tests.factories.rejection_notes import rejection_note
from tests.factories.reports import container, encode, region, report, spine, text

TABLE = [["Region", "BMD[g/cm&sup2;]"], ["L1", "0.873"], ["L2", "0.943"]]


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    """An app with the shipped dialects and an empty store of either kind."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/store.sqlite3" if sqlite else request.getfixturevalue("postgresql_url")
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "{url}"')
    with open_app(tmp_path) as app:
        yield app


def receive(app: App, sent: Dataset, uid: str = "2.25.1", *, syntax: str = ExplicitVRLittleEndian) -> int:
    """Receive and read one object; the number of its receipt."""
    sent.SOPInstanceUID = uid
    instance = Instance(
        sop_class_uid=str(sent.SOPClassUID),
        sop_instance_uid=uid,
        transfer_syntax_uid=syntax,
        data_set=encode(sent, syntax),
    )
    with app.database.write() as connection:
        number, _ = receipts.store(connection, instance, calling_ae_title="SCANNER1", at=NOW)
    while extract_waiting(app):
        pass
    return number


def settled(app: App, number: int) -> tuple[str, str | None]:
    """The state of a receipt, and why."""
    with app.database.read() as connection:
        row = connection.execute(select(receipt.c.state, receipt.c.reason).where(receipt.c.id == number)).one()
    return row.state, row.reason


def exams_on_file(app: App) -> list[exams.ExamOnFile]:
    with app.database.read() as connection:
        return exams.load(connection, sorted(connection.scalars(select(exam.c.id))))


def held_exams(app: App) -> dict[str, str]:
    with app.database.read() as connection:
        return {held.number: held.reason for held in held_work.held(connection)}


def bmds(app: App) -> dict[str, str]:
    """The BMDs of the only exam on file."""
    (on_file,) = exams_on_file(app)
    return {measured.region.key: str(measured.bmd) for measured in on_file.exam().measurements}


# What is sent under another name


def settled_as(app: App, sent: Dataset, **command: str) -> tuple[str, str | None]:
    """What becomes of an instance whose C-STORE request names these UIDs."""
    names = {"sop_class_uid": str(sent.SOPClassUID), "sop_instance_uid": str(sent.SOPInstanceUID)} | command
    kept = Instance(transfer_syntax_uid=ExplicitVRLittleEndian, data_set=encode(sent), **names)
    with app.database.write() as connection:
        number, _ = receipts.store(connection, kept, calling_ae_title="SCANNER1", at=NOW)
    while extract_waiting(app):
        pass
    return settled(app, number)


@pytest.mark.parametrize("command", [{"sop_instance_uid": "2.25.99"}, {"sop_class_uid": SECONDARY_CAPTURE}])
def test_an_instance_sent_under_another_uid_than_its_own_is_held(app: App, command: dict[str, str]) -> None:
    """A known one would else count a second time, as current exam and as its own prior."""
    receive(app, report(spine()), "2.25.1")
    sent = report(spine(), SOPInstanceUID="2.25.1" if "sop_instance_uid" in command else "2.25.2")
    assert settled_as(app, sent, **command) == (State.HELD, Reason.OTHER_UID)
    assert len(exams_on_file(app)) == 1


@pytest.mark.parametrize("sent", [picture(), rejection_note(["2.25.1"]), report(PatientID="PHANTOM")])
def test_so_is_whatever_else_would_be_ignored(app: App, sent: Dataset) -> None:
    assert settled_as(app, sent, sop_instance_uid="2.25.99") == (State.HELD, Reason.OTHER_UID)


def test_a_uid_is_the_same_whatever_pads_it(app: App) -> None:
    assert settled_as(app, report(spine(), SOPInstanceUID="2.25.1234"))[0] == State.DONE


# Exams from parts


def test_parts_hours_apart_are_one_exam_and_cumulative_ones_agree(app: App) -> None:
    femur = container("Left Femur", region("Neck", "0.702"))
    receive(app, report(spine()), "2.25.1")
    receive(app, report(spine(), femur), "2.25.2")
    receive(app, report(container("Right Femur", region("Neck", "0.710"))), "2.25.3")
    assert bmds(app) == {"L1-L4": "0.912", "femoral neck left": "0.702", "femoral neck right": "0.710"}


def test_a_scan_exported_again_changes_nothing(app: App) -> None:
    """Under a new UID, and written on another day."""
    receive(app, report(spine()), "2.25.1")
    (before,) = exams_on_file(app)
    again = receive(app, report(spine(), ContentDate="20250101"), "2.25.2")
    assert settled(app, again) == (State.IGNORED, readings.REPEATED)
    assert exams_on_file(app) == [before]


def hologic(bmd: str, analysed: str) -> Dataset:
    return report(
        container("Scan Information", text("Scan ID", "A1"), text("Analysis Date", analysed)),
        container("Data Set 1", text("Data Set Title", "Results Summary"), region("L1-L4", bmd)),
        root="BMD Rate of Change Report",
        Manufacturer="Hologic",
    )


def test_a_new_analysis_replaces_the_old_one_which_is_kept(app: App) -> None:
    first = receive(app, hologic("0.930", "2024-03-01 10:30"), "2.25.1")
    receive(app, hologic("0.912", "2024-03-02 09:00"), "2.25.2")
    assert bmds(app) == {"L1-L4": "0.912"}
    (on_file,) = exams_on_file(app)
    assert len(on_file.reports) == 2
    assert on_file.superseded() == {first: ("L1-L4",)}
    assert on_file.revision == 2


def test_an_old_analysis_exported_again_does_not_come_back(app: App) -> None:
    receive(app, hologic("0.930", "2024-03-01 10:30"), "2.25.1")
    receive(app, hologic("0.912", "2024-03-02 09:00"), "2.25.2")
    receive(app, hologic("0.930", "2024-03-01 10:30"), "2.25.3")
    assert bmds(app) == {"L1-L4": "0.912"}


def test_an_image_and_a_report_of_one_scan_agree(app: App) -> None:
    shot = picture(comments=dxa_results(scan("AP Spine", roi("L1-L4", "0.912"), roi("L2-L4", "0.934"))))
    receive(app, shot, "2.25.1")
    receive(app, report(spine()), "2.25.2")
    assert bmds(app) == {"L1-L4": "0.912", "L2-L4": "0.934"}
    (on_file,) = exams_on_file(app)
    assert [said.location for _, said in on_file.reports] == [
        ResultLocation.IMAGE_COMMENTS,
        ResultLocation.CONTENT_TREE,
    ]


class FailingReader:
    """The reading of a batch in which one report does to its reader what we hope none can."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure
        self._reads = extraction.read

    def __call__(self, app: App, received: Receipt) -> Report:
        if received.instance.sop_instance_uid == "2.25.2":
            raise self._failure
        return self._reads(app, received)


@pytest.mark.parametrize(
    "failure",
    [RecursionError(), MemoryError(), NotImplementedError("P1"), OSError("P1"), AssertionError("P1")],
    ids=repr,
)
def test_whatever_a_report_does_to_its_reader_it_alone_is_held(
    app: App, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "read", FailingReader(failure))
    for uid in ("2.25.1", "2.25.2", "2.25.3"):
        with app.database.write() as connection:
            content = encode(report(spine(), StudyInstanceUID=f"{uid}.9", PatientID=uid, SOPInstanceUID=uid))
            receipts.store(connection, instance(content, uid=uid), calling_ae_title="SCANNER1", at=NOW)
    assert extract_waiting(app) == 3
    assert [settled(app, number)[0] for number in (1, 2, 3)] == [State.DONE, State.HELD, State.DONE]
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
    assert (held.number, held.reason) == ("2", "unexpected")
    assert type(failure).__name__ in held.detail
    assert "P1" not in held.detail


# Whose exam is it?


def test_one_study_under_two_patients_holds_both_exams(app: App) -> None:
    receive(app, report(spine(), PatientID="P1"), "2.25.1")
    receive(app, report(spine(region("L2-L4", "0.934")), PatientID="P2"), "2.25.2")
    assert held_exams(app) == {"E1": "id_conflict", "E2": "id_conflict"}
    with app.database.read() as connection:
        details = {held.number: held.detail for held in held_work.held(connection)}
    assert details == {
        "E1": "the study is that of E2 (SCANNER1), PatientID (0010,0020) or its issuer is not",
        "E2": "the study is that of E1 (SCANNER1), PatientID (0010,0020) or its issuer is not",
    }


@pytest.mark.parametrize(("keyword", "value"), [("PatientBirthDate", "19500102"), ("PatientSex", "M")])
def test_a_patient_with_another_birth_date_or_sex_than_before_is_held(app: App, keyword: str, value: str) -> None:
    receive(app, report(spine()), "2.25.1")
    other: dict[str, Any] = {keyword: value, "StudyInstanceUID": "2.25.99"}
    receive(app, report(spine(), **other), "2.25.2")
    assert held_exams(app) == {"E2": "id_conflict"}


def test_results_of_another_patient_than_the_headers_are_held_before_they_are_anybodys(app: App) -> None:
    receive(app, hologic_picture(apex(TABLE, DOB="01/01/1950")), "2.25.1")
    number = receive(app, hologic_picture(apex(TABLE, DOB="12/31/1961")), "2.25.2")
    assert settled(app, number) == (State.HELD, "other_patient")
    (on_file,) = exams_on_file(app)
    assert len(on_file.reports) == 1
    assert held_exams(app)[str(number)] == "other_patient"


def test_one_wrong_birth_date_does_not_hold_what_comes_after_it(app: App) -> None:
    receive(app, report(spine()), "2.25.1")
    receive(app, report(spine(), PatientBirthDate="19500102", StudyInstanceUID="2.25.99"), "2.25.2")
    receive(app, report(spine(), StudyInstanceUID="2.25.98"), "2.25.3")
    assert held_exams(app) == {"E2": "id_conflict"}


@pytest.mark.parametrize("keyword", ["PatientBirthDate", "PatientSex"])
def test_what_a_report_does_not_tell_of_a_patient_contradicts_nothing(app: App, keyword: str) -> None:
    receive(app, report(spine()), "2.25.1")
    other: dict[str, Any] = {keyword: "", "StudyInstanceUID": "2.25.99"}
    receive(app, report(spine(), **other), "2.25.2")
    receive(app, report(spine(), StudyInstanceUID="2.25.98"), "2.25.3")
    assert held_exams(app) == {}


def test_what_a_person_has_released_is_not_held_again_by_itself(app: App) -> None:
    receive(app, report(spine(), PatientID="P1"), "2.25.1")
    receive(app, report(spine(region("L2-L4", "0.934")), PatientID="P2"), "2.25.2")
    with app.database.write() as connection:
        assert work_queue.release(connection, exam, 1, at=NOW)
    assert held_exams(app) == {"E2": "id_conflict"}


def test_a_part_without_issuer_belongs_to_the_patient_whose_issuer_another_part_tells(app: App) -> None:
    for order, (one, two) in enumerate([("HOSPITAL", ""), ("", "HOSPITAL")]):
        study: dict[str, Any] = {"StudyInstanceUID": f"2.25.9{order}"}
        receive(app, report(spine(), IssuerOfPatientID=one, **study), f"2.25.1{order}")
        receive(app, report(spine(region("L2-L4", "0.934")), IssuerOfPatientID=two, **study), f"2.25.2{order}")
    merged = [on_file.exam() for on_file in exams_on_file(app)]
    assert [found.patient.issuer for found in merged] == ["HOSPITAL", "HOSPITAL"]
    assert [len(found.measurements) for found in merged] == [2, 2]
    assert held_exams(app) == {}


def history_of(app: App, number: int) -> list[int]:
    with app.database.read() as connection:
        (on_file,) = exams.load(connection, [number])
        return [earlier.number for earlier in exams.history(connection, on_file.patient, but=number)]


@pytest.mark.parametrize(
    ("then", "now", "found"),
    [
        ({}, {}, True),
        ({}, {"IssuerOfPatientID": "HOSPITAL"}, True),
        ({"IssuerOfPatientID": "HOSPITAL"}, {}, True),
        ({"IssuerOfPatientID": "HOSPITAL"}, {"IssuerOfPatientID": "OTHER"}, False),
        ({"PatientBirthDate": ""}, {"IssuerOfPatientID": "HOSPITAL"}, False),
        ({}, {"PatientID": " P1 "}, True),
        ({}, {"PatientID": "P11"}, False),
    ],
)
def test_history_is_of_the_same_id_and_issuer_and_where_one_is_missing_of_the_same_birth_date(
    app: App, then: dict[str, Any], now: dict[str, Any], found: bool
) -> None:
    receive(app, report(spine(), StudyDate="20220301", StudyInstanceUID="2.25.98", **then), "2.25.1")
    receive(app, report(spine(), **now), "2.25.2")
    assert history_of(app, 2) == ([1] if found else [])


# Machines


def test_a_scanner_without_serial_number_is_listed_with_the_lines_that_would_identify_it(app: App) -> None:
    for uid, station in (("2.25.1", 'LUNAR"1'), ("2.25.2", "LUNAR2"), ("2.25.3", "LUNAR2")):
        sent = report(spine(), DeviceSerialNumber=None, StationName=station, StudyInstanceUID=f"{uid}.9")
        receive(app, sent, uid)
    receive(app, report(spine(), StudyInstanceUID="2.25.97"), "2.25.4")
    with app.database.read() as connection:
        found = {one.station_name: one for one in scanners.not_identified(connection)}
    assert found.keys() == {'LUNAR"1', "LUNAR2"}
    assert found["LUNAR2"].scanner == Scanner("GE Healthcare", "Lunar Prodigy", "")
    assert found["LUNAR2"].last_seen_at == NOW
    assert found['LUNAR"1'].lines == (
        "[[scanner]]",
        'manufacturer = "GE Healthcare"',
        'model = "Lunar Prodigy"',
        'serial_number = ""',
        "[[scanner.alias]]",
        'station_name = "LUNAR\\"1"',
    )


def test_a_phantom_goes_to_its_own_table_and_makes_no_exam(app: App) -> None:
    number = receive(app, report(spine(region("L1-L4", "1.177")), PatientID="SPINE PHANTOM"))
    nameless = receive(app, report(spine(region("Block", "1.2")), PatientID="PHANTOM", StudyDate="20240302"), "2.25.2")
    assert settled(app, number) == settled(app, nameless) == (State.IGNORED, "phantom")
    assert exams_on_file(app) == []
    with app.database.read() as connection:
        first, second = phantom_scans.of_scanner(connection, 1)
        assert scanners.of_number(connection, 1) == Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")
    assert first.values == {"L1-L4": PhantomValues(bmd=Decimal("1.177"))}
    assert (first.patient_id, first.is_of([])) == ("SPINE PHANTOM", "")
    assert second.values == {}


def test_a_scanner_that_nothing_distinguishes_from_others_cannot_be_given_a_name(app: App) -> None:
    receive(app, report(spine(), DeviceSerialNumber=None, StationName="", InstitutionName=""), "2.25.1")
    with app.database.read() as connection:
        (found,) = scanners.not_identified(connection)
    (line,) = found.lines
    assert line.startswith("# GE Healthcare Lunar Prodigy")


# Pictures


def test_an_image_without_results_is_ignored_and_an_unknown_one_held(app: App) -> None:
    assert settled(app, receive(app, picture(), "2.25.1")) == (State.IGNORED, "picture")
    assert settled(app, receive(app, picture(Manufacturer="ACME"), "2.25.2")) == (State.HELD, "not_a_report")


@pytest.mark.parametrize("sop_class", [SECONDARY_CAPTURE, COMPUTED_RADIOGRAPHY])
def test_the_pixels_of_an_image_are_dropped_after_a_while_and_its_results_stay(app: App, sop_class: str) -> None:
    shot = picture(comments=dxa_results(scan("AP Spine", roi("L1-L4", "0.912"))), SOPClassUID=sop_class)
    number = receive(app, shot, syntax=JPEGLossless)
    whole = report(spine(region("L2-L4", "0.934")))
    structured = receive(app, whole, "2.25.2")
    with app.database.write() as connection:
        assert pixel_retention.drop_pixel_data(connection, received_before=NOW) == 0
        assert pixel_retention.drop_pixel_data(connection, received_before=NOW + timedelta(seconds=1)) == 1
        assert pixel_retention.drop_pixel_data(connection, received_before=NOW + timedelta(seconds=1)) == 0
        kept, untouched = receipts.load(connection, [number, structured])
    assert kept.instance.data_set == encode(shot, JPEGLossless).partition(b"\xe0\x7f\x10\x00")[0]
    assert untouched.instance.data_set == encode(whole)
    assert bmds(app) == {"L1-L4": "0.912", "L2-L4": "0.934"}


def test_an_image_sent_again_is_known_when_its_pixels_are_gone(app: App) -> None:
    shot = picture(comments=dxa_results(scan("AP Spine", roi("L1-L4", "0.912"))))
    number = receive(app, shot)
    with app.database.write() as connection:
        pixel_retention.drop_pixel_data(connection, received_before=NOW + timedelta(seconds=1))
    assert receive(app, shot) == number


def test_what_is_held_keeps_its_pixels(app: App) -> None:
    number = receive(app, picture(Manufacturer="ACME"))
    with app.database.write() as connection:
        assert pixel_retention.drop_pixel_data(connection, received_before=NOW + timedelta(days=1)) == 0
        (kept,) = receipts.load(connection, [number])
    assert kept.instance.data_set.endswith(b"\1\2")
