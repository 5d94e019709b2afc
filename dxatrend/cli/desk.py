"""``dxatrend desk``: serve the pages of the desk, and administer the accounts of those who may see them."""

import argparse
import contextlib
import getpass
import logging
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, print_table, show_times_in
from dxatrend.service import systemd_notify
from flows.shutdown import stop_on_signals
from pipeline.edge.app import open_app
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.dicom_net.tls import TlsError
from pipeline.edge.operations import desk_accounts
from pipeline.edge.operations.desk_accounts import AccountError, normal_name
from pipeline.edge.store import desk_accounts as accounts
from pipeline.edge.store import desk_sessions

log = logging.getLogger(__name__)


def serve(options: argparse.Namespace) -> int:
    """Serve the desk until SIGTERM, also while the database is away; or that of the demonstration."""
    return _serve_demo() if options.demo else _serve(options)


def _serve_demo() -> int:
    from dxatrend import demo_desk  # noqa: PLC0415 - the desk of a department needs no demonstration

    try:
        demo_desk.serve(stop_on_signals())
    except demo_desk.NoDemonstrationError as problem:
        print_errors(problem)
        return FAILURE
    return SUCCESS


def _serve(options: argparse.Namespace) -> int:
    from dxatrend.desk import server  # noqa: PLC0415 - accounts need no web server
    from dxatrend.desk.application import application  # noqa: PLC0415 - as above
    from dxatrend.desk.desk import Desk  # noqa: PLC0415 - as above

    settings, _ = load_configuration(options.config)
    desk = Desk(options.config, settings)
    signal.signal(signal.SIGHUP, desk.on_reload_signal)
    stop_on_signals()  # the web server has handlers of its own, and hands on to these what ended it
    with contextlib.closing(desk):
        desk.open_if_possible()
        log.info("the desk is at %s", desk.settings.address)
        try:
            server.serve(application(desk), desk.settings)
        except (server.CannotServeError, TlsError) as error:
            reason = f"cannot serve the desk: {error}"
            log.error("%s", reason)
            systemd_notify.cannot_start(reason)
            desk.fails(reason)
            return FAILURE
    return SUCCESS


def add_user(options: argparse.Namespace) -> int:
    """Add an account; with ``--proxy`` it has no password, and only the proxy can say who it is."""
    name, role = normal_name(options.name), Role(options.role)
    with open_app(options.config) as app, _problems_printed() as outcome:
        desk_accounts.add(app.database, name, role, None if options.proxy else _read_password())
        print(f"{name} may use the desk with the role {role.value}")
    return outcome.status


def set_password(options: argparse.Namespace) -> int:
    """Give an account another password and end its sessions."""
    name = normal_name(options.name)
    with open_app(options.config, existing=True) as app, _problems_printed() as outcome:
        desk_accounts.set_password(app.database, name, _read_password())
        print(f"{name} has another password and is logged out")
    return outcome.status


def set_role(options: argparse.Namespace) -> int:
    """Give an account another role."""
    name, role = normal_name(options.name), Role(options.role)
    with open_app(options.config, existing=True) as app, _problems_printed() as outcome:
        desk_accounts.set_role(app.database, name, role)
        print(f"{name} has the role {role.value} from now on")
    return outcome.status


def remove_user(options: argparse.Namespace) -> int:
    """Remove an account and end its sessions."""
    name = normal_name(options.name)
    with open_app(options.config, existing=True) as app, _problems_printed() as outcome:
        desk_accounts.remove(app.database, name)
        print(f"{name} may no longer use the desk")
    return outcome.status


def list_users(options: argparse.Namespace) -> int:
    """Print every account with its role and its open sessions."""
    with open_app(options.config, existing=True) as app:
        show_times_in(app.reference_data.zone)
        idle, now = timedelta(minutes=app.settings.service.desk.idle_minutes), datetime.now(UTC)
        with app.database.read() as connection:
            found = [account for name in accounts.names(connection) if (account := accounts.find(connection, name))]
            print_table(
                ("name", "role", "logs in by", "changed", "open sessions"),
                [
                    (
                        one.name,
                        one.role.value,
                        "password" if one.password else "proxy",
                        one.changed_at,
                        desk_sessions.count(connection, one.name, idle=idle, at=now),
                    )
                    for one in found
                ],
            )
    return SUCCESS


@dataclass(slots=True)
class _Outcome:
    """The exit status of a command."""

    status: int = SUCCESS


@contextlib.contextmanager
def _problems_printed() -> Iterator[_Outcome]:
    """Print why an account could not be changed."""
    outcome = _Outcome()
    try:
        yield outcome
    except AccountError as problem:
        print_errors(problem)
        outcome.status = FAILURE


def _read_password() -> str:
    """Return the password that somebody types twice, or the first line of standard input.

    Raises:
        AccountError: the two differ.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("password: ")
    if getpass.getpass("once more: ") != password:
        raise AccountError("the two passwords differ; nothing was changed")
    return password
