"""Call another application entity as association requestor: associate, C-ECHO, and the back-off between attempts.

``PeerUnavailableError`` says that the other side as a whole takes nothing at present.
"""

import random
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.sop_class import Verification

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.service_settings import CallerSettings
from pipeline.edge.dicom_net.statuses import SUCCESS
from pipeline.edge.dicom_net.tls import TlsError, for_calling
from pipeline.edge.errors import describe_error
from pipeline.errors import DxatrendError

CONNECTION_SECONDS = 5
RESPONSE_SECONDS = 30

FIRST_WAIT = timedelta(seconds=1)
"""The back-off after the first failed attempt."""

LONGEST_PAUSE = 1.0
"""Seconds to wait at most for pynetdicom's own thread between two requests."""

_REJECTED_TRANSIENT = 2
"""Result of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

_CANNOT_CALL = (OSError, UnicodeError, RuntimeError, ValueError)
"""What pynetdicom and the name service raise when a host cannot be called: its name has no address, or is no name."""


class PeerUnavailableError(DxatrendError):
    """The other side takes nothing at present, whatever it is sent: it is away, or not set up for us."""


@contextmanager
def associate(
    to: DicomDestination | CallerSettings,
    calling_ae_title: str,
    sop_classes: Sequence[str] = (),
    *,
    as_scp: Sequence[str] = (),
    handlers: Sequence[EventHandlerType] = (),
) -> Iterator[Association]:
    """Open an association, and release it at the end of the block.

    In ``sop_classes`` we are the SCU. In those ``as_scp`` we take the role of SCP (PS3.7 D.3.3.4): the other side sends
    objects to us over the association, or hears results of ours.

    Raises:
        PeerUnavailableError: there is no association.
    """
    assert to.host is not None  # a caller is called only where its host and port are configured
    assert to.port is not None
    ae = AE(ae_title=calling_ae_title)
    ae.connection_timeout = CONNECTION_SECONDS
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = RESPONSE_SECONDS
    ae.add_requested_context(Verification)  # so that a peer that takes nothing else can say so
    for sop_class in sop_classes:
        ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
    for sop_class in as_scp:
        ae.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    try:
        tls = (for_calling(to.tls), to.host) if to.tls else None
    except TlsError as unusable:
        raise PeerUnavailableError(str(unusable)) from None
    try:
        association = ae.associate(
            to.host,
            to.port,
            ae_title=to.ae_title,
            tls_args=tls,
            evt_handlers=[(evt.EVT_CONN_OPEN, _send_without_delay), *handlers],
            ext_neg=[build_role(sop_class, scp_role=True) for sop_class in as_scp],
        )
    except _CANNOT_CALL as error:
        raise PeerUnavailableError(_why_unreachable(error)) from None
    if association.is_rejected:
        is_transient = association.acceptor.primitive.result == _REJECTED_TRANSIENT
        advice = "for now" if is_transient else "for good; does it know our AE title?"
        raise PeerUnavailableError(f"it rejected the association {advice}")
    if not association.is_established:
        raise PeerUnavailableError("no association" + ("; does the TLS of both sides fit?" if to.tls else ""))
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def echo(to: DicomDestination, calling_ae_title: str) -> None:
    """Verify by C-ECHO that a destination answers.

    Raises:
        PeerUnavailableError: no association, no response, or a response other than success.
    """
    with associate(to, calling_ae_title) as association:
        status = association.send_c_echo()
        if "Status" not in status:
            raise PeerUnavailableError("no answer to C-ECHO")
        if status.Status != SUCCESS:
            raise PeerUnavailableError(f"C-ECHO was answered with status 0x{status.Status:04X}")


def back_off(attempts: int, longest: timedelta) -> timedelta:
    """Return how long to wait before the next attempt: doubled each time up to a limit, with 20 % of jitter."""
    wait: timedelta = min(FIRST_WAIT * 2 ** min(attempts - 1, 20), longest)
    return wait * random.uniform(0.8, 1.2)


def wait_for_pause(association: Association) -> None:
    """Wait until pynetdicom's own thread has gone on after a response.

    A request sent earlier may lose its first responses to that thread, which was not paused yet.
    """
    until = time.monotonic() + LONGEST_PAUSE
    while association._is_paused and time.monotonic() < until:
        time.sleep(0.001)


def _why_unreachable(error: Exception) -> str:
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"the name of its host has no address now ({type(error).__name__})"
    return f"no association: {describe_error(error)}"


def _send_without_delay(event: evt.Event) -> None:
    # Nagle's algorithm waits to fill a packet, which costs 40 ms per addendum.
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
