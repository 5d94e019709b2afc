"""Share one commit among many associations.

A commit waits for the disk, and the disk can make many rows durable at once. Whatever arrives while one commit is under
way goes into the next.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal

from pipeline.edge.store import receipts
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.receipts import Arrival

MOST_AT_ONCE = 64
"""Instances in one commit: more would make the first of them wait for the last."""

MOST_BYTES_AT_ONCE = 16_000_000
"""After so many no more goes into a commit: what waits in it is in memory twice."""

GATHERING_SECONDS = 0.001
"""So long the next is waited for until as many are there as last time: those who were answered together send again
together, and a commit for the fastest of them alone would make all others wait for it."""

Kept = tuple[int, bool]
"""The number of an instance, and whether it is new."""


_Waiting = tuple[Callable[[], Arrival], "Future[Kept]"]


class GroupCommit:
    """Keeps what the associations receive, in a thread of its own, until ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="keeper")
        self._thread.start()

    def keep(self, arrive: Callable[[], Arrival]) -> "Future[Kept]":
        """The number of what ``arrive`` returns, and whether it is new, once its commit is durable.

        The future fails where nothing has happened: with ``StoreError``, or with what ``arrive`` raised.
        """
        done: Future[Kept] = Future()
        self._waiting.put((arrive, done))
        return done

    def close(self) -> None:
        """Finish what is waiting, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open, usual = True, 1
        while is_open:
            batch: list[tuple[Arrival, Future[Kept]]] = []
            size = 0
            waited: _Waiting | Literal[False] | None = self._waiting.get()
            while waited:
                size += self._arrive(batch, *waited)
                waited = False  # or the object as it came would stay in memory until the next one comes
                if len(batch) == MOST_AT_ONCE or size > MOST_BYTES_AT_ONCE:
                    break
                try:
                    waited = self._waiting.get(timeout=GATHERING_SECONDS if len(batch) < usual else 0)
                except queue.Empty:
                    break
            is_open = waited is not None
            if batch:
                usual = len(batch)
                self._keep(batch)

    def _arrive(
        self, batch: list[tuple[Arrival, "Future[Kept]"]], arrive: Callable[[], Arrival], done: "Future[Kept]"
    ) -> int:
        """Put what has come into a batch; how many bytes it adds."""
        try:
            arrival = arrive()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are kept
            done.set_exception(error)
            return 0
        batch.append((arrival, done))
        return len(arrival.content)

    def _keep(self, batch: list[tuple[Arrival, "Future[Kept]"]]) -> None:
        try:
            with self._database.write() as connection:
                results = receipts.store_all(connection, [arrival for arrival, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others get their own turn
            if len(batch) == 1 or (isinstance(error, StoreError) and error.concerns_all):
                for _, done in batch:
                    done.set_exception(error)
            else:
                for alone in batch:
                    self._keep([alone])
        else:
            for (_, done), result in zip(batch, results, strict=True):
                done.set_result(result)
