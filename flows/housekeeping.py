"""Every night: keep the database healthy."""

from prefect import flow

from flows.runtime import app
from pipeline.edge.operations.housekeeping import run_housekeeping

EVERY_NIGHT = "30 3 * * *"


@flow(name="housekeeping", flow_run_name="nightly", persist_result=False)
def housekeeping() -> float:
    """Check the database, refresh its statistics, shorten its log; how many seconds it took."""
    return run_housekeeping(app())
