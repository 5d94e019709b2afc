"""``dxatrend status`` shows callers that were rejected, with the lines that let them in."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.app import open_app
from pipeline.edge.store import rejected_callers
from pipeline.edge.store.rejected_callers import RejectedCaller, RejectedFor


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A service that has rejected a scanner, and something that calls itself by escape codes."""
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"\n')
    now = datetime.now(UTC)
    with open_app(tmp_path) as app, app.database.write() as connection:
        rejected_callers.record(
            connection,
            [
                RejectedCaller(
                    calling_ae_title=title,
                    host="192.0.2.17",
                    called_ae_title="DXATREND",
                    reason=RejectedFor.NOT_CONFIGURED,
                    times=7,
                    first_at=now,
                    last_at=now,
                )
                for title in ("SCANNER7", "\x1b[2J\x07")
            ],
        )
    return tmp_path


def test_status_prints_the_lines_and_nothing_that_moves_the_cursor(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--config", str(config)]) == 0
    printed = capsys.readouterr().out
    assert "# 'SCANNER7' at 192.0.2.17, which called 'DXATREND': 7 times" in printed
    assert '\n[[listener.caller]]\nae_title = "SCANNER7"\nhost = "192.0.2.17"\n' in printed
    assert "\x1b" not in printed
    assert "no AE title" in printed


def test_status_in_json_has_them_too(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--config", str(config)]) == 0
    rejected = {one["calling_ae_title"]: one for one in json.loads(capsys.readouterr().out)["rejected_callers"]}
    assert rejected["SCANNER7"]["times"] == 7
    assert rejected["SCANNER7"]["lines"] == ["[[listener.caller]]", 'ae_title = "SCANNER7"', 'host = "192.0.2.17"']
    assert rejected["\x1b[2J\x07"]["lines"] == []
