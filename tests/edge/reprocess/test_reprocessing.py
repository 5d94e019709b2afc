"""When inputs of an addendum change it is superseded if it would differ; else nothing happens, and nobody waits."""

import threading
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from pipeline.clinical.clinical_context import ClinicalContext, Menopause
from pipeline.clinical.model import LeastSignificantChange, Scanner
from pipeline.clinical.regions import Region
from pipeline.clinical.rules import Rules
from pipeline.edge.app import open_app
from pipeline.edge.follow_up.due_exams import follow_up
from pipeline.edge.operations import clinical_context
from pipeline.edge.operations.clinical_context import PatientRecord
from pipeline.edge.reprocess import reprocessing
from pipeline.edge.reprocess.differences import differences
from pipeline.edge.reprocess.reextract import READ_OTHERWISE
from pipeline.edge.store import held_work, reprocessing_runs
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.edge.store.reprocessing_schema import shard
from pipeline.edge.store.schema import exam, provenance
from tests.factories.answered_exams import (
    EPOCH,
    LONG_AGO,
    addenda,
    follow_all,
    in_both_databases,
    l1_l4,
    latest_readback,
    lsc,
    receive,
    run,
    run_in,
)
from tests.folders import VENDORS


def test_where_nothing_changed_nothing_is_examined_again(two_exams: Path) -> None:
    assert run_in(two_exams) == ExamCounts(examined=3)


@in_both_databases
def test_a_new_lsc_supersedes_the_addenda_it_judges_and_no_other(two_exams: Path) -> None:
    """The exams of 2022 and of the other patient rest on the LSC as well, but say nothing else for it."""
    (two_exams / "precision.toml").write_text(lsc(begins="2023-01-01"))
    with open_app(two_exams) as app:
        assert run(app) == ExamCounts(examined=3, issued=1, unchanged=1)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)
        assert addenda(app) == [1, 2, 1]
        assert run(app) == ExamCounts(examined=3)


@pytest.mark.parametrize(
    "other", [lsc(region="total hip"), lsc(ends="2021-12-31"), lsc().replace("DF+1", "DF+2")], ids=str
)
def test_an_lsc_of_another_part_time_or_scanner_changes_no_input(two_exams: Path, other: str) -> None:
    (two_exams / "precision.toml").write_text(other)
    assert run_in(two_exams) == ExamCounts(examined=3)


