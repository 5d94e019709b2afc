"""``dxatrend held`` and ``release``: what waits for a person to decide, and try it again."""

import argparse
import dataclasses

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, print_json, print_table
from dxatrend.cli.store_access import open_store
from pipeline.edge.operations.release import (
    NotAPrintedNumberError,
    parse_printed_number,
    release_destination,
    release_held,
)
from pipeline.edge.store import service_status


def run(options: argparse.Namespace) -> int:
    """Print what is held as a table or JSON."""
    with open_store(options) as app, app.database.read() as connection:
        found = service_status.held(connection)
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
