"""What a peer's certificate says, as ``ssl.SSLSocket.getpeercert`` returns it: to whom it is made out, its last day."""

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any


def certificate_names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Return every common name and subject alternative name (RFC 5280 4.2.1.6) in lower case."""
    return frozenset(name.lower() for name in _names(certificate or {}))


def last_day(certificate: Mapping[str, Any] | None) -> date | None:
    """Return the day, in UTC, on which a certificate ends; ``None`` where none was shown."""
    until = (certificate or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC).date() if isinstance(until, str) else None


def _names(certificate: Mapping[str, Any]) -> Iterator[str]:
    for relative_name in certificate.get("subject", ()):
        for kind, value in relative_name:
            if kind == "commonName":
                yield value
    for _, value in certificate.get("subjectAltName", ()):
        if isinstance(value, str):  # a directory name is a tuple
            yield value
