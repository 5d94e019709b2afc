"""pynetdicom's association as acceptor, made without the layers, queues and handlers that ours replace.

pynetdicom's own constructor makes an upper layer and a message layer with their queues, and binds nineteen handlers,
which takes as long as storing an object. ``tests/edge/dicom_net/test_private_names.py`` sees that no attribute lacks.
"""

import functools
import threading

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.acse import ACSE
from pynetdicom.association import Association, ServiceUser
from pynetdicom.pdu_primitives import ImplementationClassUIDNotification
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation


class NumericAddress(AddressInformation):
    """An address as a socket tells it: pynetdicom would ask a resolver about each."""

    address: str = ""


_NOT_WAITED_FOR = threading.Event()
"""What pynetdicom's own loop would wait for; ours is none."""
_NOT_WAITED_FOR.set()


@functools.cache
def _implementation(uid: UID) -> ImplementationClassUIDNotification:
    item = ImplementationClassUIDNotification()
    item.implementation_class_uid = uid
    return item


class _ServiceUser(ServiceUser):
    """pynetdicom's, but our own Implementation Class UID is checked once."""

    @property
    def implementation_class_uid(self) -> UID | None:
        """As pynetdicom's."""
        uid: UID | None = super().implementation_class_uid
        return uid

    @implementation_class_uid.setter
    def implementation_class_uid(self, value: UID) -> None:
        item, items = _implementation(value), self._user_info
        items[:] = [item if isinstance(one, ImplementationClassUIDNotification) else one for one in items]
        if item not in items:
            items.append(item)


class BareAssociation(Association):
    """An association that lacks its ``dul``, its ``dimse`` and its ``_handlers``."""

    def __init__(self, ae: AE) -> None:
        threading.Thread.__init__(self, daemon=True)
        self._ae, self._server, self.mode = ae, None, "acceptor"
        self.requestor, self.acceptor = _ServiceUser(self, "requestor"), _ServiceUser(self, "acceptor")
        self.acse = ACSE(self)
        self.is_established = self.is_rejected = self.is_aborted = self.is_released = False
        self._sent_abort = self._sent_release = False
        self._accepted_cx: dict[int, PresentationContext] = {}
        self._rejected_cx: list[PresentationContext] = []
        self._acse_timeout, self._dimse_timeout = ae.acse_timeout, ae.dimse_timeout
        self._network_timeout, self.connection_timeout = ae.network_timeout, ae.connection_timeout
        self.network_timeout_response = "A-ABORT"
        self._kill = self._started_dul = False
        self._dul_ready = self._reactor_checkpoint = _NOT_WAITED_FOR
        self._timer_resolution = None
