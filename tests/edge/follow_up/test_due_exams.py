"""An exam that is due ends in the outbox, unchanged, or held; never in between, and never twice."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import delete, update

from pipeline.edge.app import App, open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import AHEAD, claim_due, drain, follow_up
from pipeline.edge.store import exams, held_work, outbox, receipts, work_queue
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.schema import exam, reading
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.reader import read_elements
from tests.factories.instances import instance, lose_the_worker
from tests.factories.reports import container, encode, num, region, report, spine, text

LONG_AGO = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An app with one destination and no waiting."""
    (tmp_path / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{tmp_path}/store.sqlite3"
        [exam]
        late_days = 36500
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = 104
        """)
    with open_app(tmp_path) as app:
        yield app


def _receive(app: App, sent: Dataset, uid: str) -> None:
    sent.SOPInstanceUID = uid
    with app.database.write() as connection:
        receipts.store(connection, instance(encode(sent), uid=uid), calling_ae_title="SCANNER1", at=LONG_AGO)
    while extract_waiting(app):
        pass


def _l1_l4(bmd: str, *, study: str = "2.25.10", date: str = "20240101", **header: str) -> Dataset:
    return report(spine(region("L1-L4", bmd)), StudyInstanceUID=study, StudyDate=date, **header)


def _follow_up(app: App) -> ExamCounts:
    return follow_up(app, claim_due(app.database, 50))


def test_an_exam_is_issued_once_and_unchanged_afterwards(app: App) -> None:
    _receive(app, _l1_l4("0.912"), "2.25.1")
    assert _follow_up(app) == ExamCounts(issued=1)
    assert claim_due(app.database, 50) == []
    _receive(app, _l1_l4("0.912"), "2.25.2")
    second = _follow_up(app)
    assert second.held == 0
    with app.database.read() as connection:
        assert len(outbox.addenda(connection, 1)) == 1 + second.issued


def test_following_up_twice_what_was_claimed_once_issues_nothing_more(app: App) -> None:
    """Where Prefect fails in the middle, the same exams are carried again without it."""
    _receive(app, _l1_l4("0.912"), "2.25.1")
    numbers = claim_due(app.database, 50)
    assert follow_up(app, numbers) == ExamCounts(issued=1)
    assert follow_up(app, numbers) == ExamCounts(unchanged=1)


def test_a_prior_is_found_in_the_store(app: App) -> None:
    _receive(app, _l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
    _receive(app, _l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
    assert _follow_up(app) == ExamCounts(issued=2)
    with app.database.read() as connection:
        latest = outbox.latest(connection, 2)
    assert latest is not None
    said = read_back(read_tree(read_elements(latest.data_set, ExplicitVRLittleEndian)))
    assert said.regions["L1-L4"]["RESULT"] == ("NO_LSC",)
    assert said.regions["L1-L4"]["DIFF"] == ("-0.038",)


def test_an_exam_whose_reports_contradict_each_other_is_held_with_both_values(app: App) -> None:
    _receive(app, _l1_l4("0.912"), "2.25.1")
    _receive(app, _l1_l4("0.913"), "2.25.2")
    assert _follow_up(app) == ExamCounts(held=1)
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
        assert outbox.latest(connection, 1) is None
    assert (held.number, held.reason) == ("E1", "contradictory")
    assert "0.912" in held.detail
    assert "0.913" in held.detail


def _latest(app: App, number: int) -> ReadBack:
    with app.database.read() as connection:
        addendum = outbox.latest(connection, number)
    assert addendum is not None
    return read_back(read_tree(read_elements(addendum.data_set, ExplicitVRLittleEndian)))


def test_an_earlier_exam_that_is_held_is_mentioned_and_compared_once_it_is_resolved(app: App) -> None:
    """Else a radiologist would read "no earlier exam" of a patient who has one."""
    _receive(app, _l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
    _receive(app, _l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
    assert _follow_up(app) == ExamCounts(issued=2)
    assert _latest(app, 2).regions["L1-L4"]["DIFF"] == ("-0.038",)
    _receive(app, _l1_l4("0.960", study="2.25.10", date="20220101"), "2.25.3")
    assert _follow_up(app) == ExamCounts(issued=1, held=1)
    said = _latest(app, 2)
    assert "DIFF" not in said.regions["L1-L4"]
    assert "EARLIER_HELD" in said.flags
    with app.database.write() as connection:
        connection.execute(delete(reading).where(reading.c.receipt_id == 1))  # a person has chosen the other report
        assert work_queue.release(connection, exam, 1, at=LONG_AGO)
        assert exams.reexamine_later_exams(connection, 1, at=LONG_AGO) == 1
    assert _follow_up(app) == ExamCounts(issued=2)
    assert _latest(app, 2).regions["L1-L4"]["DIFF"] == ("-0.048",)


def test_an_earlier_exam_that_comes_late_makes_the_later_one_due_again(app: App) -> None:
    _receive(app, _l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
    assert _follow_up(app) == ExamCounts(issued=1)
    _receive(app, _l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
    assert _follow_up(app) == ExamCounts(issued=2)
    assert _latest(app, 1).regions["L1-L4"]["DIFF"] == ("-0.038",)


def test_an_exam_held_for_an_identity_conflict_makes_the_later_ones_due_again(app: App) -> None:
    _receive(app, _l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
    _receive(app, _l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
    assert _follow_up(app) == ExamCounts(issued=2)
    _receive(app, _l1_l4("0.950", study="2.25.10", date="20220101", PatientID="OTHER"), "2.25.3")
    assert _follow_up(app) == ExamCounts(issued=1)
    assert "EARLIER_HELD" in _latest(app, 2).flags


def _against(population: str, t_score: str) -> Dataset:
    return region("L1-L4", "0.912", text("Reference Population", population), text("BMD_TSCORE", t_score))


MEN, WOMEN = _against("US men, Lunar", "-2.6"), _against("US women, Lunar", "-2.2")


@pytest.mark.parametrize(
    "parts", [[[MEN, WOMEN]], [[WOMEN, MEN]], [[MEN], [WOMEN]], [[WOMEN], [MEN]]], ids=["one", "one", "two", "two"]
)
def test_a_mans_scores_against_women_are_the_ones_that_count(app: App, parts: list[list[Dataset]]) -> None:
    """R4.5: scanners tell both, in one report or in two, in any order."""
    for number, scans in enumerate(parts):
        _receive(app, report(*(spine(one) for one in scans), PatientSex="M"), f"2.25.{number}")
    assert _follow_up(app) == ExamCounts(issued=1)
    said = _latest(app, 1)
    assert said.regions["L1-L4"]["T_SCORE"] == ("-2.2",)
    assert said.regions["L1-L4"]["BMD"] == ("0.912",)
    assert "MALE_REFERENCE" not in said.flags


def test_a_mans_scores_against_men_alone_are_reported_as_such(app: App) -> None:
    _receive(app, report(spine(MEN), PatientSex="M"), "2.25.1")
    assert _follow_up(app) == ExamCounts(issued=1)
    assert "MALE_REFERENCE" in _latest(app, 1).flags


def test_a_change_that_the_scanner_reports_otherwise_stands_beside_ours(app: App) -> None:
    _receive(app, _l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
    printed = container("PCHANGE_VS_PREVIOUS", num("BMD", "-2.1", ("%", "UCUM", "%")))
    trend = container(
        "Trend L1-L4",
        container("01-Jan-2024", num("BMD", "0.912"), printed),
        container("01-Jan-2022", num("BMD", "0.950")),
        container("01-Jan-2020", num("BMD", "0.960")),
    )
    now = report(spine(region("L1-L4", "0.912"), trend), StudyInstanceUID="2.25.11", StudyDate="20240101")
    _receive(app, now, "2.25.2")
    assert _follow_up(app) == ExamCounts(issued=2)
    said = _latest(app, 2)
    assert {"VENDOR_DISAGREES", "NOT_ON_FILE"} <= set(said.flags)
    assert said.regions["L1-L4"]["DIFF"] == ("-0.038",)


def test_an_exam_that_ends_its_worker_three_times_is_held_and_no_other_with_it(app: App) -> None:
    """After the first time each exam of the batch is suspected, and claimed alone."""
    _receive(app, _l1_l4("0.912", study="2.25.10"), "2.25.1")
    _receive(app, _l1_l4("0.912", study="2.25.11", PatientID="P2"), "2.25.2")
    assert claim_due(app.database, 50) == [1, 2]
    for _ in range(2):
        with app.database.write() as connection:
            lose_the_worker(connection, exam)
        assert claim_due(app.database, 50) == [1], "alone"
    with app.database.write() as connection:
        lose_the_worker(connection, exam)
    assert _follow_up(app) == ExamCounts(held=1)
    assert _follow_up(app) == ExamCounts(issued=1)
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
    assert (held.number, held.reason) == ("E1", "worker_lost")


def test_an_exam_whose_work_was_given_back_is_not_suspected(app: App) -> None:
    """The database was away, or Prefect failed: nobody died of it."""
    _receive(app, _l1_l4("0.912"), "2.25.1")
    for _ in range(5):
        assert claim_due(app.database, 50) == [1]
        with app.database.write() as connection:
            work_queue.requeue(connection, exam)
    assert _follow_up(app) == ExamCounts(issued=1)


def test_an_error_in_one_exam_does_not_keep_the_others_from_the_outbox(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    _receive(app, _l1_l4("0.912", study="2.25.10", PatientID="ONE"), "2.25.1")
    _receive(app, _l1_l4("0.912", study="2.25.11", PatientID="TWO"), "2.25.2")
    history = exams.history

    def surprised(connection, who, **kwargs):
        if who.patient_id == "ONE":
            raise RuntimeError("ONE")
        return history(connection, who, **kwargs)

    monkeypatch.setattr(exams, "history", surprised)
    assert _follow_up(app) == ExamCounts(issued=1, held=1)
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
    assert held.reason == "unexpected"
    assert "ONE" not in held.detail


def test_a_run_that_begins_ahead_of_an_exams_time_waits_for_it_and_reads_what_came_meanwhile(app: App) -> None:
    _receive(app, _l1_l4("0.912"), "2.25.1")
    soon = datetime.now(UTC) + AHEAD / 2
    with app.database.write() as connection:
        connection.execute(update(exam).values(due_at=soon))
        sent = _l1_l4("0.913", SOPInstanceUID="2.25.2")
        receipts.store(connection, instance(encode(sent), uid="2.25.2"), calling_ae_title="SCANNER1", at=LONG_AGO)
    assert drain(app, lambda: False) == ExamCounts(held=1), "the second report contradicts the first"
    assert datetime.now(UTC) >= soon


def test_a_run_does_not_wait_for_an_exam_whose_time_is_far(app: App) -> None:
    _receive(app, _l1_l4("0.912"), "2.25.1")
    with app.database.write() as connection:
        connection.execute(update(exam).values(due_at=datetime.now(UTC) + timedelta(hours=1)))
    began = time.monotonic()
    assert drain(app, lambda: False) == ExamCounts()
    assert time.monotonic() - began < 30
