"""``dxatrend check``: validate the configuration and ask the store, the Prefect server and each destination."""

import argparse

from dxatrend.cli.output import FAILURE, SUCCESS, today
from dxatrend.installation_check import check
from pipeline.edge.overview.check_result import Level


def run(options: argparse.Namespace) -> int:
    """Print the result of every check; fails where anything needs to be corrected or does not answer.

    With ``--strict`` it fails where a person should look at anything, too.
    """
    status = SUCCESS
    for result in check(options.config, on=today()):
        print(result.text)
        if result.level is Level.PROBLEM or (options.strict and result.level is Level.ADVICE):
            status = FAILURE
    return status
