"""A Prefect user finds what runs by the clock as deployments, and any worker of the pool can run it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.prefect_password import read_password
from tests import peers
from tests.factories.service import Service
from tests.folders import ROOT
from tests.peers import PrefectServer


class Deployed:
    """Our deployments on somebody's Prefect server."""

    def __init__(self, folder: Path, prefect: PrefectServer) -> None:
        self._prefect, self._api = prefect, prefect.client()
        self.config = Service(folder, destination_port=peers.free_port()).config
        settings = self.config / "service.toml"
        zoned = settings.read_text().replace("[exam]", '[exam]\ntime_zone = "Europe/Berlin"')
        settings.write_text(f'[backup]\nfolder = "{folder}/backups"\nat = "04:15"\n{zoned}')

    def ask(self, path: str, question: dict[str, Any]) -> Any:
        return self._api.post(path, json=question).raise_for_status().json()

    def close(self) -> None:
        self._api.close()

    def state(self, run: str) -> str:
        return str(self._api.get(f"flow_runs/{run}").json()["state_type"])

    def deployment(self, name: str) -> dict[str, Any]:
        (found,) = (one for one in self.ask("deployments/filter", {}) if one["entrypoint"].endswith(f":{name}"))
        return dict(found)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **self._prefect.for_ours,
            "PREFECT_API_URL": self._prefect.url,
            "PREFECT_API_AUTH_STRING": read_password(self._prefect.settings),
            "DXATREND_CONFIG": str(self.config),
            "PYTHONPATH": str(ROOT),
        }
        return subprocess.run(
            [sys.executable, "-m", *command],
            env={**os.environ, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )


@pytest.fixture(scope="module")
def deployed(prefect: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """What ``dxatrend deploy`` has registered; the second time it changed nothing."""
    found = Deployed(tmp_path_factory.mktemp("service"), prefect)
    for _ in range(2):
        registered = found.run("dxatrend", "--config", str(found.config), "deploy")
        assert registered.returncode == 0, registered.stderr
    assert registered.stdout.split() == ["housekeeping/nightly", "reprocess/nightly", "backup/nightly"]
    yield found
    found.close()


def test_what_is_deployed_is_named_scheduled_and_explained_and_a_worker_runs_it(deployed: Deployed) -> None:
    assert len(deployed.ask("deployments/filter", {})) == 3
    schedule = deployed.deployment("backup")["schedules"][0]["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("15 4 * * *", "Europe/Berlin")
    night = deployed.deployment("reprocess")
    assert (night["tags"], night["work_pool_name"]) == (["dxatrend"], "dxatrend")
    assert night["schedules"][0]["schedule"]["cron"] == "0 1 * * *"
    assert "only exams performed on this day" in json.dumps(night["parameter_openapi_schema"])
    started = deployed.ask(f"deployments/{night['id']}/create_flow_run", {})["id"]
    worker = deployed.run("prefect", "worker", "start", "--pool", "dxatrend", "--type", "process", "--run-once")
    assert worker.returncode == 0, worker.stderr
    over = ("COMPLETED", "FAILED", "CRASHED")
    peers.wait_until(lambda: deployed.state(started) in over, seconds=60, what="the run has ended")
    assert deployed.state(started) == "COMPLETED", worker.stdout + worker.stderr
    (counts,) = deployed.ask("artifacts/filter", {})
    assert [row["what"] for row in json.loads(counts["data"])] == ["examined", "issued", "unchanged", "held"]


@pytest.mark.parametrize(("name", "most"), [("reprocess", 2), ("housekeeping", 1), ("backup", 1)])
def test_however_many_workers_there_are_the_server_lets_no_more_runs_of_the_night_begin(
    deployed: Deployed, name: str, most: int
) -> None:
    night = deployed.deployment(name)
    assert night["global_concurrency_limit"]["limit"] == most
    answers = []
    for _ in range(most + 1):
        run = deployed.ask(f"deployments/{night['id']}/create_flow_run", {})["id"]
        begin = {"state": {"type": "PENDING"}, "force": False}
        answers.append(deployed.ask(f"flow_runs/{run}/set_state", begin)["state"]["name"])
    assert answers == ["Pending"] * most + ["AwaitingConcurrencySlot"]
