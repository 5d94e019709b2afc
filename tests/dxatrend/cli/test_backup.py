"""What an operator types to keep the store: back it up, restore it, read its audit trail."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.app import open_app
from pipeline.edge.store import audit_chain, readings, receipts
from tests.factories.instances import NOW, instance, report


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose store holds an exam of each of two patients, its trail sealed."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    with open_app(folder) as app, app.database.write() as connection:
        for patient_id, uid in (("P1", "2.25.1"), ("P2", "2.25.2")):
            number, _ = receipts.store(connection, instance(uid=uid), calling_ae_title=f"FOR {patient_id}", at=NOW)
            measured = report(patient_id=patient_id, uid=uid, study=f"{uid}.1")
            readings.record(connection, number, measured, readings.ReportArrival(due_at=NOW, seen_at=NOW))
        audit_chain.seal(connection)
    return folder


def _run(config: Path, *command: str) -> int:
    return main([*command, "--config", str(config)])


def test_a_backup_is_made_and_restored_over_a_store_that_was_lost(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backup.sqlite3"
    assert _run(config, "backup", str(file)) == 0
    assert "2 receipts, 2 exams, 0 addenda" in capsys.readouterr().out
    (tmp_path / "store.sqlite3").unlink()
    assert _run(config, "restore", str(file)) == 0
    assert "restored 2 receipts" in capsys.readouterr().out
    with open_app(config) as app, app.database.read() as connection:
        assert len(receipts.load(connection, [1, 2])) == 2


def test_a_backup_over_another_and_a_restore_over_a_full_store_are_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backup.sqlite3"
    assert _run(config, "backup", str(file)) == 0
    assert _run(config, "backup", str(file)) == 1
    assert "Nothing was backed up" in capsys.readouterr().err
    assert _run(config, "restore", str(file)) == 1
    assert "--replace" in capsys.readouterr().err
    assert _run(config, "restore", "--replace", str(file)) == 0


def test_nothing_is_restored_while_the_service_runs(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backup.sqlite3"
    assert _run(config, "backup", str(file)) == 0
    with open_app(config):
        assert _run(config, "restore", "--replace", str(file)) == 1
    assert "stop the service" in capsys.readouterr().err


def test_a_store_of_a_later_version_is_told_from_a_broken_one(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)) as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    assert _run(config, "status") == 1
    assert "newer version" in capsys.readouterr().err


def test_the_trail_of_one_patient_is_printed_and_that_it_was_read_is_on_file(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(config, "audit", "--patient", "P1", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["event"], entry["actor"], entry["receipt"]) == ("received", "FOR P1", 1)
    assert _run(config, "audit") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "received  FOR P1  receipt 1" in lines[0]
    assert "exported" in lines[2]
    assert _run(config, "audit", "--patient", "P3", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert _run(config, "audit", "--since", "2999-01-01") == 0
    assert capsys.readouterr().out == ""


def test_the_trail_shows_whether_it_was_changed(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(config, "audit", "--verify") == 0
    assert "2 entries are chained" in capsys.readouterr().out
    with closing(sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)) as store:
        store.execute("DROP TRIGGER audit_is_never_changed")
        store.execute("UPDATE audit SET actor = 'SOMEBODY ELSE' WHERE id = 2")
    assert _run(config, "audit", "--verify") == 1
    assert "entry 2" in capsys.readouterr().err
