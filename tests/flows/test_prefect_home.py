"""Into Prefect's home nobody but the service's user can put anything; where somebody could, it is not used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dxatrend.installation_check import check_prefect
from flows.prefect_environment import server_environment
from flows.prefect_home import UnsafeHomeError, make_home
from flows.prefect_password import UnusablePasswordError, make_password
from flows.prefect_runner import PrefectRunner, ServerState, prefect_state
from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.edge.overview.check_result import Level
from tests import peers
from tests.factories.service import Service
from tests.folders import ROOT


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that the service made, before its folder was opened to everybody."""
    tmp_path.chmod(0o755)
    made = tmp_path / "data" / "prefect"
    make_home(PrefectSettings(home=made))
    made.parent.chmod(0o777)
    return made


def settings_of(home: Path) -> PrefectSettings:
    return PrefectSettings(home=home, port=peers.free_port())


def test_whoever_writes_to_the_home_runs_programs_as_the_service(tmp_path: Path) -> None:
    """This is why: what starts Prefect's server runs what a file in its home names."""
    (tmp_path / "profiles.toml").write_text(
        f'active = "x"\n[profiles.x]\nPREFECT_LOGGING_SETTINGS_PATH = "{tmp_path}/logging.yml"\n'
    )
    (tmp_path / "logging.yml").write_text(
        "version: 1\nhandlers:\n  x:\n    (): os.system\n    command: touch $PREFECT_HOME/was-here\n"
    )
    environment = {**os.environ, **server_environment(PrefectSettings(home=tmp_path), "user:password")}
    program = "from prefect.logging.configuration import setup_logging; setup_logging()"
    subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False, timeout=120)
    assert (tmp_path / "was-here").exists()


@pytest.mark.parametrize("umask", [0o002, 0o007, 0o077])
def test_the_home_is_made_for_its_user_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    home = tmp_path / "private" / "prefect"
    before = os.umask(umask)
    try:
        make_home(PrefectSettings(home=home))
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o700
    assert home.parent.stat().st_mode & 0o022 == 0


def test_a_home_that_others_could_only_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "prefect.db").touch()
    tmp_path.chmod(0o755)
    make_home(PrefectSettings(home=tmp_path))
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "prefect.db").exists()


def test_no_home_is_made_where_others_could_replace_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(UnsafeHomeError, match=rf"prefect\.home: .*: every user can write to {tmp_path}, .*name a fold"):
        make_home(PrefectSettings(home=tmp_path / "data" / "prefect"))
    assert not list(tmp_path.iterdir())


def test_prefect_with_a_home_that_others_could_replace_is_not_used_and_the_work_goes_on(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    did: list[str] = []
    runner = PrefectRunner(settings_of(home))
    runner.run(lambda: did.append("under Prefect"), lambda: did.append("plainly"), lambda: None)
    runner.close()
    assert did == ["plainly"]
    assert "others than the user who runs this can write to prefect.home; the work goes on without it" in caplog.text


def test_check_says_who_could_write_to_the_home_and_what_to_do(home: Path) -> None:
    settings = settings_of(home)
    found = check_prefect(settings)
    assert prefect_state(settings) is ServerState.UNSAFE_HOME
    assert found.level is Level.PROBLEM
    assert f"prefect.home: {home}: every user can write to {home.parent}, and so run programs" in found.text
    home.parent.chmod(0o755)
    assert check_prefect(settings).text == "the Prefect server does not answer"


def test_a_password_that_others_could_replace_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    settings = PrefectSettings(home=tmp_path / "home", password_file=folder / "password")
    make_password(settings)
    folder.chmod(0o777)
    with pytest.raises(UnusablePasswordError, match=rf"every user can write to {folder}, and so put a password of"):
        make_password(settings)


@pytest.mark.parametrize("command", ["serve", "prefect"])
def test_a_server_with_a_home_that_others_could_replace_is_not_started(tmp_path: Path, command: str) -> None:
    service = Service(tmp_path / "service", destination_port=peers.free_port())
    service.prefect_home.mkdir()
    service.prefect_home.chmod(0o777)
    started = subprocess.run(
        [sys.executable, "-m", "dxatrend", "--config", str(service.config), command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert started.returncode == 1
    assert f"prefect.home: {service.prefect_home}: every user can write to {service.prefect_home}" in started.stderr
    assert "Traceback" not in started.stderr
    assert not list(service.prefect_home.iterdir())
