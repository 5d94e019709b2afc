"""How do many associations share one commit?

A commit waits for the disk, and the disk can make many rows durable at once. Whatever is to be written while one
commit is under way goes into the next.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from sqlalchemy import Connection

from pipeline.edge.store.database import Database, StoreFailed

log = logging.getLogger(__name__)

T = TypeVar("T")
Write = Callable[[Connection], T]

MOST_AT_ONCE = 64
"""Writes in one commit: more would make the first of them wait for the last."""


class Keeper(Generic[T]):
    """Writes for others, in a thread of its own, until ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: queue.SimpleQueue[tuple[Write[T], Future[T]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="keeper")
        self._thread.start()

    def write(self, write: Write[T]) -> "Future[T]":
        """What ``write`` returns, once its commit is durable; ``StoreFailed`` where nothing has happened.

        It may be called twice, the second time in a transaction of its own, when the first was rolled back.
        """
        done: Future[T] = Future()
        self._waiting.put((write, done))
        return done

    def close(self) -> None:
        """Finish what is waiting, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch = []
            waited = self._waiting.get()
            while waited is not None:
                batch.append(waited)
                if len(batch) == MOST_AT_ONCE or self._waiting.empty():
                    break
                waited = self._waiting.get()
            is_open = waited is not None
            if batch:
                self._write_together(batch)

    def _write_together(self, batch: list[tuple[Write[T], "Future[T]"]]) -> None:
        try:
            with self._database.write() as connection:
                results = [write(connection) for write, _ in batch]
        except Exception as error:  # noqa: BLE001 - whatever one write did, the others get their own turn
            if len(batch) == 1 or (isinstance(error, StoreFailed) and error.concerns_all):
                for _, done in batch:
                    done.set_exception(error)
            else:
                for alone in batch:
                    self._write_together([alone])
        else:
            for (_, done), result in zip(batch, results, strict=True):
                done.set_result(result)
