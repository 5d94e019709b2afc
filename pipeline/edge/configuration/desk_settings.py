"""Settings of ``[desk]`` in ``service.toml``: where the pages are served, over TLS or behind a proxy, and the roles."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.edge.configuration.section import ConfigPath, Name, Port, Section
from pipeline.edge.configuration.urls import parts_of_url
from pipeline.edge.ip_address import LOOPBACK, is_ip_address

_EVERY_ADDRESS = ("0.0.0.0", "::")


class Role(StrEnum):
    """What an account of the desk may do; each role may do what those before it may."""

    LOOK = "look"
    """See how the service is doing, without any patient's name or id."""
    READ = "read"
    """See patients, their exams and addenda."""
    ACT = "act"
    """Release, merge, withdraw, and enter clinical context."""
    CONFIGURE = "configure"
    """Change what all comparisons rest on, and see who did what."""

    def includes(self, other: "Role") -> bool:
        """Return whether this role may do what the other may."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)


def _address(text: str) -> str:
    if not is_ip_address(text):
        raise ValueError("an IP address is needed, such as 192.0.2.10")
    return text


def _site(text: str) -> str:
    """Return the address that people type without a closing slash: scheme, host, and a port if there is one."""
    url = parts_of_url(text, "http", "https")
    if url is None or url.path.strip("/") or url.query or url.fragment or url.username:
        raise ValueError("the desk is at https://name or https://name:port, without anything after it")
    return f"{url.scheme}://{url.netloc.lower()}"


class DeskTlsSettings(Section):
    """``[desk.tls]``: PEM files of the certificate that browsers are shown, and of its private key."""

    certificate: ConfigPath
    key: ConfigPath


class DeskProxySettings(Section):
    """``[desk.proxy]``: the proxy in front of the desk, and the header in which it says who has logged in to it."""

    address: tuple[Annotated[str, AfterValidator(_address)], ...] = ()
    user_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] | None = None
    role: Role | None = None


class DeskSettings(Section):
    """``[desk]``: the pages on which a department sees what happened, why, and what to do."""

    enabled: bool = True
    host: Name = "127.0.0.1"
    port: Port = 8470
    socket: ConfigPath | None = None
    url: Annotated[str, AfterValidator(_site)] | None = None
    idle_minutes: Annotated[int, Field(ge=1, le=720)] = 30
    tls: DeskTlsSettings | None = None
    proxy: DeskProxySettings | None = None

    @model_validator(mode="after")
    def _is_safe_to_reach(self) -> Self:
        if self.socket is None and self.host not in LOOPBACK and self.tls is None and self.proxy is None:
            raise ValueError("a host other than 127.0.0.1 needs desk.tls, or desk.proxy: passwords cross the network")
        if self.proxy is not None and self.socket is None and not self.proxy.address:
            raise ValueError("desk.proxy needs the address of the proxy, or desk.socket for it to connect to")
        if self.host in _EVERY_ADDRESS and self.url is None and self.socket is None:
            raise ValueError(f"with desk.host = {self.host!r}, desk.url says which address people type")
        if self.proxy is not None and self.url is None:
            raise ValueError("desk.proxy needs desk.url, the address that people type")
        if self.socket is not None and (self.tls is not None or self.proxy is None):
            raise ValueError("desk.socket is for a proxy: it needs desk.proxy, and no desk.tls")
        if self.tls is not None and self.url is not None and not self.url.startswith("https:"):
            raise ValueError("with desk.tls, desk.url begins with https://")
        if self.proxy is not None and self.proxy.role is not None and self.proxy.user_header is None:
            raise ValueError("desk.proxy.role is the role of users whom desk.proxy.user_header names")
        return self

    @property
    def address(self) -> str:
        """The address that people type into a browser."""
        if self.url is not None:
            return self.url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def addresses(self) -> frozenset[str]:
        """Every origin under which pages are served: ``address``, and the names of loopback where it listens there."""
        scheme, own = self.address.partition("://")[0], set[str]()
        if self.socket is None and self.proxy is None and self.host in LOOPBACK:
            own = {f"{scheme}://{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        return frozenset({self.address, *own})

    @property
    def is_https(self) -> bool:
        """Whether browsers reach it over HTTPS, by itself or through the proxy."""
        return self.address.startswith("https:")
