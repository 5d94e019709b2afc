"""HTTP server for monitoring systems: ``/healthz`` and ``/metrics``, read-only, on a port of its own.

Few requests at a time, each with a time limit. It knows no patient; still it listens on loopback unless told otherwise.
"""

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from dxatrend.service.metrics import Metrics
from pipeline.edge.alarms.verdict import Level, verdict
from pipeline.edge.app import App
from pipeline.edge.configuration.alarm_settings import MonitorSettings
from pipeline.edge.store.database import StoreError

log = logging.getLogger(__name__)

MOST_AT_ONCE = 8
REQUEST_SECONDS = 10


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
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: a monitor that breaks off is its own affair."""


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
