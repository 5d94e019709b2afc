"""Whoever starts the service is told what is wrong, at once and by the service itself; and it runs once on a store."""

import os
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.edge.overview.parts import PartState, parts
from tests import peers
from tests.factories.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that is not started yet."""
    service = Service(tmp_path, destination_port=peers.free_port())
    yield service
    service.kill()


def ended(service: Service) -> list[str]:
    """Start the service, which ends by itself with status 1; the lines it ended with, and nothing of it is left."""
    service.begin("serve")
    group = service.process_group()
    assert service.wait_for_death() == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    said, _, reasons = service.log.read_text().rpartition("The service could not start and was stopped:\n")
    assert said, service.log.read_text()
    return reasons.splitlines()


def taken(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def test_ports_that_are_taken_end_the_first_start_with_a_line_each_that_says_what_to_do(service: Service) -> None:
    with taken(service.port), taken(service.desk_port), taken(service.prefect_port):
        desk, listener, prefect = sorted(ended(service))
    use = "Address already in use"
    advice = "; end the program that has it (`ss -ltnp` shows which), or set another"
    assert listener == f"  listener: cannot listen: {use} (port {service.port}){advice} listener.port"
    assert desk == f"  desk: cannot serve the desk: 127.0.0.1: {use} (port {service.desk_port}){advice} desk.port"
    assert prefect.startswith(f"  prefect server: prefect.port: another program has taken port {service.prefect_port};")


@pytest.mark.usefixtures("without_prefect")
def test_a_key_that_others_can_read_ends_the_first_start_with_what_makes_it_private(service: Service) -> None:
    folder = service.config.parent
    (folder / "our.key").touch(mode=0o644)
    path = service.config / "service.toml"
    tls = f'[listener.tls]\ncertificate = "{folder}/our.pem"\nkey = "{folder}/our.key"\nca = "{folder}/ca.pem"\n'
    path.write_text(path.read_text().replace("[[listener.caller]]", f"{tls}[[listener.caller]]"))
    (line,) = ended(service)
    assert line == (
        f"  listener: cannot listen: listener.tls.key: {folder}/our.key: others than its owner can read it; "
        "chmod 600 keeps it private"
    )


@pytest.mark.usefixtures("without_prefect")
def test_a_service_runs_once_on_a_store_and_one_that_was_killed_is_in_nobodys_way(service: Service) -> None:
    service.start()
    service.wait_until_logged("every part has started")
    supervisor = service.process_group()
    second = service.run("serve")
    assert second.returncode == 1
    told = f"dxatrend serve already runs on this store: process {supervisor} on {socket.gethostname()}, since "
    assert second.stderr.startswith(told)
    listener = service.run("listen")  # what somebody types who wants to see whether it listens
    assert listener.returncode == 1
    assert "cannot listen: Address already in use" in listener.stderr
    with service.app() as app, app.database.read() as connection:
        states = {one.name: one.state for one in parts(connection, at=datetime.now(UTC))}
    assert states.pop("listener") is PartState.RUNNING
    os.kill(supervisor, signal.SIGKILL)
    service.wait_for_death()
    service.begin("serve")
    started = "every part has started"
    peers.wait_until(lambda: service.log.read_text().count(started) == 2, seconds=180, what="it runs again")
    assert service.stop() == 0


def test_a_database_that_is_away_ends_the_start_with_the_reason(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://nobody@127.0.0.1:{peers.free_port()}/dxatrend"
    service = Service(tmp_path, destination_port=peers.free_port(), url=url)
    started = service.run("serve")
    assert started.returncode == 1
    assert started.stderr.splitlines()[-1].startswith("The database could not be queried: ")
