"""Group commit of received instances: whatever arrives during one commit shares the next.

A commit waits for the disk, and the disk can make many rows durable at once.
"""

import queue
import threading
from concurrent.futures import Future
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
    """Stores what all associations receive, in a thread of its own, until ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit")
        self._thread.start()

    def store(self, instance: Instance, sender: Sender, *, at: datetime, historical: bool = False) -> "Future[Stored]":
        """Store an instance; the future has its receipt once the commit is durable.

        The instance is hashed and compressed in the commit thread. The future raises where nothing was stored:
        ``StoreError``, or whatever was wrong with this instance alone.
        """
        stored: Future[Stored] = Future()
        self._waiting.put(_Waiting(instance, sender, at, historical, stored))
        return stored

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Commit what is waiting, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open, last_count = True, 1
        while is_open:
            batch: list[tuple[Arrival, Future[Stored]]] = []
            is_open = self._add_next(batch, timeout=None)
            while is_open and not _is_full(batch):
                try:
                    is_open = self._add_next(batch, timeout=GATHERING_SECONDS if len(batch) < last_count else 0)
                except queue.Empty:
                    break
            if batch:
                last_count = len(batch)
                self._commit(batch)

    def _add_next(self, batch: list[tuple[Arrival, "Future[Stored]"]], *, timeout: float | None) -> bool:
        """Hash and compress the next instance and add it to a batch; return whether more may come.

        Raises:
            queue.Empty: none has come in ``timeout`` seconds.
        """
        waiting = self._waiting.get(timeout=timeout)
        if waiting is None:
            return False
        try:
            sender = waiting.sender
            arrival = Arrival.of(
                waiting.instance,
                calling_ae_title=sender.ae_title,
                host=sender.host,
                at=waiting.at,
                historical=waiting.historical,
            )
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are stored
            waiting.stored.set_exception(error)
        else:
            batch.append((arrival, waiting.stored))
        return True

    def _commit(self, batch: list[tuple[Arrival, "Future[Stored]"]]) -> None:
        try:
            with self._database.write() as connection:
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


def _is_full(batch: list[tuple[Arrival, "Future[Stored]"]]) -> bool:
    return len(batch) == MOST_AT_ONCE or sum(len(arrival.content) for arrival, _ in batch) > MOST_BYTES_AT_ONCE
