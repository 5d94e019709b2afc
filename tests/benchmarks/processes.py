"""Processor time and memory of a process and its children."""

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM = 1, 11, 12
"""Places in /proc/N/stat after the command's name."""


def descendants(pid: int) -> Iterator[int]:
    """A process and everything it has started, and they in turn."""
    yield pid
    for child in _children(pid):
        yield from descendants(child)


def cpu_seconds(pid: int) -> float:
    """Processor time a process has taken so far."""
    stat = _stat(pid)
    return (int(stat[_USER]) + int(stat[_SYSTEM])) / _TICKS


def cpu_seconds_of_threads(pid: int) -> float:
    """Processor time that the present threads of a process have taken so far, in nanoseconds rather than in ticks."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def resident_megabytes(pid: int) -> float:
    """Memory of a process that is in RAM, its share of what it has in common with others included."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def proportional_megabytes(pid: int) -> float:
    """Memory of a process, each page divided by how many processes have it (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024


def command(pid: int) -> list[str]:
    """How a process was started."""
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def _children(pid: int) -> list[int]:
    running = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
    return [other for other in running if _parent(other) == pid]


def _parent(pid: int) -> int | None:
    try:
        return int(_stat(pid)[_PARENT])
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return None


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
