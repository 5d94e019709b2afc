"""Whose turn it is: a caller that has used the server's thread least of late comes first."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from pipeline.edge.dicom_net.memory_budget import Owner

TURN_SECONDS = 0.003
"""How long a connection may have the thread; what it began is finished."""

HALF_LIFE_SECONDS = 2.0
"""How long until half of a caller's use of the thread is forgotten."""

MUCH_LONGER = 10
"""Whoever has used the thread so many times as long as another is to wait until the other's object is stored."""


class Connection(Protocol):
    """What the order of turns knows of a connection; see ``pipeline.edge.dicom_net.connection``."""

    seconds_used: float
    turns: int
    since: float

    @property
    def owner(self) -> Owner:
        """The caller it counts for."""

    @property
    def is_unassociated(self) -> bool:
        """Whether it carries no association."""


class TurnOrder:
    """How long each caller and each of its connections have had the thread, and who is next."""

    def __init__(self) -> None:
        self._seconds_used: defaultdict[Owner, float] = defaultdict(float)

    def note(self, connection: Connection, seconds: float) -> None:
        """Note that a connection has had the thread."""
        self._seconds_used[connection.owner] += seconds
        connection.seconds_used += seconds
        connection.turns += 1

    def forget(self, seconds: float) -> None:
        """Forget part of what was noted, as so many seconds have passed."""
        factor = 0.5 ** (seconds / HALF_LIFE_SECONDS)
        for owner, seconds_used in list(self._seconds_used.items()):
            if seconds_used * factor < TURN_SECONDS / 10:
                del self._seconds_used[owner]
            else:
                self._seconds_used[owner] = seconds_used * factor

    def rank(self, connection: Connection) -> tuple[float, float, float]:
        """Return the sort key of turns: the caller that used the thread least, then its association that did.

        Of connections without association the one that had most turns, then the newest: in a flood the oldest have
        given up.
        """
        seconds_used = self._seconds_used.get(connection.owner, 0)
        if connection.is_unassociated:
            return seconds_used, -connection.turns, -connection.since
        return seconds_used, connection.seconds_used, 0

    def is_first_by_far(self, connection: Connection, others: Iterable[Connection]) -> bool:
        """Return whether the callers of all others have used the thread very much longer than that of a connection."""
        much_longer = MUCH_LONGER * self._seconds_used.get(connection.owner, 0)
        return all(self._seconds_used.get(other.owner, 0) > much_longer for other in others)
