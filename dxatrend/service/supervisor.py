"""Supervisor of the processes of one machine: listener, worker, monitor, desk, Prefect server and schedules.

Each is a process of its own, so that none delays another. The supervisor starts them, restarts what ends, and stops
all of them on SIGTERM. Should it be killed itself, the kernel ends its children.
"""

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dxatrend.service import systemd_notify
from dxatrend.service.child_reports import ChildReports
from dxatrend.service.listener_signs import ListenerSigns
from flows.port_owner import Owner
from flows.prefect_environment import server_environment, server_port
from flows.prefect_password import make_password
from flows.shutdown import Stop
from pipeline.edge.configuration.service_settings import PrefectSettings

log = logging.getLogger(__name__)

PREFECT_SERVER = (sys.executable, "-m", "flows.prefect_server", "server", "start")

STOP_SECONDS = 20
"""How long a child may take to finish its current work before it is killed."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60
"""A child that has run for so long is restarted after the first pause again."""

_POLL_SECONDS = 0.2
_PREFECT_POLL_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


@dataclass(slots=True)
class _Child:
    """One process under supervision."""

    name: str
    command: Sequence[str]
    reports: ChildReports
    signs: ListenerSigns
    is_ours: bool = True
    """Whether it is a dxatrend process, which reads our configuration."""
    output: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    obstacle: Callable[[], str | None] = lambda: None
    """Returns why it cannot start now, or ``None``."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0

    def start(self) -> None:
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(self.output.open("wb")) if self.output else None
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment, **self.signs.environment_of(self.name)},
                stdout=output,
                stderr=output,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - two system calls, which wait for no other thread
            )
        self.started = time.monotonic()
        log.info("started", extra={"child": self.name})
        self.reports.started(self.name, self.process.pid, speaks_for_itself=self.is_ours)

    def ensure_running(self) -> None:
        """Start it where it is not running; after a failure, wait longer each time."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.due:
                self._start_if_possible(now)
        elif (status := self.process.poll()) is not None:
            self.pause = FIRST_PAUSE if now - self.started > STEADY_SECONDS else min(2 * self.pause, LONGEST_PAUSE)
            self.process, self.due = None, now + self.pause
            log.error("ended unexpectedly and will be restarted", extra={"child": self.name, "status": status})
            self.reports.ended(self.name, status)

    def reload(self) -> None:
        """Make it read its configuration again, if it reads ours."""
        if self.process is not None and self.is_ours:
            self.process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it because it hangs; it is started again."""
        if self.process is not None and self.process.poll() is None:
            log.error("gives no sign of life and is restarted", extra={"child": self.name})
            self.process.kill()
            self.process.wait()

    def _start_if_possible(self, now: float) -> None:
        if (obstacle := self.obstacle()) is None:
            self.start()
            return
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
        self.due = now + self.pause
        log.error("cannot start: %s", obstacle, extra={"child": self.name})
        self.reports.cannot_start(self.name, obstacle)


def supervise(config: Path, prefect: PrefectSettings, stop: Stop, reports: ChildReports, *, desk: bool) -> None:
    """Run everything one machine needs until ``stop`` is set; SIGHUP is passed on to our processes."""
    signs = ListenerSigns()
    children = _children(config, prefect, reports, signs, desk=desk)
    signalled: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: signalled.append(number))
    while not stop.is_set():
        while signalled:
            signalled.pop()
            for child in children:
                child.reload()
        for child in children:
            child.ensure_running()
        if signs.hear():
            children[0].kill()
        stop.wait(_POLL_SECONDS)
    running = [child for child in children if child.process is not None]
    _end([child.process for child in running if child.process is not None])
    for child in running:
        reports.stopped(child.name)
    signs.close()
    log.info("stopped")


def serve_prefect(prefect: PrefectSettings, stop: Stop) -> int:
    """Run the Prefect server of several machines, as closed to strangers as the one that ``serve`` starts.

    systemd is told once it answers, and from then on as long as it does. Return its exit status.

    Raises:
        UnusablePasswordError: its password cannot be stored, or others may read it.
    """
    environment = {**server_environment(prefect, make_password(prefect)), systemd_notify.SOCKET_VARIABLE: ""}
    process = subprocess.Popen(
        PREFECT_SERVER,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - two system calls, which wait for no other thread
    )
    is_ready = False
    while not stop.wait(_PREFECT_POLL_SECONDS) and process.poll() is None:
        if server_port(prefect).owner() is Owner.OURS:
            systemd_notify.notify("WATCHDOG=1" if is_ready else "READY=1")
            is_ready = True
    if process.poll() is None:
        systemd_notify.notify("STOPPING=1")
        _end([process])
        return 0
    return process.returncode


def _children(
    config: Path, prefect: PrefectSettings, reports: ChildReports, signs: ListenerSigns, *, desk: bool
) -> list[_Child]:
    ours = [sys.executable, "-m", "dxatrend", "--config", str(config)]
    commands = {"listener": "listen", "worker": "work", "monitor": "monitor", **({"desk": "desk"} if desk else {})}
    children = [_Child(name, [*ours, command], reports, signs) for name, command in commands.items()]
    if prefect.api_url is None:
        environment = server_environment(prefect, make_password(prefect))
        prefect.home.mkdir(parents=True, exist_ok=True)
        output = prefect.home / "server.log"
        obstacle = partial(_port_problem, prefect)
        children.append(
            _Child(
                "prefect server",
                PREFECT_SERVER,
                reports,
                signs,
                is_ours=False,
                output=output,
                environment=environment,
                obstacle=obstacle,
            )
        )
    children.append(_Child("schedules", [*ours, "schedules"], reports, signs))
    return children


def _port_problem(prefect: PrefectSettings) -> str | None:
    if server_port(prefect).owner() is Owner.ANOTHER:
        return f"prefect.port: another program has taken port {prefect.port}"
    return None


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("did not stop in time and was killed", extra={"status": process.pid})
            process.kill()
            process.wait()


def _end_with_parent() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it handles it, it has not read its configuration yet
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
