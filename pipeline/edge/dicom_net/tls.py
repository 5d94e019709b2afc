"""TLS contexts for DICOM in both directions: PS3.15 B.9, Non-Downgrading BCP 195 Secure Transport Connection Profile.

TLS 1.2 or later, authenticated encryption with forward secrecy, and a certificate on either side. The desk's browsers
show none.
"""

import ssl
import stat
from pathlib import Path

from pipeline.edge.configuration.section import ClientTlsSettings, TlsSettings
from pipeline.errors import DxatrendError

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!PSK"
"""Cipher suites of TLS 1.2; all those of TLS 1.3 are allowed (BCP 195, RFC 9325 4.2)."""


class TlsError(DxatrendError):
    """A certificate, its key or the authority cannot be used; the text says which setting, and why."""


def for_listener(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context of our listener: callers must show a certificate that the authority has signed.

    Raises:
        TlsError: a file cannot be used.
    """
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings)


def for_calling(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context in which we call: the other side must show a certificate made out to the host we call.

    Raises:
        TlsError: a file cannot be used.
    """
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), settings)


def for_browsers(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context of the desk: it shows a certificate, and asks browsers for none.

    Raises:
        TlsError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    _load_own(context, certificate, key)
    return context


def for_client(settings: ClientTlsSettings) -> ssl.SSLContext:
    """Return the context in which we call a system that is no DICOM application: our own certificate may be missing.

    Without an authority of its own the other side's certificate must be signed by one that this machine trusts.

    Raises:
        TlsError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context)
    if settings.ca is None:
        context.load_default_certs()
    else:
        _load_authority(context, settings.ca)
    if settings.certificate is not None and settings.key is not None:
        _load_own(context, settings.certificate, settings.key)
    return context


def _loaded(context: ssl.SSLContext, settings: TlsSettings) -> ssl.SSLContext:
    _restrict(context)
    context.verify_mode = ssl.CERT_REQUIRED
    _require_private(settings.key)
    _load_authority(context, settings.ca)
    _load_own(context, settings.certificate, settings.key)
    return context


def _load_authority(context: ssl.SSLContext, authority: Path) -> None:
    try:
        context.load_verify_locations(authority)
    except OSError as error:
        raise TlsError(f"tls.ca: {authority}: {_why(error)}") from None


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _require_private(key)
    try:
        # A key that asks for a password would wait for somebody to type it.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except OSError as error:
        raise TlsError(f"tls.certificate, tls.key: {certificate}, {key}: {_why(error)}") from None


def _require_private(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise TlsError(f"tls.key: {key}: {_why(error)}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TlsError(f"tls.key: {key}: others than its owner can read it; chmod 600 keeps it private")


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not PEM, without password, or one does not belong to the other ({error.reason or 'unknown'})"
    return error.strerror or type(error).__name__
