"""Times are printed by the department's clocks, with their zone; JSON has ISO 8601 with the offset."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dxatrend.cli.main import main
from pipeline.edge.app import open_app
from tests.factories.answered_exams import follow_all, l1_l4, receive
from tests.factories.held_things import hold_things

TOKYO = ZoneInfo("Asia/Tokyo")
DAY_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?P<zone> ?[A-Z]{3,4}|[+-]\d\d:\d\d)?")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A department in Tokyo with an answered exam, an earlier one that is held, and clinical context."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "service.toml").write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"\n[exam]\ntime_zone = "Asia/Tokyo"\n'
    )
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101", PatientID="P1"), "2.25.1")
        follow_all(app)
        hold_things(app)
    context = tmp_path / "context.csv"
    context.write_text("patient_id,recorded_on,menopause\nP1,2024-03-01,after\n")
    assert main(["context", "load", str(context), "--config", str(folder)]) == 0
    return folder


def _moments(value: Any) -> Sequence[str]:
    """Every text in JSON that begins like a day with a time."""
    if isinstance(value, dict):
        return [one for below in value.values() for one in _moments(below)]
    if isinstance(value, list):
        return [one for below in value for one in _moments(below)]
    return [value] if isinstance(value, str) and DAY_AND_TIME.match(value) else []


@pytest.mark.parametrize("command", [["status"], ["held"], ["audit"], ["context", "show", "P1"], ["show", "1"]])
def test_every_time_that_is_printed_has_the_departments_zone(
    config: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    capsys.readouterr()
    assert main([*command, "--config", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    ours = [line for line in lines if command[0] != "show" or line.startswith("used: ")]  # the others are the report's
    found = list(DAY_AND_TIME.finditer("\n".join(ours)))
    zones = {(one["zone"] or "").strip() for one in found}
    assert zones == {"JST"}


@pytest.mark.parametrize("command", [["status"], ["held"], ["held", "--set-aside"], ["audit"], ["alarms"], ["qc"]])
def test_every_time_in_json_is_iso_8601_with_the_departments_offset(
    config: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main(["set-aside", "2", "--reason", "a lateral spine", "--config", str(config)]) in (0, 1)
    capsys.readouterr()
    assert main([*command, "--json", "--config", str(config)]) == 0
    found = _moments(json.loads(capsys.readouterr().out))
    assert found or command[0] in ("alarms", "qc")
    for one in found:
        assert one[10] == "T", one
        assert datetime.fromisoformat(one).utcoffset() == TOKYO.utcoffset(datetime(2026, 3, 1)), one
