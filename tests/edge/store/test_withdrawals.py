"""What was taken back, by hand or by a rejection note, takes part in nothing, and says so, until it is brought back."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from pipeline.edge.app import App, open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.reprocess.differences import differences
from pipeline.edge.store import audit_trail, receipts, work_queue
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.edge.store.schema import exam as exam_table
from pipeline.edge.store.schema import receipt as receipt_table
from tests.factories.answered_exams import (
    LONG_AGO,
    addenda,
    follow_all,
    held,
    in_both_databases,
    l1_l4,
    latest,
    latest_readback,
    lsc,
    reason_of,
    receive,
    run,
    sentences,
    undo,
    withdraw,
)
from tests.factories.instances import NOW
from tests.factories.rejection_notes import OF_INTEREST, PATIENT_SAFETY, QUALITY, RETENTION, WORKLIST, rejection_note
from tests.factories.reports import container, encode, region, report


def reject(app: App, note: Dataset) -> int:
    """Let the listener's part of the store take a rejection note, and the worker read it; the receipt's number."""
    sent = Instance(
        sop_class_uid=KeyObjectSelectionDocumentStorage,
        sop_instance_uid=str(note.SOPInstanceUID),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        data_set=encode(note),
    )
    with app.database.write() as connection:
        number, _ = receipts.store(connection, sent, calling_ae_title="ARCHIVE", host="192.0.2.9", at=LONG_AGO)
    while extract_waiting(app):
        pass
    follow_all(app)
    return number


def hip_too(app: App) -> None:
    """A second report of the exam of 2024: its spine is in receipt 2, its hip in the one after."""
    hip = report(container("Left Femur", region("Total", "0.800")), StudyInstanceUID="2.25.11", StudyDate="20240101")
    receive(app, hip, "2.25.22")


@in_both_databases
def test_a_withdrawn_exam_is_no_prior_any_more_and_its_addendum_says_that_it_is_withdrawn(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        run(app)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)
        before = latest(app, 1)
        assert withdraw(app, 1)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("NO_PRIOR",)
        addendum = latest(app, 1)
        (predecessor,) = addendum.PredecessorDocumentsSequence
        replaced = predecessor.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
        assert replaced.ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert latest_readback(app, 1).overall == "WITHDRAWN"
        assert latest_readback(app, 1).regions == {}
        assert "This exam was withdrawn: scanned under a wrong name." in sentences(app, 1)
        assert run(app) == ExamCounts(examined=2), "nothing was left for the night"


@in_both_databases
def test_a_withdrawal_that_is_undone_leaves_everything_as_it_was(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        before = latest_readback(app, 1), latest_readback(app, 2)
        withdraw(app, 1)
        assert undo(app, 1)
        assert (latest_readback(app, 1), latest_readback(app, 2)) == before
        assert run(app) == ExamCounts(examined=3)


def test_an_exam_is_withdrawn_once_and_brought_back_once(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        assert not undo(app, 1)
        assert withdraw(app, 1)
        assert not withdraw(app, 1)
        assert undo(app, 1)
        assert not undo(app, 1)


def test_a_withdrawn_exam_that_never_had_an_addendum_gets_none(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", PatientID="WRONG"), "2.25.1")
        receive(app, l1_l4("0.950", PatientID="RIGHT"), "2.25.2")
        assert held(app) == [("E1", "id_conflict"), ("E2", "id_conflict")]
        withdraw(app, 1)
        assert addenda(app)[:2] == [0, 1]


@in_both_databases
def test_what_was_held_because_of_an_exam_goes_on_when_that_is_withdrawn_and_is_held_again_when_it_is_not(
    folder: Path,
) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", PatientID="WRONG"), "2.25.1")
        receive(app, l1_l4("0.950", PatientID="RIGHT"), "2.25.2")
        withdraw(app, 1)
        assert held(app) == []
        undo(app, 1)
        assert sorted(held(app)) == [("E1", "id_conflict"), ("E2", "id_conflict")]


def test_an_exam_with_another_birth_date_counts_once_the_wrong_one_is_withdrawn(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", date="20220101", PatientBirthDate="19400101"), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        assert held(app) == [("E2", "id_conflict")]
        withdraw(app, 1)
        assert held(app) == []
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("NO_PRIOR",)


def test_a_report_that_comes_later_does_not_bring_a_withdrawn_exam_back(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        withdraw(app, 2)
        hip_too(app)
        follow_all(app)
        assert latest_readback(app, 2).overall == "WITHDRAWN"


def test_the_exam_is_withdrawn_even_where_its_reports_have_come_to_contradict_each_other(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        receive(app, l1_l4("0.700", study="2.25.11", date="20240101"), "2.25.23")
        follow_all(app)
        assert held(app) == [("E2", "contradictory")]
        withdraw(app, 2)
        assert held(app) == []
        assert latest_readback(app, 2).overall == "WITHDRAWN"


def test_a_withdrawn_exam_that_waited_for_a_person_is_not_told_as_an_exam_that_does(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        with app.database.write() as connection:
            work_queue.hold(connection, exam_table, 1, reason="contradictory", detail="-")
        receive(app, l1_l4("0.900", study="2.25.15", date="20250101"), "2.25.24")
        follow_all(app)
        assert "EARLIER_HELD" in latest_readback(app, 4).flags
        withdraw(app, 1)
        assert "EARLIER_HELD" not in latest_readback(app, 4).flags


def test_history_that_is_withdrawn_is_no_prior_either(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", date="20220101"), "2.25.1", historical=True)
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("NO_LSC",)
        withdraw(app, 1)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("NO_PRIOR",)


def test_a_dry_run_has_nothing_to_say_of_a_withdrawn_exam(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        withdraw(app, 1)
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        assert list(differences(app, Scope())) == []


@in_both_databases
@pytest.mark.parametrize("title", [QUALITY, PATIENT_SAFETY, WORKLIST], ids=lambda title: str(title[0]))
def test_a_rejection_note_withdraws_the_exam_whose_report_it_names(
    two_exams: Path, title: tuple[str, str, str]
) -> None:
    with open_app(two_exams) as app:
        number = reject(app, rejection_note(["2.25.1"], title=title))
        assert reason_of(app, number) == ("ignored", "rejection_note")
        assert latest_readback(app, 1).overall == "WITHDRAWN"
        assert f"withdrawn: {title[2]} ({title[0]}, DCM)" in sentences(app, 1)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("NO_PRIOR",)
        with app.database.read() as connection:
            (told,) = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.WITHDRAWN]
        assert (told.actor, told.receipt, told.exam) == ("ARCHIVE", number, 1)


@in_both_databases
def test_of_an_exam_only_the_rejected_report_is_taken_out(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        hip_too(app)
        follow_all(app)
        assert set(latest_readback(app, 2).regions) == {"L1-L4", "total hip left"}
        reject(app, rejection_note(["2.25.2"]))
        assert set(latest_readback(app, 2).regions) == {"total hip left"}
        assert latest_readback(app, 2).overall != "WITHDRAWN"
        assert run(app) == ExamCounts(examined=3)
        assert undo(app, 2)
        assert set(latest_readback(app, 2).regions) == {"L1-L4", "total hip left"}


@in_both_databases
def test_a_corrected_report_sent_after_the_rejection_counts_though_it_measured_the_same(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        reject(app, rejection_note(["2.25.2"]))
        assert latest_readback(app, 2).overall == "WITHDRAWN"
        corrected = l1_l4("0.912", study="2.25.11", date="20240101", AccessionNumber="RIGHT")
        receive(app, corrected, "2.25.21")
        follow_all(app)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("NO_LSC",)
        assert latest(app, 2).AccessionNumber == "RIGHT"


@in_both_databases
def test_a_report_that_was_rejected_before_it_came_does_not_count(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        number = reject(app, rejection_note(["2.25.30"]))
        assert reason_of(app, number) == ("ignored", "rejection_note")
        receive(app, l1_l4("0.800", study="2.25.16", date="20230101"), "2.25.30")
        follow_all(app)
        assert addenda(app)[:2] == [1, 1]
        assert latest_readback(app, 2).regions["L1-L4"]["DIFF"] == ("-0.038",), "it is compared with 2022"


def test_the_end_of_a_retention_period_makes_no_measurement_untrue(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        number = reject(app, rejection_note(["2.25.1"], title=RETENTION))
        assert reason_of(app, number) == ("ignored", "retention_expired")
        assert latest_readback(app, 2).regions["L1-L4"]["DIFF"] == ("-0.038",)
        assert addenda(app)[:2] == [1, 1]


def test_key_objects_that_reject_nothing_are_put_aside(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        number = reject(app, rejection_note(["2.25.1"], title=OF_INTEREST))
        assert reason_of(app, number) == ("ignored", "key_objects")
        assert latest_readback(app, 1).overall != "WITHDRAWN"


def test_a_rejection_note_that_names_nothing_is_held(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        reject(app, rejection_note([]))
        assert held(app) == [("4", "names_nothing")]


def test_a_rejected_report_that_waited_for_a_person_waits_no_more(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, report(root="Thyroid Report"), "2.25.1")
        assert [reason for _, reason in held(app)] == ["unknown_dialect"]
        reject(app, rejection_note(["2.25.1"]))
        assert held(app) == []


def test_a_caller_that_is_bound_to_its_machines_rejects_nothing_of_another_one(two_exams: Path) -> None:
    service = (two_exams / "service.toml").read_text()
    bound = '[listener]\n[[listener.caller]]\nae_title = "ARCHIVE"\nserial_numbers = ["DF+2"]\n'
    (two_exams / "service.toml").write_text(service + bound)
    with open_app(two_exams) as app:
        reject(app, rejection_note(["2.25.1"]))
        assert [reason for _, reason in held(app)] == ["other_caller"]
        assert latest_readback(app, 1).overall != "WITHDRAWN"


SCANNERS_AND_AN_ARCHIVE = """
    [listener]
    [[listener.caller]]
    ae_title = "SCANNER1"
    [[listener.caller]]
    ae_title = "SCANNER2"
    [[listener.caller]]
    ae_title = "BOUND"
    serial_numbers = ["DF+2"]
    [[listener.caller]]
    ae_title = "ARCHIVE"
    """


def send(app: App, sent: Dataset, caller: str) -> int:
    """Let the listener's part of the store take an object of a caller, and the worker read it; its receipt's number."""
    kept = Instance(
        sop_class_uid=str(sent.SOPClassUID),
        sop_instance_uid=str(sent.SOPInstanceUID),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        data_set=encode(sent),
    )
    with app.database.write() as connection:
        number, _ = receipts.store(connection, kept, calling_ae_title=caller, host="192.0.2.9", at=LONG_AGO)
    while extract_waiting(app):
        pass
    follow_all(app)
    return number


def of_scanner(number: int, **header: str) -> Dataset:
    """A report of one of two scanners."""
    uids = {"SOPInstanceUID": f"2.25.7{number}", "study": f"2.25.8{number}"}
    machine = {"DeviceSerialNumber": f"DF+{number}", "PatientID": f"P{number}"}
    return l1_l4("0.912", **(uids | machine | header))


@pytest.fixture
def scanners(folder: Path) -> Path:
    service = folder / "service.toml"
    service.write_text(service.read_text() + SCANNERS_AND_AN_ARCHIVE)
    return folder


@pytest.mark.parametrize(
    ("caller", "withdrawn"), [("SCANNER1", True), ("ARCHIVE", True), ("SCANNER2", False), ("BOUND", False)]
)
def test_who_sends_scanners_reports_rejects_those_of_its_own_and_an_archive_any(
    scanners: Path, caller: str, withdrawn: bool
) -> None:
    with open_app(scanners) as app:
        send(app, of_scanner(1), "SCANNER1")
        send(app, of_scanner(2), "SCANNER2")
        note = send(app, rejection_note(["2.25.71"]), caller)
        assert (latest_readback(app, 1).overall == "WITHDRAWN") is withdrawn
        assert held(app) == ([] if withdrawn else [(str(note), "other_caller")])


def test_a_scanners_note_on_another_ones_report_is_followed_once_somebody_has_released_it(scanners: Path) -> None:
    with open_app(scanners) as app:
        send(app, of_scanner(1), "SCANNER1")
        send(app, of_scanner(2), "SCANNER2")
        note = send(app, rejection_note(["2.25.71"]), "SCANNER2")
        with app.database.write() as connection:
            work_queue.release(connection, receipt_table, note, at=NOW)
        while extract_waiting(app):
            pass
        follow_all(app)
        assert held(app) == []
        assert latest_readback(app, 1).overall == "WITHDRAWN"


@pytest.mark.parametrize("caller", ["SCANNER2", "BOUND"])
def test_no_scanner_rejects_another_ones_report_before_it_comes(scanners: Path, caller: str) -> None:
    with open_app(scanners) as app:
        send(app, of_scanner(1, study="2.25.80", SOPInstanceUID="2.25.70"), "SCANNER1")
        send(app, of_scanner(2), "SCANNER2")
        send(app, rejection_note(["2.25.71"]), caller)
        send(app, of_scanner(1, date="20250301"), "SCANNER1")
        assert latest_readback(app, 3).overall != "WITHDRAWN"


@pytest.mark.parametrize(("caller", "reason"), [("BOUND", "unknown_dialect"), ("SCANNER1", "rejected")])
def test_no_scanner_puts_aside_what_another_one_has_sent_and_waits_for_a_person(
    scanners: Path, caller: str, reason: str
) -> None:
    with open_app(scanners) as app:
        send(app, of_scanner(1, study="2.25.80", SOPInstanceUID="2.25.70"), "SCANNER1")
        waits = report(root="Thyroid Report")
        waits.SOPInstanceUID = "2.25.71"
        number = send(app, waits, "SCANNER1")
        send(app, rejection_note(["2.25.71"]), caller)
        assert reason_of(app, number)[1] == reason
