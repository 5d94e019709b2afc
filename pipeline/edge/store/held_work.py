"""Work that is held: what waits for a person to decide, and what a person has set aside."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select

from pipeline.edge.store import senders, work_queue
from pipeline.edge.store.schema import (
    addendum,
    commitment_request,
    delivery,
    exam,
    history_query,
    receipt,
    scanner,
    sender,
    set_aside,
)
from pipeline.edge.store.schema_base import State
from pipeline.edge.store.senders import Sender

KINDS: dict[str, Table] = {"": receipt, "E": exam, "D": delivery, "C": commitment_request, "Q": history_query}
"""Queue by the letter before a held number; a plain number is a receipt's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldWork:
    """One piece of held work; ``number`` is the argument of ``dxatrend release``."""

    number: str
    what: str
    since: datetime
    reason: str
    detail: str
    sender: str
    """Calling AE title and host of its sender; of several reports each sender once."""
    scanner: str = ""
    """The scanner, as far as it is known: of the exam, or the only one that its sender sends for."""
    exam: int | None = None
    """The exam that it belongs to, or is."""
    destination: str = ""
    """The destination of a delivery, or the archive of a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Held work that a person has set aside: when, who, and why."""

    work: HeldWork
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReason:
    """How much is held for one reason, and since when the first of it."""

    reason: str
    count: int
    oldest: datetime


def held(
    connection: Connection,
    *,
    numbers: Sequence[str] | None = None,
    reason: str | None = None,
    before: datetime | None = None,
    limit: int | None = None,
) -> list[HeldWork]:
    """Return the held work that waits for a person, the longest held first.

    With ``numbers``, only of these; with ``reason``, held for it; with ``before``, since before a moment; with
    ``limit``, no more than so many.
    """
    found = []
    for letter, queue in KINDS.items():
        query = select(*_columns(queue)).where(work_queue.waits_for_a_person(queue))
        if numbers is not None:
            query = query.where(queue.c.id.in_(_of_queue(letter, numbers)))
        if reason is not None:
            query = query.where(queue.c.reason == reason)
        if before is not None:
            query = query.where(queue.c.due_at < before)
        rows = connection.execute(query.order_by(queue.c.due_at, queue.c.id).limit(limit)).all()
        found += _work(connection, letter, rows)
    return sorted(found, key=lambda work: work.since)[:limit]


def set_aside_work(connection: Connection, *, limit: int, numbers: Sequence[str] | None = None) -> list[SetAside]:
    """Return the held work that was set aside and still is, the latest first; with ``numbers``, only of these."""
    found = []
    for letter, queue in KINDS.items():
        query = (
            select(*_columns(queue), set_aside.c.at, set_aside.c.actor, set_aside.c.reason.label("why"))
            .join(set_aside, set_aside.c.id == queue.c.set_aside_id)
            .where(queue.c.state == State.HELD, queue.c.set_aside_id.is_not(None))
            .order_by(set_aside.c.id.desc())
        )
        if numbers is not None:
            query = query.where(queue.c.id.in_(_of_queue(letter, numbers)))
        rows = connection.execute(query.limit(limit)).all()
        for row, work in zip(rows, _work(connection, letter, rows), strict=True):
            found.append(SetAside(work=work, at=row.at, actor=row.actor, reason=row.why))
    return sorted(found, key=lambda one: one.at, reverse=True)[:limit]


def by_reason(connection: Connection) -> list[HeldReason]:
    """Return how much waits for a person, by reason, the most frequent first."""
    counts: dict[str, tuple[int, datetime]] = {}
    for queue in KINDS.values():
        query = select(queue.c.reason, func.count(), func.min(queue.c.due_at))
        for reason, count, oldest in connection.execute(
            query.where(work_queue.waits_for_a_person(queue)).group_by(queue.c.reason)
        ):
            before, since = counts.get(reason or "", (0, oldest))
            counts[reason or ""] = before + count, min(since, oldest)
    found = [HeldReason(reason=reason, count=count, oldest=oldest) for reason, (count, oldest) in counts.items()]
    return sorted(found, key=lambda one: (-one.count, one.reason))


def _columns(queue: Table) -> tuple[ColumnElement[Any], ...]:
    return queue.c.id, queue.c.due_at, queue.c.reason, queue.c.detail


def _of_queue(letter: str, numbers: Iterable[str]) -> list[int]:
    return [int(one[len(letter) :]) for one in numbers if one[len(letter) :].isdecimal() and one.startswith(letter)]


def _work(connection: Connection, letter: str, rows: Sequence[Row[Any]]) -> list[HeldWork]:
    queue = KINDS[letter]
    origins = _origins(connection, queue, [row.id for row in rows])
    return [
        HeldWork(
            number=f"{letter}{row.id}",
            what=queue.name,
            since=row.due_at,
            reason=row.reason or "",
            detail=row.detail or "",
            **origins.get(row.id, {"sender": ""}),
        )
        for row in rows
    ]


def _origins(connection: Connection, queue: Table, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return by number the fields of ``HeldWork`` that say where it comes from and belongs to."""
    if not numbers:
        return {}
    if queue is receipt or queue is commitment_request:
        return _of_callers(connection, queue, numbers)
    of_exam = select(exam.c.id.label("exam"), scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)
    of_exam = of_exam.add_columns(queue.c.id)
    if queue is exam:
        query = of_exam.select_from(exam)
    elif queue is delivery:
        joined = delivery.join(addendum, addendum.c.id == delivery.c.addendum_id)
        query = of_exam.select_from(joined.join(exam, exam.c.id == addendum.c.exam_id))
    else:
        query = of_exam.select_from(history_query.join(exam, exam.c.id == history_query.c.exam_id))
    query = query.join(scanner, scanner.c.id == exam.c.scanner_id).where(queue.c.id.in_(numbers))
    if "destination" in queue.c:
        query = query.add_columns(queue.c.destination)
    sent_by = senders.of_exams(connection, numbers) if queue is exam else {}
    return {
        row.id: {
            "sender": ", ".join(map(str, sent_by.get(row.id, ()))),
            "scanner": _named(row),
            "exam": row.exam,
            "destination": row._mapping.get("destination", ""),
        }
        for row in connection.execute(query)
    }


def _of_callers(connection: Connection, queue: Table, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the caller of receipts or requests, and its scanner where it sends for one only."""
    scanners = _scanners_of_callers(connection)
    has_host = "host" in queue.c
    columns = [queue.c.id, queue.c.calling_ae_title, *([queue.c.host] if has_host else [])]
    found = {}
    for row in connection.execute(select(*columns).where(queue.c.id.in_(numbers))):
        who = Sender(ae_title=row.calling_ae_title, host=row.host if has_host else "")
        found[row.id] = {"sender": str(who), "scanner": scanners.get(who.ae_title, "")}
    return found


def _scanners_of_callers(connection: Connection) -> dict[str, str]:
    """Return by AE title the scanner of each caller that has sent reports of one scanner only."""
    query = select(sender.c.calling_ae_title, scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)
    found: dict[str, set[str]] = {}
    for row in connection.execute(query.join(scanner, scanner.c.id == sender.c.scanner_id)):
        found.setdefault(row.calling_ae_title, set()).add(_named(row))
    return {ae_title: next(iter(names)) for ae_title, names in found.items() if len(names) == 1}


def _named(row: Row[Any]) -> str:
    return " ".join(filter(None, (row.manufacturer, row.model, row.serial_number)))
