"""``dxatrend held``, ``set-aside`` and ``status`` on a store in which something is held."""

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from dxatrend.cli.main import main
from tests.factories import outboxes
from tests.factories.held_things import HeldThings, hold_things


@pytest.fixture
def things(tmp_path: Path) -> HeldThings:
    """Something held of each kind, in a store beside its configuration."""
    with outboxes.outbox_of(tmp_path, "") as app:
        outboxes.receive(app, outboxes.visit(2024))
        return hold_things(app)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command, and return its exit status and what it printed."""

    def _run(*command: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main([*command, "--config", str(tmp_path)])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return _run


def test_what_is_set_aside_leaves_the_list_and_is_listed_with_who_and_why(things: HeldThings, run: Any) -> None:
    assert run("set-aside", things.unknown, "--reason", "a kidney") == (0, f"receipt {things.unknown} is set aside\n")
    held = {one["number"] for one in json.loads(run("held", "--json")[1])}
    assert held == {*things} - {things.unknown}
    (aside,) = json.loads(run("held", "--set-aside", "--json")[1])
    assert (aside["work"]["number"], aside["actor"], aside["reason"]) == (
        things.unknown,
        pwd.getpwuid(os.getuid()).pw_name,
        "a kidney",
    )
    assert "a kidney" in run("held", "--set-aside")[1]
    number = things.unknown
    assert run("set-aside", number, "--undo") == (0, f"receipt {number} waits for a decision again\n")
    assert run("set-aside", number, "--undo") == (1, f"receipt {number} is not set aside\n")


def test_nothing_is_set_aside_without_a_reason_nor_what_is_not_held(things: HeldThings, run: Any) -> None:
    assert run("set-aside", things.exam) == (1, "set-aside needs either --reason or --undo\n")
    assert run("set-aside", things.exam, "--reason", " ") == (1, "set-aside needs either --reason or --undo\n")
    assert run("set-aside", "E99", "--reason", "x") == (1, "exam 99 waits for no decision\n")
    assert run("set-aside", "X1", "--reason", "x")[0] == 1


def test_status_tells_of_each_part_and_of_what_is_held_by_reason(things: HeldThings, run: Any) -> None:
    told = json.loads(run("status", "--json")[1])
    assert [(part["name"], part["state"], part["is_alive"]) for part in told["parts"]] == [
        ("listener", "not running", False),
        ("worker", "not running", False),
    ]
    assert told["held_by_reason"]["not_dicom"] == 1
    assert told["held"] == len(things)
    assert told["last_backup"] is None
    printed = run("status")[1]
    assert "not running" in printed.partition("received")[0]
