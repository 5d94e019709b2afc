"""Runs by the clock, or by a person on Prefect's pages, are done by Prefect's runner, which is there only meanwhile."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.prefect_password import password_file
from flows.schedules import DueRuns, NotRegisteredError
from tests import peers
from tests.benchmarks import processes
from tests.factories.service import Service
from tests.peers import PrefectServer


@pytest.fixture
def service(prefect: PrefectServer, tmp_path: Path) -> Iterator[Service]:
    """A service whose schedules run alone, with a Prefect server that is there already."""
    service = Service(tmp_path, destination_port=peers.free_port())
    with service.app():
        pass
    variables = {
        "DXATREND_SERVICE__PREFECT__API_URL": prefect.url,
        "DXATREND_SERVICE__PREFECT__PASSWORD_FILE": str(password_file(prefect.settings)),
    }
    service.begin("schedules", environment={**os.environ, **variables})
    yield service
    service.kill()
    print(service.log.read_text())  # where a test fails, it tells why


def _deployment(prefect: PrefectServer) -> dict[str, Any] | None:
    with prefect.client() as api:
        answer = api.get("deployments/name/housekeeping/nightly")
    found: dict[str, Any] | None = answer.json() if answer.is_success else None
    return found


def _state(prefect: PrefectServer, run: str) -> str:
    with prefect.client() as api:
        return str(api.get(f"flow_runs/{run}").raise_for_status().json()["state_type"])


@pytest.mark.slow
def test_a_run_that_a_person_starts_is_done_and_the_runner_is_there_only_meanwhile(
    prefect: PrefectServer, service: Service
) -> None:
    def is_alone() -> bool:
        return len(list(processes.descendants(service.process_group()))) == 1

    peers.wait_until(lambda: _deployment(prefect), seconds=180, what="the deployments are registered")
    peers.wait_until(is_alone, seconds=180, what="the runner has nothing to do and ends")
    deployment = _deployment(prefect)
    assert deployment is not None
    with prefect.client() as api:
        created = api.post(f"deployments/{deployment['id']}/create_flow_run", json={}).raise_for_status().json()
    peers.wait_until(lambda: _state(prefect, created["id"]) == "COMPLETED", seconds=240, what="the run is done")
    peers.wait_until(is_alone, seconds=180, what="the runner ends again")
    assert service.stop() == 0


def test_a_deployment_that_is_not_on_the_server_any_more_is_missed(prefect: PrefectServer) -> None:
    with contextlib.closing(DueRuns(prefect.settings, ["no such flow"])) as due, pytest.raises(NotRegisteredError):
        due.are_due()
