"""Read DICOM files of any origin: regular files only, up to a size, so that none blocks or fills memory."""

import os
import stat
from pathlib import Path

from pipeline.edge.configuration.service_settings import MEGABYTE
from pipeline.errors import DxatrendError

_PREAMBLE = 132
"""Bytes up to and including the prefix DICM (PS3.10 section 7.1)."""


class FileLeftOutError(DxatrendError):
    """A file that is not read; the text says why."""


def read_dicom_file(path: Path, *, most_mb: int) -> bytes:
    """Return the bytes of a file, or only the first 132 where the prefix DICM is missing.

    Raises:
        FileLeftOutError: it is not a regular file, or larger than ``most_mb`` megabytes.
        OSError: it cannot be read.
    """
    _require_regular(path.stat().st_mode)  # before it is opened: that alone rewinds a tape or waits for a writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        opened = os.fstat(descriptor)
        _require_regular(opened.st_mode)
        start = file.read(_PREAMBLE)
        if start[128:] != b"DICM":
            return start
        most = most_mb * MEGABYTE
        rest = file.read(most + 1) if opened.st_size <= most else b""
    if max(opened.st_size, len(start) + len(rest)) > most:
        raise FileLeftOutError(f"is larger than {most_mb} MB (listener.largest_object_mb)")
    return start + rest


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = {
            stat.S_IFIFO: "a named pipe",
            stat.S_IFSOCK: "a socket",
            stat.S_IFCHR: "a device",
            stat.S_IFBLK: "a device",
            stat.S_IFDIR: "a folder",
        }
        raise FileLeftOutError(f"is {kinds.get(stat.S_IFMT(mode), 'no file')}")
