"""``dxatrend monitor``: watch for alarms, and answer monitoring systems."""

import argparse
import logging

from dxatrend.cli.output import FAILURE, SUCCESS
from dxatrend.service import systemd_notify
from dxatrend.service.monitor import CannotAnswerError, run_monitor
from flows.shutdown import stop_on_signals

log = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> int:
    """Run the monitor until SIGTERM."""
    stop = stop_on_signals()
    try:
        run_monitor(options.config, stop)
    except CannotAnswerError as error:
        reason = f"cannot answer monitoring systems: {error}"
        log.error("%s", reason)
        systemd_notify.cannot_start(reason)
        return FAILURE
    return SUCCESS
