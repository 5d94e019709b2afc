"""The nightly flow that keeps the database healthy."""

from prefect import flow

from flows.runtime import open_for_run
from pipeline.edge.operations.housekeeping import run_housekeeping

EVERY_NIGHT = "30 3 * * *"
"""When it starts, as a cron expression in UTC."""


@flow(name="housekeeping", flow_run_name="nightly", persist_result=False)
def housekeeping() -> float:
    """Check the database, refresh its statistics and shorten its log; return the seconds it took."""
    with open_for_run() as app:
        return run_housekeeping(app)
