"""The units and the compose file that are shipped start what they name."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
import yaml

from dxatrend.cli.arguments import build_parser
from flows.prefect_environment import server_environment
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.service_settings import PrefectSettings
from tests import peers
from tests.folders import ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
OURS = {name: part for name, part in COMPOSE["services"].items() if part["image"] == "dxatrend"}
INSTALLED = "/opt/dxatrend"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_every_unit(unit, tmp_path):
    verified = verify(unit.name, unit.read_text(), tmp_path)
    assert verified.returncode == 0, verified.stderr
    assert verified.stderr == ""


def test_a_unit_with_a_mistake_is_noticed(tmp_path):
    mistaken = UNITS[0].read_text().replace("ProtectSystem=strict", "ProtectSistem=strict")
    assert "ProtectSistem" in verify(UNITS[0].name, mistaken, tmp_path).stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_a_command_there_is_and_has_no_right_it_does_not_need(unit):
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    check_command(shlex.split(line)[1:] if "/bin/dxatrend " in line else [])
    (exposure,) = re.findall(r"exposure level for .*: ([0-9.]+)", security(unit))
    assert float(exposure) < 3


def test_every_part_of_the_compose_file_runs_a_command_there_is():
    for part in OURS.values():
        check_command(["--config", "/etc/dxatrend", *part["command"]])


def test_every_setting_of_the_compose_file_is_one(monkeypatch):
    for part in OURS.values():
        for name, value in part["environment"].items():
            if name.startswith("DXATREND_"):
                monkeypatch.setenv(name, value)
    loaded, _ = load_configuration(ROOT / "config")
    assert loaded.service.store.url.startswith("postgresql+psycopg://")
    assert loaded.service.listener.host == "0.0.0.0"
    assert loaded.service.prefect.api_url == "http://prefect:4200/api"


def test_the_variables_of_the_prefect_server_are_prefects_own():
    for name in server_environment(PrefectSettings(), "user:password"):
        assert not name.startswith("PREFECT_") or hasattr(prefect.settings, name), name


def test_every_part_of_the_compose_file_finds_the_password_that_the_prefect_server_has_made():
    for part in OURS.values():
        path = part["environment"]["DXATREND_SERVICE__PREFECT__PASSWORD_FILE"]
        assert any(volume.split(":")[1] == str(Path(path).parent) for volume in part["volumes"])


def test_the_parts_of_the_compose_file_share_one_database_and_only_listener_and_desk_are_heard_outside():
    assert {name for name, part in COMPOSE["services"].items() if "ports" in part} == {"listener", "desk"}
    assert COMPOSE["services"]["worker"]["deploy"]["replicas"] > 1


def check_command(arguments: list[str]) -> None:
    if arguments:
        build_parser().parse_args(arguments)


def verify(name: str, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What systemd says of a unit whose programs lie in a folder."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "dxatrend").symlink_to("/bin/true")
    unit = folder / name
    unit.write_text(text.replace(INSTALLED, str(folder)))
    command = [peers.program("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", str(unit)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def security(unit: Path) -> str:
    """systemd's own judgement of what a unit that is broken into could do."""
    command = [peers.program("systemd-analyze"), "security", "--offline=yes", "--no-pager", str(unit)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
