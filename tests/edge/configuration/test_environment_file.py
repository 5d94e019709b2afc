"""Commands have the settings that systemd gives the service from ``environment`` in the configuration folder."""

import os
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.app import open_app
from pipeline.edge.configuration.environment_file import set_from_file

URL = "DXATREND_SERVICE__STORE__URL"


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the file sets is gone after the test."""
    for name in (URL, "PGPASSWORD", "DXATREND_SERVICE__LISTENER__AE_TITLE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("unset")
def test_a_command_finds_the_store_that_the_file_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "environment").write_text(f"# ours\n{URL}='sqlite:///{tmp_path}/elsewhere.sqlite3'\nOTHER=1\n")
    assert main(["status", "--config", str(tmp_path)]) == 1
    assert f"There is no store at sqlite:///{tmp_path}/elsewhere.sqlite3" in capsys.readouterr().err
    with open_app(tmp_path):
        pass
    assert main(["status", "--config", str(tmp_path)]) == 0


@pytest.mark.usefixtures("unset")
def test_values_are_read_as_systemd_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DXATREND_SERVICE__LISTENER__AE_TITLE", "SET BEFORE")
    (tmp_path / "environment").write_text(
        ';DXATREND_SERVICE__A=1\n PGPASSWORD="a \\"b\\" \'c\'" \nDXATREND_SERVICE__LISTENER__AE_TITLE=FROM FILE\n'
        f"{URL}= sqlite:///a b \nLD_PRELOAD=x\n"
    )
    assert set_from_file(tmp_path) is None
    assert os.environ["PGPASSWORD"] == "a \"b\" 'c'"
    assert os.environ["DXATREND_SERVICE__LISTENER__AE_TITLE"] == "SET BEFORE"
    assert os.environ[URL] == "sqlite:///a b"
    assert "LD_PRELOAD" not in os.environ
    assert "DXATREND_SERVICE__A" not in os.environ


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "environment").mkdir()
    assert "this command works without the settings in it" in str(set_from_file(tmp_path))
