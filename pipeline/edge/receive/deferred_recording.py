"""Record some seconds later, in a thread of its own, what was noted: those who note it wait for no database."""

import threading
import time
from collections.abc import Callable


class DeferredRecording:
    """Calls ``record`` within the seconds it is asked to, once for all that ask meanwhile, until ``close``."""

    def __init__(self, record: Callable[[], None]) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._recording = threading.Lock()
        self._timer: threading.Timer | None = None
        self._due = 0.0
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing is recorded later any more: what is recorded now is the last."""
        return self._is_closed

    def within(self, seconds: float) -> None:
        """Record after so many seconds, unless that is to be sooner anyway."""
        due = time.monotonic() + seconds
        with self._lock:
            if self._is_closed or (self._timer is not None and self._due <= due):
                return
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._due = threading.Timer(seconds, self._run), due
            self._timer.daemon = True
            self._timer.start()

    def close(self) -> None:
        """Record what is left, and nothing after that."""
        with self._lock:
            self._is_closed = True
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        with self._recording:
            self._record()

    def _run(self) -> None:
        with self._recording:
            with self._lock:
                if self._timer is not threading.current_thread():  # an earlier one took its place, or we are closed
                    return
                self._timer = None
            self._record()
