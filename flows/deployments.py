"""Which work starts by the clock? Named deployments with Prefect's own schedules; what they miss the worker catches up.

``run_schedules`` serves them from one machine. ``deploy`` registers them with a work pool of an existing Prefect
server, so that workers on any machine run them.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import Flow, serve
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists

from flows.housekeeping import EVERY_NIGHT, housekeeping
from flows.prefect_runner import TAG
from flows.reprocess import AFTER_MIDNIGHT, reprocess

HOME = Path(__file__).parent.parent
POOL = "dxatrend"

MOST_AT_ONCE = 2
"""Runs of the night's reexamination at a time, over all machines: it must leave room for live exams."""


def run_schedules() -> None:
    """Serve the scheduled flows until this process is told to stop."""
    serve(*_deployments(), pause_on_shutdown=False, print_starting_message=False)


def deploy() -> list[str]:
    """Register every deployment with the work pool of the Prefect server, which is made if need be; their names."""
    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    made = _deployments(POOL)
    for deployment in made:
        deployment.apply()
    return [f"{deployment.flow_name}/{deployment.name}" for deployment in made]


def _deployments(pool: str | None = None) -> Sequence[RunnerDeployment]:
    return [
        _deployment(housekeeping, "flows/housekeeping.py:housekeeping", EVERY_NIGHT, 1, pool),
        _deployment(reprocess, "flows/reprocess.py:reprocess", AFTER_MIDNIGHT, MOST_AT_ONCE, pool),
    ]


def _deployment(flow: Flow[Any, Any], entrypoint: str, cron: str, at_once: int, pool: str | None) -> RunnerDeployment:
    source = flow if pool is None else flow.from_source(source=str(HOME), entrypoint=entrypoint)
    assert isinstance(source, Flow)  # outside an event loop it is no coroutine
    made = source.to_deployment(
        "nightly",
        cron=cron,
        tags=[TAG],
        description=flow.description,
        concurrency_limit=at_once,
        work_pool_name=pool,
    )
    assert isinstance(made, RunnerDeployment)  # as above
    return made
