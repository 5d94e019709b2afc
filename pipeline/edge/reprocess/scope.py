"""Select the exams of a scope, linked patients by linked patients: those with an addendum that may be superseded."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from pipeline.edge.provenance import is_answered
from pipeline.edge.store import exam_summaries
from pipeline.edge.store.database import Database
from pipeline.edge.store.exam_summaries import ExamSummary, LinkedPatients
from pipeline.edge.store.reprocessing_runs import Scope, Shard

PATIENTS_AT_ONCE = 200
"""Linked patients in one step, which are in memory at once."""


def next_linked_patients(database: Database, scope: Scope, after: int, *, shard: Shard | None = None) -> list[int]:
    """Return the numbers of the next linked patients after a number, of one shard or of all."""
    if scope.linked_patients is not None:
        return [scope.linked_patients] if after < scope.linked_patients else []
    number, shards = (shard.number, shard.shards) if shard else (0, 1)
    with database.read() as connection:
        return exam_summaries.next_linked_patients(connection, after, PATIENTS_AT_ONCE, shard=number, shards=shards)


def answered_exams(
    connection: Connection, numbers: Sequence[int], scope: Scope
) -> Iterator[tuple[ExamSummary, LinkedPatients]]:
    """Yield the exams of linked patients that are in a scope and have been followed up, with all that concerns them."""
    for linked_patients in exam_summaries.all_linked_patients(connection, numbers):
        for summary in linked_patients.summaries:
            if is_answered(summary) and _is_in(summary, scope):
                yield summary, linked_patients


def _is_in(summary: ExamSummary, scope: Scope) -> bool:
    if scope.scanner is not None and summary.scanner_number != scope.scanner:
        return False
    return scope.since is None or summary.performed_at.date() >= scope.since
