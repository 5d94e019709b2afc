"""A stranger who reaches Prefect's port can neither read nor start nor change anything, nor can a page of others."""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.typing import Subprotocol

from flows.prefect_password import UnusablePasswordError, make_password, password_file, read_password
from flows.prefect_runner import PrefectRunner, ServerState, prefect_state
from pipeline.edge.configuration.service_settings import PrefectSettings
from tests import peers
from tests.factories.service import Service
from tests.folders import ROOT
from tests.peers import PrefectServer

OPEN_TO_ALL = {"/health", "/ready"}
"""Whether the server lives may be asked by anybody."""

ELSEWHERE = "http://evil.example"


@pytest.fixture(scope="module")
def routes(prefect: PrefectServer) -> list[tuple[str, str]]:
    """Every method and path of the API, with something in place of each parameter."""
    described = httpx.get(f"{prefect.url.removesuffix('/api')}/openapi.json", trust_env=False, timeout=60).json()
    found = [
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, methods in described["paths"].items()
        for method in methods
    ]
    assert len(found) > 150
    return found


@pytest.fixture(scope="module")
def stranger(prefect: PrefectServer) -> Iterator[httpx.Client]:
    """Somebody who reaches the port and knows no password."""
    with httpx.Client(base_url=prefect.url, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect server as somebody starts it who has read nothing."""
    unprotected = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_SERVER_CSRF_PROTECTION_ENABLED")
    with peers.prefect_server(tmp_path_factory.mktemp("open"), without=unprotected) as server:
        yield server


@pytest.mark.parametrize("authorization", [None, "Basic ZHhhdHJlbmQ6", "Bearer x", "Basic", "Basic /w=="])
def test_no_question_and_no_command_is_taken_without_the_password(
    routes: list[tuple[str, str]], stranger: httpx.Client, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    taken = [
        (method, path, status)
        for method, path in routes
        if path not in OPEN_TO_ALL
        and (status := stranger.request(method, path.lstrip("/"), json={}, headers=headers).status_code)
        not in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
    ]
    assert taken == []


def test_a_deployment_with_a_shell_command_in_its_pull_steps_is_refused(
    prefect: PrefectServer, stranger: httpx.Client
) -> None:
    """Seen before there was a password: the next scheduled run did what a stranger had written there."""
    with prefect.client() as ours:
        flow = ours.post("flows/", json={"name": "nightly"}).raise_for_status().json()["id"]
        made = ours.post("deployments/", json={"name": "nightly", "flow_id": flow}).raise_for_status().json()["id"]
        command = {"prefect.deployments.steps.run_shell_script": {"script": "touch /tmp/was-here"}}
        assert not stranger.patch(f"deployments/{made}", json={"pull_steps": [command]}).is_success
        assert not stranger.post(f"deployments/{made}/create_flow_run", json={}).is_success
        assert not ours.get(f"deployments/{made}").json()["pull_steps"]
        assert ours.post("flow_runs/filter", json={"deployments": {"id": {"any_": [made]}}}).json() == []
        ours.delete(f"deployments/{made}").raise_for_status()


@pytest.mark.parametrize("path", ["events/in", "events/out", "logs/out", "task_runs/subscriptions/scheduled"])
@pytest.mark.parametrize("first", [{"type": "auth", "token": "guessed"}, {"type": "event"}, None])
def test_no_web_socket_says_a_word_to_a_stranger(prefect: PrefectServer, path: str, first: Any) -> None:
    async def hear() -> str | bytes:
        address = f"{prefect.url.replace('http', 'ws')}/{path}"
        spoken = [Subprotocol("prefect")] if first else None
        async with websockets.connect(address, subprotocols=spoken, proxy=None) as socket:
            if first:
                await socket.send(json.dumps(first))
            return await asyncio.wait_for(socket.recv(), 30)

    with pytest.raises((websockets.ConnectionClosed, websockets.InvalidStatus)):
        asyncio.run(hear())


def test_a_page_of_another_origin_may_neither_read_an_answer_nor_send_what_a_browser_asks_for_first(
    prefect: PrefectServer,
) -> None:
    with prefect.client() as ours:
        read = ours.post("flows/filter", json={}, headers={"Origin": ELSEWHERE})
        asked = ours.options("flows/filter", headers={"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in read.headers
    assert "access-control-allow-origin" not in asked.headers
    assert not asked.is_success


def test_a_forged_request_with_the_browsers_own_password_lacks_the_token(prefect: PrefectServer) -> None:
    with prefect.client() as ours:
        for name in ("Prefect-Csrf-Token", "Prefect-Csrf-Client"):
            del ours.headers[name]
        assert ours.post("flows/", json={"name": "forged"}).status_code == httpx.codes.FORBIDDEN


def test_a_server_without_a_password_is_not_used_and_check_says_why(
    open_server: PrefectServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert prefect_state(open_server.settings) is ServerState.OPEN
    runner = PrefectRunner(open_server.settings)
    did: list[str] = []
    runner.run(lambda: did.append("under Prefect"), lambda: did.append("plainly"), lambda: None)
    runner.close()
    assert did == ["plainly"]
    assert "without a password" in caplog.text
    checked = _run(tmp_path, open_server, "check")
    assert checked.returncode == 1
    assert "answers without a password" in checked.stdout


@pytest.mark.parametrize(
    ("text", "problem"), [("dxatrend:another", "rejects our password"), ("", "password_file cannot be used")]
)
def test_check_and_deploy_report_a_password_that_does_not_work(
    prefect: PrefectServer, tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "password"
    path.write_text(text)
    path.chmod(0o600)
    for command in ("check", "deploy"):
        ended = _run(tmp_path / command, prefect, command, DXATREND_SERVICE__PREFECT__PASSWORD_FILE=str(path))
        assert ended.returncode == 1
        assert problem in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


def test_check_says_that_a_server_of_ours_answers(prefect: PrefectServer, tmp_path: Path) -> None:
    checked = _run(tmp_path, prefect, "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "the Prefect server answers\n" in checked.stdout


def test_the_password_is_made_once_by_whoever_comes_first_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    settings = PrefectSettings(home=tmp_path / "prefect")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        made = pool.map(make_password, [settings] * 8)
    assert len(set(made)) == 1
    assert made[0] == read_password(settings)
    assert password_file(settings).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in settings.home.iterdir()] == ["password"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_password_that_others_can_read_is_none(tmp_path: Path, mode: int) -> None:
    settings = PrefectSettings(home=tmp_path)
    make_password(settings)
    password_file(settings).chmod(mode)
    with pytest.raises(UnusablePasswordError, match="chmod 600"):
        read_password(settings)


@pytest.mark.parametrize("home", [Path("/proc/dxatrend"), Path("/etc/hostname")])
def test_a_folder_that_takes_no_password_is_named_in_one_sentence(home: Path) -> None:
    with pytest.raises(UnusablePasswordError, match=rf"prefect\.password_file: {home}/password: .+"):
        make_password(PrefectSettings(home=home))


def _run(folder: Path, prefect: PrefectServer, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    service = Service(folder, destination_port=peers.free_port())
    config = service.config
    text = (config / "service.toml").read_text()
    (config / "service.toml").write_text(text.partition("[[destination]]")[0])
    with service.app():
        pass  # it makes the store, for want of which check would complain
    return subprocess.run(
        [sys.executable, "-m", "dxatrend", "--config", str(config), *command],
        env={**os.environ, **prefect.for_ours, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
