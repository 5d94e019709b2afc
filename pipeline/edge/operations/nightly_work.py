"""Nightly work that a schedule starts: whether it was missed, so that the worker does it itself."""

from datetime import datetime, timedelta

from pipeline.edge.store import housekeeping_log
from pipeline.edge.store.database import Database

OVERDUE_AFTER = timedelta(hours=26)
"""After so long without a try the schedule must have failed."""


def is_overdue(database: Database, name: str, at: datetime) -> bool:
    """Return whether work was not done, or tried, for longer than a night; on the first day, which is recorded, no."""
    with database.read() as connection:
        last = housekeeping_log.last_done(connection, name)
    if last is None:
        with database.write() as connection:
            housekeeping_log.record_done(connection, name, at=at)
        return False
    return at - last > OVERDUE_AFTER
