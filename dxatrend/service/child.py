"""One process under supervision: started, restarted with longer and longer pauses, and ended."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dxatrend.service import rest
from dxatrend.service.child_reports import ChildReports
from dxatrend.service.child_signs import ChildSigns
from dxatrend.service.forked import Command, ForkedProcess, fork, is_possible
from flows.shutdown import end_with_parent

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60
"""A child that has run for so long is restarted after the first pause again."""

COPY_SECONDS = 1.0
"""How long a child waits for the thread that writes reports, without which it can be a copy of this process."""


@dataclass(slots=True)
class Child:
    """One child of the supervisor."""

    name: str
    arguments: Sequence[str]
    """The command of ours that it runs; of one that is not ours, how it is started."""
    reports: ChildReports
    signs: ChildSigns
    command: Command | None = None
    """What a copy of this process runs; one that is not ours is a program of its own."""
    is_watched: bool = False
    """Whether it says that it lives, and is restarted when it does not."""
    output: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    obstacle: Callable[[], str | None] = lambda: None
    """Returns why it cannot start now, or ``None``."""
    process: subprocess.Popen[bytes] | ForkedProcess | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0
    has_rested: bool = False
    """Whether the next one goes on in place of one that has ended to rest."""
    failed_at: float | None = None
    """When it first failed."""
    reason: str = ""
    """Why it does not run."""

    @property
    def is_ours(self) -> bool:
        """Whether it is a dxatrend process, which reads our configuration and says when it is ready."""
        return self.command is not None

    @property
    def has_started(self) -> bool:
        """Whether it has been ready once; of one that is not ours, whether it runs."""
        return self.signs.was_ready if self.is_ours else self.process is not None

    def start(self) -> None:
        """Start it: as a copy of this process where that is possible, else as a program."""
        environment = {
            **self.environment,
            **self.signs.environment(is_watched=self.is_watched),
            **rest.environment(goes_on=self.has_rested),
        }
        self.has_rested = False
        if self.command is not None and is_possible(within=COPY_SECONDS):
            self.process = fork(self.command, self.arguments, environment)
        else:
            self.process = self._start_program(environment)
        self.started = time.monotonic()
        log.info("started", extra={"child": self.name})
        self.reports.started(self.name, self.process.pid, speaks_for_itself=self.is_ours)

    def _start_program(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        ours = [sys.executable, "-m", "dxatrend"] if self.is_ours else []
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(self.output.open("wb")) if self.output else None
            return subprocess.Popen(
                [*ours, *self.arguments],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - two system calls, which wait for no other thread
            )

    def ensure_running(self) -> None:
        """Start it where it is not running; after a failure, wait longer each time."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.due:
                self._start_if_possible(now)
        elif (status := self.process.poll()) is not None and self.is_ours and status == rest.RESTED:
            self.process, self.has_rested = None, True
            self._start_if_possible(now)
        elif status is not None:
            self.signs.hear()
            self.reason = self.signs.reason or f"it ended with status {status}; {self.output or 'its log'} says why"
            self.pause = FIRST_PAUSE if now - self.started > STEADY_SECONDS else min(2 * self.pause, LONGEST_PAUSE)
            self.process, self.due = None, now + self.pause
            self.failed_at = self.failed_at or now
            log.error("ended unexpectedly and will be restarted", extra={"child": self.name, "status": status})
            self.reports.ended(self.name, status)

    def reload(self) -> None:
        """Make it read its configuration again, if it reads ours."""
        if self.process is not None and self.is_ours:
            self.process.send_signal(signal.SIGHUP)

    def kill_if_silent(self) -> None:
        """End it where it hangs; it is started again."""
        if self.is_watched and self.signs.is_silent() and self.process is not None and self.process.poll() is None:
            log.error("gives no sign of life and is restarted", extra={"child": self.name})
            self.process.kill()
            self.process.wait()

    def _start_if_possible(self, now: float) -> None:
        if (obstacle := self.obstacle()) is None:
            try:
                self.start()
            except OSError as error:  # no room for its output, or for one more process
                obstacle = f"it cannot be started now: {error.strerror}"
            else:
                return
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
        self.due = now + self.pause
        self.reason, self.failed_at = obstacle, self.failed_at or now
        log.error("cannot start: %s", obstacle, extra={"child": self.name})
        self.reports.cannot_start(self.name, obstacle)
