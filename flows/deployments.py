"""Prefect deployments of the scheduled flows: housekeeping, the nightly reprocessing, and backups if configured.

Run as a program, which ``schedules`` starts, it registers them to be run by this machine, or does the runs that are
due. ``deploy`` registers them with a work pool of an existing Prefect server, so that Prefect's workers on any machine
run them.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists
from prefect.runner import Runner
from prefect.schedules import Cron, Schedule

from flows.backup import backup
from flows.housekeeping import EVERY_NIGHT, housekeeping
from flows.prefect_runner import TAG
from flows.reprocess import AFTER_MIDNIGHT, reprocess
from flows.shutdown import end_with_parent
from pipeline.edge.configuration.folders import CONFIG_VARIABLE
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.service_settings import ServiceSettings

HOME = Path(__file__).parent.parent
POOL = "dxatrend"

MOST_AT_ONCE = 2
"""Runs of the nightly reprocessing at a time, over all machines; more would delay live exams."""


class RegisteredDeployment(RunnerDeployment):
    """A deployment that is registered already, and is left as it is: what is registered anew loses its next runs."""

    async def aapply(self, *_: object, **__: object) -> UUID:
        """Return its id."""
        async with get_client() as client:
            return (await client.read_deployment_by_name(f"{self.flow_name}/{self.name}")).id


def register(service: ServiceSettings) -> None:
    """Register every deployment, for this machine to run."""
    for deployment in _deployments(service):
        deployment.apply()


def run_what_is_due(service: ServiceSettings) -> None:
    """Do the runs that are due now, and return when they have ended.

    Raises:
        prefect.exceptions.ObjectNotFound: a deployment is not registered.
    """
    runner = Runner(pause_on_shutdown=False)
    for deployment in _deployments(service):
        runner.add_deployment(RegisteredDeployment(name=deployment.name, flow_name=deployment.flow_name))
    asyncio.run(runner.start(run_once=True))


def deploy(service: ServiceSettings) -> list[str]:
    """Register every deployment with the work pool of the Prefect server, created if need be; return their names."""
    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    deployments = _deployments(service, POOL)
    for deployment in deployments:
        deployment.apply()
    return [f"{deployment.flow_name}/{deployment.name}" for deployment in deployments]


def _deployments(service: ServiceSettings, pool: str | None = None) -> Sequence[RunnerDeployment]:
    found = [
        _deployment(housekeeping, "flows/housekeeping.py:housekeeping", Cron(EVERY_NIGHT), 1, pool),
        _deployment(reprocess, "flows/reprocess.py:reprocess", Cron(AFTER_MIDNIGHT), MOST_AT_ONCE, pool),
    ]
    if service.backup.folder is not None:
        night = Cron(service.backup.cron, timezone=service.exam.time_zone or "UTC")
        found.append(_deployment(backup, "flows/backup.py:backup", night, 1, pool))
    return found


def _deployment(
    flow: Flow[Any, Any], entrypoint: str, schedule: Schedule, limit: int, pool: str | None
) -> RunnerDeployment:
    source = flow if pool is None else flow.from_source(source=str(HOME), entrypoint=entrypoint)
    assert isinstance(source, Flow)  # outside an event loop it is not a coroutine
    deployment = source.to_deployment(
        "nightly",
        schedule=schedule,
        tags=[TAG],
        description=flow.description,
        concurrency_limit=limit,
        work_pool_name=pool,
    )
    assert isinstance(deployment, RunnerDeployment)  # as above
    return deployment


if __name__ == "__main__":
    end_with_parent()
    task = {"register": register, "run": run_what_is_due}[sys.argv[1]]
    task(load_configuration(Path(os.environ[CONFIG_VARIABLE]))[0].service)
