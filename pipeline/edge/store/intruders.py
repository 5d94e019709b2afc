"""Which side is the intruder's where exams contradict each other: who sent it, how many agree, or which came first.

Only one side can be right. If nothing tells which, all of them wait for a person.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from pipeline.edge.store import senders
from pipeline.edge.store.schema import State, exam


def intruders(connection: Connection, sides: Sequence[Sequence[int]], *, majority: bool) -> set[int]:
    """Of sides that contradict each other, each some exams and the first one first, those that must wait.

    The sender tells: one that is known for its machine by other exams is believed before one that is not. So does the
    ``majority``, where each exam says by itself what is right. So does the order, of different senders where the one
    side is answered already, and where all come from one sender, who has mistaken one of them, by the majority's rule.
    """
    everyone = {number for side in sides for number in side}
    ranks = [(senders.are_known(connection, side, excluding=everyone), len(side) if majority else 0) for side in sides]
    best = [side for side, rank in zip(sides, ranks, strict=True) if rank == max(ranks)]
    if len(best) > 1:
        best = _first(connection, best, majority=majority)
    return everyone - set(best[0]) if len(best) == 1 else everyone


def named(connection: Connection, numbers: Collection[int]) -> str:
    """Exams as a person finds them in ``held`` and ``status``, each with who sent it."""
    sent_by = senders.of_exams(connection, numbers)
    return ", ".join(f"E{number} ({', '.join(map(str, sent_by.get(number, ())))})" for number in sorted(numbers))


def _first(connection: Connection, sides: Sequence[Sequence[int]], *, majority: bool) -> list[Sequence[int]]:
    """The side that came first, if the order tells anything."""
    everyone = [number for side in sides for number in side]
    if len({who for of in senders.of_exams(connection, everyone).values() for who in of}) == 1:
        return [sides[0]] if majority else list(sides)
    answered = select(exam.c.id).where(exam.c.id.in_(everyone), exam.c.state == State.DONE)
    done = set(connection.scalars(answered))
    return [side for side in sides if done.intersection(side)]
