"""An exam's overview tells each stage with its state and reason, and what changed from one addendum to the next."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from pipeline.edge.app import App, open_app
from pipeline.edge.overview.addendum_text import Kind, Sentence, changes
from pipeline.edge.overview.exam import ExamOverview, exam_overview
from pipeline.edge.overview.stages import Stage, StageState
from pipeline.edge.store import outbox, work_queue
from pipeline.edge.store.schema import delivery, exam
from tests.factories.answered_exams import follow_all, in_both_databases, l1_l4, lsc, receive, run, withdraw
from tests.factories.reports import region, report, spine

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def overview(app: App, number: int = 1) -> ExamOverview:
    with app.database.read() as connection:
        found = exam_overview(connection, number, app.reference_data.clinical.rules)
    assert found is not None
    return found


def states(found: ExamOverview) -> dict[str, StageState]:
    return {stage.word: stage.state for stage in found.stages}


def stage(found: ExamOverview, word: str) -> Stage:
    return next(stage for stage in found.stages if stage.word == word)


def test_the_stages_are_the_sentence_of_the_service(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950"), "2.25.1")
        found = overview(app)
        assert list(states(found)) == ["receive", "extract", "match", "compare", "interpret", "author", "deliver"]
        assert states(found)["match"] is StageState.WAITING
        assert states(found)["author"] is StageState.NOT_YET
        assert stage(found, "receive").facts == ("1 report from SCANNER1",)
        follow_all(app)
        done = overview(app)
    assert states(done)["interpret"] is states(done)["author"] is StageState.DONE
    assert stage(done, "interpret").at is not None
    assert stage(done, "interpret").facts[0].startswith("overall no prior, rules ")
    assert stage(done, "deliver").state is StageState.WAITING
    assert stage(done, "deliver").facts == ("pacs: waiting",)


@in_both_databases
def test_a_delivery_says_where_and_how_it_was_proven(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950"), "2.25.1")
        follow_all(app)
        with app.database.write() as connection:
            outbox.record_delivery(connection, 1, proof="commitment", at=NOW)
        found = overview(app)
    assert stage(found, "deliver").state is StageState.DONE
    assert stage(found, "deliver").at == NOW
    ((delivered,),) = (one.deliveries for one in found.addenda)
    assert (delivered.row.destination, delivered.proof, delivered.row.done_at) == ("pacs", "commitment", NOW)


@pytest.mark.parametrize(("state", "expected"), [("held", StageState.HELD), ("waiting", StageState.WAITING)])
def test_a_delivery_that_is_stuck_says_why(folder: Path, state: str, expected: StageState) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950"), "2.25.1")
        follow_all(app)
        with app.database.write() as connection:
            connection.execute(update(delivery).values(state=state, reason="refused", detail="0xA900", attempts=2))
        found = stage(overview(app), "deliver")
    assert found.state is expected
    assert "0xA900" in found.facts[0]


def test_single_vertebrae_are_not_counted_among_the_regions_to_compare(folder: Path) -> None:
    with open_app(folder) as app:
        both = report(spine(region("L1-L4", "0.950"), region("L1", "0.9")), StudyInstanceUID="2.25.10")
        receive(app, both, "2.25.1")
        follow_all(app)
        found = overview(app)
    assert stage(found, "match").facts == ("0 regions of 1 with an earlier exam to compare with",)


def test_a_held_exam_says_why_and_goes_no_further(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950"), "2.25.1")
        with app.database.write() as connection:
            work_queue.hold(connection, exam, 1, reason="contradictory", detail="two values of L1-L4")
        found = overview(app)
    assert stage(found, "match").state is StageState.HELD
    assert stage(found, "match").facts == ("contradictory: two values of L1-L4",)
    assert states(found)["deliver"] is StageState.NOT_YET
    assert found.regions == ()


def test_a_historical_exam_needs_no_addendum(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950"), "2.25.1", historical=True)
        follow_all(app)
        found = overview(app)
    assert states(found)["author"] is states(found)["deliver"] is StageState.NOT_NEEDED
    assert stage(found, "match").facts == ("it came as history: others are compared with it",)


def test_each_addendum_shows_what_changed_since_its_predecessor(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
        receive(app, l1_l4("0.900", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
    (folder / "precision.toml").write_text(lsc(lsc="0.060"))
    with open_app(folder) as app:
        run(app)
        found = overview(app, 2)
    latest, first = found.addenda
    assert (latest.number_in_series, first.number_in_series) == (2, 1)
    assert latest.note.startswith("Replaces an earlier addendum.")
    assert {one.kind for one in first.sentences} == {Kind.SAME}
    removed = " ".join(one.text for one in latest.sentences if one.kind is Kind.REMOVED)
    added = " ".join(one.text for one in latest.sentences if one.kind is Kind.ADDED)
    assert "ignificant loss since 2022-01-01" in removed
    assert "No significant change" in added
    assert "it replaces 1 earlier one" in stage(found, "author").facts


def test_a_withdrawn_exam_says_so_in_its_stage(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950"), "2.25.1")
        follow_all(app)
        withdraw(app, 1, "scanned under a wrong name")
        found = overview(app)
    assert stage(found, "match").facts == ("the exam was withdrawn: scanned under a wrong name",)
    assert found.regions == ()


def test_the_reports_of_an_exam_are_told_with_how_they_were_read(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950"), "2.25.1")
        (one,) = overview(app).reports
    assert one.regions == ("L1-L4",)
    assert "lunar" in one.dialect.lower()
    assert one.row.sop_instance_uid == "2.25.1"


def test_an_exam_that_is_not_on_file_has_no_page(folder: Path) -> None:
    with open_app(folder) as app, app.database.read() as connection:
        assert exam_overview(connection, 7, app.reference_data.clinical.rules) is None


def test_sentences_are_compared_in_their_order() -> None:
    assert changes(("a", "c", "d"), ("a", "b", "d")) == (
        Sentence(Kind.SAME, "a"),
        Sentence(Kind.REMOVED, "b"),
        Sentence(Kind.ADDED, "c"),
        Sentence(Kind.SAME, "d"),
    )
