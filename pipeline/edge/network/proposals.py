"""What does a caller propose who has proposed the same before?

To take the proposal of an association apart costs pynetdicom more than to store an object, its UIDs above all, and a
scanner sends the same bytes each time. Only the titles, which stand before them, are read anew.
"""

import copy
import functools

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE

LONGEST = 12_288
"""Bytes of a request whose proposal is remembered; 100 contexts with two transfer syntaxes each."""

MOST = 16
"""So many are remembered: callers choose what is in them."""

_HEADER_SIZE = 74
"""PS3.8 Table 9-11: everything that is negotiated comes after these bytes."""


class Request:
    """An A-ASSOCIATE-RQ PDU as pynetdicom's state machine takes it.

    Raises, when constructed or asked for its primitive, whatever pynetdicom raises at that point.
    """

    def __init__(self, pdu: bytes) -> None:
        self._header = _decoded(pdu[:_HEADER_SIZE])
        remembered = _remembered if len(pdu) <= LONGEST else _Proposal
        self._proposal = remembered(pdu[_HEADER_SIZE:])
        self.protocol_version = self._header.protocol_version

    def to_primitive(self) -> A_ASSOCIATE:
        """A primitive of its own, with lists of its own."""
        known = self._proposal.primitive
        primitive = copy.copy(known)
        primitive.presentation_context_definition_list = known.presentation_context_definition_list  # copies it
        primitive.user_information = known.user_information  # copies it
        primitive.calling_ae_title = self._header.calling_ae_title
        primitive.called_ae_title = self._header.called_ae_title
        return primitive


class _Proposal:
    """What stands after the header."""

    def __init__(self, items: bytes) -> None:
        self._request = _decoded(_ANY_HEADER + items)

    @functools.cached_property
    def primitive(self) -> A_ASSOCIATE:
        return self._request.to_primitive()


_remembered = functools.lru_cache(maxsize=MOST)(_Proposal)
_ANY_HEADER = A_ASSOCIATE_RQ().encode()


def _decoded(pdu: bytes) -> A_ASSOCIATE_RQ:
    request = A_ASSOCIATE_RQ()
    request.decode(pdu)
    return request
