"""Names to which a client certificate is made out: common names and subject alternative names (RFC 5280 4.2.1.6)."""

from collections.abc import Iterator, Mapping
from typing import Any


def certificate_names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Return every name in a certificate, as ``ssl.SSLSocket.getpeercert`` returns it, in lower case."""
    return frozenset(name.lower() for name in _names(certificate or {}))


def _names(certificate: Mapping[str, Any]) -> Iterator[str]:
    for relative_name in certificate.get("subject", ()):
        for kind, value in relative_name:
            if kind == "commonName":
                yield value
    for _, value in certificate.get("subjectAltName", ()):
        if isinstance(value, str):  # a directory name is a tuple
            yield value
