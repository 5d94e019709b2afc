"""The flow that takes the exams that are due from match to the outbox."""

from prefect import State, flow

from flows.run_state import completed
from flows.runtime import current
from pipeline.edge.follow_up.due_exams import drain

MOST_CHUNKS = 10
"""Chunks of exams per run, so that a run ends and shows what it did."""


@flow(name="follow-up", flow_run_name="exams that are due", persist_result=False)
def follow_up() -> State[dict[str, int]]:
    """Follow up the exams that are due; the run ends with how many were issued, unchanged and held."""
    run = current()
    counts = drain(run.app, run.stopped, most_chunks=MOST_CHUNKS)
    return completed({"issued": counts.issued, "unchanged": counts.unchanged, "held": counts.held})
