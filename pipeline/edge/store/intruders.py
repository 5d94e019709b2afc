"""Decide which of several contradicting groups of exams must be held: by sender, by majority, or by order.

Only one group ("side") can be right. If nothing decides between them, all are held for a person.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from pipeline.edge.store import senders
from pipeline.edge.store.schema import exam
from pipeline.edge.store.schema_base import State


def intruders(connection: Connection, sides: Sequence[Sequence[int]], *, majority: bool) -> set[int]:
    """Return the exams to be held, of sides that contradict each other; each side is some exams, the first side first.

    A side counts whose sender is known for its scanner by other exams, before one whose sender is not. Then, with
    ``majority``, the side with more exams. Then the order: of different senders the side that has an addendum already;
    of one sender, with ``majority``, the first side.
    """
    everyone = {number for side in sides for number in side}
    ranks = [(senders.are_known(connection, side, excluding=everyone), len(side) if majority else 0) for side in sides]
    best = [side for side, rank in zip(sides, ranks, strict=True) if rank == max(ranks)]
    if len(best) > 1:
        best = _first(connection, best, majority=majority)
    return everyone - set(best[0]) if len(best) == 1 else everyone


def named(connection: Connection, numbers: Collection[int]) -> str:
    """Return exams as ``dxatrend held`` prints them, each with its senders."""
    sent_by = senders.of_exams(connection, numbers)
    return ", ".join(f"E{number} ({', '.join(map(str, sent_by.get(number, ())))})" for number in sorted(numbers))


def _first(connection: Connection, sides: Sequence[Sequence[int]], *, majority: bool) -> list[Sequence[int]]:
    """Return the side that came first, if the order decides; otherwise all or none of the sides."""
    everyone = [number for side in sides for number in side]
    if len({who for of in senders.of_exams(connection, everyone).values() for who in of}) == 1:
        return [sides[0]] if majority else list(sides)
    answered = select(exam.c.id).where(exam.c.id.in_(everyone), exam.c.state == State.DONE)
    done = set(connection.scalars(answered))
    return [side for side in sides if done.intersection(side)]
