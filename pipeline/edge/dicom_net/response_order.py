"""Order of messages on an association: a request of ours follows our response to the peer's request.

A handler of ``EVT_N_ACTION`` returns before pynetdicom has sent its response, and another thread may send on the same
association meanwhile. Only ``EVT_PDU_SENT`` says that the response is on its way.
"""

import threading
import time
import weakref

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF

from pipeline.edge.dicom_net.command_set import N_ACTION_RSP, read_command

LONGEST_WAIT = 10.0
"""Seconds to wait for a response that is not sent."""

_COMMAND, _LAST = 0x01, 0x02
_GROUP_LENGTH = b"\0\0\0\0"
"""The tag with which a command set begins."""


class ResponseOrder:
    """Knows on which associations the response to an N-ACTION has not been sent yet."""

    def __init__(self) -> None:
        self._outstanding: weakref.WeakSet[Association] = weakref.WeakSet()
        self._bound: weakref.WeakSet[Association] = weakref.WeakSet()
        """The associations on which ``EVT_PDU_SENT`` is heeded: on all others it would cost time for each PDU."""
        self._sent = threading.Condition()

    def begin(self, association: Association) -> None:
        """Note, in a handler of ``EVT_N_ACTION``, that its response is outstanding."""
        with self._sent:
            self._outstanding.add(association)
            if association not in self._bound:
                self._bound.add(association)
                association.bind(evt.EVT_PDU_SENT, self._pdu_sent)

    def _pdu_sent(self, event: evt.Event) -> None:
        if event.assoc not in self._outstanding or not isinstance(event.pdu, P_DATA_TF):
            return
        if any(_ends_response(item.presentation_data_value) for item in event.pdu.presentation_data_value_items):
            with self._sent:
                self._outstanding.discard(event.assoc)
                self._sent.notify_all()

    def wait(self, association: Association) -> None:
        """Wait until no response is outstanding, or the association has ended."""
        until = time.monotonic() + LONGEST_WAIT
        with self._sent:
            while association in self._outstanding and association.is_established and time.monotonic() < until:
                self._sent.wait(0.1)


def _ends_response(fragment: bytes) -> bool:
    """Whether a fragment is the last of the response to an N-ACTION; of one in several, any command's last counts."""
    is_last = fragment[0] & (_COMMAND | _LAST) == _COMMAND | _LAST
    if is_last and fragment[1:5] == _GROUP_LENGTH:
        return read_command(fragment[1:]).field == N_ACTION_RSP
    return is_last
