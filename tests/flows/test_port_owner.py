"""Who listens on a port is known from the kernel, whatever the listener would say of itself."""

import os
import socket
import subprocess
import sys

import pytest

from flows.port_owner import Owner, Port
from tests import peers

LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=getattr(socket, sys.argv[3]))
print("listening", flush=True)
sys.stdin.read()
"""


def owner_of(host: str, number: int) -> Owner:
    return Port(host, number, variable="HOME_OF_TEST", value="/ours").owner()


@pytest.mark.parametrize(
    ("bound", "family", "called"),
    [
        ("127.0.0.1", "AF_INET", "127.0.0.1"),
        ("0.0.0.0", "AF_INET", "127.0.0.1"),
        ("::1", "AF_INET6", "::1"),
        ("::", "AF_INET6", "127.0.0.1"),
        ("127.0.0.1", "AF_INET", "localhost"),
    ],
)
@pytest.mark.parametrize(("home", "expected"), [("/ours", Owner.OURS), ("/theirs", Owner.ANOTHER)])
def test_a_listener_is_ours_when_its_environment_says_so(
    bound: str, family: str, called: str, home: str, expected: Owner
) -> None:
    number = peers.free_port()
    command = [sys.executable, "-c", LISTEN, bound, str(number), family]
    with subprocess.Popen(
        command, env={**os.environ, "HOME_OF_TEST": home}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        found = owner_of(called, number)
        server.communicate()
    assert found is expected
    assert owner_of(called, number) is Owner.NOBODY


def test_a_listener_at_another_address_of_the_machine_is_not_in_the_way() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        assert owner_of("127.0.0.1", server.getsockname()[1]) is Owner.NOBODY
        assert owner_of("127.0.0.2", server.getsockname()[1]) is Owner.ANOTHER


def test_a_port_that_changes_hands_is_looked_at_again() -> None:
    port = Port("127.0.0.1", peers.free_port(), variable="HOME", value=os.environ["HOME"])
    with socket.create_server(("127.0.0.1", port._number)):
        assert port.owner() is Owner.OURS
    command = [sys.executable, "-c", LISTEN, "127.0.0.1", str(port._number), "AF_INET"]
    with subprocess.Popen(command, env={"HOME": "/theirs"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        assert port.owner() is Owner.ANOTHER
        server.communicate()
