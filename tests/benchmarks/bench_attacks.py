"""Measure how long a scanner waits for its answer beside each attack of the table of attacks."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.benchmarks.table import Row, at_most, percentile
from tests.factories.attacks import BY_CALLERS, BY_STRANGERS, ON_COMMITMENT
from tests.factories.siege import Siege

PAUSE = 0.005
"""Seconds between two reports of the scanner, so that each attack is seen a hundred times."""


def rows() -> Iterator[Row]:
    """The attack with the highest 99th percentile, and the one with the slowest answer."""
    with tempfile.TemporaryDirectory(prefix="dxatrend-bench-") as name:
        siege = Siege(Path(name), store="SQLite")
        try:
            answers = {
                name: siege.attacked(attack, pause=PAUSE).answers
                for name, attack in (BY_STRANGERS | BY_CALLERS | ON_COMMITMENT).items()
            }
        finally:
            siege.end()
    yield _worst("p99", {name: percentile(taken, 0.99) for name, taken in answers.items()}, 0.25)
    yield _worst("slowest", {name: max(taken) for name, taken in answers.items()}, 2)


def _worst(which: str, seconds: Mapping[str, float], limit: float) -> Row:
    """The attack with the highest figure."""
    attack = max(seconds, key=lambda name: seconds[name])
    what = f"answer to a scanner, {which}, of {len(seconds)} attacks the worst: {attack}"
    return Row(what=what, ours=seconds[attack], unit="s", target=at_most(limit))
