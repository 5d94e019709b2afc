"""The nightly flow that examines exams again whose inputs have changed."""

from dataclasses import asdict
from datetime import date

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.runtime import open_for_run
from pipeline.edge.live_configuration import require_current
from pipeline.edge.reprocess import reprocessing as steps
from pipeline.edge.store.reprocessing_runs import Scope

AFTER_MIDNIGHT = "0 1 * * *"
"""When it starts, as a cron expression in UTC."""


@flow(name="reprocess", flow_run_name="exams whose inputs have changed", persist_result=False)
def reprocess(since: date | None = None) -> dict[str, int]:
    """Work on the current reprocessing run over all exams, or begin one; return how many exams this worker did.

    However many of these flows run, on however many machines, they share one run: each takes shards that nobody else
    has, and the shards of one that dies are taken over. Live exams go first. The flow fails while the service uses
    another configuration, as each of the two would supersede the addenda of the other.

    Args:
        since: only exams performed on this day or later; all of them where empty.
    """
    with open_for_run() as app:
        require_current(app)
        run = steps.begin(app, Scope(since=since))
        done = asdict(steps.take_part(app, run))
    create_table_artifact(
        table=[{"what": name.replace("_", " "), "exams": count} for name, count in done.items()],
        key="reprocess",
        description=f"What one worker did in run {run}: addenda are superseded only where their content changes.",
    )
    return done
