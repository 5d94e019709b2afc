"""The desk of the demonstration: what ``dxatrend demo`` has left, in a browser, with accounts made for the occasion.

The whole service runs beside it, with an archive that takes the addenda, so that everything can be tried.
"""

import contextlib
import secrets
import socket
import time
from collections.abc import Mapping

import httpx

from dxatrend.demo_installation import (
    CONFIG,
    FOLDER,
    LOOPBACK,
    free_ports,
    running_archive,
    running_service,
    write_service_settings,
)
from flows.shutdown import Stop
from pipeline.edge.app import open_app
from pipeline.edge.configuration.desk_settings import DeskSettings, Role
from pipeline.edge.operations import desk_accounts
from pipeline.edge.operations.desk_accounts import FEWEST_DIFFERENT, AccountError
from pipeline.errors import DxatrendError

START_SECONDS = 300
"""How long the desk may take to answer, on a machine that has much else to do."""
_POLL_SECONDS = 0.2

MAY = {
    Role.LOOK: "sees how the service is doing, and no patient",
    Role.READ: "sees patients",
    Role.ACT: "releases, merges, withdraws",
    Role.CONFIGURE: "sets up, and sees who did what",
}


class NoDemonstrationError(DxatrendError):
    """There is no demonstration to look at, or its desk does not start."""


def serve(stop: Stop) -> None:
    """Serve the desk of the demonstration, and print how to log in, until ``stop`` is set.

    Raises:
        NoDemonstrationError: the demonstration was not played yet, or the desk does not answer.
    """
    if not (FOLDER / "dxatrend.sqlite3").exists():
        raise NoDemonstrationError("there is nothing to look at yet: make demo plays the sample patients first")
    listener, archive, prefect, other = free_ports(4)
    desk = DeskSettings().port if _is_free(DeskSettings().port) else other
    write_service_settings(listener=listener, archive=archive, prefect=prefect, desk=desk)
    passwords = _make_accounts()
    with running_archive(archive), running_service():
        address = f"http://{LOOPBACK}:{desk}"
        _wait_for(address, stop)
        _print_log_ins(address, passwords)
        stop.wait()


def _make_accounts() -> Mapping[Role, str]:
    """Make an account for each role, called like it, with a password for this occasion."""
    passwords = {role: _password() for role in Role}
    with open_app(CONFIG) as app:
        for role, password in passwords.items():
            with contextlib.suppress(AccountError):  # an earlier occasion has made it
                desk_accounts.remove(app.database, role.value)
            desk_accounts.add(app.database, role.value, role, password)
    return passwords


def _password() -> str:
    """Return twelve digits at random, of which as many differ as an account asks for."""
    password = ""
    while len(set(password)) < FEWEST_DIFFERENT:
        password = "-".join(f"{secrets.randbelow(10_000):04}" for _ in range(3))
    return password


def _is_free(port: int) -> bool:
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def _wait_for(address: str, stop: Stop) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not stop.is_set():
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/log-in", trust_env=False, timeout=5).is_success:
                return
        if time.monotonic() > deadline:
            raise NoDemonstrationError(f"the desk does not answer; {FOLDER / 'serve.log'} says why")
        stop.wait(_POLL_SECONDS)


def _print_log_ins(address: str, passwords: Mapping[Role, str]) -> None:
    print(f"{address}\n")
    for role, password in passwords.items():
        print(f"  {role.value:<10}{password:<18}{MAY[role]}")
    print("\nThe patients are invented, and only this machine can reach the address. Ctrl-C ends it.", flush=True)
