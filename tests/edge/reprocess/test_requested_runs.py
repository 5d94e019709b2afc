"""Runs that people request are done by the workers, seen while they go on, and audited; a dry run changes nothing."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.edge.app import App, open_app
from pipeline.edge.live_configuration import LiveConfiguration
from pipeline.edge.reprocess import reprocessing, requested_runs
from pipeline.edge.reprocess.differences import differences
from pipeline.edge.store import audit_trail, reprocessing_results, reprocessing_runs
from pipeline.edge.store.audit_trail import Entry
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_results import Difference, RunOnFile
from pipeline.edge.store.reprocessing_runs import Scope
from tests.factories.answered_exams import addenda, in_both_databases, latest_readback, lsc


def work(app: App) -> None:
    """Do what a worker does in one poll of the loop."""
    requested_runs.requested_loop(lambda: False).poll(app)


def latest(app: App) -> RunOnFile:
    with app.database.read() as connection:
        (run,) = reprocessing_results.latest(connection, 1, at=datetime.now(UTC))
    return run


def found(app: App, run: int) -> list[Difference]:
    with app.database.read() as connection:
        return reprocessing_results.differences_of(connection, run, limit=10)


def trail(app: App) -> list[Entry]:
    with app.database.read() as connection:
        entries = [one.entry for one in audit_trail.find(connection)]
    return [entry for entry in entries if entry.event is audit_trail.Event.REPROCESSED]


@in_both_databases
def test_a_requested_dry_run_finds_what_the_command_finds_and_changes_nothing(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc(begins="2023-01-01"))
    with open_app(two_exams) as app:
        number = requested_runs.request(app, Scope(), dry_run=True)
        assert latest(app).finished_at is None
        work(app)
        run = latest(app)
        assert (run.number, run.dry_run, run.shards, run.shards_done) == (number, True, 3, 3)
        assert run.finished_at is not None
        assert run.counts == ExamCounts(examined=3, issued=1)
        (difference,) = found(app, number)
        assert [difference] == list(differences(app, Scope()))
        assert difference.regions["L1-L4"]["RESULT"] == ("NO_LSC", "LOSS")
        assert any("Significant loss" in sentence for sentence in difference.added)
        assert not any("Significant loss" in sentence for sentence in difference.removed)
        assert addenda(app) == [1, 1, 1]


def test_a_dry_run_shows_the_files_as_they_are_before_the_service_has_read_them(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        (two_exams / "precision.toml").write_text(lsc(begins="2023-01-01"))
        requested_runs.request(app, Scope(), dry_run=True)
        work(app)
        assert latest(app).counts.issued == 1


def test_a_dry_run_with_files_that_have_errors_ends_and_says_so(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        (two_exams / "precision.toml").write_text("[[lsc]]\nlsc = 1\n")
        requested_runs.request(app, Scope(), dry_run=True)
        work(app)
        run = latest(app)
    assert run.finished_at is not None
    assert run.problem is not None
    assert "precision.toml, line 1: lsc.manufacturer" in run.problem


def test_the_next_dry_run_replaces_what_the_last_one_found(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        first = requested_runs.request(app, Scope(), dry_run=True)
        work(app)
        assert found(app, first)
        (two_exams / "precision.toml").unlink()
        second = requested_runs.request(app, Scope(), dry_run=True)
        work(app)
        assert found(app, first) == found(app, second) == []


def test_more_differences_than_a_person_reads_are_counted_and_not_kept(
    two_exams: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reprocessing_results, "MOST_DIFFERENCES", 0)
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        run = requested_runs.request(app, Scope(), dry_run=True)
        work(app)
        assert found(app, run) == []
        assert latest(app).counts.issued == 1


@in_both_databases
def test_a_requested_run_is_done_by_the_worker_and_on_file_with_who_requested_it(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc(begins="2023-01-01"))
    with open_app(two_exams) as app:
        run = requested_runs.request(app, Scope(), dry_run=False)
        assert addenda(app) == [1, 1, 1], "nothing is done where it is requested"
        work(app)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)
        requested, finished = trail(app)
        assert requested.detail == {"run": run, "requested": True, "dry_run": False}
        assert (finished.detail["run"], finished.detail["issued"]) == (run, 1)
        assert finished.detail["requested_by"] == requested.actor == latest(app).requested_by
        work(app)
        assert len(trail(app)) == 2


def test_a_dry_run_and_a_run_of_the_same_exams_are_two(two_exams: Path) -> None:
    with open_app(two_exams) as app:
        dry = requested_runs.request(app, Scope(), dry_run=True)
        wet = requested_runs.request(app, Scope(), dry_run=False)
        assert dry != wet
        assert requested_runs.request(app, Scope(), dry_run=False) == wet
        assert reprocessing.begin(app, Scope()) == wet, "the nightly run takes part in it"


def test_a_run_that_a_command_has_left_unfinished_is_finished_by_the_workers_once_it_is_requested(
    two_exams: Path,
) -> None:
    with open_app(two_exams) as app:
        left = reprocessing.begin(app, Scope())
        work(app)
        assert latest(app).finished_at is None, "a run that nobody has requested is not the workers'"
        assert requested_runs.request(app, Scope(), dry_run=False) == left
        work(app)
        assert latest(app).finished_at is not None


def test_a_stopped_run_is_finished_as_far_as_it_came_and_nobody_goes_on_with_it(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        run = requested_runs.request(app, Scope(), dry_run=False)
        assert requested_runs.stop(app, run)
        work(app)
        assert addenda(app) == [1, 1, 1]
        stopped = latest(app)
        assert stopped.finished_at is not None
        assert stopped.problem == f"stopped by {trail(app)[-1].actor}"
        assert not requested_runs.stop(app, run), "it is finished"


def test_workers_that_use_another_configuration_than_the_service_wait(two_exams: Path) -> None:
    with open_app(two_exams) as old, LiveConfiguration(old).registered("listener"):
        (two_exams / "precision.toml").write_text(lsc())
        with open_app(two_exams) as app:
            requested_runs.request(app, Scope(), dry_run=False)
            work(app)
            assert latest(app).finished_at is None
            assert addenda(app) == [1, 1, 1]


@in_both_databases
def test_two_workers_share_a_requested_run(two_exams: Path) -> None:
    (two_exams / "precision.toml").write_text(lsc())
    with open_app(two_exams) as app:
        run = requested_runs.request(app, Scope(), dry_run=False)
        workers = [threading.Thread(target=work, args=(app,)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert latest(app).counts == ExamCounts(examined=3, issued=1, unchanged=2)
        assert len(trail(app)) == 2
        assert addenda(app) == [1, 2, 1]
        with app.database.read() as connection:
            assert reprocessing_runs.is_finished(connection, run)
