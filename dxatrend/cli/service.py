"""``dxatrend serve`` and ``reload``: run the whole service on one machine, and make it read its configuration again."""

import argparse
import contextlib
import time
from datetime import UTC, datetime
from functools import partial

from dxatrend.cli import logging_setup
from dxatrend.cli.main import prepare
from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from dxatrend.service.child_reports import ChildReports
from dxatrend.service.forked import fork
from dxatrend.service.supervisor import import_for_listener, supervise
from flows.shutdown import stop_on_signals
from pipeline.edge.app import App, open_app
from pipeline.edge.heartbeat import require_alone
from pipeline.edge.live_configuration import outdated
from pipeline.edge.store import processes
from pipeline.edge.store.processes import LiveProcess
from pipeline.errors import DxatrendError

RELOAD_SECONDS = 30
"""How long the processes of the service may take to read their configuration again."""


def serve(options: argparse.Namespace) -> int:
    """Run listener, worker, monitor, desk, Prefect server and schedules until SIGTERM."""
    migration = fork(partial(_migrate, options), ["migrate"], {})
    import_for_listener()
    migration.wait()
    with open_app(options.config) as app:
        service = app.settings.service
        require_alone(app.database, "supervisor")
        app.database.close()  # it is copied with this process, and no connection may be; the reports open another
        reports = ChildReports(app.database)
        supervise(options.config, service.prefect, stop_on_signals(), reports, prepare, desk=service.desk.enabled)
    return SUCCESS


def _migrate(options: argparse.Namespace) -> int:
    """Migrate the database before several processes would, in a copy that ends: Alembic takes eleven megabytes.

    What goes wrong here does so once more where the database is opened next, and is told there.
    """
    logging_setup.set_up(options.log_format)
    with contextlib.suppress(DxatrendError, OSError), open_app(options.config):
        return SUCCESS
    return FAILURE


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
