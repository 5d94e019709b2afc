"""Record rejected callers in the audit trail, a few a minute: one that tries all day must not fill the store."""

import logging
import threading
from collections import Counter
from datetime import UTC, datetime

from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Entry, Event, Outcome
from pipeline.edge.store.database import Database, StoreError

log = logging.getLogger(__name__)

FIRST_SECONDS = 1.0
"""How soon the first rejected caller is recorded."""

NEXT_SECONDS = 60.0
"""How long the audit trail then waits for more of them before they are recorded."""

MOST_CALLERS = 20
"""How many callers are recorded by name each time; any others are counted."""

_OTHERS = ("", "", "others")


class RejectedCallers:
    """Collects rejected callers and records them every now and then, until ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._noted: Counter[tuple[str, str, str]] = Counter()
        self._wait = FIRST_SECONDS
        self._timer: threading.Timer | None = None

    def note(self, calling_ae_title: str, host: str, reason: str) -> None:
        """Count a rejected caller; it is recorded later, in a thread of its own."""
        with self._lock:
            caller = (calling_ae_title, host, reason)
            if caller not in self._noted and len(self._noted) >= MOST_CALLERS:
                caller = _OTHERS
            self._noted[caller] += 1
            if self._timer is None:
                self._timer = threading.Timer(self._wait, self._record)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Record what is left."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            timer.join()
            self._record()

    def _record(self) -> None:
        with self._lock:
            noted, self._noted, self._timer = self._noted, Counter(), None
            self._wait = NEXT_SECONDS
        try:
            with self._database.write() as connection:
                now = datetime.now(UTC)
                audit_trail.record(connection, *(_entry(*caller, times, now) for caller, times in noted.items()))
        except StoreError as failure:
            log.error("rejected callers could not be recorded in the audit trail: %s", failure)


def _entry(caller: str, host: str, reason: str, times: int, at: datetime) -> Entry:
    return Entry(
        event=Event.REFUSED_CALLER,
        at=at,
        actor=caller,
        host=host,
        outcome=Outcome.SERIOUS_FAILURE,
        detail={"reason": reason, "times": times},
    )
