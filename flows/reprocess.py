"""Every night: examine again what rests on something that has changed."""

from dataclasses import asdict
from datetime import date

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.runtime import app
from pipeline.edge.live_configuration import require_current
from pipeline.edge.reprocess import reprocessing as steps
from pipeline.edge.store.reprocessing_runs import Scope

AFTER_MIDNIGHT = "0 1 * * *"


@flow(name="reprocess", flow_run_name="exams whose ground has shifted", persist_result=False)
def reprocess(since: date | None = None) -> dict[str, int]:
    """Take part in the run over all exams that is under way, or begin one; what this part of it has come to.

    However many of these run, on however many machines, they share one run: each takes parts that nobody has. One that
    dies is taken over. Live exams go first. While the service works with another configuration the run fails, as each
    of the two would take back what the other has said.

    Args:
        since: only exams performed on this day or later; all of them where empty.
    """
    require_current(app())
    run = steps.begin(app(), Scope(since=since))
    done = asdict(steps.take_part(app(), run))
    create_table_artifact(
        table=[{"what": name.replace("_", " "), "exams": count} for name, count in done.items()],
        key="reprocess",
        description=f"What one worker did of run {run}: addenda are superseded only where they say something new.",
    )
    return done
