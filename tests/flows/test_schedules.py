"""Runs by the clock, or by a person on Prefect's pages, are done by Prefect's runner, which is there only meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dxatrend.service import rest
from flows.schedules import DueRuns, NotRegisteredError
from tests import peers
from tests.benchmarks import processes
from tests.factories.service import Service
from tests.peers import PrefectServer

OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
"""The states of a run that has ended."""


@pytest.fixture
def service(prefect: PrefectServer, tmp_path: Path) -> Iterator[Service]:
    """A service whose schedules run alone, with a Prefect server that is there already."""
    service = Service(tmp_path, destination_port=peers.free_port())
    with service.app():
        pass
    service.begin("schedules", environment=prefect.for_ours)
    yield service
    service.kill()
    print(service.log.read_text())  # where a test fails, it tells why


def _deployment(prefect: PrefectServer) -> dict[str, Any] | None:
    with prefect.client() as api:
        answer = api.get("deployments/name/housekeeping/nightly")
    found: dict[str, Any] | None = answer.json() if answer.is_success else None
    return found


def _is_alone(service: Service) -> bool:
    return len(list(processes.descendants(service.process_group()))) == 1


def _paused(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return its only schedule as a person pauses it."""
    (schedule,) = deployment["schedules"]
    return {"schedule": schedule["schedule"], "active": False}


def _start_run(prefect: PrefectServer, deployment: dict[str, Any]) -> str:
    with prefect.client() as api:
        created = api.post(f"deployments/{deployment['id']}/create_flow_run", json={}).raise_for_status().json()
    return str(created["id"])


def _require_done(prefect: PrefectServer, run: str) -> None:
    """Wait until a run has ended, and require that it has done its work."""

    def state() -> dict[str, Any]:
        with prefect.client() as api:
            found: dict[str, Any] = api.get(f"flow_runs/{run}").raise_for_status().json()["state"]
        return found

    peers.wait_until(lambda: state()["type"] in OVER, seconds=240, what="the run has ended")
    ended = state()
    assert ended["type"] == "COMPLETED", ended


@pytest.mark.slow
def test_a_run_that_a_person_starts_is_done_and_the_runner_is_there_only_meanwhile(
    prefect: PrefectServer, service: Service
) -> None:
    peers.wait_until(lambda: _deployment(prefect), seconds=180, what="the deployments are registered")
    peers.wait_until(lambda: _is_alone(service), seconds=180, what="the runner has nothing to do and ends")
    deployment = _deployment(prefect)
    assert deployment is not None
    run = _start_run(prefect, deployment)
    _require_done(prefect, run)
    peers.wait_until(lambda: _is_alone(service), seconds=180, what="the runner ends again")
    assert service.stop() == 0


@pytest.mark.slow
def test_a_worker_that_goes_on_after_a_rest_leaves_the_deployments_as_they_are(
    prefect: PrefectServer, service: Service
) -> None:
    service.wait_until_logged("the Prefect server answers")
    peers.wait_until(lambda: _deployment(prefect), seconds=180, what="the deployments are registered")
    peers.wait_until(lambda: _is_alone(service), seconds=180, what="the runner ends")
    assert service.stop() == 0
    deployment = _deployment(prefect)
    assert deployment is not None
    with prefect.client() as api:
        paused = api.patch(f"deployments/{deployment['id']}", json={"schedules": [_paused(deployment)]})
        paused.raise_for_status()
    before = _deployment(prefect)
    service.begin("work", "--schedules", environment={**prefect.for_ours, **rest.environment(goes_on=True)})
    run = _start_run(prefect, deployment)
    _require_done(prefect, run)
    after = _deployment(prefect)
    assert before is not None
    assert after is not None
    assert [schedule["active"] for schedule in after["schedules"]] == [False]
    assert after["schedules"] == before["schedules"]


def test_a_deployment_that_is_not_on_the_server_is_noticed(prefect: PrefectServer) -> None:
    with pytest.raises(NotRegisteredError):
        DueRuns(prefect.settings, ["no such flow"]).are_due()
