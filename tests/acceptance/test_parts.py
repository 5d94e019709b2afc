"""A part that died, hangs or cannot begin is seen by ``dxatrend status``, with the reason."""

import os
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.edge.app import App
from pipeline.edge.overview.parts import Part, PartState, parts
from tests import peers
from tests.factories.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that is not started yet."""
    service = Service(tmp_path, destination_port=peers.free_port())
    yield service
    service.kill()


def found(app: App) -> dict[str, Part]:
    with app.database.read() as connection:
        return {one.name: one for one in parts(connection, at=datetime.now(UTC))}


def state(app: App, name: str) -> PartState | None:
    one = found(app).get(name)
    return one.state if one else None


def test_a_listener_whose_port_is_taken_while_it_was_away_is_seen_with_the_reason_and_then_runs(
    service: Service,
) -> None:
    with service.app() as app:
        service.begin("serve")
        service.wait_until_logged("every part has started")
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            os.kill(found(app)["listener"].pid or 0, signal.SIGKILL)
            peers.wait_until(lambda: not service.answers(), seconds=30, what="the listener is gone")
            taken.bind(("0.0.0.0", service.port))
            taken.listen()
            peers.wait_until(
                lambda: state(app, "listener") is PartState.CANNOT_START, seconds=180, what="the listener is seen"
            )
            reason = found(app)["listener"].reason
            assert reason.startswith(f"cannot listen: Address already in use (port {service.port}); end the program")
            assert state(app, "worker") is PartState.RUNNING
        peers.wait_until(lambda: state(app, "listener") is PartState.RUNNING, seconds=180, what="the listener runs")
        assert {"supervisor", "schedules", "prefect server"} <= found(app).keys()
        service.stop()
        assert {one.state for one in found(app).values()} == {PartState.STOPPED}


def test_a_killed_worker_is_seen_and_so_is_its_successor(service: Service) -> None:
    with service.app() as app:
        service.begin("work")
        peers.wait_until(lambda: state(app, "worker") is PartState.RUNNING, seconds=180, what="the worker runs")
        killed = found(app)["worker"].pid
        service.kill()
        worker = found(app)["worker"]
        assert (worker.pid, worker.state, worker.is_missed) == (killed, PartState.SILENT, True)
        service.begin("work")
        peers.wait_until(lambda: state(app, "worker") is PartState.RUNNING, seconds=180, what="another worker runs")
        assert found(app)["worker"].pid != killed


def test_the_supervisor_tells_how_a_child_ended(service: Service) -> None:
    with service.app() as app:
        service.begin("serve")
        service.wait_until_logged("every part has started")
        assert state(app, "supervisor") is PartState.RUNNING
        (service.config / "rules.toml").write_text("no_such_key = 1")  # its successor cannot read that
        os.kill(found(app)["worker"].pid or 0, signal.SIGKILL)
        peers.wait_until(
            lambda: "status 2" in found(app)["worker"].reason, seconds=180, what="the failing successor is seen"
        )
        assert found(app)["worker"].state is PartState.ENDED


def test_a_desk_whose_port_is_taken_is_seen_with_the_reason(service: Service) -> None:
    with service.app() as app, socket.socket() as taken:
        taken.bind(("127.0.0.1", service.desk_port))
        taken.listen()
        service.begin("desk")
        service.wait_for_death()
        desk = found(app)["desk"]
        assert desk.state is PartState.ENDED
        told = f"cannot serve the desk: 127.0.0.1: Address already in use (port {service.desk_port}); end the program"
        assert desk.reason.startswith(told)
