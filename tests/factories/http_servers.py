"""HTTP servers on loopback that answer as a test says."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext

from tests import peers


@dataclass
class Asked:
    """One request as a server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpServer:
    """A server on a free port, the requests it got, and how it answers: status, content type and body."""

    answer: Callable[[Asked], tuple[int, str, bytes] | None]
    port: int = field(default_factory=peers.free_port)
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def serving(server: HttpServer, tls: SSLContext | None = None) -> Iterator[None]:
    """Run a server; where its answer is ``None`` it closes the connection without one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            server.asked.append(asked)
            answer = server.answer(asked)
            self.close_connection = answer is None
            if answer is None:
                return
            status, kind, content = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = respond  # noqa: N815 - as http.server names them

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing: a handshake or a client that fails may be what is tested."""

    httpd = Server((peers.LOOPBACK, server.port), Handler)
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, name="an HTTP server")
    thread.start()
    try:
        yield
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@dataclass
class Trickle:
    """A server that sends a head of one header after the other; ``is_over`` once it has sent them all."""

    port: int
    is_over: bool = False


@contextmanager
def trickling(*, headers: int = 300, endless_body: bool = False) -> Iterator[Trickle]:
    """Answer each request ten headers a second, or with a head at once and then a body without end."""
    trickle = Trickle(peers.free_port())
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            if endless_body:
                self.wfile.write(b"Transfer-Encoding: chunked\r\n\r\n")
            for number in range(headers):
                self.wfile.write(chunk if endless_body else f"X-{number}: x\r\n".encode())
                time.sleep(0.1)
            trickle.is_over = True

        do_GET = do_POST = respond  # noqa: N815 - as http.server names them

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing: the client is to break off."""

    with Server((peers.LOOPBACK, trickle.port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="a slow server")
        thread.start()
        try:
            yield trickle
        finally:
            server.shutdown()
            thread.join()
