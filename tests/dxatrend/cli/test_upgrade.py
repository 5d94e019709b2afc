"""``dxatrend upgrade`` in a later version: this one with one more migration, which the test writes."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.app import open_app
from pipeline.edge.store import receipts
from tests.factories.instances import NOW, instance
from tests.factories.store_snapshot import knows_revision, newest
from tests.folders import ROOT

ADDS_A_COLUMN = 'op.execute("ALTER TABLE receipt ADD COLUMN later TEXT")'
LOSES_BYTES = 'op.execute("DELETE FROM receipt_content")'
LOSES_ROWS = f'op.execute("DROP TABLE reading"); {LOSES_BYTES}; op.execute("DELETE FROM receipt")'
FAILS = 'op.execute("ALTER TABLE receipt ADD COLUMN later TEXT"); op.execute("ALTER TABLE nothing ADD COLUMN n TEXT")'


class LaterVersion:
    """A copy of the program that knows a later schema."""

    def __init__(self, folder: Path, migration: str) -> None:
        self.folder = folder
        for package in ("pipeline", "flows", "dxatrend"):
            shutil.copytree(ROOT / package, folder / package)
        (folder / "pipeline" / "edge" / "store" / "migrations" / "versions" / "9000_later.py").write_text(
            f'"""A later schema."""\nfrom alembic import op\nrevision, down_revision = "9000", "{newest()}"\n'
            f"branch_labels = depends_on = None\ndef upgrade() -> None:\n    {migration}\n"
        )
        database = folder / "pipeline" / "edge" / "store" / "database.py"
        database.write_text(knows_revision(database.read_text(), "9000"))

    def run(self, config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dxatrend", "--config", str(config), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> LaterVersion:
    """A later version whose migration is in order."""
    return LaterVersion(tmp_path_factory.mktemp("later"), ADDS_A_COLUMN)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose store, of this version, holds a report."""
    folder = tmp_path / "config"
    folder.mkdir()
    return fill(folder, f"sqlite:///{tmp_path}/store.sqlite3")


def fill(folder: Path, url: str) -> Path:
    (folder / "service.toml").write_text(f'[store]\nurl = "{url}"')
    with open_app(folder) as app, app.database.write() as connection:
        receipts.store(connection, instance(uid="2.25.1"), calling_ae_title="SCANNER1", at=NOW)
    return folder


def revision(store: Path) -> str:
    with closing(sqlite3.connect(store)) as opened:
        (found,) = opened.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


def test_a_store_of_the_version_before_is_backed_up_migrated_and_checked(
    later: LaterVersion, config: Path, tmp_path: Path
) -> None:
    ran = later.run(config, "upgrade")
    assert ran.returncode == 0, ran.stderr
    (backup,) = (tmp_path / "backups").iterdir()
    assert f"backup  {backup}, SHA-256 " in ran.stdout
    assert f"schema  {newest()} -> 9000" in ran.stdout
    assert "1 of receipt" in ran.stdout
    assert f"dxatrend restore {backup} --replace" in ran.stdout
    assert revision(backup) == newest()
    assert revision(tmp_path / "store.sqlite3") == "9000"
    assert "upgraded" in later.run(config, "audit").stdout
    again = later.run(config, "upgrade")
    assert (again.returncode, "there is nothing to do" in again.stdout) == (0, True)
    assert len(list((tmp_path / "backups").iterdir())) == 1


def test_the_way_back_that_is_printed_leads_back(
    later: LaterVersion, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = tmp_path / "before.sqlite3"
    assert later.run(config, "upgrade", "--backup", str(backup)).returncode == 0
    assert main(["status", "--config", str(config)]) == 1
    assert "newer version" in capsys.readouterr().err
    assert main(["restore", str(backup), "--replace", "--config", str(config)]) == 0
    assert main(["status", "--config", str(config)]) == 0


@pytest.mark.parametrize(
    ("migration", "words"),
    [
        (LOSES_ROWS, "would have fewer rows of receipt"),
        (LOSES_BYTES, "would have fewer rows of receipt_content"),
        (FAILS, "OperationalError"),
    ],
    ids=["loses rows", "loses bytes", "fails half way"],
)
def test_an_upgrade_that_does_not_succeed_changes_nothing_and_keeps_the_backup(
    migration: str, words: str, config: Path, tmp_path: Path
) -> None:
    ran = LaterVersion(tmp_path / "later", migration).run(config, "upgrade")
    assert ran.returncode == 1
    assert "Nothing was upgraded, and the store is as it was" in ran.stderr
    assert words in ran.stderr
    (backup,) = (tmp_path / "backups").iterdir()
    assert f"The backup stays: {backup}" in ran.stderr
    assert main(["status", "--config", str(config)]) == 0
    with open_app(config) as app, app.database.read() as connection:
        assert len(receipts.load(connection, [1])) == 1


def test_nothing_is_upgraded_while_the_service_runs(later: LaterVersion, config: Path, tmp_path: Path) -> None:
    with open_app(config):
        ran = later.run(config, "upgrade")
    assert ran.returncode == 1
    assert "stop the service" in ran.stderr
    assert not (tmp_path / "backups").exists()


def test_a_backup_of_another_store_does_not_count(later: LaterVersion, config: Path, tmp_path: Path) -> None:
    backup = tmp_path / "before.sqlite3"
    assert main(["backup", str(backup), "--config", str(config)]) == 0
    with open_app(config) as app, app.database.write() as connection:
        receipts.store(connection, instance(uid="2.25.2"), calling_ae_title="SCANNER1", at=NOW)
    for file in (backup, tmp_path / "missing.sqlite3"):
        ran = later.run(config, "upgrade", "--backed-up", str(file))
        assert (ran.returncode, "there is no backup" in ran.stderr) == (1, True)
    assert revision(tmp_path / "store.sqlite3") == newest()


def test_on_postgresql_the_version_before_takes_the_backup(
    later: LaterVersion, tmp_path: Path, postgresql_url: str
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    config, backup = fill(folder, postgresql_url), tmp_path / "before.sqlite3"
    refused = later.run(config, "upgrade")
    assert (refused.returncode, "the version that made it takes the backup" in refused.stderr) == (1, True)
    assert main(["backup", str(backup), "--config", str(config)]) == 0
    ran = later.run(config, "upgrade", "--backed-up", str(backup))
    assert ran.returncode == 0, ran.stderr
    assert f"schema  {newest()} -> 9000" in ran.stdout


def test_a_store_that_is_missing_is_not_made(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "store.sqlite3").unlink()
    assert main(["upgrade", "--config", str(config)]) == 1
    assert "There is no store" in capsys.readouterr().err
    assert not (tmp_path / "store.sqlite3").exists()
