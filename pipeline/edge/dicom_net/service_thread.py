"""The thread of requests that may take long, such as those for storage commitment: callers have it in turn.

One request after the other, because several that are read at once take Python's lock from each other, and from the
server. Whoever asks again and again waits behind everyone else who asks.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

from pipeline.edge.dicom_net.memory_budget import Owner

log = logging.getLogger(__name__)

Work = Callable[[], object]


class ServiceThread:
    """Does what callers ask for, one of each caller in turn, from the first of it until ``close``."""

    def __init__(self) -> None:
        self._waiting: dict[Owner, deque[Work]] = {}
        """What each caller waits for; the one whose turn is next comes first."""
        self._changed = threading.Condition()
        self._has_started = self._is_closed = False

    def submit(self, owner: Owner, work: Work) -> None:
        """Do something for a caller, once it has its turn."""
        with self._changed:
            self._waiting.setdefault(owner, deque()).append(work)
            self._changed.notify()
            if not (self._has_started or self._is_closed):
                threading.Thread(target=self._run, name="dicom-service").start()
                self._has_started = True

    def close(self) -> None:
        """Begin nothing more; what is under way is finished."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception:
                log.exception("a request could not be served")

    def _next(self) -> Work | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if self._is_closed:
                return None
            owner, works = next(iter(self._waiting.items()))
            del self._waiting[owner]
            work = works.popleft()
            if works:
                self._waiting[owner] = works
            return work
