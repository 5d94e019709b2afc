"""Has this process been told to stop?

``threading.Event`` will not do: a signal is handled in the main thread, and when that thread waits for the event, it
may hold the very lock that setting the event needs. A pipe has no lock.
"""

import os
import select
import signal


class Stop:
    """Set once, by a signal or by the process itself; any number of threads may wait for it."""

    def __init__(self) -> None:
        self._told, self._tell = os.pipe()

    def on_signals(self) -> None:
        """Be set when this process gets SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.set())

    def set(self) -> None:
        """Tell everybody who waits, now and later."""
        os.write(self._tell, b".")

    def is_set(self) -> bool:
        """Whether it is time to stop."""
        return self.wait(0)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is time to stop, or for so many seconds; whether it is."""
        told = select.poll()
        told.register(self._told, select.POLLIN)
        return bool(told.poll(None if seconds is None else seconds * 1000))
