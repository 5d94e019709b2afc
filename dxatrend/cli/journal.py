"""Log to systemd's journal in its native protocol: one datagram for each entry, with fields of its own.

The journal stamps each entry itself. Where it cannot be reached, lines go to standard error with the priority that
systemd reads there (sd-daemon(3)).
"""

import fcntl
import logging
import os
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

SOCKET = Path("/run/systemd/journal/socket")

STREAM_VARIABLE = "JOURNAL_STREAM"
"""Device and inode of the journal's end of standard error, where systemd has connected it (systemd.exec(5))."""

IDENTIFIER = "dxatrend"

FIELD_PREFIX = "DXATREND_"

SEND_SECONDS = 1.0
"""How long a journal that does not read may hold us up, for each entry and at our end."""

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7

Fields = Callable[[logging.LogRecord], Mapping[str, object]]
"""Returns the fields of a record that are logged."""


def is_standard_error(environment: Mapping[str, str]) -> bool:
    """Return whether standard error goes to the journal."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # it is closed, or no file
        return False
    return environment.get(STREAM_VARIABLE) == f"{found.st_dev}:{found.st_ino}"


class JournalHandler(logging.Handler):
    """Sends each record as an entry: its text as MESSAGE, and each of its fields as ``DXATREND_…``."""

    def __init__(self, fields: Fields, *, path: Path = SOCKET, fallback: TextIO | None = None) -> None:
        super().__init__()
        self._fields, self._path, self._fallback = fields, path, fallback or sys.stderr
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(SEND_SECONDS)
        self._has_sent = False

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record to the journal, or write it to standard error."""
        try:
            message, priority = self.format(record), _priority(record.levelno)
            entry = {"MESSAGE": message, "PRIORITY": priority, "SYSLOG_IDENTIFIER": IDENTIFIER}
            entry |= {f"{FIELD_PREFIX}{name.upper()}": value for name, value in self._fields(record).items()}
            try:
                self._socket.sendto(_datagram(entry), str(self._path))
                self._has_sent = True
            except OSError:
                self._fallback.write(f"<{priority}>{message}\n")
                self._fallback.flush()
        except Exception:  # noqa: BLE001 - logging never fails what is logged
            self.handleError(record)

    def close(self) -> None:
        """Wait until the journal has read the last entry: it asks the kernel which unit we are while we live."""
        if self._has_sent:
            self._has_sent = False
            deadline = time.monotonic() + SEND_SECONDS
            while _unread(self._socket) and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(0.02)
        self._socket.close()
        super().close()


def _priority(level: int) -> int:
    """Return a level as syslog counts it (RFC 5424 6.2.1)."""
    return next((priority for lowest, priority in _PRIORITIES if level >= lowest), _DEBUG)


def _datagram(entry: Mapping[str, object]) -> bytes:
    return b"".join(
        _field(name.encode("ascii"), str(value).encode("utf-8", "replace")) for name, value in entry.items()
    )


def _field(name: bytes, value: bytes) -> bytes:
    """Return one field; a value of several lines is preceded by its length."""
    if b"\n" in value:
        return name + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name + b"=" + value + b"\n"


def _unread(own: socket.socket) -> int:
    """Return how much of what was sent has not been read yet (unix(7), SIOCOUTQ)."""
    answer = fcntl.ioctl(own, termios.TIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])
