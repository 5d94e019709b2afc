"""Acceptances of associations (A-ASSOCIATE-AC, PS3.8 9.3.3), kept for those who ask again in the same bytes.

A scanner that opens an association for each object sends the same request each time, and is answered the same: what
pynetdicom makes of a request depends on nothing but its bytes and our settings. Whether there is room for one more
association is decided each time.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

LONGEST_REQUEST = 12_288
"""Bytes of a request whose acceptance is kept; 100 contexts with two transfer syntaxes each."""

MOST_KEPT = 16
"""Acceptances that are kept: callers choose what they ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What an association is given by an acceptance; nothing of it is changed afterwards."""

    request: A_ASSOCIATE
    answer: A_ASSOCIATE
    encoded: bytes
    """The answer as sent."""
    accepted: Mapping[int, PresentationContext]
    rejected: tuple[PresentationContext, ...]


class Acceptances:
    """The acceptances of the requests that came last."""

    def __init__(self) -> None:
        self._by_request: OrderedDict[bytes, Acceptance] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_request)

    def find(self, request: bytes) -> Acceptance | None:
        """Return the acceptance of an A-ASSOCIATE-RQ PDU that was accepted before."""
        found = self._by_request.get(request)
        if found is not None:
            self._by_request.move_to_end(request)
        return found

    def add(self, request: bytes, acceptance: Acceptance) -> None:
        """Keep the acceptance of an A-ASSOCIATE-RQ PDU, unless that is long; the oldest makes room."""
        if len(request) <= LONGEST_REQUEST:
            self._by_request[request] = acceptance
            if len(self._by_request) > MOST_KEPT:
                self._by_request.popitem(last=False)
