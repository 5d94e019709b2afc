"""``dxatrend held``: what waits for a person to decide."""

import argparse
import dataclasses

from dxatrend.cli.output import SUCCESS, print_json, print_table
from dxatrend.cli.store_access import open_store
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
