"""Has the archive taken what we sent it?

An addendum is delivered when the archive says so, never because nothing was said: an answer that says no is a refusal,
and no answer is unknown. Either way the same bytes under the same UID are sent again later. What concerns the archive
and not the addendum (nobody there, no association, no context for it) is told apart.
"""

import logging
import random
import socket
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from pipeline.edge.configuration.settings import DestinationSettings
from pipeline.edge.dicom_net.storage_commitment import request_commitment
from pipeline.edge.dicom_net.tls import TlsError, for_calling
from pipeline.edge.errors import describe_error, require_fault_of_one
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.errors import DxatrendError
from pipeline.sr.dicom.content_tree import read_instance

log = logging.getLogger(__name__)

CONNECTION_SECONDS = 5
ANSWER_SECONDS = 30

BATCH_SECONDS = 120
"""How long one association may send; well within a lease, however slowly an archive answers."""

REJECTED_FOR_NOW = 2
"""Result of an A-ASSOCIATE-RJ: transient (PS3.8 9.3.4)."""

PROOF_CONTEXTS = {
    "commitment": (StorageCommitmentPushModel,),
    "find": (StudyRootQueryRetrieveInformationModelFind,),
    "none": (),
}
"""What else an association has to offer for each kind of proof."""

FIRST_WAIT = timedelta(seconds=1)


class DeliveryError(DxatrendError):
    """The archive does not have the addendum yet, as far as we know."""


class DestinationUnavailableError(DeliveryError):
    """The archive takes nothing at present, whatever it is sent: away, or not set up for us."""


class DeliveryUnavailableError(DeliveryError):
    """No answer to this addendum, or one that asks to try later."""


class DeliveryRefusedError(DeliveryError):
    """The archive answered, and the answer was no."""


class UndeliverableError(DeliveryError):
    """To send it raised what it should not."""


class DeliveryUnconfirmedError(DeliveryError):
    """The archive has stored it, as it says; the proof is still to come."""


class CommitmentAwaitedError(DeliveryUnconfirmedError):
    """The archive was asked for its commitment; its answer comes to our listener."""


def deliver(
    addenda: Sequence[AddendumOnFile], to: DestinationSettings, calling_ae_title: str, *, attempt: int = 1
) -> Generator[DeliveryError | None]:
    """Hand addenda to an archive over one association, and prove that it has them if the destination asks for proof.

    Yields for each addendum, in order and as soon as it is known, ``None`` when the archive has it, else the problem.
    Where the archive gives no answer, asks to try later or takes too long, nothing is yielded for the rest: they were
    not tried.

    Raises:
        DestinationUnavailableError: this and the following addenda need not be tried.
    """
    sop_classes = sorted({addendum.sop_class_uid for addendum in addenda})
    with associate(to, calling_ae_title, [*sop_classes, *PROOF_CONTEXTS[to.proof]]) as association:
        _see_to_contexts(association, sop_classes)
        sent = _send(association, addenda, to)
        if to.proof != "commitment":
            yield from sent
            return
        problems = list(sent)
        stored = [addendum for addendum, problem in zip(addenda, problems, strict=False) if problem is None]
        awaited = _ask_for_commitment(association, stored, attempt) if stored else None
        yield from (problem or awaited for problem in problems)


def echo(to: DestinationSettings, calling_ae_title: str) -> None:
    """Ask an archive whether it is there.

    Raises:
        DestinationUnavailableError: no association, or no answer, or one that says no.
    """
    with associate(to, calling_ae_title, []) as association:
        status = association.send_c_echo()
        if "Status" not in status:
            raise DestinationUnavailableError("no answer to C-ECHO")
        if status.Status != 0:
            raise DestinationUnavailableError(f"C-ECHO was answered with status 0x{status.Status:04X}")


def wait_after(attempts: int, longest: timedelta) -> timedelta:
    """How long to wait before the next attempt: twice as long each time, up to a limit, never in step with others."""
    wait: timedelta = min(FIRST_WAIT * 2 ** min(attempts - 1, 20), longest)
    return wait * random.uniform(0.8, 1.2)


def _see_to_contexts(association: Association, sop_classes: Sequence[str]) -> None:
    taken = {context.abstract_syntax for context in association.accepted_contexts}
    if missing := [UID(sop_class).name for sop_class in sop_classes if sop_class not in taken]:
        raise DestinationUnavailableError(f"it does not take {', '.join(missing)} in Explicit VR Little Endian")


def _send(
    association: Association, addenda: Sequence[AddendumOnFile], to: DestinationSettings
) -> Iterator[DeliveryError | None]:
    end = time.monotonic() + BATCH_SECONDS
    for addendum in addenda:
        if not association.is_established or time.monotonic() > end:
            return
        problem = _deliver_one(association, addendum, to)
        yield problem
        if isinstance(problem, DeliveryUnavailableError):
            return  # to ask again on an association that has gone silent would take half a minute


def _deliver_one(association: Association, addendum: AddendumOnFile, to: DestinationSettings) -> DeliveryError | None:
    try:
        _store(association, addendum)
        if to.proof == "find":
            _prove(association, addendum)
    except DestinationUnavailableError:
        raise
    except DeliveryError as problem:
        return problem
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are sent
        require_fault_of_one(error)
        return UndeliverableError(describe_error(error))
    return None


