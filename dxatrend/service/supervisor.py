"""Supervisor of the processes of one machine: listener, worker, monitor, desk and Prefect server.

Each is a process of its own, so that none delays another; the worker keeps the schedules as well. The supervisor
starts them, restarts what ends, and stops all of them on SIGTERM. Should it be killed itself, the kernel ends its
children. Only while it starts the service for the first time does it give up: whoever starts it is told what is wrong
instead of finding it out later.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from dxatrend.service import systemd_notify
from dxatrend.service.child import Child
from dxatrend.service.child_reports import ChildReports
from dxatrend.service.child_signs import ChildSigns, SystemdSigns
from dxatrend.service.forked import Command, preload, settle_before_copying
from flows.port_owner import Owner
from flows.prefect_environment import server_environment, server_port
from flows.prefect_home import make_home
from flows.prefect_password import make_password
from flows.shutdown import Stop, end_processes, end_with_parent
from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

PREFECT_SERVER = (sys.executable, "-m", "flows.prefect_server", "server", "start")

PATIENCE_SECONDS = 5.0
"""How long a part that cannot start is tried again before the first start is given up: a port may be free by then,
when the service before this one has just been killed. A trial under way is waited for."""

Prepare = Callable[[Sequence[str]], Command]
"""Reads the arguments of one of our commands, and returns what runs it."""

_COMMANDS = {"listener": ["listen"], "worker": ["work", "--schedules"], "monitor": ["monitor"], "desk": ["desk"]}
"""The command of each of our processes, in the order in which they are started."""

_IMPORTED_BY = {
    "listener": ("dxatrend.cli.main", "dxatrend.cli.processes"),
    "worker": ("dxatrend.service.worker",),
    "monitor": ("dxatrend.cli.monitor", "dxatrend.service.metrics"),
    "desk": ("dxatrend.cli.desk", "dxatrend.desk.server", "dxatrend.desk.application"),
}
"""What each of our processes imports, so that all of them share it."""

STOP_SECONDS = 20
"""How long the parts may take to finish their current work before they are killed."""

UNDECIDED_SECONDS = 120.0
"""How long the other parts may take meanwhile to say whether they can start, so that all reasons are told at once."""

_LOOK_SECONDS = 1.0
"""How long the supervisor waits at most, though whatever a child does wakes it."""

_PREFECT_POLL_SECONDS = 2.0


class ServiceCannotStartError(DxatrendError):
    """Parts of the service could not start when it was first started; ``reasons`` has a line for each."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


def import_for_listener() -> None:
    """Import what the first copy needs; what this process then does with it, no copy has to do once more."""
    preload(_IMPORTED_BY["listener"])


def supervise(
    config: Path, prefect: PrefectSettings, stop: Stop, reports: ChildReports, prepare: Prepare, *, desk: bool
) -> None:
    """Run everything one machine needs until ``stop`` is set; SIGHUP is passed on to our processes.

    Ours run what ``prepare`` makes of their arguments, as copies of this process, which must have one thread and no
    open database.

    Raises:
        ServiceCannotStartError: a part could not start, and never had before; the others are stopped.
    """
    hung_up: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: hung_up.append(number))
    children = _children(config, prefect, reports, prepare, desk=desk)
    _start_copies(children)
    try:
        _keep_running(children, stop, reports, hung_up)
    finally:
        reports.finish()


def _keep_running(children: Sequence[Child], stop: Stop, reports: ChildReports, hung_up: list[int]) -> None:
    """Restart what ends until it is time to stop.

    Raises:
        ServiceCannotStartError: as above.
    """
    systemd = SystemdSigns()
    reasons: list[str] = []
    with _wakened_by(children, stop) as wait:
        has_started = False
        while not stop.is_set() and not reasons:
            while hung_up:
                hung_up.pop()
                for child in children:
                    child.reload()
            for child in children:
                child.signs.hear()
                child.kill_if_silent()
                child.ensure_running()
            reports.write_soon()
            systemd.tell(listens=children[0].has_started)
            if not has_started:
                has_started = all(child.has_started for child in children)
                reasons = _reasons(children)
                if has_started:
                    log.info("every part has started")
            wait(min(_LOOK_SECONDS, systemd.seconds(), *_pauses(children)))
    running = [child for child in children if child.process is not None]
    under_way = [(child.name, child.process) for child in running if child.process is not None]
    end_processes(under_way, seconds=STOP_SECONDS)
    for child in running:
        reports.stopped(child.name)
    for child in children:
        child.signs.close()
    systemd.close()
    log.info("stopped")
    if reasons:
        raise ServiceCannotStartError(reasons)


