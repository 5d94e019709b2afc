"""One queue as a worker serves it: a function that polls it, and one that requeues what the worker had claimed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.edge.app import App


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkLoop:
    """What a worker repeats for one queue until it is told to stop."""

    name: str
    """The queue, as the log names it."""
    poll: Callable[[App], datetime | None]
    """Does the work that is due and returns when more will be, or ``None`` where nothing waits."""
    requeue: Callable[[App], None]
    """Gives claimed work back to the queue after an error, so that it is done again."""


class RunWork(Protocol):
    """How the work of a queue is run: under an orchestrator while it is there, and otherwise directly."""

    def __call__(self, app: App, work: Callable[[], object], requeue: Callable[[], None]) -> None:
        """Do ``work``, or what is equal to it; ``requeue`` frees what was claimed where it has to be done again."""


def nothing_claimed(_: App) -> None:
    """Requeue nothing, for a loop that claims nothing."""
