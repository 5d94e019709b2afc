"""Deliver a batch of addenda over one connection, one after the other: what all kinds that call somebody share."""

import time
from collections.abc import Callable, Generator, Sequence

from pipeline.edge.deliver.sender import DeliveryError, DeliveryUnavailableError, UndeliverableError
from pipeline.edge.errors import describe_error, require_fault_of_one
from pipeline.edge.peer_problems import NoAnswerError, PeerUnavailableError, Problem
from pipeline.edge.store.outbox import AddendumOnFile

BATCH_SECONDS = 120
"""How long one batch may take; well within a lease, however slowly a destination answers."""

Send = Callable[[AddendumOnFile], None]
"""Sends one addendum, and raises what is wrong with it or with the destination."""


def deliver_each(
    addenda: Sequence[AddendumOnFile], send: Send, *, is_open: Callable[[], bool] = lambda: True
) -> Generator[DeliveryError | None]:
    """Send each addendum, and yield what was wrong with it.

    It ends where the destination is silent or busy, the time is over or the connection is no longer open: to send more
    to who does not answer would take as long for each.

    Raises:
        PeerUnavailableError: nothing can be sent at present.
    """
    end = time.monotonic() + BATCH_SECONDS
    for addendum in addenda:
        if time.monotonic() > end or not is_open():
            return
        problem = _send_one(addendum, send)
        yield problem
        if isinstance(problem, DeliveryUnavailableError):
            return


def _send_one(addendum: AddendumOnFile, send: Send) -> DeliveryError | None:
    try:
        send(addendum)
    except PeerUnavailableError:
        raise
    except NoAnswerError as silence:
        return DeliveryUnavailableError(silence.problem, **silence.facts)
    except DeliveryError as problem:
        return problem
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are sent
        require_fault_of_one(error)
        return UndeliverableError(Problem.UNEXPECTED, error=describe_error(error))
    return None
