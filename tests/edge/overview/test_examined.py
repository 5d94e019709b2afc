"""What an exam says today: sentences with rules and numbers, and plots with their scans as a table."""

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import update

from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.edge.app import App, open_app
from pipeline.edge.overview.examined import Examined, examine_now
from pipeline.edge.store import patient_file, patients
from pipeline.edge.store.schema import exam
from tests.factories.answered_exams import follow_all, in_both_databases, l1_l4, lsc, receive
from tests.factories.instances import NOW
from tests.factories.reports import region, report, spine, text


def examined(app: App, number: int) -> Examined | None:
    with app.database.read() as connection:
        return examine_now(app, connection, number, patient_file.exams_of(connection, [1], most=50))


def three_exams(app: App) -> None:
    receive(app, l1_l4("0.900", study="2.25.9", date="20180101", DeviceSerialNumber="OLD"), "2.25.9")
    receive(app, l1_l4("0.950", study="2.25.10", date="20200101"), "2.25.1")
    receive(app, l1_l4("0.940", study="2.25.11", date="20220101"), "2.25.2")
    receive(app, l1_l4("0.900", study="2.25.12", date="20240101"), "2.25.3")
    follow_all(app)


@in_both_databases
def test_every_sentence_has_rules_sources_and_the_lsc_it_was_judged_by(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        three_exams(app)
        found = examined(app, 4)
    assert found is not None
    assert found.is_current
    impression = next(one for one in found.sentences if one.section == "Impression")
    assert {"R1.8", "R3.9"} <= {name for name, _ in impression.rules}
    (numbers,) = impression.numbers
    prior, baseline = numbers.compared
    assert (prior.role, prior.on, prior.exam, prior.bmd) == ("prior", date(2022, 1, 1), 3, "0.940")
    assert (baseline.role, baseline.exam, baseline.change) == ("baseline", 2, "-0.050 g/cm² (-5.3 %)")
    assert prior.lsc is not None
    assert (prior.lsc.source, prior.lsc.patients, prior.lsc_in_text) == ("in vivo study", 30, "0.028")
    assert all(one.rules for one in found.sentences)


def test_the_table_has_the_scans_in_the_order_of_the_plot_with_why_each_was_not_compared(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        three_exams(app)
        found = examined(app, 4)
    assert found is not None
    (trend,) = found.trends
    assert [(row.exam, row.on.year, row.bmd, row.role) for row in trend.rows] == [
        (1, 2018, "0.900", ""),
        (2, 2020, "0.950", "baseline"),
        (3, 2022, "0.940", "prior"),
        (4, 2024, "0.900", "this exam"),
    ]
    assert trend.rows[0].why == "not comparable: S/N OLD, GE Healthcare Lunar Prodigy"
    assert trend.rows[0].differs == {"scanner"}
    assert [row.age for row in trend.rows] == [68, 70, 72, 74]


def test_the_scan_that_the_addendum_refuses_has_the_words_of_the_addendum(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.910", study="2.25.8", date="20160101", DeviceSerialNumber="OLD"), "2.25.8")
        receive(app, l1_l4("0.900", study="2.25.9", date="20180101", DeviceSerialNumber="OLD"), "2.25.9")
        receive(app, l1_l4("0.950", study="2.25.10", date="20200101"), "2.25.1")
        follow_all(app)
        found = examined(app, 3)
    assert found is not None
    first, second, _ = found.trends[0].rows
    assert first.why == "the earlier exam was made on another scanner"
    assert second.why.startswith("The exam of 2018-01-01 was made on GE Healthcare Lunar Prodigy")


def test_a_scan_that_is_not_valid_has_no_number_in_the_table(folder: Path) -> None:
    """N5"""
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20200101"), "2.25.1")
        receive(app, l1_l4("0.940", study="2.25.11", date="20220101"), "2.25.2")
        receive(app, l1_l4("0.900", study="2.25.12", date="20240101"), "2.25.3")
        record = ClinicalContext(recorded_on=date(2022, 1, 1), calcium_tablet=True)
        with app.database.write() as connection:
            patients.record_context(connection, 1, record, at=NOW, by="ward")
        follow_all(app)
        found = examined(app, 3)
    assert found is not None
    row = next(row for row in found.trends[0].rows if row.on.year == 2022)
    assert (row.bmd, row.t_score) == ("", "")
    assert "calcium" in row.why


def test_the_table_has_no_t_score_where_the_z_score_applies(folder: Path) -> None:
    """R4.1, C8: the woman is 26 at the first exam and 28 at the second."""
    scores = text("BMD_TSCORE", "-1.3"), text("BMD_ZSCORE", "-1.2")
    with open_app(folder) as app:
        for year, born in ((2022, "19960101"), (2024, "19960101"), (2022, "19500101"), (2024, "19500101")):
            header = {"PatientBirthDate": born, "PatientID": born, "StudyInstanceUID": f"2.25.{born}{year}"}
            sent = report(spine(region("L1-L4", "0.912", *scores)), StudyDate=f"{year}0101", **header)
            receive(app, sent, f"2.25.1{born}{year}")
        follow_all(app)
        with app.database.read() as connection:
            young, old = (
                examine_now(app, connection, number, patient_file.exams_of(connection, [patient], most=50))
                for number, patient in ((2, 1), (4, 2))
            )
    assert young is not None
    assert old is not None
    assert [(row.t_score, row.z_score) for row in young.trends[0].rows] == [("", "-1.2")] * 2
    assert [(row.t_score, row.z_score) for row in old.trends[0].rows] == [("-1.3", "-1.2")] * 2


def test_a_change_larger_than_bone_can_change_has_no_number_and_no_verdict(folder: Path) -> None:
    """R3.1"""
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
        receive(app, l1_l4("0.600", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        found = examined(app, 2)
    assert found is not None
    compared = {one for sentence in found.sentences for numbers in sentence.numbers for one in numbers.compared}
    assert {(one.result, one.change) for one in compared} == {("change not plausible", "")}


@pytest.mark.parametrize("values", [{"state": "held", "reason": "id_conflict"}, {"withdrawn": "wrong patient"}])
def test_nothing_is_said_of_an_exam_that_is_held_or_withdrawn(folder: Path, values: dict[str, str]) -> None:
    with open_app(folder) as app:
        three_exams(app)
        with app.database.write() as connection:
            connection.execute(update(exam).where(exam.c.id == 4).values(**values))
        assert examined(app, 4) is None
        earlier = examined(app, 3)
    assert earlier is not None


def test_a_held_exam_is_a_row_without_numbers_in_later_tables(folder: Path) -> None:
    with open_app(folder) as app:
        three_exams(app)
        with app.database.write() as connection:
            connection.execute(update(exam).where(exam.c.id == 3).values(state="held", reason="id_conflict"))
        found = examined(app, 4)
    assert found is not None
    assert not found.is_current, "its addendum still rests on the held exam"
    assert [(row.exam, row.bmd, row.why) for row in found.trends[0].rows if row.on.year == 2022] == [
        (3, "", "held for a person")
    ]


def test_an_exam_whose_inputs_have_changed_does_not_explain_its_addendum(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        three_exams(app)
    (folder / "precision.toml").write_text(lsc(lsc="0.060"))
    with open_app(folder) as app:
        found = examined(app, 4)
    assert found is not None
    assert not found.is_current
