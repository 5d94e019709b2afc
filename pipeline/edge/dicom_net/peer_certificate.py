"""The certificate that a destination shows, and its last day."""

import socket
import ssl
from datetime import date
from urllib.parse import urlsplit

from pipeline.edge.configuration.destination_settings import (
    Destination,
    DicomDestination,
    Hl7Destination,
    HttpDestination,
)
from pipeline.edge.configuration.section import ClientTlsSettings
from pipeline.edge.dicom_net.shown_certificate import last_day
from pipeline.edge.dicom_net.tls import TlsError, for_calling, for_client

SECONDS = 5
"""How long a destination may take to show its certificate."""


def shown_certificate_ends(to: Destination) -> date | None:
    """Return the last day of the certificate that a destination shows; ``None`` without TLS, or where it shows none."""
    try:
        match to:
            case DicomDestination(tls=tls) if tls is not None:
                return _ends(to.host, to.port, for_calling(tls))
            case Hl7Destination(tls=tls) if tls is not None:
                return _ends(to.host, to.port, for_client(tls))
            case HttpDestination():
                url = urlsplit(to.url)
                if url.scheme == "https":
                    return _ends(url.hostname or "", url.port or 443, for_client(to.tls or ClientTlsSettings()))
    except (TlsError, OSError):  # whoever asks whether it answers has told of it
        return None
    return None


def _ends(host: str, port: int, context: ssl.SSLContext) -> date | None:
    with (
        socket.create_connection((host, port), SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=host) as secured,
    ):
        return last_day(secured.getpeercert())
