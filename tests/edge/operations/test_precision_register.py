"""The precision register: who proposed and accepted what; what counts follows at once, for those concerned alone."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.clinical.model import CrossCalibration, LeastSignificantChange, Scanner
from pipeline.clinical.precision_register import Standing
from pipeline.clinical.precision_study import UnfitStudyError
from pipeline.edge.app import App, open_app
from pipeline.edge.operations import precision_register
from pipeline.edge.operations.precision_register import (
    CrossCalibrationTerms,
    HandedIn,
    PrecisionTerms,
    RegisterError,
    accept,
    decline,
    import_configured,
    propose_cross_calibration,
    propose_precision,
    withdraw,
)
from pipeline.edge.overview import precision_register as overview
from pipeline.edge.overview import today
from pipeline.edge.overview.troubles import troubles
from pipeline.edge.reprocess.register_trial import differences_if
from pipeline.edge.store import audit_trail
from pipeline.edge.store import precision_register as store
from pipeline.edge.store.audit_trail import Event
from tests.factories.answered_exams import (
    addenda,
    follow_all,
    in_both_databases,
    l1_l4,
    latest_readback,
    lsc,
    receive,
    run,
)
from tests.factories.studies import paired_rows, study_rows, table, vertebra_rows

DF_1 = Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")
DF_2 = Scanner("GE Healthcare", "Lunar Prodigy", "DF+2")
STUDY = HandedIn(file_name="march.csv", content=table(study_rows()), reason="new technologists")


def terms(begins: str = "2023-01-01", ends: str = "2028-01-01", **more: object) -> PrecisionTerms:
    values: dict[str, object] = {"scanner": DF_1, "source": "study of March", **more}
    return PrecisionTerms(
        valid_from=date.fromisoformat(begins),
        valid_until=date.fromisoformat(ends),
        **values,  # type: ignore[arg-type]
    )


def counting(app: App) -> tuple[LeastSignificantChange, ...]:
    with app.database.read() as connection:
        return app.reference_in_force(connection).reference_data.clinical.lscs


def of_trail(app: App) -> list[dict[str, object]]:
    with app.database.read() as connection:
        return [
            dict(one.entry.detail)
            for one in audit_trail.find(connection)
            if one.entry.event is Event.REGISTERED and one.entry.actor
        ]


@pytest.fixture
def app(folder: Path) -> Iterator[App]:
    with open_app(folder) as app:
        yield app


@in_both_databases
def test_a_proposed_study_counts_nowhere_until_it_is_accepted_and_every_step_is_in_the_trail(app: App) -> None:
    proposed = propose_precision(app.database, STUDY, terms())
    assert proposed.records == (1,)
    assert counting(app) == ()
    with app.database.read() as connection:
        (record,) = store.records(connection)
        study = store.study(connection, proposed.study)
    assert study is not None
    assert (study.file_name, study.content) == ("march.csv", STUDY.content)
    assert (record.standing, record.reason, record.origin) == (Standing.PROPOSED, "new technologists", "study")
    assert record.facts is not None
    assert record.facts.degrees_of_freedom == 30
    assert [one.technologist for one in record.facts.technologists] == ["MB", "KL"]
    assert record.facts.upper_limit > record.facts.precision_error
    accepted = accept(app.database, 1, "checked by the physicist")
    assert accepted.standing is Standing.ACCEPTED
    assert accepted.decisions[0].by == record.proposed_by != ""
    (now,) = counting(app)
    assert (now.region.key, now.patients, now.repeats, now.valid_from) == ("L1-L4", 30, 2, date(2023, 1, 1))
    withdraw(app.database, 1, "the wrong scanner")
    assert counting(app) == ()
    assert of_trail(app) == [
        {"what": "proposed", "study": 1, "records": [1]},
        {"what": "accepted", "record": 1, "reason": "checked by the physicist"},
        {"what": "withdrawn", "record": 1, "reason": "the wrong scanner"},
    ]


def test_a_study_handed_in_twice_is_proposed_once_and_may_come_again_when_it_was_declined(app: App) -> None:
    propose_precision(app.database, STUDY, terms())
    with pytest.raises(UnfitStudyError, match="L1-L4: the register has the same as R1"):
        propose_precision(app.database, STUDY, terms())
    decline(app.database, 1, "the wrong days")
    assert propose_precision(app.database, STUDY, terms()).records == (2,)
    accept(app.database, 2)
    assert len(counting(app)) == 1, "the same content was declined as another record"


@in_both_databases
def test_a_decision_is_made_once(app: App) -> None:
    propose_precision(app.database, STUDY, terms())
    made: list[str] = []

    def decide() -> None:
        try:
            accept(app.database, 1)
            made.append("accepted")
        except RegisterError as refused:
            made.append(str(refused))

    threads = [threading.Thread(target=decide) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == ["accepted", *["record 1 is accepted, so it cannot be accepted"] * 3]
    for decision in (accept, decline):
        with pytest.raises(RegisterError, match="record 1 is accepted"):
            decision(app.database, 1, "again")
    with pytest.raises(RegisterError, match="the register has no record 9"):
        withdraw(app.database, 9, "no such")


@in_both_databases
def test_a_changed_lsc_examines_those_again_whom_it_concerns_and_nobody_else(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc(lsc="0.028"))
    with open_app(two_exams) as app:
        run(app)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)
        before = addenda(app)
        wide = HandedIn(file_name="wide.csv", content=table(study_rows(sd=0.02)), reason="check")
        propose_precision(app.database, wide, terms("2023-06-01", "2030-01-01"))
        (difference,) = differences_if(app, 1, Standing.ACCEPTED)
        assert (difference.exam, difference.regions["L1-L4"]["RESULT"]) == (2, ("LOSS", "NSC"))
        assert addenda(app) == before, "a dry run changes nothing"
        assert run(app).issued == 0
        accept(app.database, 1)
        done = run(app)
        assert (done.examined, done.issued, done.unchanged) == (3, 1, 1), "the exam of 2022 was judged by the same LSC"
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("NSC",)
        assert [now - then for now, then in zip(addenda(app), before, strict=True)] == [0, 1, 0]
        (back,) = differences_if(app, 1, Standing.WITHDRAWN)
        assert back.regions["L1-L4"]["RESULT"] == ("NSC", "LOSS")


def test_what_would_be_superseded_anyway_is_not_told_of_a_record(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        run(app)
    (two_exams / "precision.toml").write_text(lsc(lsc="0.028", ends="2022-12-31"))
    with open_app(two_exams) as app:
        narrow = HandedIn(file_name="n.csv", content=table(study_rows(regions=("total hip left",))), reason="hip")
        propose_precision(app.database, narrow, terms("2020-01-01"))
        assert differences_if(app, 1, Standing.ACCEPTED) == []


def test_an_import_changes_no_addendum_and_a_second_one_changes_nothing(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc() + lsc("total hip", "0.030"))
    with open_app(two_exams) as app:
        run(app)
        before, issued = counting(app), addenda(app)
        done = import_configured(app)
        assert (len(done.accepted), done.proposed, done.known) == (2, (), 0)
        again = import_configured(app)
        assert (again.accepted, again.proposed, again.known) == ((), (), 2)
        assert counting(app) == before
        assert run(app).issued == 0
        assert addenda(app) == issued
        assert [one["what"] for one in of_trail(app)] == ["imported"]
    (two_exams / "precision.toml").unlink()
    with open_app(two_exams) as app:
        assert counting(app) == before, "what was imported is the register's"


def test_an_edited_entry_is_proposed_by_the_next_import_and_counts_when_it_is_accepted(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc(lsc="0.028"))
    with open_app(folder) as app:
        import_configured(app)
    (folder / "precision.toml").write_text(lsc(lsc="0.031"))
    with open_app(folder) as app:
        assert [one.lsc for one in counting(app)] == [Decimal("0.028")]
        assert [one.source for one in overview.register(app, on=date(2026, 1, 1)).without_effect] == ["in vivo study"]
        assert import_configured(app).proposed == (2,)
        assert [one.lsc for one in counting(app)] == [Decimal("0.028")]
        accept(app.database, 2)
        assert [one.lsc for one in counting(app)] == [Decimal("0.031")]
        found = overview.register(app, on=date(2026, 1, 1))
        assert [one.number for one in found.past] == [1]
        assert [line.record and line.record.number for line in found.counting] == [2]
        assert found.without_effect == ()


def test_a_new_entry_of_the_file_still_counts_by_itself_from_its_first_day_on(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc(lsc="0.028", ends="2023-12-31"))
    with open_app(folder) as app:
        import_configured(app)
    (folder / "precision.toml").write_text(lsc(lsc="0.028", ends="2023-12-31") + lsc(lsc="0.031", begins="2024-01-01"))
    with open_app(folder) as app:
        assert [one.lsc for one in counting(app)] == [Decimal("0.028"), Decimal("0.031")]


def test_the_sets_of_vertebrae_are_judged_by_their_own_lsc(app: App) -> None:
    """R1.15"""
    vertebrae = HandedIn(file_name="v.csv", content=table(vertebra_rows()), reason="subsets")
    proposed = propose_precision(app.database, vertebrae, terms())
    assert len(proposed.records) == 11
    for number in proposed.records:
        accept(app.database, number)
    by_region = {one.region.key: one for one in counting(app)}
    assert not by_region["L1-L3"].approximated
    assert by_region["L1-L3"].lsc != by_region["L1-L4"].lsc
    with app.database.read() as connection:
        facts = [one.facts for one in store.records(connection)]
    assert all(one is not None and one.reanalysed for one in facts)


@pytest.mark.parametrize(
    ("content", "more", "reason"),
    [
        (table(study_rows(patients=14)), {}, "L1-L4: 14 degrees of freedom"),
        (table(study_rows(regions=("trochanter left",))), {}, "trochanter left is not monitored"),
        (
            table([{**row, "date": ""} for row in study_rows()]),
            {},
            "L1-L4: the table states no dates: say whether each patient's scans were made on one day",
        ),
        (table(study_rows()), {"ends": "2022-01-01"}, "the last day 2022-01-01 lies before the first day 2023-01-01"),
        (
            table(study_rows(regions=("total hip left", "total hip right"))),
            {"both_sides": True},
            "total hip: the table has both sides, so neither can serve both",
        ),
    ],
)
def test_of_a_study_that_cannot_be_used_nothing_is_taken(
    app: App, content: bytes, more: dict[str, object], reason: str
) -> None:
    with pytest.raises(UnfitStudyError) as refused:
        propose_precision(app.database, HandedIn(file_name="s.csv", content=content, reason=""), terms(**more))  # type: ignore[arg-type]
    assert any(reason in one for one in refused.value.reasons)
    with app.database.read() as connection:
        assert store.records(connection) == []
        assert store.study(connection, 1) is None
    assert of_trail(app) == []


def test_an_undated_study_is_taken_once_a_person_says_whether_it_was_of_one_day(app: App) -> None:
    """E8"""
    undated = HandedIn(file_name="s.csv", content=table([{**row, "date": ""} for row in study_rows()]), reason="")
    propose_precision(app.database, undated, terms(same_day=True))
    with app.database.read() as connection:
        (record,) = store.records(connection)
    assert isinstance(record.value, LeastSignificantChange)
    assert record.value.same_day is True


@in_both_databases
def test_a_cross_calibration_lets_the_exams_of_a_new_scanner_be_compared(folder: Path) -> None:
    """R2.7, R2.10"""
    (folder / "precision.toml").write_text(lsc().replace("DF+1", "DF+2"))
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101", DeviceSerialNumber="DF+2"), "2.25.1")
        receive(app, l1_l4("0.890", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        assert latest_readback(app, 2).regions["L1-L4"]["OBSTACLE"] == ("OTHER_SCANNER",)
        pairs = HandedIn(file_name="pairs.csv", content=table(paired_rows()), reason="replacement")
        across = CrossCalibrationTerms(old=DF_2, new=DF_1, valid_from=date(2023, 1, 1), source="in vivo")
        proposed = propose_cross_calibration(app, pairs, across)
        (difference,) = differences_if(app, proposed.records[0], Standing.ACCEPTED)
        assert difference.regions["L1-L4"]["RESULT"] == ("NOT_COMPARABLE", "LOSS")
        accept(app.database, proposed.records[0])
        assert run(app).issued == 1
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)
        (line,) = overview.register(app, on=date(2026, 1, 1)).cross_calibrations
        assert isinstance(line.cross_calibration, CrossCalibration)
        assert line.glsc.lsc > Decimal("0.020")
        assert "new BMD =" in precision_register.worksheet_of(app, proposed.records[0])


def test_a_cross_calibration_needs_the_old_scanners_own_precision(app: App) -> None:
    pairs = HandedIn(file_name="pairs.csv", content=table(paired_rows()), reason="replacement")
    across = CrossCalibrationTerms(old=DF_2, new=DF_1, valid_from=date(2023, 1, 1), source="in vivo")
    with pytest.raises(UnfitStudyError, match="the old scanner has no LSC on file"):
        propose_cross_calibration(app, pairs, across)


def test_the_register_says_which_regions_have_no_lsc_and_how_many_exams_said_so(two_exams: Path) -> None:
    """R1.13: two visits of one patient and one of another; only the second visit had something to compare."""
    with open_app(two_exams) as app:
        run(app)
        (missing,) = overview.register(app, on=date(2026, 1, 1)).missing
        assert (missing.region, missing.exams, missing.no_lsc, missing.ended_on) == ("L1-L4", 3, 1, None)
        assert missing.looked_at_all
    (two_exams / "precision.toml").write_text(lsc(ends="2022-12-31"))
    with open_app(two_exams) as app:
        run(app)
        (missing,) = overview.register(app, on=date(2026, 1, 1)).missing
        assert (missing.exams, missing.no_lsc, missing.ended_on) == (2, 1, date(2022, 12, 31))
        assert overview.register(app, on=date(2022, 6, 1)).missing == ()


def test_technologists_who_were_no_part_of_the_study_are_named_in_the_register_and_counted_elsewhere(
    folder: Path,
) -> None:
    """R1.10, R1.11"""
    with open_app(folder) as app:
        for number, name in enumerate(("MB", "Newcomer", "Newcomer", "KL")):
            receive(app, l1_l4("0.950", study=f"2.25.{number}", OperatorsName=name), f"2.25.1{number}")
        follow_all(app)
        propose_precision(app.database, STUDY, terms())
        accept(app.database, 1)
        day = date(2026, 1, 1)
        (line,) = overview.register(app, on=day).counting
        assert [(one.name, one.exams) for one in line.outside] == [("Newcomer", 2)]
        assert any("Newcomer" in doubt for doubt in line.doubts)
        assert line.repeat == ()
        with app.database.read() as connection:
            known = app.reference_in_force(connection).reference_data
            (doubt,) = overview.studies_in_doubt(connection, known, on=day)
        assert (doubt.regions, doubt.changes, doubt.technologists) == (("L1-L4",), (), 1)
        now = today.today(app, at=datetime(2026, 1, 1, 12, tzinfo=UTC))
        told = [one for one in troubles(now) if one.subject.startswith("study of")]
        assert [one.what for one in told] == [
            f"Since the precision study of L1-L4 on {DF_1}: one technologist scans who was no part of it."
        ]
        assert "Newcomer" not in str(told)


def test_the_register_counts_the_days_that_are_left_and_asks_for_a_new_study(folder: Path) -> None:
    """R1.11: software that has changed since the study."""
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", SoftwareVersions="18"), "2.25.1")
        follow_all(app)
        propose_precision(app.database, STUDY, terms(software="17"))
        accept(app.database, 1)
        (line,) = overview.register(app, on=date(2027, 12, 2)).counting
        assert line.days_left == 30
        assert line.repeat == (
            "it ends on 2028-01-01; after that day no change is judged",
            "the scanner's software is now 18; the study was made with 17",
        )
        assert overview.register(app, on=date(2028, 1, 2)).counting == ()
        propose_precision(app.database, STUDY, terms("2027-06-01", "2032-01-01", source="again"))
        accept(app.database, 2)
        first, second = overview.register(app, on=date(2026, 1, 1)).counting
        assert (first.lsc.valid_until, first.days_left, first.repeat) == (date(2027, 5, 31), 515, ())
        assert (second.lsc.valid_from, second.days_left) == (date(2027, 6, 1), None)
