"""What ``dxatrend check`` prints is data, from which the desk shows the same."""

from datetime import date
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from dxatrend.installation_check import Level, check
from pipeline.edge.app import open_app
from tests import peers

TODAY = date(2026, 3, 1)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with an LSC that has expired, a caller without host and a destination that is away."""
    (tmp_path / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{tmp_path}/store.sqlite3"
        [[listener.caller]]
        ae_title = "ANYBODY"
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = {peers.free_port()}
        [prefect]
        port = {peers.free_port()}
        """)
    with open_app(tmp_path):
        pass
    return tmp_path


def test_each_result_says_whether_something_must_be_corrected(config: Path) -> None:
    found = {result.text: result.level for result in check(config, on=TODAY)}
    assert found.pop("the Prefect server does not answer") is Level.ADVICE, "the work goes on without it"
    (problem,) = (text for text, level in found.items() if level is Level.PROBLEM)
    assert problem.startswith("destination pacs: ")
    (advice,) = (text for text, level in found.items() if level is Level.ADVICE)
    assert advice.startswith("listener.caller ANYBODY: ")


def test_the_command_prints_the_texts_in_their_order_and_fails_where_there_is_a_problem(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--config", str(config)]) == 1
    assert capsys.readouterr().out.splitlines() == [result.text for result in check(config, on=TODAY)]


def test_a_store_that_does_not_exist_yet_is_a_problem_and_is_not_made(config: Path) -> None:
    (config / "store.sqlite3").unlink()
    problems = [result.text for result in check(config, on=TODAY) if result.level is Level.PROBLEM]
    assert any("there is no store" in problem for problem in problems)
    assert not (config / "store.sqlite3").exists()
