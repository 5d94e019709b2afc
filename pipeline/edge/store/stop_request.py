"""A request to stop, to be waited for together with something else."""

import select
from typing import Protocol


class StopRequest(Protocol):
    """Something with a descriptor that can be read from once it is time to stop, and ever after."""

    def fileno(self) -> int:
        """Return the descriptor."""


def is_set_within(stop: StopRequest, seconds: float) -> bool:
    """Wait until it is time to stop, at most so many seconds; return whether it is."""
    ready = select.poll()
    ready.register(stop, select.POLLIN)
    return bool(ready.poll(seconds * 1000))
