"""``dxatrend held``, ``release`` and ``set-aside``: what waits for a person to decide, and what becomes of it."""

import argparse
import dataclasses

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, print_json, print_table
from dxatrend.cli.store_access import open_store
from pipeline.edge.operations import set_aside as operation
from pipeline.edge.operations.release import (
    NotAPrintedNumberError,
    parse_printed_number,
    release_destination,
    release_held,
)
from pipeline.edge.store import held_work

MOST_SET_ASIDE = 1000
"""How much of what was set aside is listed, the latest first."""


def run(options: argparse.Namespace) -> int:
    """Print what is held as a table or JSON."""
    if options.set_aside:
        return _list_set_aside(options)
    with open_store(options) as app, app.database.read() as connection:
        found = held_work.held(connection)
    if options.json:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        print_table(
            ("number", "what", "since", "reason", "sent by", "detail"),
            [(one.number, one.what, one.since, one.reason, one.sender, one.detail) for one in found],
        )
    return SUCCESS


def release(options: argparse.Namespace) -> int:
    """Release one held number, or everything that waits for a destination."""
    with open_store(options) as app:
        if any(options.number == destination.name for destination in app.settings.service.destination):
            due = release_destination(app.database, options.number)
            print(f"{due} deliveries to {options.number} will be tried now")
            return SUCCESS
        try:
            held = parse_printed_number(options.number)
        except NotAPrintedNumberError as unknown:
            print_errors(f"{unknown}, nor the name of a destination")
            return FAILURE
        released = release_held(app.database, held)
    print(f"{held.queue.name} {held.number} " + ("will be tried again" if released else "is not held"))
    return SUCCESS if released else FAILURE


def set_aside(options: argparse.Namespace) -> int:
    """Set one held number aside for a reason, or take that back."""
    reason = options.reason.strip()
    if bool(reason) == options.undo:
        print_errors("set-aside needs either --reason or --undo")
        return FAILURE
    with open_store(options) as app:
        try:
            held = parse_printed_number(options.number)
        except NotAPrintedNumberError as unknown:
            print_errors(unknown)
            return FAILURE
        done = (
            operation.take_back(app.database, held) if options.undo else operation.set_aside(app.database, held, reason)
        )
    change_made = "waits for a decision again" if options.undo else "is set aside"
    problem = "is not set aside" if options.undo else "waits for no decision"
    print(f"{held.queue.name} {held.number} {change_made if done else problem}")
    return SUCCESS if done else FAILURE


def _list_set_aside(options: argparse.Namespace) -> int:
    with open_store(options) as app, app.database.read() as connection:
        found = held_work.set_aside_work(connection, limit=MOST_SET_ASIDE)
    if options.json:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        print_table(
            ("number", "what", "held for", "set aside", "by", "why"),
            [(one.work.number, one.work.what, one.work.reason, one.at, one.actor, one.reason) for one in found],
        )
    return SUCCESS
