"""Who has used the thread least of late is next, and whoever floods a server waits for what others store."""

from dataclasses import dataclass

import pytest

from pipeline.edge.dicom_net.memory_budget import Owner
from pipeline.edge.dicom_net.turn_order import HALF_LIFE_SECONDS, MUCH_LONGER, TurnOrder


@dataclass(eq=False)
class Connection:
    """One of a caller."""

    owner: Owner
    is_unassociated: bool = False
    since: float = 0.0
    seconds_used: float = 0.0
    turns: int = 0


def _order(*noted: tuple[Connection, float]) -> TurnOrder:
    turns = TurnOrder()
    for peer, seconds in noted:
        turns.note(peer, seconds)
    return turns


def test_the_caller_that_used_the_thread_least_is_next_then_its_association_that_did() -> None:
    flood, another_of_it, quiet = Connection(("FLOOD", "a")), Connection(("FLOOD", "a")), Connection(("QUIET", "b"))
    turns = _order((flood, 1.0), (another_of_it, 0.5), (quiet, 0.4))
    assert sorted([flood, another_of_it, quiet], key=turns.rank) == [quiet, another_of_it, flood]


def test_of_connections_without_association_the_one_with_most_turns_is_next_then_the_newest() -> None:
    old, new, begun = (Connection(("", "a"), is_unassociated=True, since=since) for since in (1.0, 3.0, 2.0))
    turns = _order((begun, 0.001))
    assert sorted([old, new, begun], key=turns.rank) == [begun, new, old]


def test_half_of_the_use_is_forgotten_in_a_half_life_and_in_the_end_all() -> None:
    one = Connection(("ONE", "a"))
    turns = _order((one, 1.0))
    turns.forget(HALF_LIFE_SECONDS)
    assert turns.rank(Connection(one.owner))[0] == pytest.approx(0.5)
    turns.forget(30 * HALF_LIFE_SECONDS)
    assert turns.rank(Connection(one.owner))[0] == 0


def test_one_is_first_by_far_only_where_all_others_have_used_very_much_more() -> None:
    quiet, usual, flood = Connection(("QUIET", "a")), Connection(("USUAL", "b")), Connection(("FLOOD", "c"))
    turns = _order((quiet, 0.01), (usual, 0.02), (flood, 0.01 * MUCH_LONGER + 0.001))
    assert turns.is_first_by_far(quiet, [flood])
    assert not turns.is_first_by_far(quiet, [flood, usual])
    assert not turns.is_first_by_far(flood, [flood])
