"""Another program on Prefect's port, or a proxy, gets nothing from us."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pipeline.edge.store.processes import ProcessOnFile, on_file
from tests import peers
from tests.factories.service import Service
from tests.folders import SAMPLES


@contextmanager
def listener(port: int = 0) -> Iterator[tuple[int, list[str]]]:
    """A web server that takes every request for a healthy one; its port, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.requestline)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"true")

        do_POST = do_CONNECT = do_GET  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _prefect_server(service: Service) -> ProcessOnFile:
    """The row of the Prefect server, which the supervisor writes soon after it has started it."""
    with service.app() as app:

        def found() -> list[ProcessOnFile]:
            with app.database.read() as connection:
                return [one for one in on_file(connection, at=datetime.now(UTC)) if one.part == "prefect server"]

        peers.wait_until(found, what="the supervisor has told of it")
        (server,) = found()
    return server


def test_another_program_on_prefects_port_is_reported_and_never_called_and_the_work_goes_on(tmp_path: Path) -> None:
    """It takes the port while the server is away; a service that is started beside it says so and ends."""
    service = Service(tmp_path, destination_port=peers.free_port(), settle_seconds=0)
    service.start()
    try:
        service.wait_until_logged("every part has started")
        server = _prefect_server(service)
        os.kill(server.pid, signal.SIGKILL)
        with listener(service.prefect_port) as (_, asked):
            service.send(sorted((SAMPLES / "01-stable").glob("*.dcm")))
            service.wait_until_logged("authored")
            service.wait_until_logged("cannot start: prefect.port")
            log = service.log.read_text()
            checked = service.run("check")
    finally:
        service.stop()
    stolen = "the Prefect server is not used, because another program has taken prefect.port"
    assert f"{stolen}; the work goes on without it" in log
    assert stolen in checked.stdout
    assert checked.returncode == 1
    assert asked == []


def test_no_call_within_the_machine_goes_through_a_proxy_of_the_environment(tmp_path: Path) -> None:
    service = Service(tmp_path, destination_port=peers.free_port(), settle_seconds=0)
    with listener() as (proxy, asked):
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "http_proxy", "https_proxy", "all_proxy")
        service.start(environment=dict.fromkeys(names, f"http://127.0.0.1:{proxy}") | {"NO_PROXY": "example.org"})
        try:
            peers.wait_until(service.prefect_answers, seconds=120, what="the Prefect server answers")
            peers.wait_until(lambda: _deployments(service), seconds=120, what="the schedules are registered")
            service.send(sorted((SAMPLES / "01-stable").glob("*.dcm")))
            peers.wait_until(lambda: _runs(service), seconds=60, what="Prefect has seen a run")
        finally:
            service.stop()
    assert asked == []


def _deployments(service: Service) -> int:
    return len(service.ask_prefect("deployments/filter", {}))


def _runs(service: Service) -> bool:
    return any(run["state_type"] == "COMPLETED" for run in service.ask_prefect("flow_runs/filter", {}))
