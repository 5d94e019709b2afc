"""Group commit of received instances: whatever arrives during one commit shares the next.

A commit waits for the disk, and the disk can make many rows durable at once. Commits have a thread of their own. Where
nothing else waits, the thread that received an instance commits it: changing threads twice takes as long as the disk.
What is large has another thread, as compressing it can take seconds, for which a report must not wait.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pipeline.edge.store import receipts
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.receipts import Arrival, Instance
from pipeline.edge.store.senders import Sender

MOST_AT_ONCE = 64
"""Instances in one commit: more would make the first of them wait for the last."""

MOST_BYTES_AT_ONCE = 16_000_000
"""Compressed bytes after which a commit is full: what waits in it is in memory twice."""

MOST_BYTES_HERE = 262_144
"""Bytes that are hashed and compressed in milliseconds, for which others can wait; an instance of more is large."""

GATHERING_SECONDS = 0.001
"""How long a commit waits for the next instance until it has as many as the last one had.

Senders that were answered together send again together; a commit for the fastest alone would delay the others.
"""

Stored = tuple[int, bool]
"""The number of the receipt, and whether the instance is new."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One instance that waits for a commit."""

    instance: Instance
    sender: Sender
    at: datetime
    historical: bool
    stored: "Future[Stored]"


class GroupCommit:
    """Stores what all associations receive, in threads of its own or of its caller, until ``close``.

    ``report`` is called after each commit in its own thread; a caller that commits calls it when it has answered.
    """

    def __init__(self, database: Database, *, report: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self.report = report
        self._deferred: deque[_Waiting] = deque()
        self._small: _Queue = queue.SimpleQueue()
        self._large: _Queue = queue.SimpleQueue()
        self._committing = threading.Lock()
        of_large = self._committing if database.is_sqlite else threading.Lock()  # PostgreSQL commits both at once
        self._threads = [
            threading.Thread(target=self._run, args=(self._small, self._committing), name="group-commit"),
            threading.Thread(target=self._run, args=(self._large, of_large), name="large-commit"),
        ]
        for thread in self._threads:
            thread.start()

    def store(self, instance: Instance, sender: Sender, *, at: datetime, historical: bool = False) -> "Future[Stored]":
        """Store an instance; the future has its receipt once the commit is durable.

        The instance is hashed and compressed in the thread that commits it. The future raises where nothing was stored:
        ``StoreError``, or whatever was wrong with this instance alone.
        """
        stored = self.defer(instance, sender, at=at, historical=historical)
        self.hand_over()
        return stored

    def defer(self, instance: Instance, sender: Sender, *, at: datetime, historical: bool = False) -> "Future[Stored]":
        """Store an instance as ``store`` does, once ``do_here`` or ``hand_over`` is called."""
        stored: Future[Stored] = Future()
        self._deferred.append(_Waiting(instance, sender, at, historical, stored))
        return stored

    @property
    def is_waiting(self) -> bool:
        """Whether an instance waits for ``do_here`` or ``hand_over``."""
        return bool(self._deferred)

    def do_here(self) -> None:
        """Commit what was deferred in this thread; what is large, or would wait for another commit, is handed over."""
        deferred = self._take_deferred()
        small = sum(len(waiting.instance.data_set) for waiting in deferred) <= MOST_BYTES_HERE
        if not small or not self._committing.acquire(blocking=False):
            self._queue(deferred)
            return
        try:
            batch: _Batch = []
            for waiting in deferred:
                _add(batch, waiting)
            if batch:
                self._commit(batch)
        finally:
            self._committing.release()

    def hand_over(self) -> None:
        """Have the threads of commits store what was deferred."""
        self._queue(self._take_deferred())

    @property
    def is_alive(self) -> bool:
        """Whether its threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Commit what is waiting, and end the threads."""
        for waiting in (self._small, self._large):
            waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _take_deferred(self) -> list[_Waiting]:
        """Take what was deferred: whoever defers may do so in another thread meanwhile, and hand over as well."""
        taken: list[_Waiting] = []
        with suppress(IndexError):  # there is no more
            while True:
                taken.append(self._deferred.popleft())
        return taken

    def _queue(self, deferred: list[_Waiting]) -> None:
        for waiting in deferred:
            is_large = len(waiting.instance.data_set) > MOST_BYTES_HERE
            (self._large if is_large else self._small).put(waiting)

    def _run(self, waiting: "_Queue", committing: threading.Lock) -> None:
        is_open, last_count = True, 1
        while is_open:
            batch: _Batch = []
            is_open = _add_next(batch, waiting, timeout=None)
            while is_open and not _is_full(batch):
                try:
                    gathering = GATHERING_SECONDS if len(batch) < last_count else 0
                    is_open = _add_next(batch, waiting, timeout=gathering)
                except queue.Empty:
                    break
            if batch:
                last_count = len(batch)
                with committing:
                    self._commit(batch)
                self.report()

    def _commit(self, batch: "_Batch") -> None:
        try:
            with self._database.write(keep=True) as connection:
                results = receipts.store_all(connection, [arrival for arrival, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are stored alone
            if len(batch) == 1 or (isinstance(error, StoreError) and error.concerns_all):
                for _, stored in batch:
                    stored.set_exception(error)
            else:
                for alone in batch:
                    self._commit([alone])
        else:
            for (_, stored), result in zip(batch, results, strict=True):
                stored.set_result(result)


_Batch = list[tuple[Arrival, "Future[Stored]"]]
_Queue = queue.SimpleQueue[_Waiting | None]


def _add_next(batch: _Batch, queued: _Queue, *, timeout: float | None) -> bool:
    """Add the next instance to a batch; return whether more may come.

    Raises:
        queue.Empty: none has come in ``timeout`` seconds.
    """
    waiting = queued.get(timeout=timeout)
    if waiting is None:
        return False
    _add(batch, waiting)
    return True


def _add(batch: _Batch, waiting: _Waiting) -> None:
    """Hash and compress an instance, and add it to a batch."""
    try:
        arrival = Arrival.of(
            waiting.instance,
            calling_ae_title=waiting.sender.ae_title,
            host=waiting.sender.host,
            at=waiting.at,
            historical=waiting.historical,
        )
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are stored
        waiting.stored.set_exception(error)
    else:
        batch.append((arrival, waiting.stored))


def _is_full(batch: _Batch) -> bool:
    return len(batch) == MOST_AT_ONCE or sum(len(arrival.content) for arrival, _ in batch) > MOST_BYTES_AT_ONCE
