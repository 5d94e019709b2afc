"""When exams are due: one run drains them in chunks, and carries each from match to the outbox."""

from dataclasses import asdict

from prefect import flow, task

from flows.wiring import house
from pipeline.edge import follow_up as steps
from pipeline.edge.follow_up import Tally

MOST_CHUNKS = 10
"""Chunks per run, so that a run ends and shows what it did."""


@flow(name="follow-up", flow_run_name="exams that are due", persist_result=False)
def follow_up() -> dict[str, int]:
    """Carry the exams that are due from match to the outbox; how many were issued, unchanged, held."""
    tally = Tally()
    for _ in range(MOST_CHUNKS):
        numbers = steps.claim_due(house(), steps.CHUNK)
        if not numbers:
            break
        tally += carry(numbers)
    return asdict(tally)


@task(name="carry exams to the outbox", persist_result=False)
def carry(numbers: list[int]) -> Tally:
    """Carry one chunk of claimed exams; parameters are our own exam numbers."""
    return steps.follow_up(house(), numbers)
