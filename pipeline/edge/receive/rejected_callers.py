"""Record rejected callers in the store and in the audit trail, so that one that tries all day fills neither.

The store has a row for each, up to date within seconds: a person who sets up a scanner waits for it. The audit trail
gets an entry for each at most once a minute.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipeline.edge.receive.deferred_recording import DeferredRecording
from pipeline.edge.store import audit_trail, rejected_callers
from pipeline.edge.store.audit_trail import Entry, Event, Outcome
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.rejected_callers import RejectedCaller, RejectedFor

log = logging.getLogger(__name__)

FIRST_SECONDS = 1.0
"""How soon a rejected caller is in the store."""

NEXT_SECONDS = 60.0
"""How long the audit trail waits, after an entry, for more of them before they are recorded."""

MOST_CALLERS = 20
"""How many callers are recorded by name each time; any others are counted."""

MOST_OF_ONE_HOST = 5
"""How many of them may be of one host, so that titles which it makes up do not hide another."""

REASONS = {
    RejectedFor.OTHER_CALLED: "it called another AE title than ours",
    RejectedFor.NOT_CONFIGURED: "no listener.caller in service.toml has this AE title and host",
    RejectedFor.OTHER_CERTIFICATE: "its certificate is not made out to listener.caller.certificate",
}
"""The reasons as log and audit trail tell them."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who was rejected, and for what; the others, beyond those recorded by name, have no host."""

    calling: str
    host: str
    called: str
    reason: RejectedFor | None


_OTHERS = _Caller("", "", "", None)


class RejectedCallers:
    """Collects rejected callers and records them every now and then, until ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._noted: dict[_Caller, RejectedCaller] = {}
        self._unaudited: Counter[_Caller] = Counter()
        self._audit_at = time.monotonic()
        self._on_file = self._read()
        self._admitted: set[tuple[str, str]] = set()
        self._recording = DeferredRecording(self._record)

    def note(self, calling_ae_title: str, host: str, called_ae_title: str, reason: RejectedFor) -> None:
        """Count a rejected caller; it is recorded later."""
        now = datetime.now(UTC)
        with self._lock:
            caller = _Caller(calling_ae_title, host, called_ae_title, reason)
            if _has_room(self._unaudited, caller):
                self._unaudited[caller] += 1
            else:
                self._unaudited[_OTHERS] += 1
            if before := self._noted.get(caller):
                self._noted[caller] = replace(before, times=before.times + 1, last_at=now)
            elif _has_room(self._noted, caller):
                self._noted[caller] = RejectedCaller(
                    calling_ae_title=calling_ae_title,
                    host=host,
                    called_ae_title=called_ae_title,
                    reason=reason,
                    times=1,
                    first_at=now,
                    last_at=now,
                )
        self._recording.within(FIRST_SECONDS)

    def forget(self, calling_ae_title: str, host: str) -> None:
        """Forget a caller that is admitted, if it was rejected before."""
        caller = (calling_ae_title, host)
        if caller in self._on_file:
            with self._lock:
                self._on_file.discard(caller)
                self._admitted.add(caller)
            self._recording.within(FIRST_SECONDS)

    def close(self) -> None:
        """Record what is left."""
        self._recording.close()

    def _record(self) -> None:
        with self._lock:
            noted, self._noted = list(self._noted.values()), {}
            admitted, self._admitted = self._admitted, set()
            unaudited = self._unaudited_by_now()
            self._on_file |= {(caller.calling_ae_title, caller.host) for caller in noted}
        if not (noted or admitted or unaudited):
            return
        try:
            with self._database.write() as connection:
                now = datetime.now(UTC)
                audit_trail.record(connection, *(_entry(*counted, now) for counted in unaudited.items()))
                rejected_callers.forget(connection, admitted)
                rejected_callers.record(connection, noted)
        except StoreError as failure:
            log.error("rejected callers could not be recorded: %s", failure)

    def _unaudited_by_now(self) -> Counter[_Caller]:
        """Return what the audit trail gets now: nothing, while its last entries are younger than ``NEXT_SECONDS``."""
        wait = self._audit_at - time.monotonic()
        if wait > 0 and not self._recording.is_closed:
            if self._unaudited:
                self._recording.within(wait)
            return Counter()
        unaudited, self._unaudited = self._unaudited, Counter()
        self._audit_at = time.monotonic() + NEXT_SECONDS
        return unaudited

    def _read(self) -> set[tuple[str, str]]:
        """Return the calling AE titles and hosts that are in the store."""
        try:
            with self._database.read() as connection:
                return {(one.calling_ae_title, one.host) for one in rejected_callers.all_of_them(connection)}
        except StoreError:  # logged by those who do the work
            return set()


def _has_room(known: Collection[_Caller], caller: _Caller) -> bool:
    """Return whether a caller may be recorded by name beside those that are."""
    of_host = sum(one.host == caller.host for one in known)
    return caller in known or (len(known) < MOST_CALLERS and of_host < MOST_OF_ONE_HOST)


def _entry(caller: _Caller, times: int, at: datetime) -> Entry:
    return Entry(
        event=Event.REFUSED_CALLER,
        at=at,
        actor=caller.calling,
        host=caller.host,
        outcome=Outcome.SERIOUS_FAILURE,
        detail={"reason": REASONS[caller.reason] if caller.reason else "others", "times": times},
    )
