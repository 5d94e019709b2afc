"""Run Prefect's own command line, its server at rest: ``python -m flows.prefect_server server start``.

Prefect's server keeps a queue of its own tasks in memory and polls it four to ten times a second; every five seconds it
looks for events that came in the wrong order; it reads all time zones of this machine for each schedule; and a web
server looks ten times a second whether it is to end. All that is asked less often here. New work still begins at once:
whoever waits for the queue is woken by it.
"""

import functools
import zoneinfo
from datetime import timedelta
from typing import Protocol

import uvicorn
from prefect.cli import app
from prefect.server.api import background_workers
from prefect.server.events import triggers
from prefect.types import _datetime

from flows.web_server_at_rest import main_loop

_EVERY = timedelta(seconds=10)
"""How late a task of the server that is planned for a moment may begin."""

_RARELY = timedelta(minutes=1)
"""How often what hardly ever happens is looked for: a worker of the queue that died, an event without the one before
it. Automations that people make on Prefect's pages wait so long for such an event."""


class _Queue(Protocol):
    heartbeat_interval: timedelta


class _RestingWorker(background_workers.Worker):  # type: ignore[misc, name-defined]
    """Works on the server's own tasks, none of which is ever cancelled: what would listen for that polls as well."""

    def __init__(self, queue: _Queue) -> None:
        queue.heartbeat_interval = _RARELY
        super().__init__(queue, minimum_check_interval=_EVERY, scheduling_resolution=_EVERY)

    async def _cancellation_listener(self) -> None:
        if (session := self._processing_session) is not None:
            session.cancellation_ready.set()
            await session.stopping.wait()


_evaluate_periodically = triggers.evaluate_periodically


async def _evaluate_rarely(periodic_granularity: timedelta) -> None:
    await _evaluate_periodically(max(periodic_granularity, _RARELY))


def main() -> None:
    """Run the command in this process's arguments."""
    background_workers.Worker = _RestingWorker  # type: ignore[attr-defined, assignment]
    triggers.evaluate_periodically = _evaluate_rarely
    _datetime.available_timezones = functools.cache(zoneinfo.available_timezones)  # type: ignore[attr-defined]
    uvicorn.Server.main_loop = main_loop  # type: ignore[method-assign]
    app()


if __name__ == "__main__":
    main()
