"""What keeps the database healthy from one night to the next, and when was it last done?"""

import logging
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select

from pipeline.edge.house import House
from pipeline.edge.store.schema import chore

log = logging.getLogger(__name__)

HOUSEKEEPING = "housekeeping"

OVERDUE = timedelta(hours=26)
"""After so long without, the nightly schedule must have failed and the worker does it itself."""


class DamagedStore(Exception):
    """The database fails its own check."""


def is_overdue(house: House, at: datetime) -> bool:
    """Whether housekeeping has not been done for longer than a night; on the first day it is not."""
    with house.database.read() as connection:
        last: datetime | None = connection.scalar(select(chore.c.done_at).where(chore.c.name == HOUSEKEEPING))
    if last is None:
        _remember(house, at, seconds=0)
        return False
    return at - last > OVERDUE


def keep_house(house: House) -> float:
    """Check the database, refresh its statistics and shorten its log; how many seconds it took.

    Raises:
        StoreFailed: the database could not be asked.
        DamagedStore: it is damaged; a person must restore a backup.
    """
    began = time.monotonic()
    sound = house.database.is_sound()
    if sound:
        house.database.tidy()
    seconds = time.monotonic() - began
    _remember(house, datetime.now(UTC), seconds)
    if not sound:
        log.critical("the database is damaged; stop the service and restore a backup")
        raise DamagedStore
    log.info("housekeeping is done", extra={"seconds": round(seconds, 1)})
    return seconds


def _remember(house: House, at: datetime, seconds: float) -> None:
    with house.database.write() as connection:
        connection.execute(delete(chore).where(chore.c.name == HOUSEKEEPING))
        connection.execute(insert(chore).values(name=HOUSEKEEPING, done_at=at, seconds=seconds))
