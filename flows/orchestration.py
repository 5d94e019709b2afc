"""How does the work meet Prefect, and what happens when Prefect is not there?

Prefect orchestrates, the database remembers: a run shows what was done and when, but nothing waits in Prefect. When its
server cannot be reached, the same functions run without it and the log says so.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx

from flows.wiring import api_url
from pipeline.edge.room import room_of_prefect
from pipeline.edge.settings import PrefectSettings

log = logging.getLogger(__name__)

TAG = "dxatrend"
"""Which runs and deployments of a Prefect server are ours."""

_PROBE_SECONDS = 2.0

_TURN = threading.Lock()
_TURN_SECONDS = 0.5


class Orchestration:
    """Runs work under Prefect while its server answers, and without it otherwise."""

    def __init__(self, settings: PrefectSettings) -> None:
        self._health = f"{api_url(settings)}/health"
        self._client = httpx.Client(timeout=_PROBE_SECONDS, trust_env=False)
        self._room = room_of_prefect(settings)
        self._settings, self._has_settings = ExitStack(), False
        self._was_short = False
        self._was_there: bool | None = None

    def run(self, flow: Callable[[], object], plain: Callable[[], object], give_back: Callable[[], None]) -> None:
        """Run the flow; where Prefect fails, give back what the flow had claimed and do the same work plainly."""
        if self.is_there() and self._has_room():
            # Importing Prefect takes longer than all of our own start: not before it is of use.
            from prefect import tags  # noqa: PLC0415

            try:
                self._do_without_heartbeat()
                with _turn(), tags(TAG):
                    flow()
                return
            except Exception as error:  # noqa: BLE001 - the work itself does not raise: this is Prefect's own trouble
                log.warning("a Prefect run failed (%s); the work goes on without it", type(error).__name__)
                give_back()
        plain()

    def wait_for_server(self) -> None:
        """Return when the server answers."""
        while not self.is_there():
            time.sleep(1)

    def close(self) -> None:
        """Give the connection back, in the thread that has run the flows."""
        self._client.close()
        self._settings.close()

    def _do_without_heartbeat(self) -> None:
        """Ending the heartbeat's thread takes a second, six times what a run takes; to say so takes 50 ms, so once."""
        if not self._has_settings:
            from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

            self._settings.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
            self._has_settings = True

    def _has_room(self) -> bool:
        """Whether Prefect's database may grow; the log tells when that changes."""
        short = self._room.is_short()
        if short != self._was_short:
            told = "is nearly full; the work goes on without it" if short else "has room again"
            log.log(logging.WARNING if short else logging.INFO, "the disk of the Prefect server %s", told)
        self._was_short = short
        return not short

    def is_there(self) -> bool:
        """Whether the server answers; the log tells when that changes."""
        try:
            there = self._client.get(self._health).is_success
        except httpx.HTTPError:
            there = False
        if there != self._was_there:
            level = logging.INFO if there else logging.WARNING
            log.log(
                level, "the Prefect server %s", "answers" if there else "does not answer; the work goes on without it"
            )
        self._was_there = there
        return there


@contextmanager
def _turn() -> Iterator[None]:
    """Let one run begin after the other: two at once make Prefect's SQLite refuse one, which then waits for seconds.

    A run that takes long, because an archive is silent, holds up no other.
    """
    mine = _TURN.acquire(timeout=_TURN_SECONDS)
    try:
        yield
    finally:
        if mine:
            _TURN.release()
