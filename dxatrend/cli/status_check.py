"""``dxatrend status --check``: one line for a monitoring system, with the exit status of a Nagios plugin."""

import argparse
from datetime import UTC, datetime

from dxatrend.cli.failures import lines_of
from pipeline.edge.alarms.verdict import Level, Verdict, verdict
from pipeline.edge.app import open_app
from pipeline.edge.store.database import StoreError
from pipeline.errors import DxatrendError


def run(options: argparse.Namespace) -> int:
    """Print how the service is: 0 nothing is wrong, 1 warning, 2 critical, 3 that cannot be told."""
    try:
        with open_app(options.config, existing=True) as app:
            found = verdict(app, datetime.now(UTC))
    except StoreError as failure:
        found = Verdict(level=Level.CRITICAL, text=f"the database could not be queried: {failure}")
    except DxatrendError as error:
        found = Verdict(level=Level.UNKNOWN, text="; ".join(line.strip() for line in lines_of(error)))
    print(found)
    return found.level
