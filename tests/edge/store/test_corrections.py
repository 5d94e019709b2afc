"""A report that comes again with a corrected header updates what the addendum quotes, and nothing else does."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from pipeline.edge.app import App, open_app
from tests.factories.answered_exams import (
    addenda,
    follow_all,
    held,
    in_both_databases,
    l1_l4,
    latest,
    reason_of,
    receive,
    sentences,
)


def told(**header: str) -> Dataset:
    return l1_l4("0.912", **({"AccessionNumber": "WRONG", "ReferringPhysicianName": "Doctor^Wrong"} | header))


def again(app: App, uid: str, **header: str) -> None:
    receive(app, told(), "2.25.1")
    follow_all(app)
    receive(app, told(**header), uid)
    follow_all(app)


@in_both_databases
@pytest.mark.parametrize("uid", ["2.25.1", "2.25.2"], ids=["under its own UID", "under a new one"])
@pytest.mark.parametrize(
    ("keyword", "value"), [("AccessionNumber", "RIGHT"), ("ReferringPhysicianName", "Doctor^Right")]
)
def test_the_addendum_is_superseded_by_one_that_quotes_what_is_right(
    folder: Path, uid: str, keyword: str, value: str
) -> None:
    with open_app(folder) as app:
        again(app, uid, **{keyword: value})
        assert held(app) == []
        assert addenda(app) == [2, 0, 0]
        addendum = latest(app, 1)
        assert str(addendum[keyword].value) == value
        assert len(addendum.PredecessorDocumentsSequence) == 1
        words = {"AccessionNumber": "accession number", "ReferringPhysicianName": "referring physician"}[keyword]
        note = f"Replaces an earlier addendum. Corrected: {words}. No result and no number changed."
        assert note in sentences(app, 1)
        assert reason_of(app, 1) == ("ignored", "corrected")


def test_what_was_corrected_once_can_be_corrected_again(folder: Path) -> None:
    with open_app(folder) as app:
        again(app, "2.25.1", AccessionNumber="BETTER")
        receive(app, told(AccessionNumber="RIGHT"), "2.25.1")
        follow_all(app)
        assert latest(app, 1).AccessionNumber == "RIGHT"
        assert addenda(app) == [3, 0, 0]


@pytest.mark.parametrize("uid", ["2.25.1", "2.25.2"], ids=["under its own UID", "under a new one"])
def test_an_accession_number_that_was_missing_is_supplied(folder: Path, uid: str) -> None:
    with open_app(folder) as app:
        receive(app, told(AccessionNumber=""), "2.25.1")
        follow_all(app)
        receive(app, told(), uid)
        follow_all(app)
        assert latest(app, 1).AccessionNumber == "WRONG"


@pytest.mark.parametrize(
    "header",
    [
        {"AccessionNumber": ""},
        {"StationName": "ANOTHER"},
        {"AccessionNumber": "OLD", "ContentDate": "20240301", "ContentTime": "100000"},
    ],
    ids=["left empty", "nothing that is quoted", "written before"],
)
def test_what_corrects_nothing_changes_nothing(folder: Path, header: dict[str, str]) -> None:
    with open_app(folder) as app:
        receive(app, told(ContentDate="20240301", ContentTime="110000"), "2.25.1")
        follow_all(app)
        written = {"ContentDate": "20240301", "ContentTime": "110000"}
        receive(app, told(**(written | header)), "2.25.2")
        receive(app, told(**(written | header)), "2.25.1")
        follow_all(app)
        assert held(app) == [("3", "other_bytes")]
        assert reason_of(app, 2) == ("ignored", "repeated")
        assert latest(app, 1).AccessionNumber == "WRONG"
        assert addenda(app) == [1, 0, 0]


def test_a_known_uid_with_another_result_is_held_however_its_header_is_corrected(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, told(), "2.25.1")
        receive(app, l1_l4("0.913", AccessionNumber="RIGHT"), "2.25.1")
        assert held(app) == [("2", "other_bytes")]


def test_what_an_archive_has_altered_corrects_nothing(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, told(), "2.25.1")
        follow_all(app)
        receive(app, told(AccessionNumber="COERCED"), "2.25.2", historical=True)
        receive(app, told(AccessionNumber="COERCED"), "2.25.1", historical=True)
        follow_all(app)
        assert latest(app, 1).AccessionNumber == "WRONG"
        assert addenda(app) == [1, 0, 0]


@in_both_databases
@pytest.mark.parametrize("uid", ["2.25.1", "2.25.2"], ids=["under its own UID", "under a new one"])
def test_a_correction_is_taken_back_by_sending_again_what_was_right_before(folder: Path, uid: str) -> None:
    with open_app(folder) as app:
        again(app, uid, AccessionNumber="MISTAKEN")
        receive(app, told(), "2.25.1")
        follow_all(app)
        assert held(app) == []
        assert latest(app, 1).AccessionNumber == "WRONG"
        receive(app, told(AccessionNumber="MISTAKEN"), uid)
        follow_all(app)
        assert latest(app, 1).AccessionNumber == "MISTAKEN"
        assert addenda(app) == [4, 0, 0]


def test_what_was_corrected_under_a_new_uid_can_be_corrected_under_the_old_one(folder: Path) -> None:
    with open_app(folder) as app:
        again(app, "2.25.2", AccessionNumber="BETTER")
        receive(app, told(AccessionNumber="RIGHT"), "2.25.1")
        follow_all(app)
        assert held(app) == []
        assert latest(app, 1).AccessionNumber == "RIGHT"
        assert addenda(app) == [3, 0, 0]


def test_a_known_uid_with_another_result_is_held_though_what_it_told_before_was_corrected(folder: Path) -> None:
    with open_app(folder) as app:
        again(app, "2.25.2", AccessionNumber="BETTER")
        receive(app, l1_l4("0.812", AccessionNumber="RIGHT"), "2.25.1")
        follow_all(app)
        assert [reason for _, reason in held(app)] == ["other_bytes"]
        assert latest(app, 1).AccessionNumber == "BETTER"


def test_what_was_written_before_a_correction_does_not_take_it_back(folder: Path) -> None:
    with open_app(folder) as app:
        before = {"ContentDate": "20240101", "ContentTime": "080000"}
        receive(app, told(**before), "2.25.1")
        follow_all(app)
        receive(app, told(AccessionNumber="RIGHT", ContentDate="20240101", ContentTime="090000"), "2.25.2")
        follow_all(app)
        receive(app, told(**before), "2.25.1")
        follow_all(app)
        assert latest(app, 1).AccessionNumber == "RIGHT"
        assert addenda(app) == [2, 0, 0]
