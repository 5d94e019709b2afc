"""A wall clock that is moved while real processes run: a service lives through years in minutes.

::

    clock = MovedClock(tmp_path)
    clock.move_to(datetime(2027, 1, 4, 7, tzinfo=UTC))
    service.start(environment=clock.environment)
    ...
    clock.move_to(clock.now() + timedelta(days=1))  # all processes see it at once

Every process that inherits the environment sees the moved clock, and so do SQLite, OpenSSL, Prefect and the programs
they start. It goes on from wherever it was moved to. The monotonic clock, and with it timeouts, pauses and polling,
does not move, nor do the times of files, nor the clock of the test itself: the test asks ``now()``, and runs commands
with the environment. What is claimed while the clock jumps loses its lease, and Prefect cancels a run that it takes to
be dead, so let the service come to rest first. After a jump heartbeats are old until each process has given its next
one, within seconds, and sessions of the desk may be over.
"""

import mmap
import struct
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests import peers

SOURCE = Path(__file__).with_suffix(".c")


class MovedClock:
    """A clock that other processes go by; it begins at the present moment."""

    def __init__(self, folder: Path) -> None:
        self._offset = timedelta()
        library, kept = folder / "moved_clock.so", folder / "moved_clock"
        compiler = [peers.program("gcc"), "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(library)]
        subprocess.run([*compiler, str(SOURCE)], check=True)
        kept.write_bytes(bytes(8))
        with kept.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), 8)
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "MOVED_CLOCK": str(kept)}
        """What a process needs in its environment to go by this clock."""

    def now(self) -> datetime:
        """Return the present moment by this clock."""
        return datetime.now(UTC) + self._offset

    def move_to(self, moment: datetime) -> None:
        """Set the clock to a moment with a time zone; it goes on from there."""
        self._offset = moment - datetime.now(UTC)
        nanoseconds = self._offset // timedelta(microseconds=1) * 1000
        self._shared[:] = struct.pack("=q", nanoseconds)  # eight aligned bytes: no process reads half of them
