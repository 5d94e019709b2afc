"""Deliver a batch of addenda over HTTP, one request after the other: what STOW-RS and FHIR have in common."""

import time
from collections.abc import Callable, Generator, Sequence

from pipeline.edge.configuration.destination_settings import HttpDestination
from pipeline.edge.deliver.sender import DeliveryError, DeliveryUnavailableError, UndeliverableError
from pipeline.edge.dicom_net.client import PeerUnavailableError
from pipeline.edge.errors import describe_error, require_fault_of_one
from pipeline.edge.http_client import HttpClient, NoResponseError
from pipeline.edge.store.outbox import AddendumOnFile

BATCH_SECONDS = 120
"""How long one batch may take; well within a lease, however slowly a server answers."""

Send = Callable[[HttpClient, AddendumOnFile], None]
"""Sends one addendum, and raises what is wrong with it or with the server."""


def deliver_each(to: HttpDestination, addenda: Sequence[AddendumOnFile], send: Send) -> Generator[DeliveryError | None]:
    """Send each addendum, and yield what was wrong with it; end where the server is away or the time is over.

    Raises:
        PeerUnavailableError: nothing can be sent at present.
    """
    end = time.monotonic() + BATCH_SECONDS
    with HttpClient(to) as client:
        for addendum in addenda:
            if time.monotonic() > end:
                return
            problem = _send_one(client, addendum, send)
            yield problem
            if isinstance(problem, DeliveryUnavailableError):
                return


def _send_one(client: HttpClient, addendum: AddendumOnFile, send: Send) -> DeliveryError | None:
    try:
        send(client, addendum)
    except PeerUnavailableError:
        raise
    except NoResponseError as silence:
        return DeliveryUnavailableError(str(silence))
    except DeliveryError as problem:
        return problem
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are sent
        require_fault_of_one(error)
        return UndeliverableError(describe_error(error))
    return None
