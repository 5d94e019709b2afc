"""A Prefect user finds what runs by the clock as deployments, and any worker of the pool can run it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests import peers
from tests.make_service import ROOT, Service


def ask(api: str, path: str, question: dict[str, Any]) -> Any:
    return httpx.post(f"{api}/{path}", json=question, trust_env=False, timeout=60).raise_for_status().json()


def test_what_is_deployed_is_named_scheduled_and_explained_and_a_worker_runs_it(prefect: str, tmp_path: Path) -> None:
    service = Service(tmp_path / "service", destination_port=peers.free_port())
    environment = {
        **os.environ,
        "DXATREND_SERVICE__PREFECT__API_URL": prefect,
        "PREFECT_API_URL": prefect,
        "DXATREND_CONFIG": str(service.config),
        "PYTHONPATH": str(ROOT),
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    for _ in range(2):  # the second time changes nothing
        deployed = run("flows.command_line", "--config", str(service.config), "deploy")
        assert deployed.returncode == 0, deployed.stderr
    assert deployed.stdout.split() == ["housekeeping/nightly", "reprocess/nightly"]
    found = {one["entrypoint"]: one for one in ask(prefect, "deployments/filter", {})}
    assert len(found) == 2
    night = found["flows/reprocess.py:reprocess"]
    assert (night["tags"], night["work_pool_name"]) == (["dxatrend"], "dxatrend")
    assert night["schedules"][0]["schedule"]["cron"] == "0 1 * * *"
    assert "only exams performed on this day" in json.dumps(night["parameter_openapi_schema"])
    started = ask(prefect, f"deployments/{night['id']}/create_flow_run", {})
    worker = run("prefect", "worker", "start", "--pool", "dxatrend", "--type", "process", "--run-once")
    assert worker.returncode == 0, worker.stderr

    def state() -> str:
        answer = httpx.get(f"{prefect}/flow_runs/{started['id']}", trust_env=False, timeout=60)
        return str(answer.json()["state_type"])

    peers.wait_until(lambda: state() in ("COMPLETED", "FAILED", "CRASHED"), seconds=60, what="the run has ended")
    assert state() == "COMPLETED", worker.stdout + worker.stderr
    (counts,) = ask(prefect, "artifacts/filter", {})
    assert [row["what"] for row in json.loads(counts["data"])] == ["looked at", "issued", "unchanged", "held"]
