"""``dxatrend serve``, ``listen``, ``work``, ``prefect``, ``schedules``, ``deploy``, ``reload``: the running service."""

import argparse
import contextlib
import logging
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from dxatrend.service.memory import give_back_large_blocks
from dxatrend.service.supervisor import serve_prefect, supervise
from flows.prefect_environment import client_environment
from flows.prefect_runner import PrefectRunner
from flows.shutdown import stop_on_signals
from pipeline.edge.app import App, open_app
from pipeline.edge.audit import events
from pipeline.edge.configuration.folders import CONFIG_VARIABLE
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.edge.dicom_net.tls import TlsError
from pipeline.edge.live_configuration import LiveConfiguration, outdated
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import processes
from pipeline.edge.store.processes import LiveProcess

log = logging.getLogger(__name__)

RELOAD_SECONDS = 30
"""How long the processes of the service may take to read their configuration again."""


def serve(options: argparse.Namespace) -> int:
    """Run listener, worker, Prefect server and schedules until SIGTERM."""
    with open_app(options.config) as app:  # migrates the database, before two children would
        prefect = app.settings.service.prefect
    supervise(options.config, prefect, stop_on_signals())
    return SUCCESS


def listen(options: argparse.Namespace) -> int:
    """Run the listener until SIGTERM."""
    give_back_large_blocks()
    stop = stop_on_signals()
    with open_app(options.config) as app:
        service = app.settings.service
        try:
            listener = Listener(
                service.listener, app.database, service.destination, reserve_mb=service.store.reserve_mb
            )
        except OSError as error:
            log.error("cannot listen: %s", error.strerror)
            return FAILURE
        except TlsError as unusable:
            log.error("cannot listen: listener.%s", unusable)
            return FAILURE
        live = LiveConfiguration(app)
        signal.signal(signal.SIGHUP, live.on_signal)
        with contextlib.closing(listener), events.service_lifetime(app, "listener"), live.registered("listener"):
            stop.wait()
    return SUCCESS


def work(options: argparse.Namespace) -> int:
    """Run a worker until SIGTERM; fails where an unexpected error ended it."""
    give_back_large_blocks()
    _set_prefect_environment(options.config)
    from dxatrend.service.worker import run_worker  # noqa: PLC0415 - Prefect reads its settings when it is imported

    with open_app(options.config) as app:
        live = LiveConfiguration(app)
        signal.signal(signal.SIGHUP, live.on_signal)
        stop = stop_on_signals()
        with events.service_lifetime(app, "worker"), live.registered("worker"):
            return SUCCESS if run_worker(lambda: live.app, stop) else FAILURE


def prefect(options: argparse.Namespace) -> NoReturn:
    """Become the Prefect server of several machines."""
    settings, _ = load_configuration(options.config)
    serve_prefect(settings.service.prefect)


def schedules(options: argparse.Namespace) -> int:
    """Start the scheduled Prefect runs until SIGTERM."""
    settings = _set_prefect_environment(options.config)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # each of its runs reads the configuration itself
    with open_app(options.config):  # nobody replaces the store while this runs
        # Importing Prefect competes with the start of its server, which everything else waits for.
        with contextlib.closing(PrefectRunner(settings)) as runner:
            runner.wait_for_server()
        from flows.deployments import run_schedules  # noqa: PLC0415 - Prefect reads its settings when it is imported

        run_schedules()
    return SUCCESS


def deploy(options: argparse.Namespace) -> int:
    """Register the scheduled runs with the work pool of the Prefect server and print their names."""
    with contextlib.closing(PrefectRunner(_set_prefect_environment(options.config))) as runner:
        if not runner.is_there():
            return FAILURE
    from flows.deployments import deploy as register  # noqa: PLC0415 - Prefect reads its settings when it is imported

    print(*register(), sep="\n")
    return SUCCESS


def reload(options: argparse.Namespace) -> int:
    """Ask every process of the service to read its clinical configuration again and print what each replies."""
    with open_app(options.config, existing=True) as app:
        with app.database.write() as connection:
            asked = processes.request_reload(connection, at=datetime.now(UTC))
        if not asked:
            print_errors("no listener or worker of the service is running")
            return FAILURE
        found = _wait_for_replies(app)
        for one in found:
            problem = f"has not replied within {RELOAD_SECONDS} seconds" if one.is_reload_requested else one.problem
            print(f"{one}: {problem or 'has read its clinical configuration again'}")
        different = outdated(app)
        if different:
            print_errors(*different)
        return FAILURE if different or any(one.is_reload_requested or one.problem for one in found) else SUCCESS


def _wait_for_replies(app: App) -> list[LiveProcess]:
    deadline = time.monotonic() + RELOAD_SECONDS
    while True:
        with app.database.read() as connection:
            found = processes.live(connection, at=datetime.now(UTC))
        if not any(one.is_reload_requested for one in found) or time.monotonic() >= deadline:
            return found
        time.sleep(0.2)


def _set_prefect_environment(config: Path) -> PrefectSettings:
    """Return the Prefect settings, and put them into the environment before Prefect is imported."""
    settings, _ = load_configuration(config)
    os.environ[CONFIG_VARIABLE] = str(config.absolute())
    os.environ.update(client_environment(settings.service.prefect))
    return settings.service.prefect
