"""HTTP server for monitoring systems: ``/healthz`` and ``/metrics``, read-only, on a port of its own.

Few requests at a time, each with a time limit. It knows no patient; still it listens on loopback unless told otherwise.
"""

import json
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from dxatrend.service.metrics import Metrics
from pipeline.edge.alarms.verdict import Level, verdict
from pipeline.edge.app import App
from pipeline.edge.configuration.alarm_settings import MonitorSettings
from pipeline.edge.store.database import StoreError

log = logging.getLogger(__name__)

MOST_AT_ONCE = 8
MOST_CONNECTIONS = 32

REQUEST_SECONDS = 10
"""How long a connection may be silent."""

LONGEST_SECONDS = 30
"""How long it may last in all."""


class MonitorServer:
    """Serves ``/healthz`` and ``/metrics`` from construction until ``close``; ``current`` returns the present app.

    Raises:
        OSError: the port cannot be bound.
    """

    def __init__(self, settings: MonitorSettings, port: int, current: Callable[[], App]) -> None:
        registry = CollectorRegistry()
        registry.register(Metrics(current))
        places = threading.BoundedSemaphore(MOST_AT_ONCE)

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_SECONDS
            server_version, sys_version = "dxatrend", ""

            def do_GET(self) -> None:
                if not places.acquire(blocking=False):
                    self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"busy\n")
                    return
                try:
                    self._answer(*_page(self.path, registry, current))
                finally:
                    places.release()

            def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing: a monitor asks every few seconds."""

        self._server = _Server((settings.host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="monitor-server")
        self._thread.start()
        log.info("monitors can ask on %s port %d", settings.host, port)

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Has few connections, and each for a short time: whoever opens many must not take the process its files."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._connections.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(LONGEST_SECONDS, _cut_off, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._connections.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: a monitor that breaks off is its own affair."""


def _cut_off(connection: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)


def _page(path: str, registry: CollectorRegistry, current: Callable[[], App]) -> tuple[HTTPStatus, str, bytes]:
    try:
        match path.partition("?")[0]:
            case "/metrics":
                return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)
            case "/healthz":
                return _health(current())
            case _:
                return HTTPStatus.NOT_FOUND, "text/plain", b"/healthz or /metrics\n"
    except StoreError as failure:
        text = f"the database could not be queried: {failure}\n"
        return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", text.encode()


def _health(app: App) -> tuple[HTTPStatus, str, bytes]:
    found = verdict(app, datetime.now(UTC))
    is_well = found.level in (Level.OK, Level.WARNING)
    body = {"status": found.level.name.lower(), "text": found.text}
    return (
        HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE,
        "application/json",
        json.dumps(body).encode() + b"\n",
    )
