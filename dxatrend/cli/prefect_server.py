"""``dxatrend prefect``, ``schedules`` and ``deploy``: the Prefect server, and what it starts by the clock."""

import argparse
import contextlib
import signal

from dxatrend.cli.output import FAILURE, SUCCESS
from dxatrend.service import systemd_notify
from dxatrend.service.supervisor import serve_prefect
from flows.prefect_environment import enter_client_environment
from flows.prefect_runner import PrefectRunner
from flows.schedules import Schedules
from flows.shutdown import stop_on_signals
from pipeline.edge.app import open_app
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.heartbeat import Heartbeat


def prefect(options: argparse.Namespace) -> int:
    """Run the Prefect server of several machines until SIGTERM."""
    stop = stop_on_signals()
    settings, _ = load_configuration(options.config)
    return serve_prefect(settings.service.prefect, stop)


def schedules(options: argparse.Namespace) -> int:
    """Start the scheduled Prefect runs until SIGTERM."""
    enter_client_environment(options.config)
    stop = stop_on_signals()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # each of its runs reads the configuration itself
    with (
        open_app(options.config) as app,
        Heartbeat(app.database, "schedules").kept(),
        systemd_notify.ready("starts what is due by the clock"),
    ):
        Schedules(app.settings.service).keep(stop)
    return SUCCESS


def deploy(options: argparse.Namespace) -> int:
    """Register the scheduled runs with the work pool of the Prefect server and print their names."""
    service = enter_client_environment(options.config)
    with contextlib.closing(PrefectRunner(service.prefect)) as runner:
        if not runner.is_there():
            return FAILURE
    from flows.deployments import deploy as register  # noqa: PLC0415 - Prefect reads its settings when it is imported

    print(*register(service), sep="\n")
    return SUCCESS
