"""Which work starts by the clock? Prefect's own schedules, served from here; what they miss the worker catches up."""

import time

from prefect import serve
from prefect.deployments.runner import RunnerDeployment

from flows.housekeeping import EVERY_NIGHT, housekeeping
from flows.orchestration import Orchestration
from pipeline.edge.settings import PrefectSettings


def run_schedules(prefect: PrefectSettings) -> None:
    """Serve the scheduled flows, once the server answers, until this process is told to stop."""
    orchestration = Orchestration(prefect)
    while not orchestration.is_there():
        time.sleep(1)
    orchestration.close()
    nightly = housekeeping.to_deployment("nightly", cron=EVERY_NIGHT, tags=["dxatrend"])
    assert isinstance(nightly, RunnerDeployment)  # outside an event loop it is no coroutine
    serve(nightly, pause_on_shutdown=False, print_starting_message=False)
