"""One scan cannot be two patients': both exams wait, each naming the other, until the wrong one is withdrawn."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from pipeline.edge.app import App, open_app
from pipeline.edge.store import held_work, patient_merges, patients, shared_scans
from tests.factories.answered_exams import (
    addenda,
    follow_all,
    held,
    in_both_databases,
    latest_readback,
    lsc,
    receive,
    undo,
    withdraw,
)
from tests.factories.answered_exams import l1_l4 as without_acquisition
from tests.factories.instances import NOW
from tests.factories.reports import region, report, spine


def l1_l4(bmd: str, *, date: str = "20240101", time: str = "101112", **header: str) -> Dataset:
    """A report that tells when its scan was acquired."""
    return without_acquisition(bmd, date=date, AcquisitionDateTime=f"{date}{time}", **header)


def same_scan_twice(app: App, **other: str) -> None:
    """A patient with a prior, whose second exam is also sent under another patient's id."""
    receive(app, l1_l4("0.950", date="20220101", PatientID="RIGHT"), "2.25.1")
    receive(app, l1_l4("0.912", study="2.25.11", PatientID="RIGHT"), "2.25.2")
    follow_all(app)
    told = {"PatientID": "WRONG"} | other
    receive(app, l1_l4("0.912", study="2.25.12", **told), "2.25.3")
    follow_all(app)


@in_both_databases
def test_one_scan_under_two_patients_is_held_with_both_exams_and_their_senders(folder: Path) -> None:
    with open_app(folder) as app:
        same_scan_twice(app)
        with app.database.read() as connection:
            details = {one.number: (one.reason, one.detail) for one in held_work.held(connection)}
        mine, theirs = "E2 (receipt 2 from SCANNER1)", "E3 (receipt 3 from SCANNER1)"
        ending = "withdraw the wrong one"
        assert details == {
            "E2": ("same_scan", f"one scan under two patients: {mine} and {theirs}; {ending}"),
            "E3": ("same_scan", f"one scan under two patients: {theirs} and {mine}; {ending}"),
        }
        assert addenda(app) == [1, 1, 0]


@in_both_databases
def test_the_right_exam_goes_on_once_the_wrong_one_is_withdrawn_and_is_held_again_once_it_is_not(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        same_scan_twice(app)
        withdraw(app, 3)
        assert held(app) == []
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)
        assert addenda(app) == [1, 1, 0]
        undo(app, 3)
        assert sorted(held(app)) == [("E2", "same_scan"), ("E3", "same_scan")]


def test_it_is_seen_between_any_two_reports_of_the_exams(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.940", study="2.25.11", PatientID="RIGHT", time="100000"), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.12", PatientID="WRONG"), "2.25.2")
        hips = l1_l4("0.912", study="2.25.13", PatientID="RIGHT")
        receive(app, hips, "2.25.3")
        assert sorted(held(app)) == [("E2", "same_scan"), ("E3", "same_scan")]


def test_an_exam_of_history_under_the_wrong_patient_is_seen_too(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", study="2.25.12", PatientID="WRONG"), "2.25.1", historical=True)
        receive(app, l1_l4("0.912", study="2.25.11", PatientID="RIGHT"), "2.25.2")
        assert [reason for _, reason in held(app)] == ["same_scan", "same_scan"]


@pytest.mark.parametrize(
    "other",
    [
        {"time": "101113"},
        {"date": "20240302"},
        {"DeviceSerialNumber": "DF+2"},
        {"PatientID": "RIGHT"},
        {"PatientID": "RIGHT", "IssuerOfPatientID": "HOSPITAL"},
    ],
    ids=["another second", "another day", "another scanner", "the same patient", "an issuer told by one of them"],
)
def test_what_is_not_one_scan_under_two_patients_is_not_held(folder: Path, other: dict[str, str]) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", study="2.25.11", PatientID="RIGHT"), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.12", **({"PatientID": "WRONG"} | other)), "2.25.2")
        assert held(app) == []


def test_another_density_at_the_same_second_is_another_scan(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", study="2.25.11", PatientID="RIGHT"), "2.25.1")
        receive(app, l1_l4("0.913", study="2.25.12", PatientID="WRONG"), "2.25.2")
        assert held(app) == []


@pytest.mark.parametrize(
    ("at", "regions", "is_one"),
    [("101112", 2, True), ("101112", 1, False), ("", 2, False)],
    ids=["two regions agree", "only one does", "no time is told"],
)
def test_where_a_report_tells_no_time_of_the_scan_two_regions_must_agree_at_the_second_of_the_study(
    folder: Path, at: str, regions: int, is_one: bool
) -> None:
    """A Study Time may be that of a worklist entry, which two patients can share."""
    told = [region("L1-L4", "0.912"), region("L2-L4", "0.931")][:regions]
    with open_app(folder) as app:
        for number, whose in enumerate(("RIGHT", "WRONG"), 1):
            sent = report(spine(*told), StudyInstanceUID=f"2.25.1{number}", PatientID=whose, StudyTime=at)
            receive(app, sent, f"2.25.{number}")
        assert [reason for _, reason in held(app)] == (["same_scan"] * 2 if is_one else [])


@in_both_databases
def test_two_ids_that_turn_out_to_be_one_patients_are_held_no_more(folder: Path) -> None:
    with open_app(folder) as app:
        same_scan_twice(app)
        with app.database.write() as connection:
            old, new = (patients.number_of(connection, name, "") for name in ("WRONG", "RIGHT"))
            patient_merges.merge(connection, old, new, at=NOW)
            shared_scans.release_settled(connection, at=NOW)
        assert held(app) == []
