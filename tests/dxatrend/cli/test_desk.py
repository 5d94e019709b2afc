"""The accounts of the desk on the command line, and the desk as a process of the service."""

import io
import os
import pty
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from dxatrend.cli.command_arguments import _ROLES
from dxatrend.cli.main import main
from dxatrend.service import supervisor
from dxatrend.service.child_reports import ChildReports
from pipeline.edge.app import open_app
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.edge.operations import desk_log_in
from pipeline.edge.store import audit_trail, desk_accounts
from pipeline.edge.store.audit_trail import Event
from tests import peers
from tests.factories.browser import PASSWORD, configure
from tests.folders import ROOT


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration folder with nothing on file."""
    return configure(tmp_path)


def run(config: Path, *arguments: str, password: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dxatrend", "--config", str(config), "desk", *arguments],
        input=f"{password}\n" if password else "",
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )


def test_an_account_is_added_listed_changed_and_removed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    added = run(config, "user", "add", "Mary", "--role", "act", password=PASSWORD)
    assert (added.returncode, added.stdout) == (0, "mary may use the desk with the role act\n")
    changed = run(config, "user", "password", "mary", password="another way to Tipperary")
    assert (changed.returncode, changed.stdout) == (0, "mary has another password and is logged out\n")
    assert main(["desk", "user", "role", "mary", "configure", "--config", str(config)]) == 0
    assert main(["desk", "user", "list", "--config", str(config)]) == 0
    assert "mary  configure  password" in capsys.readouterr().out
    with open_app(config) as app:
        database, idle = app.database, timedelta(minutes=30)
        with pytest.raises(desk_log_in.LogInRefusedError):
            desk_log_in.log_in(database, "mary", PASSWORD, host="", idle=idle)
        desk_log_in.log_in(database, "mary", "another way to Tipperary", host="", idle=idle)
    assert main(["desk", "user", "remove", "mary", "--config", str(config)]) == 0
    with open_app(config) as app, app.database.read() as connection:
        assert desk_accounts.names(connection) == []
        changes = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.ACCOUNT_CHANGED]
    assert [entry.detail["change"] for entry in changes] == ["added", "password", "role", "removed"]
    assert PASSWORD not in str(changes)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["user", "add", "mary", "--role", "act"], "a password has 12 to 256 characters"),
        (["user", "password", "tom"], "there is no account tom"),
        (["user", "role", "tom", "act"], "there is no account tom"),
        (["user", "remove", "tom"], "there is no account tom"),
    ],
    ids=["too short", "password", "role", "remove"],
)
def test_what_cannot_be_done_to_an_account_is_one_sentence(
    config: Path,
    arguments: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_app(config):
        capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n" if "add" in arguments else f"{PASSWORD}\n"))
    assert main(["desk", *arguments, "--config", str(config)]) == 1
    assert capsys.readouterr().err == f"{problem}\n"


def test_a_password_is_asked_for_twice_without_being_shown(config: Path) -> None:
    shown = typed_at_a_terminal(config, PASSWORD, PASSWORD)
    assert "mary may use the desk" in shown
    assert PASSWORD not in shown
    assert "the two passwords differ" in typed_at_a_terminal(config, PASSWORD, PASSWORD + "!", name="tom")


def test_no_argument_takes_a_password() -> None:
    """It would be in the list of processes and in the history of the shell."""
    told = run(ROOT / "config", "user", "add", "--help")
    assert "--password" not in told.stdout
    assert "standard input" in run(ROOT / "config", "user", "--help").stdout


def test_the_command_line_knows_every_role() -> None:
    assert tuple(_ROLES) == tuple(role.value for role in Role)


def test_the_desk_serves_until_it_is_told_to_stop_and_the_trail_has_both(config: Path, tmp_path: Path) -> None:
    settings = load_configuration(config)[0].service.desk
    log = tmp_path / "desk.log"
    with log.open("wb") as output:
        desk = subprocess.Popen(
            [sys.executable, "-m", "dxatrend", "--config", str(config), "desk"], stderr=output, cwd=ROOT
        )
    try:
        peers.wait_until(lambda: _answers(settings.address), what="the desk answers")
        taken = run(config)
        assert taken.returncode == 1
        assert f"cannot serve the desk: 127.0.0.1: Address already in use (port {settings.port})" in taken.stderr
    finally:
        desk.send_signal(signal.SIGTERM)
        assert desk.wait(timeout=60) == 0
    with open_app(config) as app, app.database.read() as connection:
        parts = [(one.entry.event, one.entry.detail["part"]) for one in audit_trail.find(connection)]
    assert parts.count((Event.STARTED, "desk")) == parts.count((Event.STOPPED, "desk")) == 2
    assert "the desk is at http://127.0.0.1" in log.read_text()
    assert "GET" not in log.read_text(), "what somebody looked for is in no log"


def typed_at_a_terminal(config: Path, *answers: str, name: str = "mary") -> str:
    """Add an account as a person at a terminal does, and return what the terminal shows."""
    command = [sys.executable, "-m", "dxatrend", "--config", str(config), "desk", "user", "add", name, "--role", "act"]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    shown = b""
    waiting = list(zip((b"password: ", b"once more: "), answers, strict=True))
    while True:
        try:
            shown += os.read(terminal, 1024)
        except OSError:  # how Linux says that nobody has the other side open any more
            break
        if waiting and waiting[0][0] in shown:
            os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
    os.close(terminal)
    os.waitpid(child, 0)
    return shown.decode()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/log-in", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("enabled", [True, False])
def test_the_service_runs_a_desk_unless_it_is_told_not_to(config: Path, enabled: bool) -> None:
    elsewhere = PrefectSettings(api_url="http://127.0.0.1:1/api")
    with open_app(config) as app:
        reports = ChildReports(app.database)
        children = supervisor._children(config, elsewhere, reports, lambda _: lambda: 0, desk=enabled)
    for child in children:
        child.signs.close()
    names = [child.name for child in children]
    assert ("desk" in names) is enabled
    assert {"listener", "worker", "monitor"} <= set(names)


def test_check_says_where_the_desk_is_and_that_its_key_is_readable_by_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "desk.key").touch(mode=0o644)
    config = configure(tmp_path, desk='[desk.tls]\ncertificate = "../desk.pem"\nkey = "../desk.key"')
    assert main(["check", "--config", str(config)]) == 1
    told = "".join(capsys.readouterr())
    assert "the desk: https://127.0.0.1:" in told
    assert "desk.tls.key: " in told
    assert "others than its owner can read it" in told
    (tmp_path / "desk.key").chmod(0o600)
    assert main(["check", "--config", str(config)]) == 1
    told = "".join(capsys.readouterr())
    assert told.count("desk.tls.certificate") == 1, "that it is not there is told once"
