"""What peers can provoke is logged within bounds."""

from pipeline.edge.dicom_net.rate_limited_log import MOST_REMEMBERED, Novelty


def test_a_thing_is_new_once() -> None:
    seen = Novelty()
    assert [seen.is_new(thing) for thing in (("SCANNER1", "CT"), ("SCANNER1", "CT"), ("SCANNER2", "CT"))] == [
        True,
        False,
        True,
    ]


def test_the_oldest_things_are_forgotten_so_that_no_peer_fills_the_memory() -> None:
    seen = Novelty()
    assert all(seen.is_new(number) for number in range(2 * MOST_REMEMBERED))
    assert not seen.is_new(2 * MOST_REMEMBERED - 1)
    assert seen.is_new(0)
