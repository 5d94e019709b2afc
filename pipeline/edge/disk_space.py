"""Is there enough room left on a disk to finish what was begun there?"""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.edge.configuration.service_settings import MEGABYTE
from pipeline.edge.store.database import Database


@dataclass(frozen=True, slots=True)
class DiskReserve:
    """A folder, and how many megabytes have to stay free on its disk; without a folder there is always room."""

    folder: Path | None
    reserve_mb: int

    def free_mb(self) -> int | None:
        """How many megabytes we may still write there; ``None`` when that cannot be known."""
        if self.folder is None:
            return None
        try:
            disk = os.statvfs(self.folder)
        except OSError:  # it is not there yet, or no more: whoever writes will be told
            return None
        return disk.f_bavail * disk.f_frsize // MEGABYTE

    def is_short(self) -> bool:
        """Whether the reserve is being used up."""
        free = self.free_mb()
        return free is not None and free < self.reserve_mb


def disk_reserve_of(database: Database, reserve_mb: int) -> DiskReserve:
    """The room for a store; that of PostgreSQL is PostgreSQL's own affair."""
    return DiskReserve(database.path.absolute().parent if database.path else None, reserve_mb)