def _store(association: Association, addendum: AddendumOnFile) -> None:
    try:
        status = association.send_c_store(_as_kept(addendum))
    except RuntimeError:
        raise DeliveryUnavailableError("the association ended") from None
    if "Status" not in status:
        raise DeliveryUnavailableError("no answer to C-STORE")
    answer = f"C-STORE was answered with status 0x{status.Status:04X}"
    match status.Status:
        # PS3.4 B.2.3: stored, three times with a warning; PS3.7 C.5.3: 0x0111, it is there already.
        case 0x0000 | 0x0111 | 0xB000 | 0xB006 | 0xB007:
            return
        case 0x0122 | 0x0124:
            raise DestinationUnavailableError(f"{answer}: it is not set up to take addenda from us")
        case out_of_resources if out_of_resources & 0xFF00 == 0xA700:
            raise DeliveryUnavailableError(f"{answer}: out of resources")
        case _:
            raise DeliveryRefusedError(answer)


def _ask_for_commitment(
    association: Association, stored: Sequence[AddendumOnFile], attempt: int
) -> DeliveryUnconfirmedError:
    try:
        status = request_commitment(association, stored, attempt)
    except (ValueError, RuntimeError):
        return DeliveryUnconfirmedError("stored, but the archive does not offer storage commitment")
    except Exception as error:  # noqa: BLE001 - what was stored is stored, whatever the archive answers
        require_fault_of_one(error)
        return DeliveryUnconfirmedError(f"stored, but to ask for storage commitment failed: {describe_error(error)}")
    if status is None:
        return DeliveryUnconfirmedError("stored, but no answer to the request for storage commitment")
    if status != 0x0000:
        return DeliveryUnconfirmedError(f"stored, but the request for storage commitment got status 0x{status:04X}")
    return CommitmentAwaitedError("stored; storage commitment was requested")


def _prove(association: Association, addendum: AddendumOnFile) -> None:
    """Ask the archive for the addendum by its UIDs, at instance level."""
    header = _as_kept(addendum)
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = header.StudyInstanceUID
    query.SeriesInstanceUID = header.SeriesInstanceUID
    query.SOPInstanceUID = header.SOPInstanceUID
    found = False
    try:
        for status, match in association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind):
            if "Status" not in status:
                raise DeliveryUnconfirmedError("stored, but no answer to C-FIND")
            found = found or (match is not None and match.get("SOPInstanceUID") == addendum.sop_instance_uid)
    except (ValueError, RuntimeError):
        raise DeliveryUnconfirmedError("stored, but the archive does not answer C-FIND at instance level") from None
    if not found:
        raise DeliveryUnconfirmedError("stored, but not found by C-FIND yet")


def _as_kept(addendum: AddendumOnFile) -> Dataset:
    data_set = read_instance(addendum.data_set, ExplicitVRLittleEndian)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return data_set


def _send_without_delay(event: evt.Event) -> None:
    # Waiting to fill a packet costs 40 ms per addendum.
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


UNREACHABLE = (OSError, UnicodeError, RuntimeError, ValueError)
"""What pynetdicom and the name service raise where a host cannot be called: its name has no address, or is none."""


def unreachable(error: Exception) -> str:
    """Why a host cannot be called."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"the name of its host has no address now ({type(error).__name__})"
    return f"no association: {describe_error(error)}"


@contextmanager
def associate(
    to: DestinationSettings,
    calling_ae_title: str,
    sop_classes: Sequence[str],
    *,
    taken: Sequence[str] = (),
    handlers: Sequence[EventHandlerType] = (),
) -> Iterator[Association]:
    """An association with an archive for these SOP classes; of those ``taken`` it may send us objects over it.

    Raises:
        DestinationUnavailableError: there is none.
    """
    ae = AE(ae_title=calling_ae_title)
    ae.connection_timeout = CONNECTION_SECONDS
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_SECONDS
    ae.add_requested_context(Verification)  # so that an archive that takes nothing else can say so
    for sop_class in sop_classes:
        ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
    for sop_class in taken:
        ae.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    try:
        tls = (for_calling(to.tls), to.host) if to.tls else None
    except TlsError as unusable:
        raise DestinationUnavailableError(str(unusable)) from None
    try:
        association = ae.associate(
            to.host,
            to.port,
            ae_title=to.ae_title,
            tls_args=tls,
            evt_handlers=[(evt.EVT_CONN_OPEN, _send_without_delay), *handlers],
            ext_neg=[build_role(sop_class, scp_role=True) for sop_class in taken],
        )
    except UNREACHABLE as error:
        raise DestinationUnavailableError(unreachable(error)) from None
    if association.is_rejected:
        for_now = association.acceptor.primitive.result == REJECTED_FOR_NOW
        advice = "for now" if for_now else "for good; does it know our AE title?"
        raise DestinationUnavailableError(f"the archive rejected the association {advice}")
    if not association.is_established:
        raise DestinationUnavailableError("no association" + ("; does the TLS of both sides fit?" if to.tls else ""))
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
