"""How does the audit trail hear of callers that were refused, without whoever knocks all day filling the store?"""

import logging
import threading
from collections import Counter
from datetime import UTC, datetime

from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Entry, Event, Outcome
from pipeline.edge.store.database import Database, StoreError

log = logging.getLogger(__name__)

FIRST_SECONDS = 1.0
"""How soon the trail tells of a caller that was refused."""

NEXT_SECONDS = 60.0
"""How long it then waits until it tells of more."""

MOST_CALLERS = 20
"""How many callers it tells apart in that time; any others it counts."""

_OTHERS = ("", "", "others")


class RejectedCallers:
    """Collects refused callers and writes them to the audit trail every now and then; ended by ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._noted: Counter[tuple[str, str, str]] = Counter()
        self._wait = FIRST_SECONDS
        self._timer: threading.Timer | None = None

    def note(self, caller: str, host: str, reason: str) -> None:
        """Somebody was refused; returns at once."""
        with self._lock:
            who = (caller, host, reason)
            if who not in self._noted and len(self._noted) >= MOST_CALLERS:
                who = _OTHERS
            self._noted[who] += 1
            if self._timer is None:
                self._timer = threading.Timer(self._wait, self._write)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Write what is left."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            timer.join()
            self._write()

    def _write(self) -> None:
        with self._lock:
            noted, self._noted, self._timer = self._noted, Counter(), None
            self._wait = NEXT_SECONDS
        try:
            with self._database.write() as connection:
                now = datetime.now(UTC)
                audit_trail.record(connection, *(_entry(*who, times, now) for who, times in noted.items()))
        except StoreError as failure:
            log.error("the audit trail could not be told of refused callers: %s", failure)


def _entry(caller: str, host: str, reason: str, times: int, at: datetime) -> Entry:
    return Entry(
        event=Event.REFUSED_CALLER,
        at=at,
        actor=caller,
        host=host,
        outcome=Outcome.SERIOUS_FAILURE,
        detail={"reason": reason, "times": times},
    )
