"""The overview of a patient has every exam with what its addendum states, and what cannot be said of it."""

from datetime import date
from pathlib import Path

from sqlalchemy import update

from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.clinical.model import Patient
from pipeline.edge.app import App, open_app
from pipeline.edge.operations.patient_merge import merge, unmerge
from pipeline.edge.overview.patient import PatientOverview, patient_overview
from pipeline.edge.store import patient_file, patients
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.schema import exam
from tests.factories.answered_exams import follow_all, in_both_databases, l1_l4, lsc, receive, withdraw
from tests.factories.instances import NOW
from tests.factories.reports import region, report, spine, text


def overview(app: App, number: int = 1) -> PatientOverview:
    with app.database.read() as connection:
        found = patient_overview(connection, number, app.reference_data.clinical.rules)
    assert found is not None
    return found


def two_exams(app: App) -> None:
    receive(app, l1_l4("0.950", study="2.25.10", date="20220101", AccessionNumber="ACC1"), "2.25.1")
    receive(app, l1_l4("0.900", study="2.25.11", date="20240101", AccessionNumber="ACC2"), "2.25.2")
    follow_all(app)


@in_both_databases
def test_each_exam_has_the_results_that_its_addendum_states(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        two_exams(app)
        found = overview(app)
    assert (found.name, found.birth_dates, found.sexes) == ("Marked^Patient", ("1950-01-01",), ("F",))
    later, earlier = found.exams
    assert [line.row.performed_at.year for line in found.exams] == [2024, 2022]
    (spine_now,) = later.regions
    assert (spine_now.region, spine_now.bmd, spine_now.prior, spine_now.change, spine_now.lsc) == (
        *("Spine L1-L4", "0.900", "2022-01-01", "-0.050", "0.028"),
    )
    assert "significant loss" in spine_now.result
    assert (later.overall, earlier.overall) == ("DECLINED", "NO_PRIOR")
    assert [one.destination for one in later.deliveries] == ["pacs"]
    assert {Event.COMPARED, Event.AUTHORED} <= {one.entry.event for one in found.entries}
    assert [one.number for one in found.entries] == sorted((one.number for one in found.entries), reverse=True)


def test_a_slow_loss_is_told_since_the_baseline_where_each_step_is_within_the_lsc(folder: Path) -> None:
    """R3.2"""
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        for year, bmd in ((2020, "0.850"), (2022, "0.835"), (2024, "0.815")):
            receive(app, l1_l4(bmd, study=f"2.25.{year}", date=f"{year}0101"), f"2.25.1{year}")
        follow_all(app)
        latest, middle, first = overview(app).exams
    assert (latest.overall, latest.overall_since_baseline) == ("STABLE", "DECLINED")
    assert "significant loss" in latest.regions[0].result_since_baseline
    assert (middle.overall, middle.overall_since_baseline) == ("STABLE", "STABLE")
    assert (first.overall, first.overall_since_baseline) == ("NO_PRIOR", "NO_PRIOR")


def test_a_change_below_the_lsc_has_no_number(folder: Path) -> None:
    """N6"""
    (folder / "precision.toml").write_text(lsc(lsc="0.051"))
    with open_app(folder) as app:
        two_exams(app)
        (spine_now,) = overview(app).exams[0].regions
    assert (spine_now.result, spine_now.change) == ("no significant change", "less than LSC")


def test_a_change_larger_than_bone_can_change_is_no_loss(folder: Path) -> None:
    """R3.1: as on the pages of the addendum."""
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
        receive(app, l1_l4("0.600", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        (spine_now,) = overview(app).exams[0].regions
    assert (spine_now.result, spine_now.change) == ("change not plausible", "")


def test_a_result_that_is_subject_to_review_is_marked(folder: Path) -> None:
    """R2.4"""
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101", SoftwareVersions="16.1"), "2.25.1")
        receive(app, l1_l4("0.900", study="2.25.11", date="20240101", SoftwareVersions="18.2"), "2.25.2")
        follow_all(app)
        later, earlier = overview(app).exams
    assert (later.overall, later.is_doubted, earlier.is_doubted) == ("DECLINED", True, False)


def test_why_an_exam_was_not_compared_stands_beside_its_numbers(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101", DeviceSerialNumber="OLD"), "2.25.1")
        receive(app, l1_l4("0.900", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        (spine_now,) = overview(app).exams[0].regions
    assert spine_now.why == ("the earlier exam was made on another scanner (2022-01-01)",)
    assert spine_now.change == ""


def test_of_a_withdrawn_exam_no_number_is_shown_and_the_latest_is_another(folder: Path) -> None:
    with open_app(folder) as app:
        two_exams(app)
        withdraw(app, 2)
        found = overview(app)
    assert [line.regions == () for line in found.exams] == [True, False]
    assert found.latest is not None
    assert found.latest.row.number == 1


@in_both_databases
def test_merged_patients_are_one_page_and_those_of_the_same_id_are_only_named(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101", PatientID="OLD"), "2.25.1")
        receive(app, l1_l4("0.900", study="2.25.11", date="20240101"), "2.25.2")
        receive(app, l1_l4("0.900", study="2.25.12", date="20240101", IssuerOfPatientID="ELSEWHERE"), "2.25.3")
        old, new = Patient(patient_id="OLD"), Patient(patient_id="P1")
        assert len(overview(app, 2).exams) == 1
        merge(app.database, old, new, make_due=True)
        merged = overview(app, 2)
        unmerge(app.database, old, new, make_due=True)
        undone = overview(app, 2)
    assert {one.patient_id for one in merged.identities} == {"OLD", "P1"}
    assert merged.own.patient_id == "P1"
    assert [one.issuer for one in merged.namesakes] == ["ELSEWHERE"]
    assert len(merged.exams) == 2
    assert [one.undone_at is None for one in merged.merges] == [True]
    assert len(undone.exams) == 1
    assert [one.undone_at is None for one in undone.merges] == [False]
    assert {Event.MERGED} <= {one.entry.event for one in undone.entries}


@in_both_databases
def test_a_patient_is_found_by_id_accession_number_or_study_and_by_nothing_less(folder: Path) -> None:
    with open_app(folder) as app:
        two_exams(app)
        receive(app, l1_l4("0.9", study="2.25.12", IssuerOfPatientID="H", AccessionNumber=""), "2.25.3")
        with app.database.read() as connection:

            def found(text: str, issuer: str = "") -> list[int]:
                return [one.number for one in patient_file.find(connection, text, issuer)]

            assert found("P1") == [1, 2]
            assert found("P1", "H") == [2]
            assert found("ACC2") == found("2.25.11") == [1]
            assert found("") == found("P") == found("%") == found("", "H") == []


def test_a_patient_that_nobody_is_has_no_page(folder: Path) -> None:
    with open_app(folder) as app, app.database.read() as connection:
        assert patient_overview(connection, 1, app.reference_data.clinical.rules) is None


def test_a_held_exam_is_shown_without_numbers(folder: Path) -> None:
    with open_app(folder) as app:
        two_exams(app)
        with app.database.write() as connection:
            connection.execute(update(exam).where(exam.c.id == 2).values(state="held", reason="id_conflict"))
        found = overview(app)
    assert found.exams[0].regions == ()
    assert found.exams[0].row.reason == "id_conflict"


def test_the_name_is_that_of_an_exam_that_is_not_in_doubt(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
        receive(app, l1_l4("0.900", study="2.25.11", date="20240101", PatientName="Other^Person"), "2.25.2")
        assert overview(app).name == "Other^Person"
        with app.database.write() as connection:
            connection.execute(update(exam).where(exam.c.id == 2).values(state="held", reason="id_conflict"))
        assert overview(app).name == "Marked^Patient"


def test_a_report_without_an_addendum_shows_what_was_measured(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, report(spine(region("L1-L4", "0.912"), region("L2-L4", "0.930"))), "2.25.1", historical=True)
        follow_all(app)
        (line,) = overview(app).exams
    assert {(one.region, one.bmd, one.result) for one in line.regions} == {
        ("Spine L1-L4", "0.912", ""),
        ("Spine L2-L4", "0.930", ""),
    }


def test_of_a_report_without_an_addendum_no_score_is_shown_that_must_not_be_reported(folder: Path) -> None:
    """R4.1, N5: the T-score of a woman of 29; anything of a spine with hardware in it."""
    scores = text("BMD_TSCORE", "-1.3"), text("BMD_ZSCORE", "-1.2")
    with open_app(folder) as app:
        young = report(spine(region("L1-L4", "0.912", *scores)), PatientBirthDate="19950101")
        old = report(spine(region("L1-L4", "0.912", *scores)), PatientID="P2", StudyInstanceUID="2.25.11")
        receive(app, young, "2.25.1", historical=True)
        receive(app, old, "2.25.2", historical=True)
        (of_young,), (of_old,) = (overview(app, number).exams[0].regions for number in (1, 2))
        record = ClinicalContext(recorded_on=date(2020, 1, 1), spinal_hardware=True)
        with app.database.write() as connection:
            patients.record_context(connection, 2, record, at=NOW, by="ward")
        (invalid,) = overview(app, 2).exams[0].regions
    assert (of_young.bmd, of_young.t_score, of_young.z_score) == ("0.912", "", "-1.2")
    assert (of_old.bmd, of_old.t_score, of_old.z_score) == ("0.912", "-1.3", "-1.2")
    assert (invalid.bmd, invalid.t_score, invalid.z_score) == ("not valid", "", "")
