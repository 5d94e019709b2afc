"""pynetdicom's upper layer (PS3.8 9.2) without its thread: the state machine advances when the association does."""

import queue
import threading
import time
from collections import deque
from typing import Any, Protocol

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE, StateMachine
from pynetdicom.timer import Timer

_TAKES_PRIMITIVE = frozenset(["Evt1", "Evt7", "Evt8", "Evt9", "Evt11", "Evt14", "Evt15"])
"""The events of PS3.8 Table 9-10 for a primitive in ``to_provider_queue``, which the action takes from there."""


class Transport(Protocol):
    """What an association needs of its connection; the names are those of pynetdicom's ``AssociationSocket``."""

    def send(self, bytestream: bytes) -> None:
        """Send, now or as soon as the peer takes it."""

    def close(self) -> None:
        """Close when everything is sent."""

    def _shutdown_socket(self) -> None:
        """Close when everything is sent."""


class _Primitives:
    """A queue at which nothing waits, in a tenth of the time that ``queue.Queue`` takes to be made."""

    __slots__ = ("put", "queue")

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        """What is in it: pynetdicom looks at the next one there."""
        self.put = self.queue.append

    def get(self, block: bool = False) -> Any:
        """Remove and return the next one, which must be there."""
        return self.queue.popleft()

    def empty(self) -> bool:
        """Return whether it is empty."""
        return not self.queue


class EventDrivenUpperLayer(DULServiceProvider):
    """Upper layer service of one association; ``advance`` stands for the loop of pynetdicom's thread."""

    def __init__(self, association: Association, transport: Transport) -> None:
        # Everything that pynetdicom's own constructor makes; half of it would be replaced at once.
        threading.Thread.__init__(self)
        self._assoc = association
        self.socket = transport
        self.state_machine = StateMachine(self)
        self.artim_timer = _SteadyTimer(None)
        self._idle_timer = _SteadyTimer(None)
        self.to_provider_queue: Any = _Primitives()
        self.to_user_queue: queue.Queue[Any] = queue.Queue()
        # Nothing waits at these two queues or peeks into them.
        self.event_queue: Any = queue.SimpleQueue()
        self._recv_pdu: Any = queue.SimpleQueue()
        self._run_loop_delay = 0.0
        self._kill_thread = False

    def send_pdu(self, primitive: Any) -> None:
        """Queue a primitive, and have the association processed."""
        super().send_pdu(primitive)
        self.assoc.wake()

    def advance(self) -> bool:
        """Process one event by the state machine; return whether there was one."""
        if self.event_queue.empty() and not self._process_recv_primitive():
            return False
        event = self.event_queue.get()
        if (event, self.state_machine.current_state) in TRANSITION_TABLE:
            self.state_machine.do_action(event)
        elif event in _TAKES_PRIMITIVE:
            self.to_provider_queue.get()  # a response that comes too late
        return True


class _SteadyTimer(Timer):
    """pynetdicom's timer by the monotonic clock, which nobody sets."""

    _began: float | None = None

    def start(self) -> None:
        """Start the timer, from its full time."""
        self._began = time.monotonic()

    def stop(self) -> None:
        """Stop the timer."""
        self._began = None

    @property
    def expired(self) -> bool:
        """Whether it runs and its time is over."""
        return self._began is not None and self.remaining < 0

    @property
    def remaining(self) -> float:
        """Seconds left; 1 where it does not run."""
        if self.timeout is None or self._began is None:
            return 1.0
        return float(self.timeout - (time.monotonic() - self._began))
