"""What a failed connection means: the errors of sockets and of TLS, and the first bytes of who answers instead."""

import errno
import os
import socket
import ssl
from contextlib import suppress

from pipeline.edge.peer_problems import PeerUnavailableError, Problem

_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EACCES, errno.EPERM)
_CLOSED = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError, ssl.SSLEOFError, ssl.SSLZeroReturnError)

_CERTIFICATE_PROBLEMS = {
    9: Problem.CERTIFICATE_TOO_EARLY,
    10: Problem.CERTIFICATE_EXPIRED,
    **dict.fromkeys((2, 18, 19, 20, 21), Problem.CERTIFICATE_AUTHORITY),
    **dict.fromkeys((62, 64), Problem.CERTIFICATE_NAME),
}
"""By the codes of OpenSSL's verification (X509_V_ERR)."""

_TLS_PROBLEMS = {
    "WRONG_VERSION_NUMBER": Problem.LACKS_TLS,
    "HTTP_REQUEST": Problem.LACKS_TLS,
    "RECORD_LAYER_FAILURE": Problem.LACKS_TLS,
    "UNKNOWN_PROTOCOL": Problem.LACKS_TLS,
    "PACKET_LENGTH_TOO_LONG": Problem.LACKS_TLS,
    "UNSUPPORTED_PROTOCOL": Problem.TLS_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": Problem.TLS_VERSION,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": Problem.TLS_VERSION,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": Problem.TLS_VERSION,
    "NO_SHARED_CIPHER": Problem.TLS_VERSION,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": Problem.CERTIFICATE_WANTED,
    "TLSV1_ALERT_UNKNOWN_CA": Problem.CERTIFICATE_REJECTED,
    "TLSV1_ALERT_DECRYPT_ERROR": Problem.CERTIFICATE_REJECTED,
    "SSLV3_ALERT_BAD_CERTIFICATE": Problem.CERTIFICATE_REJECTED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": Problem.CERTIFICATE_REJECTED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": Problem.CERTIFICATE_REJECTED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": Problem.CERTIFICATE_REJECTED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": Problem.CERTIFICATE_REJECTED,
    "TLSV1_ALERT_ACCESS_DENIED": Problem.CERTIFICATE_REJECTED,
}
"""By the reasons of OpenSSL; an alert is what the other side says of us."""

_PROBE_SECONDS = 5
_FIRST = 16

_FIRST_BYTES = (
    (b"HTTP/", Problem.SPEAKS_HTTP),
    (b"\x0b", Problem.SPEAKS_HL7),
    (b"\x15\x03", Problem.WANTS_TLS),  # an alert of TLS (RFC 8446 6)
    (b"\x07\x00\x00\x00\x00\x04", Problem.SPEAKS_DICOM),  # an A-ABORT (PS3.8 9.3.8)
)


def unavailable(error: BaseException, *, at: str, tls: bool) -> PeerUnavailableError:
    """Return what an error of a connection, or one behind it, says of a peer that was called, with TLS or without."""
    causes = _with_causes(error)
    for kind in (ssl.SSLError, OSError, UnicodeError):
        for cause in causes:
            if isinstance(cause, kind):
                problem = _problem(cause)
                problem = Problem.CLOSED_TLS if tls and problem is Problem.CLOSED else problem
                return PeerUnavailableError(problem, at=at, error=_name(cause), host=at.partition(" ")[0])
    return PeerUnavailableError(Problem.NOT_CONNECTED, at=at, error=type(error).__name__)


def stranger(first: bytes, *, at: str, expected: str) -> PeerUnavailableError:
    """Return what is told of a peer by its first bytes, which are not those of the protocol that was expected."""
    found = (problem for begin, problem in _FIRST_BYTES if first.startswith(begin))
    return PeerUnavailableError(next(found, Problem.SPEAKS_OTHERWISE), at=at, expected=expected)


def first_answer(host: str, port: int) -> bytes:
    """Return the first bytes that a peer answers to a request of HTTP; none where it says nothing."""
    with suppress(OSError), socket.create_connection((host, port), timeout=_PROBE_SECONDS) as connection:
        connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        return connection.recv(_FIRST)
    return b""


def speaks_tls(host: str, port: int) -> bool:
    """Return whether a peer answers to TLS; nothing is sent over it, so it may show any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=_PROBE_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def _with_causes(error: BaseException) -> list[BaseException]:
    """Return an error and those behind it: HTTP clients wrap that of the socket."""
    causes: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in causes:
        causes.append(following)
        following = following.__cause__ or following.__context__
    return causes


def _problem(error: BaseException) -> Problem:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_PROBLEMS.get(error.verify_code, Problem.CERTIFICATE_UNFIT)
    if isinstance(error, socket.gaierror | UnicodeError):
        return Problem.NAME_UNKNOWN
    if isinstance(error, TimeoutError):
        return Problem.SILENT if "handshake" in str(error) else Problem.NOT_REACHED  # the connection was there
    if isinstance(error, ConnectionRefusedError):
        return Problem.NOT_LISTENING
    if isinstance(error, _CLOSED):
        return Problem.CLOSED
    if isinstance(error, ssl.SSLError):
        return _TLS_PROBLEMS.get(error.reason or "", Problem.TLS_FAILED)
    return Problem.NO_ROUTE if isinstance(error, OSError) and error.errno in _NO_ROUTE else Problem.NOT_CONNECTED


def _name(error: BaseException) -> str:
    """Return what the system calls an error, without what a peer may have put into it."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or type(error).__name__).lower().replace("_", " ")
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return type(error).__name__
