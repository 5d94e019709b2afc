"""The nightly flow that backs up the database."""

from prefect import flow

from flows.runtime import open_for_run
from pipeline.edge.operations.scheduled_backup import back_up_by_schedule


@flow(name="backup", flow_run_name="nightly", persist_result=False)
def backup() -> int:
    """Write a backup, verify it by a restore, delete the oldest; return its size in bytes."""
    with open_for_run() as app:
        done = back_up_by_schedule(app)
        return done.size if done else 0
