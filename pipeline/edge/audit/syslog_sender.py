"""Send messages to a syslog receiver (RFC 5424) over UDP (RFC 5426) or TLS (RFC 5425).

UDP never confirms anything. Over TLS the receiver confirms by closing the connection in an orderly way.
"""

import contextlib
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from pipeline.edge.configuration.service_settings import AuditSettings
from pipeline.edge.dicom_net import tls
from pipeline.errors import DxatrendError

SECONDS = 10
"""How long a receiver may take for each step of a connection."""

_AUTHPRIV = 10
_PORTS = {"udp": 514, "tls": 6514}


class SyslogUnreachableError(DxatrendError):
    """The receiver may not have everything; the same messages are to be sent again."""


class Line(NamedTuple):
    """One message, its time, and its severity: 5 notice, 4 warning, 3 error, 2 critical."""

    at: datetime
    severity: int
    message: bytes


def send(lines: Sequence[Line], settings: AuditSettings, host: str) -> None:
    """Send lines to the receiver, in their order.

    Raises:
        SyslogUnreachableError: it has not taken all of them, as far as we know.
    """
    assert settings.syslog is not None  # whoever calls us has one
    receiver = urlsplit(settings.syslog)
    address = (receiver.hostname or "", receiver.port or _PORTS[receiver.scheme])
    framed = [_framed(line, host) for line in lines]
    try:
        if receiver.scheme == "udp":
            _send_datagrams(framed, address)
        else:
            _send_over_tls(framed, address, settings)
    except (OSError, UnicodeError, tls.TlsError) as error:  # UnicodeError: a name that is no host's
        raise SyslogUnreachableError(type(error).__name__) from None


def _framed(line: Line, host: str) -> bytes:
    at = line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    header = f"<{8 * _AUTHPRIV + line.severity}>1 {at} {host} dxatrend {os.getpid()} DICOM+RFC3881 - "
    return header.encode("ascii", "replace") + b"\xef\xbb\xbf" + line.message


def _send_datagrams(framed: Sequence[bytes], address: tuple[str, int]) -> None:
    family, kind, protocol, _, there = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as sender:
        sender.connect(there)  # so that an ICMP message that nobody listens is an error
        for datagram in framed:
            sender.send(datagram)


def _send_over_tls(framed: Sequence[bytes], address: tuple[str, int], settings: AuditSettings) -> None:
    assert settings.tls is not None  # the settings see to it
    context = tls.for_calling(settings.tls)
    with (
        socket.create_connection(address, timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=address[0], do_handshake_on_connect=True) as secure,
    ):
        for message in framed:
            secure.sendall(b"%d %s" % (len(message), message))
        _wait_until_read(secure)


def _wait_until_read(secure: ssl.SSLSocket) -> None:
    """Wait until the receiver answers our close with its own, once it has read everything (RFC 5425 4.4)."""
    with contextlib.suppress(ssl.SSLEOFError):  # it closed its side without a TLS alert, yet in an orderly way
        secure.unwrap().close()
