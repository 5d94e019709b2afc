"""Run work under Prefect while its server answers, and without Prefect otherwise.

Prefect orchestrates, the database remembers: a run shows what was done and when, but no work waits in Prefect. Where
its server cannot be reached, or accepts strangers, the same functions run without it and the log says so.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from http import HTTPStatus
from importlib import import_module

from flows.port_owner import Owner, Port
from flows.prefect_calls import PrefectCalls, PrefectSilentError, log_in
from flows.prefect_disk_space import prefect_disk_reserve
from flows.prefect_environment import api_url, server_port
from flows.prefect_home import UnsafeHomeError, require_private_home
from flows.prefect_password import UnusablePasswordError, read_password
from pipeline.edge.configuration.service_settings import PrefectSettings

log = logging.getLogger(__name__)

TAG = "dxatrend"
"""The tag of our runs and deployments on a Prefect server."""

_PROBE_SECONDS = 2.0
_VERSION = "/admin/version"

_START_SECONDS = 120.0
"""How long a Prefect server may take to start."""

_TURN = threading.Lock()
_TURN_SECONDS = 0.5


class ServerState(StrEnum):
    """What a Prefect server answers to us, in the words of the log and of ``check``."""

    OURS = "answers"
    SILENT = "does not answer"
    OPEN = "answers without a password, so anyone who reaches it can run commands"
    PORT_TAKEN = "is not used, because another program has taken prefect.port"
    REJECTS_US = "rejects our password"
    NO_PASSWORD = "requires a password, and prefect.password_file cannot be used"
    UNSAFE_HOME = "is not used, because others than the user who runs this can write to prefect.home"

    @property
    def is_wrong(self) -> bool:
        """Whether it answers and yet cannot be used, which waiting does not change."""
        return self not in (ServerState.OURS, ServerState.SILENT)


def prefect_state(settings: PrefectSettings) -> ServerState:
    """Return the state of the Prefect server now."""
    state, _ = _probe(settings, server_port(settings))
    return state


def _probe(settings: PrefectSettings, port: Port) -> tuple[ServerState, str]:
    """Ask the Prefect server whether it accepts our password and nobody without one; return the password if so."""
    try:
        require_private_home(settings)  # Prefect, once imported, takes its settings from there
    except UnsafeHomeError:
        return ServerState.UNSAFE_HOME, ""
    owner = port.owner() if settings.api_url is None else Owner.OURS
    if owner is not Owner.OURS:
        return (ServerState.PORT_TAKEN if owner is Owner.ANOTHER else ServerState.SILENT), ""
    try:
        with contextlib.closing(PrefectCalls(api_url(settings), seconds=_PROBE_SECONDS)) as server:
            if server.get(_VERSION).status != HTTPStatus.UNAUTHORIZED:
                return ServerState.OPEN, ""
            password = read_password(settings)
            answer = server.get(_VERSION, log_in(password))
    except UnusablePasswordError:
        return ServerState.NO_PASSWORD, ""
    except PrefectSilentError:
        return ServerState.SILENT, ""
    return (ServerState.OURS, password) if answer.is_success else (ServerState.REJECTS_US, "")


class PrefectRunner:
    """Runs work under Prefect while its server answers, and without it otherwise; for use in one thread."""

    def __init__(self, settings: PrefectSettings) -> None:
        self._prefect = settings
        self._port = server_port(settings)
        self._disk = prefect_disk_reserve(settings)
        self._settings, self._has_settings = ExitStack(), False
        self._was_short = False
        self.used_at: float | None = None
        """When work was last run or prepared for, by the monotonic clock; ``None`` if never."""

    def prepare(self, flows: Sequence[str]) -> None:
        """Import Prefect and the modules of flows that will soon run, if its server answers."""
        if not all(flow in sys.modules for flow in flows):
            if not self.is_there():
                return
            for flow in flows:
                import_module(flow)
        self.used_at = time.monotonic()

    def run(self, flow: Callable[[], object], plain: Callable[[], object], requeue: Callable[[], None]) -> None:
        """Run the flow; where Prefect fails, requeue what the flow had claimed and do the same work without it."""
        try:
            self._run(flow, plain, requeue)
        finally:
            self.used_at = time.monotonic()

    def _run(self, flow: Callable[[], object], plain: Callable[[], object], requeue: Callable[[], None]) -> None:
        if self.is_there() and self._has_disk_space():
            # Importing Prefect takes longer than our whole start, so it waits until Prefect is of use.
            from prefect import tags  # noqa: PLC0415

            try:
                self._do_without_heartbeat()
                with _turn(), tags(TAG):
                    flow()
                return
            except Exception as error:  # noqa: BLE001 - the work itself does not raise: this is Prefect's own trouble
                log.warning("a Prefect run failed (%s); the work goes on without it", type(error).__name__)
                requeue()
        plain()

    def close(self) -> None:
        """Set Prefect's settings back, in the thread that has run the flows."""
        self._settings.close()

    def is_there(self) -> bool:
        """Return whether the server answers, and to us alone; log when that changes."""
        state, password = _probe(self._prefect, self._port)
        there = state is ServerState.OURS
        if there:
            os.environ["PREFECT_API_AUTH_STRING"] = password  # Prefect reads it when it is first imported
        _STATE_LOG.tell(state)
        return there

    def _do_without_heartbeat(self) -> None:
        """Switch Prefect's heartbeat off once: ending its thread takes a second, six times as long as a run."""
        if not self._has_settings:
            from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

            self._settings.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
            self._has_settings = True

    def _has_disk_space(self) -> bool:
        """Return whether Prefect's database may grow; log when that changes."""
        short = self._disk.is_short()
        if short != self._was_short:
            change = "is nearly full; the work goes on without Prefect" if short else "has space again"
            log.log(logging.WARNING if short else logging.INFO, "the disk of the Prefect server %s", change)
        self._was_short = short
        return not short


class StateLog:
    """What the log of this process says of the server: each change once, however many threads ask.

    A server that is started together with us needs a while; until then its silence is not told.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._last: ServerState | None = None

    def tell(self, state: ServerState) -> None:
        """Log a state, if it is another one than before."""
        with self._lock:
            starts = self._last is None and time.monotonic() - self._began < _START_SECONDS
            if state is self._last or (starts and state is ServerState.SILENT):
                return
            self._last = state
        there = state is ServerState.OURS
        rest = "" if there else "; the work goes on without it"
        log.log(logging.INFO if there else logging.WARNING, "the Prefect server %s%s", state, rest)


_STATE_LOG = StateLog()


@contextmanager
def _turn() -> Iterator[None]:
    """Start one run after another: of two at once, Prefect's SQLite refuses one, which then waits for seconds.

    A run that takes long, because an archive is silent, delays the others by ``_TURN_SECONDS`` at most.
    """
    acquired = _TURN.acquire(timeout=_TURN_SECONDS)
    try:
        yield
    finally:
        if acquired:
            _TURN.release()