def test_an_lsc_that_is_ended_earlier_no_longer_judges_the_exams_after_its_end(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    run_in(two_exams)
    (two_exams / "precision.toml").write_text(lsc(ends="2023-12-31"))
    with open_app(two_exams) as app:
        assert run(app).issued == 1
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("NO_LSC",)


def test_that_an_lsc_has_run_out_since_the_exam_changes_nothing(
    two_exams: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1.13: what holds is the record valid on the day of the scan. A verdict does not depend on today's date."""
    (two_exams / "precision.toml").write_text(lsc(ends="2024-01-01"))
    assert run_in(two_exams).issued == 1

    monkeypatch.setattr(reprocessing, "datetime", SimpleNamespace(now=lambda _: datetime(2040, 1, 1, tzinfo=UTC)))
    assert run_in(two_exams) == ExamCounts(examined=3)


def test_a_new_epoch_ends_the_comparison(two_exams: Path) -> None:
    (two_exams / "scanners.toml").write_text(EPOCH.format(begins="2023-06-01"))
    with open_app(two_exams) as app:
        assert run(app) == ExamCounts(examined=3, issued=1, unchanged=1)
        assert latest_readback(app, 2).regions["L1-L4"]["OBSTACLE"] == ("OTHER_EPOCH",)


def test_a_rule_taken_differently_is_applied_to_what_was_said(two_exams: Path) -> None:
    (two_exams / "rules.toml").write_text("usual_interval_months = 36")
    with open_app(two_exams) as app:
        assert run(app).examined == 3
        assert run(app) == ExamCounts(examined=3)


@in_both_databases
def test_a_prior_that_a_scanner_sends_late_is_followed_up_at_once(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        receive(app, l1_l4("0.900", study="2.25.13", date="20230101"), "2.25.4")
        follow_all(app)
        assert latest_readback(app, 2).regions["L1-L4"]["DIFF"] == ("0.012",)
        assert addenda(app) == [1, 2, 1]
        assert run(app) == ExamCounts(examined=4)


def test_a_later_exam_changes_no_input_of_an_earlier_one(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        receive(app, l1_l4("0.900", study="2.25.13", date="20250101"), "2.25.4")
        follow_all(app)
        assert run(app) == ExamCounts(examined=4)


def test_a_record_of_clinical_context_that_was_loaded_is_followed_up_at_once(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        record = ClinicalContext(recorded_on=date(2023, 1, 1), menopause=Menopause.AFTER)
        with app.database.write() as connection:
            clinical_context.store_records(connection, [PatientRecord(patient_id="P1", issuer="", record=record)])
        follow_all(app)
        assert run(app) == ExamCounts(examined=3)


def replace_lunar(config: Path, old: str, new: str) -> None:
    """Let the site replace the shipped dialect by a copy with a change."""
    shipped = (VENDORS / "lunar.toml").read_text(encoding="utf-8")
    assert old in shipped
    (config / "dialects").mkdir()
    (config / "dialects" / "lunar.toml").write_text(shipped.replace(old, new, 1), encoding="utf-8")


@in_both_databases
def test_a_dialect_that_changed_reads_the_reports_again_and_only_what_they_say_counts(two_exams: Path) -> None:
    replace_lunar(two_exams, "[[report]]\nroot", '[[noted]]\nmeaning = "Looked over"\n\n[[report]]\nroot')
    assert run_in(two_exams) == ExamCounts(examined=3)
    (two_exams / "scanners.toml").write_text(EPOCH.format(begins="2010-01-01"))
    with open_app(two_exams) as app:
        assert run(app).issued == 0


def test_an_exam_whose_report_can_no_longer_be_read_is_held_and_keeps_its_addendum(two_exams: Path) -> None:
    replace_lunar(two_exams, 'root = { meaning = "DXA Report" }', 'root = { meaning = "Another Report" }')
    with open_app(two_exams) as app:
        assert run(app).issued == 0
        with app.database.read() as connection:
            held = held_work.held(connection)
        assert {(one.number, one.reason) for one in held} == {(f"E{n}", READ_OTHERWISE) for n in (1, 2, 3)}
        assert addenda(app) == [1, 1, 1]


def test_an_alias_that_supplies_a_serial_number_makes_old_exams_comparable(folder: Path) -> None:
    with open_app(folder) as app:
        for uid, bmd, study, day in (("1", "0.950", "10", "20220101"), ("2", "0.912", "11", "20240101")):
            sent = l1_l4(bmd, study=f"2.25.{study}", date=day, DeviceSerialNumber="", StationName="ROOM2")
            receive(app, sent, f"2.25.{uid}")
        follow_all(app)
        assert latest_readback(app, 2).regions["L1-L4"]["OBSTACLE"] == ("SCANNER_UNKNOWN",)
    (folder / "scanners.toml").write_text(
        EPOCH.format(begins="2010-01-01") + '[[scanner.alias]]\nstation_name = "ROOM2"\n'
    )
    with open_app(folder) as app:
        (expected,) = [found for found in differences(app, Scope()) if found.exam == 2]
        assert expected.regions["L1-L4"]["RESULT"] == ("NOT_COMPARABLE", "NO_LSC")
        run(app)
        assert latest_readback(app, 2).regions["L1-L4"]["DIFF"] == ("-0.038",)


@in_both_databases
def test_a_dry_run_tells_what_would_differ_and_changes_nothing(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc(begins="2023-01-01"))
    with open_app(two_exams) as app:
        (difference,) = differences(app, Scope())
        assert (difference.exam, difference.changed_inputs) == (2, ("reference_data",))
        assert difference.regions["L1-L4"]["RESULT"] == ("NO_LSC", "LOSS")
        assert difference.regions["L1-L4"]["LSC"] == ("", "0.028")
        assert difference.overall == ("INDETERMINATE", "DECLINED")
        assert addenda(app) == [1, 1, 1]
        assert run(app).issued == 1
        assert list(differences(app, Scope())) == []


@in_both_databases
def test_a_run_may_be_about_one_patient_one_scanner_or_a_time(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        assert run(app, Scope(linked_patients=2)) == ExamCounts(examined=1, unchanged=1)
        assert run(app, Scope(since=date(2025, 1, 1))) == ExamCounts()
        assert run(app, Scope(scanner=1, since=date(2024, 1, 1))) == ExamCounts(examined=2, issued=1)


def test_any_number_of_workers_share_one_run(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        number = reprocessing.begin(app, Scope())
        assert reprocessing.begin(app, Scope()) == number, "an unfinished run goes on, none begins beside it"
        threads = [threading.Thread(target=reprocessing.take_part, args=(app, number)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts, finished = reprocessing.progress(app.database, number)
        assert (counts, finished) == (ExamCounts(examined=3, issued=1, unchanged=2), True)
        assert addenda(app) == [1, 2, 1]


@in_both_databases
def test_a_part_whose_worker_died_is_taken_up_by_the_next_where_it_was_left(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        number = reprocessing.begin(app, Scope())
        with app.database.write() as connection:
            for _ in range(3):
                assert reprocessing_runs.claim(connection, number, at=datetime.now(UTC))
            assert reprocessing_runs.claim(connection, number, at=datetime.now(UTC)) is None
        assert reprocessing.take_part(app, number) == ExamCounts()
        with app.database.write() as connection:
            connection.execute(
                update(shard).values(lease_owner="elsewhere/1", leased_until=LONG_AGO, last_linked_patients=1)
            )
        assert reprocessing.take_part(app, number) == ExamCounts(examined=1, unchanged=1), "the first person was done"


def test_it_stops_when_it_has_to_and_continues_later(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        number = reprocessing.begin(app, Scope())
        assert reprocessing.take_part(app, number, stopped=lambda: True) == ExamCounts()
        assert reprocessing.progress(app.database, number) == (ExamCounts(), False)
        assert run(app).issued == 1


def test_a_class_of_reference_data_that_is_renamed_re_examines_nobody(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    assert run_in(two_exams).issued == 1
    names = {kind: kind.__qualname__ for kind in (LeastSignificantChange, Rules, Region, Scanner)}
    try:
        for kind, name in names.items():
            kind.__qualname__ = f"Renamed{name}"
        assert run_in(two_exams) == ExamCounts(examined=3)
    finally:
        for kind, name in names.items():
            kind.__qualname__ = name


@in_both_databases
def test_no_more_addenda_are_issued_in_a_minute_than_the_department_wants(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    text = (two_exams / "service.toml").read_text()
    (two_exams / "service.toml").write_text(text.replace("10000", "3"))
    with open_app(two_exams) as app:
        number = reprocessing.begin(app, Scope())
        asked: list[int] = []

        def after_a_while() -> bool:
            asked.append(1)
            return len(asked) >= 6

        assert reprocessing.take_part(app, number, stopped=after_a_while).issued == 0, "three were issued a moment ago"
        assert reprocessing.take_part(app, number, stopped=lambda: True) == ExamCounts()


@in_both_databases
def test_an_exam_that_is_due_by_itself_is_left_to_the_live_flow(
    two_exams: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    monkeypatch.setattr(reprocessing, "MAX_YIELD_SECONDS", 0.0)
    with open_app(two_exams) as app:
        with app.database.write() as connection:
            connection.execute(update(exam).where(exam.c.id == 2).values(state="waiting"))
        assert run(app) == ExamCounts(examined=2, unchanged=2)
        follow_all(app)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)


def test_all_who_share_a_run_give_way_while_live_exams_are_due(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        receive(app, l1_l4("0.900", study="2.25.14", date="20250101", PatientID="P3"), "2.25.5")
        number = reprocessing.begin(app, Scope())
        nights = [threading.Thread(target=reprocessing.take_part, args=(app, number)) for _ in range(3)]
        for night in nights:
            night.start()
        nights[0].join(1.0)
        assert [night.is_alive() for night in nights].count(True) == 2, "the third part has nobody in it"
        assert addenda(app) == [1, 1, 1]
        follow_all(app)
        for night in nights:
            night.join(30)
        assert addenda(app) == [1, 2, 1]


def test_an_exam_that_ends_its_worker_again_and_again_is_held(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        with app.database.write() as connection:
            connection.execute(update(exam).where(exam.c.id == 2).values(worker_crashes=3))
        assert run(app) == ExamCounts(examined=3, unchanged=2, held=1)


@in_both_databases
def test_two_who_follow_up_one_exam_at_once_issue_one_addendum(two_exams: Path) -> None:
    """The live flow and a run over all exams may meet at one exam."""
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        threads = [threading.Thread(target=follow_up, args=(app, [2])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert addenda(app) == [1, 2, 1]


def test_a_historical_exam_is_a_prior_for_others_and_gets_no_addendum(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1", historical=True)
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        assert addenda(app)[:2] == [0, 1]
        assert latest_readback(app, 2).regions["L1-L4"]["DIFF"] == ("-0.038",)
        assert run(app) == ExamCounts(examined=1)


def test_history_that_comes_late_supersedes_by_the_next_run_and_not_at_once(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1", historical=True)
        follow_all(app)
        assert addenda(app)[:2] == [1, 0]
        assert run(app) == ExamCounts(examined=1, issued=1)


def test_a_historical_report_that_is_sent_live_later_is_answered(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950"), "2.25.1", historical=True)
        follow_all(app)
        assert addenda(app)[0] == 0
        receive(app, l1_l4("0.950"), "2.25.1")
        follow_all(app)
        assert addenda(app)[0] == 1


def test_historical_exams_that_contradict_themselves_are_held(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950"), "2.25.1", historical=True)
        receive(app, l1_l4("0.951"), "2.25.2", historical=True)
        follow_all(app)
        with app.database.read() as connection:
            (held,) = held_work.held(connection)
        assert (held.number, held.reason) == ("E1", "contradictory")


@in_both_databases
def test_exams_without_provenance_are_examined_once(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        with app.database.write() as connection:
            connection.execute(provenance.delete())
        assert run(app) == ExamCounts(examined=3, unchanged=3)
        assert run(app) == ExamCounts(examined=3)
