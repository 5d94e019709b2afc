"""Serve associations with pynetdicom's own server (``AE.start_server``): ``listener.engine = "pynetdicom"``.

It takes the same handlers and admits the same requestors as ``EventDrivenServer``, and stands in for it should that
ever fail with a version of pynetdicom. What it lacks is hardening. It has no limit of memory, of the size of a PDU or
of the time one may take; no idle association makes room for another caller; a TLS handshake that stops keeps all others
out; and each association polls in two threads.
"""

import logging
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from pynetdicom import AE, evt

from pipeline.edge.dicom_net.admission import Admit, Requestor
from pipeline.edge.dicom_net.leader_follower import BlockingWork
from pipeline.edge.dicom_net.limits import MAXIMUM_PDU_SIZE, NEGOTIATION_SECONDS, Limits
from pipeline.edge.dicom_net.rate_limited_log import RateLimitedLog
from pipeline.edge.dicom_net.shown_certificate import certificate_names, last_day
from pipeline.edge.dicom_net.statuses import OUT_OF_RESOURCES

log = logging.getLogger(__name__)


class PynetdicomServer:
    """A listening socket and all its associations, open until ``close``.

    Of the limits it heeds those of associations in all, of idle time and of the size of one object.
    """

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        handlers: Mapping[evt.EventType, Callable[[evt.Event], Any]],
        limits: Limits,
        *,
        tls: ssl.SSLContext | None = None,
        admit: Admit = lambda _requestor: None,
        blocking_work: BlockingWork | None = None,
    ) -> None:
        ae.acse_timeout = NEGOTIATION_SECONDS
        ae.network_timeout = limits.idle_seconds
        ae.maximum_pdu_size = MAXIMUM_PDU_SIZE
        ae.maximum_associations = limits.associations
        self._ae, self._limits, self._admit = ae, limits, admit
        self._blocking_work = blocking_work
        self._store = handlers.get(evt.EVT_C_STORE)
        self._rate_limited = RateLimitedLog(log)
        bound = {**handlers, evt.EVT_REQUESTED: self._admit_or_reject}
        if self._store is not None:
            bound[evt.EVT_C_STORE] = self._store_and_wait
        self._server = ae.start_server(address, block=False, ssl_context=tls, evt_handlers=list(bound.items()))

    @property
    def is_alive(self) -> bool:
        """Whether its socket is open."""
        return bool(self._server.socket.fileno() >= 0)

    def close(self) -> None:
        """Accept nothing more, and abort every association."""
        self._server.shutdown()
        for association in self._ae.active_associations:
            if association.is_established:  # pynetdicom's state machine fails over the abort of a rejected one
                association.abort()
        self._rate_limited.close()

    def _admit_or_reject(self, event: evt.Event) -> None:
        association = event.assoc
        connection = association.dul.socket.socket
        shown = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
        association.certificate = certificate_names(shown)
        request = association.requestor.primitive
        requestor = Requestor(
            called=request.called_ae_title,
            calling=request.calling_ae_title,
            host=association.requestor.address,
            certificate=association.certificate,
            certificate_ends=last_day(shown),
        )
        if (rejection := self._admit(requestor)) is not None:
            association.acse.send_reject(*rejection)
            association.kill()  # returns when the rejection was sent

    def _store_and_wait(self, event: evt.Event) -> int:
        """Store an object in the association's own thread; return the status when it is known."""
        assert self._store is not None
        if len(event.request.DataSet.getvalue()) > self._limits.largest_object:
            caller = event.assoc.requestor.ae_title
            self._rate_limited.warning(f"{caller} large", "an object of %r is too large and is refused", caller)
            return OUT_OF_RESOURCES
        status: int | Future[int] = self._store(event)
        if self._blocking_work is not None:
            self._blocking_work.hand_over()
        return status.result() if isinstance(status, Future) else status
