"""Certificates for a test: an authority and those it has signed, made by OpenSSL."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipeline.edge.configuration.section import TlsSettings
from tests import peers


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key, and the authority that signs the other side's."""

    certificate: Path
    key: Path
    ca: Path

    @property
    def settings(self) -> TlsSettings:
        """The TLS settings of dxatrend."""
        return TlsSettings(certificate=self.certificate, key=self.key, ca=self.ca)

    @property
    def toml(self) -> str:
        """The TLS settings of dxatrend in TOML."""
        return f'certificate = "{self.certificate}"\nkey = "{self.key}"\nca = "{self.ca}"\n'

    @property
    def dcmtk(self) -> list[str]:
        """The TLS options of DCMTK."""
        return ["+tls", str(self.key), str(self.certificate), "--add-cert-file", str(self.ca)]


class Authority:
    """Signs certificates in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=A test's authority"),
            *("-keyout", str(self._key), "-out", str(self.certificate)),
        )

    def sign(self, name: str, *, address: str = peers.LOOPBACK, days: int = 30) -> Identity:
        """An identity for who answers at an address."""
        certificate, key, request = (self._folder / f"{name}.{ending}" for ending in ("pem", "key", "csr"))
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName = IP:{address}\n")
        _openssl(
            *("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._key)),
            *("-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", str(certificate)),
        )
        key.chmod(0o600)
        return Identity(certificate=certificate, key=key, ca=self.certificate)


def _openssl(*arguments: str) -> None:
    subprocess.run([peers.program("openssl"), *arguments], check=True, capture_output=True)
