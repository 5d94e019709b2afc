"""Find out whether a TCP port of this machine belongs to a process of our own, from what the kernel knows (proc(5)).

On the loopback any user may listen where we expect our own server, and answer in its place.
"""

import contextlib
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path


class Owner(Enum):
    """Which process listens on a port."""

    NOBODY = "nobody"
    OURS = "ours"
    ANOTHER = "another"
    """A process of another user, or one that was not started by us."""


Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LISTENING = "0A"
_ANY = (ipaddress.IPv4Address(0), ipaddress.IPv6Address(0))


class Port:
    """One port of a host of this machine; a process is ours when a variable of its environment has our value."""

    def __init__(self, host: str, number: int, *, variable: str, value: str) -> None:
        self._host, self._number = host, number
        self._wanted = os.fsencode(f"{variable}={value}")
        self._ours: frozenset[str] = frozenset()

    def owner(self) -> Owner:
        """Return who listens there now."""
        sockets = frozenset(self._listening())
        # Searching every process takes milliseconds, and an open socket stays with its process.
        if sockets - self._ours:
            self._ours = frozenset(inode for inode in sockets if self._is_ours(inode))
        if not sockets:
            return Owner.NOBODY
        return Owner.OURS if sockets <= self._ours else Owner.ANOTHER

    def _listening(self) -> Iterator[str]:
        """Yield the inodes of the sockets that a client of this host and port may reach."""
        reachable = {*_ANY, *_addresses(self._host)}
        for table in ("tcp", "tcp6"):
            try:
                lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
            except OSError:  # a machine without IPv6
                continue
            for line in lines:
                _, local, _, state, *_, inode = line.split()[:10]
                at, _, number = local.partition(":")
                if state == _LISTENING and int(number, 16) == self._number and _address(at) in reachable:
                    yield inode

    def _is_ours(self, inode: str) -> bool:
        return any(self._wanted in _environment(process) for process in _holders(inode))


def _addresses(host: str) -> Iterator[Address]:
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return
    for info in infos:
        yield ipaddress.ip_address(str(info[4][0]).partition("%")[0])


def _address(text: str) -> Address:
    """Read an address as the kernel prints it: words of 32 bits, each in the byte order of this machine."""
    words = (int(text[start : start + 8], 16) for start in range(0, len(text), 8))
    found = ipaddress.ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words))
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _holders(inode: str) -> Iterator[Path]:
    """Yield the processes that have a socket open, as far as this user may see them."""
    for process in Path("/proc").glob("[0-9]*"):
        if f"socket:[{inode}]" in _open_files(process / "fd"):
            yield process


def _open_files(folder: Path) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except OSError:  # the process has ended, or is another user's
        return
    for name in names:
        with contextlib.suppress(OSError):  # this file was closed meanwhile
            yield os.readlink(folder / name)


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
