"""Two patient ids that somebody has said to be one patient count as one, until somebody says otherwise."""

from datetime import date
from pathlib import Path

import pytest

from pipeline.clinical.clinical_context import ClinicalContext, Menopause
from pipeline.edge.app import App, open_app
from pipeline.edge.operations import clinical_context
from pipeline.edge.operations.clinical_context import PatientRecord
from pipeline.edge.reprocess.differences import differences
from pipeline.edge.store import held_work, patient_identity, patient_merges, patients
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_runs import Scope
from tests.factories.answered_exams import addenda, follow_all, in_both_databases, l1_l4, latest_readback, receive, run
from tests.factories.instances import NOW


@pytest.fixture
def two_ids(folder: Path) -> Path:
    """One patient with an exam under each of two ids, both answered."""
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101", PatientID="OLD"), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101", PatientID="NEW"), "2.25.2")
        follow_all(app)
    return folder


def merge(app: App, old: str = "OLD", new: str = "NEW", *, undo: bool = False) -> bool:
    with app.database.write() as connection:
        numbers = [patients.number_of(connection, patient_id, "") for patient_id in (old, new)]
        done = (patient_merges.undo if undo else patient_merges.merge)(connection, numbers[0], numbers[1], at=NOW)
        if done:
            patient_identity.reassess_after_merge(connection, numbers[0], numbers[1], at=NOW)
        return done


def held(app: App) -> list[tuple[str, str]]:
    with app.database.read() as connection:
        return [(one.number, one.reason) for one in held_work.held(connection)]


@in_both_databases
def test_after_a_merger_exams_are_compared_across_the_two_ids_and_after_its_undoing_no_more(two_ids: Path) -> None:
    with open_app(two_ids) as app:
        assert merge(app)
        assert run(app).issued == 1
        assert latest_readback(app, 2).regions["L1-L4"]["DIFF"] == ("-0.038",)
        assert run(app) == ExamCounts(examined=2)
        assert merge(app, undo=True)
        assert run(app).issued == 1
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("NO_PRIOR",)
        assert addenda(app)[:2] == [1, 3]


def test_an_exam_that_comes_after_the_merger_is_compared_as_well_under_either_id(two_ids: Path) -> None:
    with open_app(two_ids) as app:
        merge(app)
        receive(app, l1_l4("0.900", study="2.25.12", date="20250101", PatientID="OLD"), "2.25.3")
        follow_all(app)
        assert latest_readback(app, 3).regions["L1-L4"]["DIFF"] == ("-0.012",)


@in_both_databases
def test_a_late_prior_and_a_record_of_context_under_the_old_id_make_the_new_ids_later_exams_due_at_once(
    two_ids: Path,
) -> None:
    with open_app(two_ids) as app:
        merge(app)
        run(app)
        receive(app, l1_l4("0.900", study="2.25.12", date="20230101", PatientID="OLD"), "2.25.3")
        follow_all(app)
        assert latest_readback(app, 2).regions["L1-L4"]["DIFF"] == ("0.012",)
        record = ClinicalContext(recorded_on=date(2023, 6, 1), menopause=Menopause.AFTER)
        with app.database.write() as connection:
            loaded = clinical_context.store_records(
                connection, [PatientRecord(patient_id="OLD", issuer="", record=record)]
            )
        assert loaded.exams == 1
        follow_all(app)
        assert run(app) == ExamCounts(examined=3), "nothing was left for the night"


def test_a_dry_run_shows_what_the_merger_would_change(two_ids: Path) -> None:
    with open_app(two_ids) as app:
        merge(app)
        (difference,) = differences(app, Scope())
        assert (difference.exam, difference.changed_inputs) == (2, ("history",))


@in_both_databases
def test_mergers_reach_over_several_ids_and_in_no_circle(two_ids: Path) -> None:
    with open_app(two_ids) as app:
        receive(app, l1_l4("0.980", study="2.25.13", date="20200101", PatientID="OLDEST"), "2.25.4")
        follow_all(app)
        assert merge(app)
        assert merge(app, "OLDEST", "OLD")
        assert not merge(app, "NEW", "OLDEST"), "it would close a circle"
        assert not merge(app), "it is merged already"
        assert not merge(app, "OLD", "OLDEST"), "it is merged into somebody else"
        assert run(app).issued == 2
        assert latest_readback(app, 2).regions["L1-L4"]["BDIFF"] == ("-0.068",)
        assert merge(app, undo=True)
        assert run(app).issued == 1
        assert not merge(app, undo=True)


@in_both_databases
def test_one_study_under_the_two_ids_is_no_conflict_any_more_and_is_one_again_after_the_undoing(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", PatientID="OLD"), "2.25.1")
        receive(app, l1_l4("0.950", study="2.25.10", PatientID="NEW"), "2.25.2")
        assert held(app) == [("E1", "id_conflict"), ("E2", "id_conflict")]
        merge(app)
        assert held(app) == []
        merge(app, undo=True)
        assert held(app) == [("E1", "id_conflict"), ("E2", "id_conflict")]


def test_an_exam_of_the_old_id_with_another_birth_date_is_held_until_the_undoing(folder: Path) -> None:
    with open_app(folder) as app:
        receive(
            app,
            l1_l4("0.950", study="2.25.10", date="20220101", PatientID="OLD", PatientBirthDate="19510101"),
            "2.25.1",
        )
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101", PatientID="NEW"), "2.25.2")
        follow_all(app)
        merge(app)
        assert held(app) == [("E1", "id_conflict")]
        merge(app, undo=True)
        assert held(app) == []