def serve_prefect(prefect: PrefectSettings, stop: Stop) -> int:
    """Run the Prefect server of several machines, as closed to strangers as the one that ``serve`` starts.

    systemd is told once it answers, and from then on as long as it does. Return its exit status.

    Raises:
        UnsafeHomeError: others could write to its home.
        UnusablePasswordError: its password cannot be stored, or others may read it.
    """
    make_home(prefect)
    environment = {**server_environment(prefect, make_password(prefect)), systemd_notify.SOCKET_VARIABLE: ""}
    process = subprocess.Popen(
        PREFECT_SERVER,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        preexec_fn=end_with_parent,  # noqa: PLW1509 - two system calls, which wait for no other thread
    )
    is_ready = False
    while not stop.wait(_PREFECT_POLL_SECONDS) and process.poll() is None:
        if server_port(prefect).owner() is Owner.OURS:
            systemd_notify.notify("WATCHDOG=1" if is_ready else "READY=1")
            is_ready = True
    if process.poll() is None:
        systemd_notify.notify("STOPPING=1")
        end_processes([("Prefect's server", process)], seconds=STOP_SECONDS)
        return 0
    return process.returncode


def _children(
    config: Path, prefect: PrefectSettings, reports: ChildReports, prepare: Prepare, *, desk: bool
) -> list[Child]:
    children = []
    for name, command in _COMMANDS.items():
        if name == "desk" and not desk:
            continue
        arguments = ["--config", str(config), *command]
        child = Child(name, arguments, reports, ChildSigns(name), prepare(arguments), is_watched=name == "listener")
        children.append(child)
    if prefect.api_url is None:
        make_home(prefect)
        environment = server_environment(prefect, make_password(prefect))
        children.append(
            Child(
                "prefect server",
                PREFECT_SERVER,
                reports,
                ChildSigns("prefect server"),
                output=prefect.home / "server.log",
                environment=environment,
                obstacle=partial(_port_problem, prefect),
            )
        )
    return children


def _start_copies(children: Sequence[Child]) -> None:
    """Start our processes; the listener first, as a copy without what only the others need.

    It listens a third of a second earlier so, and takes eight megabytes more: what is imported after it was copied
    changes reference counts all over the memory, which it then no longer shares.
    """
    listener, *others = (child for child in children if child.is_ours)
    for group in ([listener], others):
        preload([module for child in group for module in _IMPORTED_BY[child.name]])
        settle_before_copying()
        for child in group:
            child.start()


def _port_problem(prefect: PrefectSettings) -> str | None:
    if server_port(prefect).owner() is Owner.ANOTHER:
        return (
            f"prefect.port: another program has taken port {prefect.port}; "
            f"end it (`ss -ltnp` shows which it is), or set another prefect.port"
        )
    return None


def _reasons(children: Sequence[Child]) -> list[str]:
    """Return why the first start is given up, for each part that cannot start; nothing while it may still succeed."""
    failed = [child for child in children if child.failed_at is not None and not child.has_started]
    ages = [time.monotonic() - child.failed_at for child in failed if child.failed_at is not None]
    is_undecided = any(
        not child.has_started and (child.failed_at is None or child.process is not None) for child in children
    )
    if not ages or max(ages) < (UNDECIDED_SECONDS if is_undecided else PATIENCE_SECONDS):
        return []
    return [f"{child.name}: {child.reason}" for child in failed]


def _pauses(children: Sequence[Child]) -> list[float]:
    """Return in how many seconds each child that does not run is due again."""
    now = time.monotonic()
    return [max(0.0, child.due - now) for child in children if child.process is None]


@contextlib.contextmanager
def _wakened_by(children: Sequence[Child], stop: Stop) -> "Iterator[_Wait]":
    """Yield a wait that ends when a child says something or ends, a signal comes, or ``stop`` is set."""
    reader, writer = socket.socketpair()
    for end_of_pair in (reader, writer):
        end_of_pair.setblocking(False)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler, no signal would wake us
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield _Wait(reader, [stop.fileno(), *(child.signs.fileno() for child in children)])
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, before)
        reader.close()
        writer.close()


class _Wait:
    """Waits for so many seconds, or for less."""

    def __init__(self, signals: socket.socket, others: Sequence[int]) -> None:
        self._signals = signals
        self._poll = select.poll()
        for descriptor in (signals.fileno(), *others):
            self._poll.register(descriptor, select.POLLIN)

    def __call__(self, seconds: float) -> None:
        self._poll.poll(seconds * 1000)
        with contextlib.suppress(BlockingIOError):
            while self._signals.recv(4096):
                pass
