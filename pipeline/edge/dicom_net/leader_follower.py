"""Two threads, one of which leads: it runs a loop, and the other takes the loop over when work in it blocks.

Work such as a commit is quickest in the thread that has something to commit: handing it to another thread and back
costs two changes of thread. But a disk may hang, and nobody else may wait for it. So the thread that leads does the
work itself; the other one looks after it, and leads instead as soon as the work takes longer than a commit should.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

TAKEOVER_SECONDS = 0.1
"""After so long the other thread leads."""

CALM_SECONDS = 5.0
"""For so long after that, work that may block is not done by the thread that leads."""

_WATCH_SECONDS = 0.02
"""How often the other thread looks."""

_REST_SECONDS = 1.0
"""It looks no more, and costs nothing, once no such work was done for so long."""


class BlockingWork(Protocol):
    """Work that handlers have put off because it waits for a disk."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is any."""

    def do_here(self) -> None:
        """Do it in this thread."""

    def hand_over(self) -> None:
        """Have another thread do it."""

    def report(self) -> None:
        """Log what was done, once it is answered."""


class LeaderFollower:
    """Both threads, from ``start`` until the loop has ended.

    ``loop`` returns when there is nothing more to do, or once ``run_blocking`` has returned ``False``.
    """

    def __init__(self, loop: Callable[[], None], *, name: str) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        """Held for a moment, to look at or change what follows."""
        self._leader: int | None = None
        self._is_vacant, self._is_over = True, False
        self._blocked_since: float | None = None
        self._blocked_at = 0.0
        self._taken_over_at = -CALM_SECONDS
        self._watched = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=name) for _ in range(2)]

    def start(self) -> None:
        """Begin the loop."""
        self._watched.set()
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs."""
        return not self._is_over

    @property
    def leads(self) -> bool:
        """Whether the current thread is the one that runs the loop."""
        return self._leader == threading.get_ident()

    @property
    def may_block(self) -> bool:
        """Whether the thread that leads may do work that may block: lately none has blocked."""
        return time.monotonic() - self._taken_over_at > CALM_SECONDS

    def run_blocking(self, work: Callable[[], None]) -> bool:
        """Do work that may block, in the thread that leads; return whether it still leads.

        Where it does not, the other thread is in the loop already.
        """
        with self._lock:
            self._blocked_since = self._blocked_at = time.monotonic()
        if not self._watched.is_set():
            self._watched.set()
        try:
            work()
        finally:
            with self._lock:
                still_leads = self.leads
                if still_leads:
                    self._blocked_since = None
        return still_leads

    def join(self) -> None:
        """Wait until the loop has ended, and whatever blocks has come to its end."""
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while self._wait_to_lead():
            try:
                self._loop()
            finally:
                if self.leads:
                    with self._lock:
                        self._is_over = True
                    self._watched.set()

    def _wait_to_lead(self) -> bool:
        """Wait until this thread leads; return ``False`` if the loop has ended."""
        while True:
            self._watched.wait()
            with self._lock:
                if self._is_over:
                    return False
                now = time.monotonic()
                stuck = self._blocked_since is not None and now - self._blocked_since > TAKEOVER_SECONDS
                if self._is_vacant or stuck:
                    if stuck:
                        self._taken_over_at = now
                    self._is_vacant, self._blocked_since = False, None
                    self._leader = threading.get_ident()
                    return True
                if self._blocked_since is None and now - self._blocked_at > _REST_SECONDS:
                    self._watched.clear()
                    continue
            time.sleep(_WATCH_SECONDS)
