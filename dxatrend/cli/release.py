"""``dxatrend release`` and ``set-aside``: what a person decides on what is held."""

import argparse

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from dxatrend.cli.store_access import open_store
from pipeline.edge.operations import set_aside as operation
from pipeline.edge.operations.release import (
    NotAPrintedNumberError,
    parse_printed_number,
    release_destination,
    release_held,
)


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
