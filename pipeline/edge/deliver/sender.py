"""What every kind of destination offers to the dispatcher, and the problems that a delivery may have.

A kind is one module with one class that is a ``Sender``; ``pipeline.edge.deliver.kinds`` lists them.
"""

from collections.abc import Generator, Sequence
from typing import Protocol

from pipeline.edge.peer_problems import PeerError
from pipeline.edge.store.outbox import AddendumOnFile


class DeliveryError(PeerError):
    """The destination does not have one addendum yet, as far as we know."""


class DeliveryUnavailableError(DeliveryError):
    """No response to this addendum, or one that asks to try later."""


class DeliveryRefusedError(DeliveryError):
    """The destination responded with a failure status."""


class UndeliverableError(DeliveryError):
    """Sending it raised an unexpected error."""


class UnwritableError(UndeliverableError):
    """The destination's character set lacks a letter of the result."""


class DeliveryUnconfirmedError(DeliveryError):
    """The destination has stored it, as it says; the proof is still to come."""


class CommitmentAwaitedError(DeliveryUnconfirmedError):
    """Storage commitment was requested; its result comes to our listener."""


class Sender(Protocol):
    """Sends addenda to one destination, and knows what proves that it has them."""

    @property
    def proof(self) -> str:
        """What makes a delivery count, as the audit trail names it."""

    def deliver(self, addenda: Sequence[AddendumOnFile], *, attempt: int) -> Generator[DeliveryError | None]:
        """Send addenda, and get the proof that the settings ask for.

        Yields for each addendum, in order and as soon as it is known, ``None`` when the destination has it, else the
        problem. When the destination gives no response, asks to try later or takes too long, nothing is yielded for
        the rest: they were not tried. ``attempt`` counts from one.

        Raises:
            PeerUnavailableError: this and the following addenda need not be tried.
        """

    def check(self) -> None:
        """Verify that the destination answers.

        Raises:
            PeerUnavailableError: it does not.
        """
