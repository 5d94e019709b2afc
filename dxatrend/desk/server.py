"""Serve the desk over HTTP, over TLS or on a Unix socket, until the process is told to stop."""

import os
import socket
import ssl

import uvicorn
from starlette.types import ASGIApp

from dxatrend.desk.http_protocol import ImpatientProtocol
from dxatrend.service import port_refusals, systemd_notify
from flows import web_server_at_rest
from pipeline.edge.configuration.desk_settings import DeskSettings
from pipeline.edge.dicom_net import tls
from pipeline.errors import DxatrendError

_CONNECTIONS = 100
_LONGEST_HEAD = 16 * 1024
_SECONDS_TO_FINISH = 10


class CannotServeError(DxatrendError):
    """The address is taken, or may not be used by this process."""


def serve(application: ASGIApp, settings: DeskSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        CannotServeError: the address cannot be listened on.
        TlsError: the certificate or its key cannot be used.
    """
    server = web_server(application, settings)
    with listen(settings) as listening:
        listening.listen()
        with systemd_notify.ready(f"the desk is at {settings.address}"):
            server.run([listening])


def web_server(application: ASGIApp, settings: DeskSettings) -> uvicorn.Server:
    """Return the server of an application; it runs on a socket of ``listen``.

    Raises:
        TlsError: the certificate or its key cannot be used.
    """
    context = tls.for_browsers(settings.tls.certificate, settings.tls.key) if settings.tls else None

    def ready(_: uvicorn.Config, __: object) -> ssl.SSLContext:
        assert context is not None  # it is called for a desk with TLS only
        return context

    return _QuietServer(
        uvicorn.Config(
            application,
            http=ImpatientProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,  # a query may hold what somebody searches for
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            h11_max_incomplete_event_size=_LONGEST_HEAD,
            timeout_graceful_shutdown=_SECONDS_TO_FINISH,
            ssl_context_factory=ready if context else None,
        )
    )


class _QuietServer(uvicorn.Server):
    """A server that leaves the processor alone while nobody looks."""

    main_loop = web_server_at_rest.main_loop


def listen(settings: DeskSettings) -> socket.socket:
    """Return the socket that browsers, or the proxy, connect to.

    Raises:
        CannotServeError: it cannot be had.
    """
    try:
        if settings.socket is not None:
            return _unix_socket(str(settings.socket))
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        return listening
    except OSError as error:
        if settings.socket is not None:
            raise CannotServeError(f"{settings.socket}: {error.strerror or 'cannot be listened on'}") from None
        raise CannotServeError(f"{settings.host}: {port_refusals.why(error, settings.port, key='desk')}") from None


def _unix_socket(path: str) -> socket.socket:
    """Return a socket that only our user and group may connect to: whoever may, can say who has logged in."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            pass
        except ConnectionRefusedError:  # left behind by a process that was killed
            os.unlink(path)
        else:
            raise OSError(98, "another process listens there")
    before = os.umask(0o117)
    try:
        listening.bind(path)
    finally:
        os.umask(before)
    return listening
