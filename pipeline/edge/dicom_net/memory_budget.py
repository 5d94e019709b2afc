"""Memory budget of the listener: bytes that were received and are not stored yet, and whose they are."""

from collections import Counter
from typing import Protocol

from pipeline.edge.dicom_net.limits import Limits

Owner = tuple[str, str]
"""The caller that a connection counts for: calling AE title and address, as anybody can send an AE title."""


class Owned(Protocol):
    """What counts for a caller: a connection, whose caller is known once it is admitted."""

    @property
    def owner(self) -> Owner:
        """The caller it counts for at present."""


class MemoryBudget:
    """Bytes reserved by each caller, together no more than ``most``."""

    def __init__(self, most: int) -> None:
        self._most, self._reserved = most, 0
        self._by_owner: Counter[Owner] = Counter()

    def reserve(self, owner: Owner, size: int) -> bool:
        """Reserve so many bytes for a caller; return whether there is room.

        Once half of all is reserved, each caller may hold an equal share of all, counting one caller more.
        """
        own, reserved = self._by_owner[owner] + size, self._reserved + size
        crowded = reserved > self._most // 2 and own > self._most // (len(self._by_owner) + 1)
        if reserved > self._most or crowded:
            self.release(owner, 0)
            return False
        self._by_owner[owner], self._reserved = own, reserved
        return True

    def release(self, owner: Owner, size: int) -> None:
        """Release so many bytes of a caller."""
        self._reserved -= size
        self._by_owner[owner] -= size
        if not self._by_owner[owner]:
            del self._by_owner[owner]


class ConnectionMemory:
    """The memory that one connection reserves, on account of its caller."""

    def __init__(self, connection: Owned, budget: MemoryBudget, limits: Limits) -> None:
        self.largest_object, self.largest_request = limits.largest_object, limits.largest_request
        self._connection, self._budget = connection, budget

    def reserve(self, size: int) -> bool:
        """Reserve so many bytes; return whether there is room."""
        return self._budget.reserve(self._connection.owner, size)

    def release(self, size: int) -> None:
        """Release so many bytes."""
        if size:
            self._budget.release(self._connection.owner, size)
