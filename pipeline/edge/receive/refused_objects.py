"""Record objects that could not be stored and were refused, once the store takes it: the reason may be the store."""

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime

from pipeline.edge.receive.deferred_recording import DeferredRecording
from pipeline.edge.store import refused_objects
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.refused_objects import RefusedObjects

log = logging.getLogger(__name__)

SECONDS = 5.0
"""How soon what was refused is recorded, and how soon that is tried again."""

MOST_KINDS = 50
"""How many callers and reasons are kept in memory; more are not counted."""

_Key = tuple[str, str, str]


class RefusedObjectsLog:
    """Collects what was refused and records it every now and then, until ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._noted: dict[_Key, RefusedObjects] = {}
        self._recording = DeferredRecording(self._record)

    def note(self, calling_ae_title: str, host: str, reason: str) -> None:
        """Count a refused object; it is recorded later."""
        now = datetime.now(UTC)
        one = RefusedObjects(
            calling_ae_title=calling_ae_title, host=host, reason=reason, first_at=now, last_at=now, times=1
        )
        with self._lock:
            self._count(one)
        self._recording.within(SECONDS)

    def close(self) -> None:
        """Record what is left, if the store takes it."""
        self._recording.close()

    def _count(self, one: RefusedObjects) -> None:
        key = (one.calling_ae_title, one.host, one.reason)
        before = self._noted.get(key)
        if before is not None:
            self._noted[key] = replace(before, last_at=max(before.last_at, one.last_at), times=before.times + one.times)
        elif len(self._noted) < MOST_KINDS:
            self._noted[key] = one

    def _record(self) -> None:
        with self._lock:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            with self._database.write() as connection:
                refused_objects.record(connection, list(noted.values()))
        except StoreError as failure:
            log.error("refused objects could not be recorded yet: %s", failure)
            with self._lock:
                for one in noted.values():
                    self._count(one)
            self._recording.within(SECONDS)
