"""What an administrator types for a report that support shall see, and what is in the file."""

import stat
from pathlib import Path

import pytest
from pydicom import dcmread

from dxatrend.cli.main import main
from pipeline.edge.app import open_app
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event
from tests.factories.answered_exams import follow_all, l1_l4, receive
from tests.factories.identity import MARK, PATIENT, holds

LIKE_A_WORD = PATIENT | {"PatientName": "BMD^A", "PatientID": "ZZ-4712-B"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose store holds two exams of a patient, and one of a patient called like a word of reports."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store/store.sqlite3"')
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", study="2.25.101", date="20220301", **PATIENT), "2.25.11")
        receive(app, l1_l4("0.875", study="2.25.102", date="20240301", **PATIENT), "2.25.12")
        receive(app, l1_l4("0.875", study="2.25.103", date="20240301", **LIKE_A_WORD), "2.25.13")
        follow_all(app)
    return folder


def _run(config: Path, *command: str) -> int:
    return main(["show", *command, "--config", str(config)])


def test_a_receipt_is_written_without_identity_and_the_trail_tells_who_did(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(config, "--anonymous", "1") == 0
    told = capsys.readouterr()
    path = tmp_path / "anonymous-1.dcm"
    assert "anonymous-1.dcm: receipt 1 without identity" in told.out
    assert "replaced: " in told.out
    assert "patient id (1)" in told.out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for value in (MARK, *PATIENT.values()):
        assert not holds(path.read_bytes(), value)
        assert value not in told.out + told.err
    with open_app(config) as app, app.database.read() as connection:
        done = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.ANONYMISED]
    assert [(entry.receipt, bool(entry.actor)) for entry in done] == [(1, True)]
    assert MARK not in str(done)


def test_a_file_that_is_there_is_not_overwritten(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.dcm"
    there.write_text("mine")
    assert _run(config, "1", "--anonymous", "--to", str(there)) == 1
    assert "is there already and is not overwritten" in capsys.readouterr().err
    assert there.read_text() == "mine"
    assert _run(config, "1", "--anonymous", "--to", str(tmp_path / "nowhere" / "file.dcm")) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_what_support_gets_is_shown_like_the_original_and_keeps_its_patient_and_interval(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(config, "--anonymous", "E1", "--to", str(tmp_path)) == 0
    assert _run(config, "--anonymous", "2", "--to", str(tmp_path)) == 0
    first, second = (dcmread(tmp_path / f"anonymous-{number}.dcm") for number in (1, 2))
    assert first.PatientID == second.PatientID
    assert int(second.StudyDate[:4]) - int(first.StudyDate[:4]) == 2
    capsys.readouterr()
    assert _run(config, str(tmp_path / "anonymous-2.dcm")) == 0
    assert "0.875 g/cm2" in capsys.readouterr().out
    assert _run(config, "--anonymous", str(tmp_path / "anonymous-2.dcm"), "--to", str(tmp_path)) == 0


def test_a_report_that_cannot_be_made_anonymous_leaves_no_file(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(config, "--anonymous", "3", "--to", str(tmp_path)) == 1
    assert "Nothing was written of receipt 3: it cannot be made anonymous" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.dcm"))
    assert _run(config, "--anonymous", "99", "--to", str(tmp_path)) == 1
    assert "Nothing was written: there is no report 99" in capsys.readouterr().err
    erase = ("patient", "erase", PATIENT["PatientID"], "--reason", "request 7", "--yes", "--config", str(config))
    assert main(erase) == 0
    assert _run(config, "--anonymous", "1", "--to", str(tmp_path)) == 1
    assert "there is no report 1, or it was erased" in capsys.readouterr().err
    assert _run(config, "1", "--to", str(tmp_path)) == 1
    assert "--to belongs to --anonymous" in capsys.readouterr().err
