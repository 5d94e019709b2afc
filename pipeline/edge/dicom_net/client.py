"""Call another application entity as association requestor: associate, C-ECHO, and the back-off between attempts."""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_role
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.sop_class import Verification

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.service_settings import CallerSettings
from pipeline.edge.connection_failures import first_answer, speaks_tls, stranger, unavailable
from pipeline.edge.dicom_net.requestor_socket import MOST_FIRST_BYTES, Requestor, socket_of
from pipeline.edge.dicom_net.statuses import SUCCESS
from pipeline.edge.dicom_net.tls import TlsError, for_calling
from pipeline.edge.peer_problems import PeerUnavailableError, Problem, place

CONNECTION_SECONDS = 5
RESPONSE_SECONDS = 30

FIRST_WAIT = timedelta(seconds=1)
"""The back-off after the first failed attempt."""

LONGEST_PAUSE = 1.0
"""Seconds to wait at most for pynetdicom's own thread between two requests."""

_REJECTED_TRANSIENT = 2
"""Result of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

_REJECTIONS = {
    (1, 2): Problem.REJECTED_PROTOCOL,
    (1, 3): Problem.CALLING_TITLE,
    (1, 7): Problem.CALLED_TITLE,
    (2, 2): Problem.REJECTED_PROTOCOL,
    (3, 1): Problem.REJECTED_NOW,
    (3, 2): Problem.REJECTED_NOW,
}
"""By source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

_PDU_TYPES = range(1, 8)
_REJECTION = b"\x03"

_CANNOT_CALL = (OSError, UnicodeError, RuntimeError, ValueError)
"""What pynetdicom and the name service raise when a host cannot be called: its name has no address, or is no name."""


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
    at = place(to.host, to.port)
    ae = Requestor(ae_title=calling_ae_title)
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
        raise PeerUnavailableError(Problem.SECRET_UNUSABLE, error=unusable) from None
    try:
        association = ae.associate(
            to.host,
            to.port,
            ae_title=to.ae_title,
            tls_args=tls,
            evt_handlers=list(handlers),
            ext_neg=[build_role(sop_class, scp_role=True) for sop_class in as_scp],
        )
    except _CANNOT_CALL as error:
        raise unavailable(error, at=at, tls=tls is not None) from None
    if not association.is_established:
        socket_of(association).end()
        raise _why_not(association, to, ours=calling_ae_title)
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
            raise PeerUnavailableError(Problem.NO_RESPONSE, request="C-ECHO")
        if status.Status != SUCCESS:
            raise PeerUnavailableError(Problem.STATUS, request="C-ECHO", status=f"0x{status.Status:04X}")


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


def _why_not(association: Association, to: DicomDestination | CallerSettings, *, ours: str) -> PeerUnavailableError:
    """Return why there is no association: what the other side has answered, or why it did not."""
    connection = socket_of(association)
    if connection.first[:1] == _REJECTION and len(connection.first) == MOST_FIRST_BYTES:
        result, source, reason = connection.first[7:]
        unexplained = Problem.REJECTED_NOW if result == _REJECTED_TRANSIENT else Problem.REJECTED
        return PeerUnavailableError(_REJECTIONS.get((source, reason), unexplained), ours=ours, theirs=to.ae_title)
    if refused := [str(context.abstract_syntax) for context in association.rejected_contexts]:
        return PeerUnavailableError(Problem.CLASSES, classes=_names(refused), ours=ours)
    assert to.host is not None
    assert to.port is not None
    at = place(to.host, to.port)
    found = PeerUnavailableError(Problem.CLOSED if connection.has_ended else Problem.SILENT, at=at)
    if connection.failure is not None:
        found = unavailable(connection.failure, at=at, tls=to.tls is not None)
    first = connection.first
    if not first and to.tls is None and found.problem in (Problem.CLOSED, Problem.SILENT):
        if speaks_tls(to.host, to.port):
            return PeerUnavailableError(Problem.WANTS_TLS, at=at)
        first = first_answer(to.host, to.port)  # an HTTP server still waits for the end of a line
    if first and first[0] not in _PDU_TYPES:
        return stranger(first, at=at, expected="DICOM system")
    return PeerUnavailableError(Problem.ABORTED, ours=ours) if connection.first else found


def require_contexts(association: Association, sop_classes: Sequence[str], *, ours: str) -> None:
    """Require that the other side takes these SOP classes.

    Raises:
        PeerUnavailableError: it does not take one of them.
    """
    taken = {context.abstract_syntax for context in association.accepted_contexts}
    if missing := [sop_class for sop_class in sop_classes if sop_class not in taken]:
        raise PeerUnavailableError(Problem.CLASSES, classes=_names(missing), ours=ours)


def _names(sop_classes: Iterable[str]) -> str:
    return ", ".join(UID(sop_class).name for sop_class in sop_classes)
