"""``dxatrend monitor``: watch for alarms, and answer monitoring systems."""

import argparse
import logging

from dxatrend.cli.output import FAILURE, SUCCESS
from dxatrend.service.monitor import run_monitor
from flows.shutdown import stop_on_signals

log = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> int:
    """Run the monitor until SIGTERM."""
    stop = stop_on_signals()
    try:
        run_monitor(options.config, stop)
    except OSError as error:
        log.error("cannot answer monitoring systems: %s", error.strerror)
        return FAILURE
    return SUCCESS
