"""Moments and details are told in words that a person reads at a glance."""

from datetime import UTC, datetime, timedelta

import pytest

from dxatrend.desk.pages.trail import short_detail
from dxatrend.desk.patient_words import PROOFS
from dxatrend.desk.rendering import how_long_ago
from pipeline.edge.deliver import storage_scu, stow_sender

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=119), "1 h ago"),
        (timedelta(days=60), "60 d ago"),
        (timedelta(days=61), "2 months ago"),
        (timedelta(days=730), "23 months ago"),
        (timedelta(days=947), "2 years ago"),
        (-timedelta(days=2), "in 2 d"),
        (-timedelta(days=800), "in 2 years"),
    ],
)
def test_a_moment_is_told_in_the_largest_unit_that_says_enough(passed: timedelta, words: str) -> None:
    assert how_long_ago(NOW - passed, NOW) == words


def test_an_entry_of_the_trail_tells_what_is_so_and_no_digests() -> None:
    detail = {"part": "worker", "configuration": "f00d", "undo": False, "dry_run": True, "errors": 0, "until": None}
    assert short_detail(detail) == "part worker, dry run, errors 0"


def test_every_proof_of_a_pacs_has_words() -> None:
    assert PROOFS.keys() == {*storage_scu.PROOF_NAMES.values(), *stow_sender.PROOF_NAMES.values()}
