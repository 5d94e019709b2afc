"""When exams are due: one run carries them from match to the outbox."""

from prefect import State, flow

from flows.run_state import completed
from flows.runtime import app, stop
from pipeline.edge.follow_up.due_exams import drain

MOST_CHUNKS = 10
"""Chunks per run, so that a run ends and shows what it did."""


@flow(name="follow-up", flow_run_name="exams that are due", persist_result=False)
def follow_up() -> State[dict[str, int]]:
    """Carry the exams that are due from match to the outbox; how many were issued, unchanged, held."""
    counts = drain(app(), stop().is_set, most_chunks=MOST_CHUNKS)
    return completed({"issued": counts.issued, "unchanged": counts.unchanged, "held": counts.held})
