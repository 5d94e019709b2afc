"""Start the scheduled Prefect runs: Prefect's own runner does, in a process that is there only while it has work.

The runner takes some hundred megabytes, and has work for some minutes a night. Until then the server is asked, as the
runner would ask it, whether a run is due.
"""

import base64
import contextlib
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from flows.prefect_environment import api_url
from flows.prefect_password import read_password
from flows.prefect_runner import PrefectRunner
from flows.shutdown import Stop, end_with_parent
from pipeline.edge.configuration.service_settings import PrefectSettings, ServiceSettings
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
"""How often the server is asked; a run that a person starts on Prefect's pages begins so much later."""

AHEAD = timedelta(seconds=60)
"""How long before a run is due the runner is started."""

IDLE_SECONDS = 30.0
"""How long the runner is given to register the deployments, and to ask for more work."""

STOP_SECONDS = 15.0
_TOKEN_SECONDS = 600.0


class RunnerError(DxatrendError):
    """Prefect's runner has ended by itself."""


def keep_schedules(service: ServiceSettings, stop: Stop) -> None:
    """Start what is due until ``stop`` is set.

    Raises:
        RunnerError: the runner ended by itself.
        UnusablePasswordError: the password of the server cannot be read any more.
    """
    closing, settings = contextlib.closing, service.prefect
    due_runs = _DueRuns(settings, ["housekeeping", "reprocess", *(["backup"] if service.backup.folder else [])])
    with closing(PrefectRunner(settings)) as server, closing(due_runs) as due, closing(_Runner()) as runner:
        is_registered = False
        while not stop.is_set():
            is_there = server.is_there()
            if runner.is_running:
                runner.end_if_idle(is_due=is_there and due.are_due())
            elif not is_there:
                is_registered = False  # another server may answer next time, or this one without its database
            elif not is_registered or due.are_due():
                runner.start()
                is_registered = True
            stop.wait(LOOK_SECONDS if is_there else 1.0)


class _Runner:
    """The process of Prefect's runner, while there is one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._worked_at = 0.0

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and not been ended by us."""
        return self._process is not None

    def start(self) -> None:
        """Start it; it registers the deployments first."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flows.deployments"],
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - two system calls, which wait for no other thread
        )
        self._worked_at = time.monotonic()

    def end_if_idle(self, *, is_due: bool) -> None:
        """End it when it has had nothing to do for a time.

        Raises:
            RunnerError: it has ended by itself.
        """
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            self._process = None
            raise RunnerError(f"Prefect's runner ended with status {status}")
        if is_due or _has_children(self._process.pid):
            self._worked_at = time.monotonic()
        elif time.monotonic() - self._worked_at > IDLE_SECONDS:
            self.close()

    def close(self) -> None:
        """End it, and with it the runs that it has begun."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.error("Prefect's runner did not stop in time and was killed")
            self._process.kill()
            self._process.wait()
        self._process = None


class _DueRuns:
    """Asks the server for runs of flows that are due, until ``close``."""

    def __init__(self, settings: PrefectSettings, flows: Sequence[str]) -> None:
        self._settings = settings
        self._flows = flows
        self._client = httpx.Client(base_url=api_url(settings), timeout=10, trust_env=False)
        self._token_at = -math.inf
        self._known: list[str] = []

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def are_due(self) -> bool:
        """Return whether a run is due soon."""
        try:
            self._renew_token()
            self._known = self._known or [self._deployment(flow) for flow in self._flows]
            before = (datetime.now(UTC) + AHEAD).isoformat()
            question = {"deployment_ids": self._known, "scheduled_before": before, "limit": 1}
            answer = self._client.post("/deployments/get_scheduled_flow_runs", json=question)
            return bool(answer.raise_for_status().json())
        except httpx.HTTPError:  # it is away, or knows no such deployment yet: it is asked again
            self._token_at, self._known = -math.inf, []
            return False

    def _deployment(self, flow: str) -> str:
        answer = self._client.get(f"/deployments/name/{flow}/nightly")
        number: str = answer.raise_for_status().json()["id"]
        return number

    def _renew_token(self) -> None:
        """Get another token against forged requests, which the server wants with every question."""
        if time.monotonic() - self._token_at < _TOKEN_SECONDS:
            return
        client = f"schedules-{os.getpid()}"
        credentials = base64.b64encode(read_password(self._settings).encode("ascii")).decode("ascii")
        self._client.headers["Authorization"] = f"Basic {credentials}"
        answer = self._client.get("/csrf-token", params={"client": client})
        if answer.status_code != httpx.codes.UNPROCESSABLE_ENTITY:  # which a server without such tokens says
            token = answer.raise_for_status().json()["token"]
            self._client.headers.update({"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": token})
        self._token_at = time.monotonic()


def _has_children(pid: int) -> bool:
    """Return whether a process has started others, each of which is a run."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # this thread has ended meanwhile
            if path.read_text().strip():
                return True
    return False
