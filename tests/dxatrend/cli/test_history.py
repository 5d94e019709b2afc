"""What a person types about history, and what comes back: reprocess, load, merge and fetch."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.app import open_app
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event
from tests import peers
from tests.expected import exams_of
from tests.factories.answered_exams import addenda, follow_all, l1_l4, lsc, receive

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with its store beside it: one patient with an exam under each of two ids, both answered."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101", PatientID="OLD"), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101", PatientID="NEW"), "2.25.2")
        follow_all(app)
    return folder


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one command: the exit status, what it printed, and what it complained of."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--config", str(config)])
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)  # what it logged to will be closed
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_patients_are_merged_and_unmerged_and_what_cannot_be_is_reported(config: Path, run: Command) -> None:
    status, printed, _ = run("merge", "OLD", "NEW")
    assert (status, printed) == (0, "1 addenda superseded, 1 exams examined again and unchanged, 0 held\n")
    for arguments, complaint in (
        (("merge", "OLD", "NEW"), "one patient already"),
        (("merge", "NOBODY", "NEW"), "nothing is on file about OLD"),
        (("merge", "NEW", "OLD", "--undo"), "OLD was not merged into NEW"),
    ):
        status, _, errors = run(*arguments)
        assert (status, complaint in errors) == (1, True), errors
    status, printed, _ = run("merge", "OLD", "NEW", "--undo")
    assert (status, printed.split()[0]) == (0, "1")
    with open_app(config) as app, app.database.read() as connection:
        merged = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.MERGED]
    assert [entry.detail["undo"] for entry in merged] == [False, True]


def test_a_dry_run_prints_what_would_differ_as_table_and_as_json_and_a_run_does_it(config: Path, run: Command) -> None:
    run("merge", "OLD", "NEW")
    (config / "precision.toml").write_text(lsc(begins="2023-01-01"))
    status, table, _ = run("reprocess", "--dry-run")
    assert status == 0
    rows = [line.split() for line in table.splitlines()]
    assert ["E2", "reference_data", "L1-L4", "RESULT", "NO_LSC", "LOSS"] in rows
    assert ["E2", "reference_data", "-", "OVERALL", "INDETERMINATE", "DECLINED"] in rows
    assert table.splitlines()[-1] == "1 addenda would be superseded, or their exams held"
    told = {row[3] for row in rows if row[:1] == ["E2"]}
    assert not told & {"DIFF", "PDIFF", "CI_LOW", "CI_HIGH", "RATE"}, "no number passes for a change"
    status, printed, _ = run("reprocess", "--dry-run", "--json")
    (difference,) = json.loads(printed)
    assert (status, difference["exam"], difference["changed_inputs"]) == (0, 2, ["reference_data"])
    assert difference["overall"] == ["INDETERMINATE", "DECLINED"]
    assert difference["regions"]["L1-L4"]["RESULT"] == ["NO_LSC", "LOSS"]
    status, printed, _ = run("reprocess", "--json")
    done = json.loads(printed)
    assert (status, done["finished"], done["examined"], done["issued"]) == (0, True, 2, 1)
    status, printed, _ = run("reprocess")
    assert (status, "0 addenda superseded" in printed, "not finished" in printed) == (0, True, False)
    assert run("reprocess", "--dry-run")[1].splitlines()[-1].startswith("0 addenda")
    with open_app(config) as app:
        assert addenda(app)[:2] == [1, 3]


@pytest.mark.parametrize("of", [("--patient", "NOBODY"), ("--scanner", "NONE")])
def test_a_run_about_nobody_we_know_is_refused(run: Command, of: tuple[str, str]) -> None:
    status, _, errors = run("reprocess", *of)
    assert (status, "on file" in errors) == (1, True)


def test_an_archive_of_files_is_loaded_and_what_could_not_be_used_is_listed_at_the_end(
    tmp_path: Path, run: Command
) -> None:
    folder = tmp_path / "archive"
    reports = exams_of("02-spine-loss")[0].reports
    shutil.copytree(reports[0].parent, folder)
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "cut.dcm").write_bytes(reports[0].read_bytes()[:-2000])
    for new, known in ((True, False), (False, True)):
        status, printed, progress = run("load", str(folder))
        first, *rest = printed.splitlines()
        assert status == 1, "one file could not be used"
        assert (first.startswith("0 new"), ", 0 known before" in first) == (known, new)
        assert rest[0] == "1 files could not be used:"
        assert rest[1].startswith(f"  {folder}/cut.dcm: ")
        assert "files/s" in progress
    (folder / "cut.dcm").unlink()
    assert run("load", str(folder))[0] == 0, "what is no DICOM is passed over"
    status, _, errors = run("load", str(folder / "nowhere"))
    assert (status, "is not a folder" in errors) == (1, True)


def test_archives_are_queried_on_demand_and_one_that_is_away_is_a_failure(
    config: Path, run: Command, orthanc: peers.Orthanc
) -> None:
    status, _, errors = run("fetch", "SAMPLE-02")
    assert (status, "history = true" in errors) == (1, True)
    away = 'name = "away"\nae_title = "AWAY"\nhost = "127.0.0.1"\nhistory = true\n'
    there = 'name = "pacs"\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nhistory = true\nretrieve = "get"\n'
    with (config / "service.toml").open("a") as service:
        service.write(f"\n[[destination]]\n{there}port = {orthanc.dicom_port}\n")
    reports = [report for exam in exams_of("02-spine-loss") for report in exam.reports]
    assert peers.storescu(reports, port=orthanc.dicom_port, called="ORTHANC").returncode == 0
    orthanc.know("DXATREND", peers.free_port())
    answer = f"pacs: {len(exams_of('02-spine-loss'))} studies, {{}} new instances\n"
    assert run("fetch", "SAMPLE-02")[:2] == (0, answer.format(len(reports)))
    with (config / "service.toml").open("a") as service:
        service.write(f"[[destination]]\n{away}port = {peers.free_port()}\n")
    status, printed, errors = run("fetch", "SAMPLE-02")
    assert (status, printed, "away: " in errors) == (1, answer.format(0), True)
    status, printed, _ = run("status")
    assert status == 0
    assert "history from" in printed
    assert [one["name"] for one in json.loads(run("status", "--json")[1])["history"]] == ["pacs", "away"]


def test_an_exam_is_withdrawn_with_a_reason_and_brought_back_and_what_cannot_be_is_said(
    config: Path, run: Command
) -> None:
    status, printed, _ = run("withdraw", "E1", "--reason", "scanned under a wrong name")
    assert (status, printed) == (0, "E1 is withdrawn; the exams that depend on it are due again\n")
    for arguments, complaint in (
        (("withdraw", "E2"), "--reason is required"),
        (("withdraw", "E1", "--reason", "again"), "E1 is already withdrawn"),
        (("withdraw", "E9", "--reason", "none"), "E9 is no exam on file"),
        (("withdraw", "1", "--reason", "a receipt"), "exams are written as E12"),
        (("withdraw", "E2", "--undo"), "E2 is not withdrawn"),
    ):
        status, _, errors = run(*arguments)
        assert (status, complaint in errors) == (1, True), errors
    assert "it is withdrawn: scanned under a wrong name" in run("show", "1")[1]
    status, printed, _ = run("withdraw", "e1", "--undo")
    assert (status, printed) == (0, "E1 is used again; the exams that depend on it are due again\n")
    with open_app(config) as app, app.database.read() as connection:
        entries = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.WITHDRAWN]
    assert [(entry.exam, entry.detail["undo"]) for entry in entries] == [(1, False), (1, True)]
    assert entries[0].detail["reason"] == "scanned under a wrong name"


def test_a_study_of_two_visits_is_split_and_one_of_a_single_visit_is_not(config: Path, run: Command) -> None:
    with open_app(config) as app:
        receive(app, l1_l4("0.900", study="2.25.11", date="20250101", PatientID="NEW"), "2.25.3")
        follow_all(app)
    status, printed, _ = run("split", "E2")
    assert (status, printed) == (0, "E2 is now E2 (2024-01-01), E3 (2025-01-01)\n")
    status, _, errors = run("split", "E1")
    assert (status, errors) == (1, "all reports of E1 belong to one visit\n")
    assert run("split", "E9")[2].startswith("E9 is no exam on file")
    with open_app(config) as app, app.database.read() as connection:
        entries = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.SPLIT]
    assert [(entry.exam, entry.detail["of"]) for entry in entries] == [(2, 2), (3, 2)]
