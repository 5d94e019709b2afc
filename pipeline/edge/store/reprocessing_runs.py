"""Reprocessing runs over all exams, split into shards that workers claim.

A run is split into shards by linked patients. A worker claims a shard under a lease and records its progress after each
step, so that several workers share one run and another worker can continue where one died. A dry run is done likewise,
and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from pipeline.edge.store import work_queue
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_schema import reprocessing_run, shard
from pipeline.edge.store.schema_base import State

_UNFINISHED = reprocessing_run.c.finished_at.is_(None)

_FREE_SHARD = select(shard.c.id).where(
    shard.c.reprocessing_run_id == reprocessing_run.c.id,
    shard.c.state == State.WAITING,
    or_(shard.c.leased_until.is_(None), shard.c.leased_until <= bindparam("at")),
)
_REQUESTED = CompiledStatement(
    select(func.min(reprocessing_run.c.id)).where(
        _UNFINISHED, reprocessing_run.c.requested_by.is_not(None), _FREE_SHARD.exists()
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The exams of a run: of linked patients, of a scanner, from a day on; all where ``None``."""

    linked_patients: int | None = None
    scanner: int | None = None
    since: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run: over which exams, whether it changes anything, and the person for whom the workers do it, if any."""

    number: int
    scope: Scope
    dry_run: bool
    requested_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One shard of a run, claimed by this process; done up to ``last_linked_patients``."""

    id: int
    number: int
    shards: int
    last_linked_patients: int


def begin(
    connection: Connection,
    scope: Scope,
    *,
    shards: int,
    at: datetime,
    dry_run: bool = False,
    requested_by: str | None = None,
) -> int:
    """Return the number of the unfinished run of this scope, or of a new one.

    ``requested_by`` makes it the workers' task; without it whoever begins a run takes part in it.
    """
    filters = {"linked_patients_id": scope.linked_patients, "scanner_id": scope.scanner, "since": scope.since}
    same = [reprocessing_run.c[name].is_not_distinct_from(value) for name, value in filters.items()]
    unfinished = select(func.min(reprocessing_run.c.id)).where(
        _UNFINISHED, reprocessing_run.c.dry_run == dry_run, *same
    )
    known: int | None = connection.scalar(unfinished)
    if known is not None:
        unclaimed = (reprocessing_run.c.id == known) & reprocessing_run.c.requested_by.is_(None)
        connection.execute(update(reprocessing_run).where(unclaimed).values(requested_by=requested_by))
        return known
    number: int = connection.execute(
        insert(reprocessing_run)
        .values(started_at=at, dry_run=dry_run, requested_by=requested_by, **filters)
        .returning(reprocessing_run.c.id)
    ).scalar_one()
    count = 1 if scope.linked_patients is not None else shards
    connection.execute(
        insert(shard),
        [
            {"reprocessing_run_id": number, "number": one, "shards": count, "state": State.WAITING, "due_at": at}
            for one in range(count)
        ],
    )
    notify(connection)
    return number


def find(connection: Connection, number: int) -> Run:
    """Return a run."""
    row = connection.execute(select(reprocessing_run).where(reprocessing_run.c.id == number)).one()
    scope = Scope(linked_patients=row.linked_patients_id, scanner=row.scanner_id, since=row.since)
    return Run(number=row.id, scope=scope, dry_run=row.dry_run, requested_by=row.requested_by)


def requested(connection: Connection, *, at: datetime) -> int | None:
    """Return the first unfinished run that a person has requested and that has a shard nobody works on."""
    number: int | None = _REQUESTED.scalar(connection, {"at": at})
    return number


def claim(connection: Connection, run: int, *, at: datetime) -> Shard | None:
    """Claim a shard of a run that no other worker has; ``None`` when there is none."""
    ids = work_queue.claim(connection, shard, limit=1, at=at, where=shard.c.reprocessing_run_id == run)
    if not ids:
        return None
    row = connection.execute(select(shard).where(shard.c.id == ids[0])).one()
    return Shard(id=row.id, number=row.number, shards=row.shards, last_linked_patients=row.last_linked_patients)


def renew(connection: Connection, mine: Shard, *, at: datetime) -> bool:
    """Extend the lease of a shard, and return whether it is still ours."""
    ours = (shard.c.id == mine.id) & (shard.c.lease_owner == work_queue.owner()) & (shard.c.state == State.WAITING)
    result = connection.execute(update(shard).where(ours).values(leased_until=at + work_queue.LEASE, attempts=0))
    return result.rowcount == 1


def advance(connection: Connection, mine: Shard, *, last_linked_patients: int, done: ExamCounts, at: datetime) -> bool:
    """Record the progress of a shard, and return whether it is still ours."""
    if not renew(connection, mine, at=at):
        return False
    connection.execute(
        update(shard)
        .where(shard.c.id == mine.id)
        .values(
            last_linked_patients=last_linked_patients,
            examined=shard.c.examined + done.examined,
            issued=shard.c.issued + done.issued,
            unchanged=shard.c.unchanged + done.unchanged,
            held=shard.c.held + done.held,
        )
    )
    return True


def finish(connection: Connection, mine: Shard, *, at: datetime) -> bool:
    """Mark a shard as done, and the run as finished with its last shard; return whether it was the last."""
    work_queue.done(connection, shard, [mine.id])
    run = connection.execute(select(shard.c.reprocessing_run_id).where(shard.c.id == mine.id)).scalar_one()
    connection.execute(select(reprocessing_run.c.id).where(reprocessing_run.c.id == run).with_for_update())
    left = select(shard.c.id).where(shard.c.reprocessing_run_id == run, shard.c.state != State.DONE).limit(1)
    if connection.scalar(left) is not None:
        return False
    finished = update(reprocessing_run).where(reprocessing_run.c.id == run, _UNFINISHED).values(finished_at=at)
    return connection.execute(finished).rowcount == 1


def end(connection: Connection, run: int, problem: str, *, at: datetime) -> bool:
    """End a run before its end, for a reason, and return whether it was unfinished; what is done of it stays."""
    ended = update(reprocessing_run).where(reprocessing_run.c.id == run, _UNFINISHED)
    if connection.execute(ended.values(finished_at=at, problem=problem)).rowcount == 0:
        return False
    left = (shard.c.reprocessing_run_id == run) & (shard.c.state != State.DONE)
    connection.execute(update(shard).where(left).values(state=State.DONE, lease_owner=None, leased_until=None))
    return True


def is_finished(connection: Connection, run: int) -> bool:
    """Return whether every shard of a run is done."""
    query = select(reprocessing_run.c.finished_at).where(reprocessing_run.c.id == run)
    return connection.scalar(query) is not None


def counts(connection: Connection, run: int) -> ExamCounts:
    """Return the counts of all shards of a run together."""
    names: Sequence[str] = ("examined", "issued", "unchanged", "held")
    query = select(*(func.coalesce(func.sum(shard.c[name]), 0) for name in names))
    return ExamCounts(
        *(int(found) for found in connection.execute(query.where(shard.c.reprocessing_run_id == run)).one())
    )
