"""Prefect's database does not fill the disk that the store needs."""

import logging
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from flows.prefect_runner import PrefectRunner
from pipeline.edge.app import open_app
from pipeline.edge.configuration.service_settings import PrefectSettings

MORE_THAN_THERE_IS = 10**12


def test_where_its_disk_is_nearly_full_no_run_is_recorded_and_the_work_is_done_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(PrefectRunner, "is_there", lambda self: True)
    done: list[str] = []
    with caplog.at_level(logging.INFO):
        for reserve_mb in (MORE_THAN_THERE_IS, 0):
            runner = PrefectRunner(PrefectSettings(home=tmp_path, reserve_mb=reserve_mb))
            for _ in range(2):
                runner.run(lambda: done.append("flow"), lambda: done.append("plain"), lambda: None)
            runner.close()
    assert done == ["plain", "plain", "flow", "flow"] or done == ["plain", "plain", "flow", "plain", "flow", "plain"]
    assert caplog.text.count("is nearly full") == 1


def test_status_prints_the_free_disk_space_and_when_that_is_too_little(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"\n'
    (tmp_path / "service.toml").write_text(store)
    with open_app(tmp_path):
        pass
    assert main(["status", "--config", str(tmp_path)]) == 0
    assert "MB free on the disk of the store\n" in capsys.readouterr().out
    (tmp_path / "service.toml").write_text(f"{store}reserve_mb = {MORE_THAN_THERE_IS}")
    assert main(["status", "--config", str(tmp_path)]) == 0
    assert "nearly full" in capsys.readouterr().out
