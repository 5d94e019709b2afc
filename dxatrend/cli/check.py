"""``dxatrend check``: validate the configuration and ask the store, the Prefect server and each destination."""

import argparse

from dxatrend.cli.output import FAILURE, SUCCESS, today
from dxatrend.installation_check import Level, check


def run(options: argparse.Namespace) -> int:
    """Print the result of every check; fails where anything needs to be corrected or does not answer."""
    status = SUCCESS
    for result in check(options.config, on=today()):
        print(result.text)
        if result.level is Level.PROBLEM:
            status = FAILURE
    return status
