"""The connection of an association that we request: pynetdicom's own, which also keeps why it failed.

pynetdicom logs such an error and goes on as if the other side had closed the connection.
"""

from contextlib import suppress
from socket import IPPROTO_TCP, SHUT_RDWR, TCP_NODELAY, socket
from ssl import SSLContext
from typing import cast

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

MOST_FIRST_BYTES = 10
"""As many as a rejection or an abort has (PS3.8 9.3.4, 9.3.8)."""


class RequestorSocket(AssociationSocket):  # type: ignore[misc] # pynetdicom has no types for us
    """The connection of one association, and what it has come to."""

    failure: OSError | None = None
    """Why there is no connection, or why it has ended."""
    first: bytes = b""
    """The first bytes that the other side has sent."""
    has_ended: bool = False
    """Whether the other side has closed it."""

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect as pynetdicom does; a peer that stops in the middle of a PDU is waited for no longer than others."""
        try:
            self.socket = self._opened(primitive)
        except OSError as error:
            self.failure = error
            self._shutdown_socket()
            self.socket = None  # type: ignore[assignment] # as pynetdicom marks that there is none
            primitive.result = "Evt17"
        else:
            self._is_connected = True
            evt.trigger(self.assoc, evt.EVT_CONN_OPEN, {"address": primitive.address_info.as_tuple})
            primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, or fewer where the connection ends."""
        try:
            received: bytearray = super().recv(nr_bytes)
        except OSError as error:
            self.failure = self.failure or error
            raise
        if len(self.first) < MOST_FIRST_BYTES:
            self.first += bytes(received[: MOST_FIRST_BYTES - len(self.first)])
        self.has_ended = self.has_ended or len(received) < nr_bytes
        return received

    def end(self) -> None:
        """Close the connection; pynetdicom leaves one that failed to the garbage collector."""
        self._shutdown_socket()

    def _shutdown_socket(self) -> None:
        if (connected := self.socket) is not None:  # another thread may forget it meanwhile
            with suppress(OSError):
                connected.shutdown(SHUT_RDWR)
            connected.close()

    def _opened(self, primitive: T_CONNECT) -> socket:
        assert self.socket is not None
        opened = self.socket
        if self.tls_args:
            context, host = self.tls_args
            opened = self.socket = context.wrap_socket(opened, server_hostname=host)
        opened.settimeout(self.assoc.connection_timeout)
        opened.connect(primitive.address_info.as_tuple)
        opened.settimeout(self.assoc.network_timeout)
        # Nagle's algorithm waits to fill a packet, which costs 40 ms per addendum.
        opened.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self.assoc.requestor.address_info = AddressInformation.from_tuple(opened.getsockname())
        return opened


class Requestor(AE):  # type: ignore[misc] # as above
    """An application entity that calls others over ``RequestorSocket``."""

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[SSLContext, str] | None
    ) -> RequestorSocket:
        created = RequestorSocket(assoc, address=address)
        created.tls_args = tls_args
        return created


def socket_of(association: Association) -> RequestorSocket:
    """Return the connection of an association of ``Requestor``."""
    return cast(RequestorSocket, association.dul.socket)
