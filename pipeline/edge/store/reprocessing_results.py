"""What a person sees of reprocessing: the last runs, and the addenda that a dry run found to differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, select

from pipeline.clinical.model import Scanner
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.edge.store.reprocessing_schema import reprocessing_difference, reprocessing_run, shard
from pipeline.edge.store.schema import scanner
from pipeline.edge.store.schema_base import State

MOST_DIFFERENCES = 1000
"""How many addenda of a dry run are kept with what differs in them; any others are counted."""

BeforeAfter = tuple[str, str]
"""The text of one value in the issued addendum, and in the one that would supersede it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An issued addendum that would differ today: because of which inputs, and in what, before and after.

    ``regions`` has the values that differ by region key and concept; ``removed`` and ``added`` are the sentences;
    ``held`` is why the exam would be held instead.
    """

    exam: int
    addendum: int
    changed_inputs: tuple[str, ...]
    overall: BeforeAfter
    regions: Mapping[str, Mapping[str, BeforeAfter]]
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    held: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOnFile:
    """A run with what has become of it so far; ``scanner`` names the scanner of its scope.

    In a dry run ``counts.issued`` are the addenda that would be superseded, and ``counts.held`` the exams that would be
    held. ``problem`` is why it ended before its end.
    """

    number: int
    scope: Scope
    scanner: str
    dry_run: bool
    requested_by: str | None
    started_at: datetime
    finished_at: datetime | None
    problem: str | None
    counts: ExamCounts
    shards: int
    shards_done: int
    shards_in_work: int


def latest(connection: Connection, limit: int, *, at: datetime) -> list[RunOnFile]:
    """Return the last runs, the latest first."""
    return _runs(connection, at, limit)


def latest_dry_run(connection: Connection, *, at: datetime) -> RunOnFile | None:
    """Return the last dry run."""
    found = _runs(connection, at, 1, dry_run=True)
    return found[0] if found else None


def add(connection: Connection, run: int, differences: Sequence[Difference]) -> None:
    """Keep what a dry run has found, as far as there is room; what a worker that died had found is replaced."""
    if not differences:
        return
    table = reprocessing_difference
    exams = [difference.exam for difference in differences]
    connection.execute(delete(table).where(table.c.reprocessing_run_id == run, table.c.exam_id.in_(exams)))
    kept = select(func.count()).select_from(table).where(table.c.reprocessing_run_id == run)
    room = MOST_DIFFERENCES - connection.execute(kept).scalar_one()
    rows = [
        {"reprocessing_run_id": run, "exam_id": one.exam, "content": json.dumps(asdict(one))} for one in differences
    ]
    if rows[: max(0, room)]:
        connection.execute(insert(table), rows[: max(0, room)])


def differences_of(connection: Connection, run: int, *, after: int = 0, limit: int) -> list[Difference]:
    """Return what a dry run has found, by exam, of the exams after a number."""
    table = reprocessing_difference
    query = (
        select(table.c.content)
        .where(table.c.reprocessing_run_id == run, table.c.exam_id > after)
        .order_by(table.c.exam_id)
        .limit(limit)
    )
    return [_difference(json.loads(content)) for content in connection.scalars(query)]


def drop_differences(connection: Connection) -> None:
    """Delete what finished dry runs have found: another one begins."""
    finished = select(reprocessing_run.c.id).where(reprocessing_run.c.finished_at.is_not(None))
    connection.execute(
        delete(reprocessing_difference).where(reprocessing_difference.c.reprocessing_run_id.in_(finished))
    )


def _runs(connection: Connection, at: datetime, limit: int, *, dry_run: bool | None = None) -> list[RunOnFile]:
    query = (
        select(reprocessing_run, scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)
        .outerjoin(scanner, scanner.c.id == reprocessing_run.c.scanner_id)
        .order_by(reprocessing_run.c.id.desc())
        .limit(limit)
    )
    if dry_run is not None:
        query = query.where(reprocessing_run.c.dry_run == dry_run)
    rows = connection.execute(query).all()
    shards = _shards(connection, [row.id for row in rows], at)
    return [
        RunOnFile(
            number=row.id,
            scope=Scope(linked_patients=row.linked_patients_id, scanner=row.scanner_id, since=row.since),
            scanner=str(Scanner(row.manufacturer, row.model, row.serial_number)) if row.scanner_id is not None else "",
            dry_run=row.dry_run,
            requested_by=row.requested_by,
            started_at=row.started_at,
            finished_at=row.finished_at,
            problem=row.problem,
            **shards[row.id],
        )
        for row in rows
    ]


def _shards(connection: Connection, runs: Sequence[int], at: datetime) -> dict[int, dict[str, Any]]:
    """Return the counts of the shards of each run."""
    is_done = case((shard.c.state == State.DONE, 1), else_=0)
    in_work = case(((shard.c.state != State.DONE) & (shard.c.leased_until > at), 1), else_=0)
    names = ("examined", "issued", "unchanged", "held")
    query = (
        select(
            shard.c.reprocessing_run_id,
            *(func.sum(shard.c[name]).label(name) for name in names),
            func.count().label("shards"),
            func.sum(is_done).label("shards_done"),
            func.sum(in_work).label("shards_in_work"),
        )
        .where(shard.c.reprocessing_run_id.in_(runs))
        .group_by(shard.c.reprocessing_run_id)
    )
    return {
        row.reprocessing_run_id: {
            "counts": ExamCounts(*(int(getattr(row, name)) for name in names)),
            "shards": row.shards,
            "shards_done": int(row.shards_done),
            "shards_in_work": int(row.shards_in_work),
        }
        for row in connection.execute(query)
    }


def _difference(content: dict[str, Any]) -> Difference:
    regions = {
        region: {name: _pair(values) for name, values in concepts.items()}
        for region, concepts in content["regions"].items()
    }
    return Difference(
        exam=content["exam"],
        addendum=content["addendum"],
        changed_inputs=tuple(content["changed_inputs"]),
        overall=_pair(content["overall"]),
        regions=regions,
        removed=tuple(content["removed"]),
        added=tuple(content["added"]),
        held=content["held"],
    )


def _pair(values: Sequence[str]) -> BeforeAfter:
    before, after = values
    return before, after
