"""Run Prefect's own command line, its server at rest: ``python -m flows.prefect_server server start``.

Prefect's server keeps a queue of its own tasks in memory and polls it four to ten times a second; a web server that
looks ten times a second whether it is to end does the rest. Both are asked less often here. New work still begins at
once: whoever waits for the queue is woken by it.
"""

from datetime import timedelta

import uvicorn
from prefect.cli import app
from prefect.server.api import background_workers

from flows.web_server_at_rest import main_loop

_EVERY = timedelta(seconds=2)
"""How late a task of the server that is planned for a moment may begin."""


class _RestingWorker(background_workers.Worker):  # type: ignore[misc, name-defined]
    """Works on the server's own tasks, none of which is ever cancelled: what would listen for that polls as well."""

    def __init__(self, queue: object) -> None:
        super().__init__(queue, minimum_check_interval=_EVERY, scheduling_resolution=_EVERY)

    async def _cancellation_listener(self) -> None:
        if (session := self._processing_session) is not None:
            session.cancellation_ready.set()
            await session.stopping.wait()


def main() -> None:
    """Run the command in this process's arguments."""
    background_workers.Worker = _RestingWorker  # type: ignore[attr-defined, assignment]
    uvicorn.Server.main_loop = main_loop  # type: ignore[method-assign]
    app()


if __name__ == "__main__":
    main()
