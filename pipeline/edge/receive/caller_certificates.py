"""Record until when the certificates of callers count: nobody else here would notice that one ends."""

import logging
import threading
from datetime import UTC, date, datetime, timedelta

from pipeline.edge.receive.deferred_recording import DeferredRecording
from pipeline.edge.store import caller_certificates
from pipeline.edge.store.caller_certificates import MOST_ROWS, CallerCertificate
from pipeline.edge.store.database import Database, StoreError

log = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(days=1)
"""How long the same certificate of a caller is not recorded again."""

SECONDS = 2.0
"""How soon a certificate is recorded."""

_Key = tuple[str, str]


class CallerCertificates:
    """Records what admitted callers show, once a day each, until ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: dict[_Key, CallerCertificate] = {}
        self._waiting: dict[_Key, CallerCertificate] = {}
        self._recording = DeferredRecording(self._record)

    def note(self, calling_ae_title: str, host: str, last_day: date) -> None:
        """Have the last day of a caller's certificate recorded, unless it was lately."""
        key, now = (calling_ae_title, host), datetime.now(UTC)
        with self._lock:
            before = self._known.get(key)
            if before and before.last_day == last_day and abs(now - before.seen_at) < AGAIN_AFTER:
                return
            if len(self._known) >= MOST_ROWS:
                self._known.clear()
            self._known[key] = self._waiting[key] = CallerCertificate(
                calling_ae_title=calling_ae_title, host=host, last_day=last_day, seen_at=now
            )
        self._recording.within(SECONDS)

    def close(self) -> None:
        """Record what is left."""
        self._recording.close()

    def _record(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            with self._database.write() as connection:
                caller_certificates.record(connection, waiting.values())
        except StoreError as failure:
            log.error("certificates of callers could not be recorded: %s", failure)
            with self._lock:  # each caller is noted again when it comes again
                self._known = {key: one for key, one in self._known.items() if key not in waiting}
