"""Disk guard: the free space that must stay on the disk of the store."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.edge.configuration.service_settings import MEGABYTE
from pipeline.edge.store.database import Database


@dataclass(frozen=True, slots=True)
class DiskReserve:
    """A folder and the megabytes (10⁶ bytes) to keep free on its disk; without a folder there is always space."""

    folder: Path | None
    reserve_mb: int

    def free_mb(self) -> int | None:
        """Return the free space in megabytes; ``None`` when it cannot be determined."""
        if self.folder is None:
            return None
        try:
            disk = os.statvfs(self.folder)
        except OSError:  # not there yet, or no longer: the next write fails
            return None
        return disk.f_bavail * disk.f_frsize // MEGABYTE

    def is_short(self) -> bool:
        """Return whether less than the reserve is free."""
        free = self.free_mb()
        return free is not None and free < self.reserve_mb


def disk_reserve_of(database: Database, reserve_mb: int) -> DiskReserve:
    """Return the disk reserve of a store; a PostgreSQL server watches its own disk."""
    return DiskReserve(database.path.absolute().parent if database.path else None, reserve_mb)
