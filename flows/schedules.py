"""Start the scheduled Prefect runs: Prefect's own runner does them, in a process that is there only meanwhile.

The runner takes some hundred megabytes, and has work for some minutes a night. Until then the server is asked, as the
runner would ask it, whether a run is due.
"""

import contextlib
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote

from flows.prefect_calls import PrefectCalls, PrefectSilentError, log_in
from flows.prefect_environment import api_url
from flows.prefect_password import UnusablePasswordError, read_password
from flows.prefect_runner import PrefectRunner
from flows.shutdown import Stop, end_processes
from pipeline.edge.configuration.service_settings import PrefectSettings, ServiceSettings
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
"""How often the server is asked, unless Prefect's own setting says otherwise: a run that a person starts on Prefect's
pages begins so much later."""

BEGIN_SECONDS = 60.0
"""How long a runner may take to begin what is due, before another one is started for it."""

MOST_RUNNERS = 3
"""As many as there are flows: one of them may take hours."""

STOP_SECONDS = 15.0
"""Shorter than the supervisor gives the worker, which keeps them."""

_TOKEN_SECONDS = 600.0
_ANSWER_SECONDS = 10.0


class Schedules:
    """The scheduled flows of this machine: one thread keeps them, and any other may ask whether they are at work.

    They are registered once, and again only where one is not on the server any more: what is registered anew loses a
    run of the next minute, and what a person has paused goes on. So whoever ``goes_on`` in place of another process
    relies on what that one has registered.
    """

    def __init__(self, service: ServiceSettings, *, goes_on: bool = False) -> None:
        self._settings = service.prefect
        self._flows = ["housekeeping", "reprocess", *(["backup"] if service.backup.folder else [])]
        self._runners = _Runners()
        self._is_there, self._is_registered = True, goes_on

    @property
    def are_at_work(self) -> bool:
        """Whether a run is under way, or may be, or something is to be registered yet."""
        return self._runners.are_there or (self._is_there and not self._is_registered)

    def keep(self, stop: Stop) -> None:
        """Start what is due until ``stop`` is set, and then end what is under way."""
        closing, runners = contextlib.closing, self._runners
        due = DueRuns(self._settings, self._flows)
        with closing(PrefectRunner(self._settings)) as server, closing(runners):
            look_seconds = float(os.environ.get("PREFECT_RUNNER_POLL_FREQUENCY", LOOK_SECONDS))
            while not stop.is_set():
                for task, status in runners.take_ended():
                    if status != 0:
                        log.error("Prefect's runner ended with status %s and is started again", status)
                        due.forget()
                    elif task == "register":
                        self._is_registered = True
                self._is_there = server.is_there()
                if not self._is_there:
                    due.forget()  # another server may answer next time, or this one without its database
                elif runners.may_begin and not self._is_registered:
                    runners.begin("register")
                elif runners.may_begin:
                    try:
                        if due.are_due():
                            runners.begin("run")
                    except NotRegisteredError:
                        self._is_registered = False
                stop.wait(look_seconds if self._is_there else 1.0)


class NotRegisteredError(DxatrendError):
    """The server does not know one of the deployments any more."""


class _Runners:
    """The processes in which Prefect's runner is at work: most of the time, none."""

    def __init__(self) -> None:
        self._processes: list[tuple[str, float, subprocess.Popen[bytes]]] = []
        """Of each its task, when it began, and the process."""

    @property
    def are_there(self) -> bool:
        """Whether there is one, which may have ended since it was last looked at."""
        return bool(self._processes)

    @property
    def may_begin(self) -> bool:
        """Whether those under way have had the time to take what is due, so that the rest is for another one."""
        latest = max((began for _, began, _ in self._processes), default=-math.inf)
        return len(self._processes) < MOST_RUNNERS and time.monotonic() - latest > BEGIN_SECONDS

    def begin(self, task: str) -> None:
        """Start one, for a task of ``flows.deployments``."""
        process = subprocess.Popen([sys.executable, "-m", "flows.deployments", task], stdin=subprocess.DEVNULL)
        self._processes.append((task, time.monotonic(), process))

    def take_ended(self) -> list[tuple[str, int]]:
        """Return the task and the exit status of each that has ended since the last time."""
        ended = [(task, process.returncode) for task, _, process in self._processes if process.poll() is not None]
        self._processes = [one for one in self._processes if one[2].returncode is None]
        return ended

    def close(self) -> None:
        """End them, and with them the runs that they have begun."""
        end_processes([("Prefect's runner", process) for _, _, process in self._processes], seconds=STOP_SECONDS)
        self._processes = []


class DueRuns:
    """Asks the server for runs of flows that are due."""

    def __init__(self, settings: PrefectSettings, flows: Sequence[str]) -> None:
        self._settings = settings
        self._flows = flows
        self._headers: dict[str, str] = {}
        self._token_at = -math.inf
        self._known: list[str] = []

    def forget(self) -> None:
        """Have the deployments be looked for on the server when it is asked next."""
        self._token_at, self._known = -math.inf, []

    def are_due(self) -> bool:
        """Return whether a run is due now.

        Raises:
            NotRegisteredError: a deployment is not on the server; it is looked for every ten minutes.
        """
        try:
            with contextlib.closing(PrefectCalls(api_url(self._settings), seconds=_ANSWER_SECONDS)) as server:
                self._renew_token(server)
                self._known = self._known or [self._deployment(server, flow) for flow in self._flows]
                question = {
                    "deployment_ids": self._known,
                    "scheduled_before": datetime.now(UTC).isoformat(),
                    "limit": 1,
                }
                return bool(server.post("/deployments/get_scheduled_flow_runs", question, self._headers).json())
        except (PrefectSilentError, UnusablePasswordError):  # which the state of the server tells; it is asked again
            self.forget()
            return False

    def _deployment(self, server: PrefectCalls, flow: str) -> str:
        answer = server.get(f"/deployments/name/{quote(flow)}/nightly", self._headers)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotRegisteredError(flow)
        number: str = answer.json()["id"]
        return number

    def _renew_token(self, server: PrefectCalls) -> None:
        """Get another token against forged requests, which the server wants with every question."""
        if time.monotonic() - self._token_at < _TOKEN_SECONDS:
            return
        client = f"schedules-{os.getpid()}"
        self._headers = log_in(read_password(self._settings))
        answer = server.get(f"/csrf-token?client={client}", self._headers)
        if answer.status != HTTPStatus.UNPROCESSABLE_ENTITY:  # which a server without such tokens says
            self._headers |= {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": answer.json()["token"]}
        self._token_at, self._known = time.monotonic(), []
