"""Has the archive taken what we sent it?

An addendum is delivered when the archive says so, never because nothing was said: an answer that says no is a refusal,
and no answer is unknown. Either way the same bytes under the same UID are sent again later.
"""

import logging
import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from pipeline.edge.commitment import request_commitment
from pipeline.edge.settings import DestinationSettings
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.sr.tree import read_instance

log = logging.getLogger(__name__)

CONNECTION_SECONDS = 5
ANSWER_SECONDS = 30

DUPLICATE = 0x0111
"""The archive has this SOP Instance already: what we wanted."""

PROOF_CONTEXTS = {
    "commitment": (StorageCommitmentPushModel,),
    "find": (StudyRootQueryRetrieveInformationModelFind,),
    "none": (),
}
"""What else an association has to offer for each kind of proof."""

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(hours=1)


class DeliveryProblem(Exception):
    """The archive does not have the addendum yet, as far as we know."""


class DeliveryUnavailable(DeliveryProblem):
    """No association, or no answer: nothing is known."""


class DeliveryRefused(DeliveryProblem):
    """The archive answered, and the answer was no."""


class CommitmentAwaited(DeliveryProblem):
    """The archive has stored it and was asked for its commitment; its answer comes to our listener."""


def deliver(
    addenda: Sequence[AddendumOnFile], to: DestinationSettings, calling_ae_title: str, *, attempt: int = 1
) -> Iterator[DeliveryProblem | None]:
    """Hand addenda to an archive over one association, and prove that it has them if the destination asks for proof.

    Yields for each addendum, in order and as soon as it is known, ``None`` when the archive has it, else the problem.
    """
    sop_classes = sorted({addendum.sop_class_uid for addendum in addenda})
    try:
        with _associate(to, calling_ae_title, [*sop_classes, *PROOF_CONTEXTS[to.proof]]) as association:
            problems = [_deliver_one(association, addendum, to) for addendum in addenda]
            stored = [addendum for addendum, problem in zip(addenda, problems, strict=True) if problem is None]
            awaited = _ask_for_commitment(association, stored, attempt) if to.proof == "commitment" and stored else None
            yield from (problem or awaited for problem in problems)
    except DeliveryUnavailable as unavailable:
        # Raised on entering alone: nothing has been yielded yet.
        for _ in addenda:
            yield unavailable


def echo(to: DestinationSettings, calling_ae_title: str) -> None:
    """Ask an archive whether it is there.

    Raises:
        DeliveryUnavailable: no association, or no answer.
        DeliveryRefused: it answered with a failure.
    """
    with _associate(to, calling_ae_title, []) as association:
        status = association.send_c_echo()
        if "Status" not in status:
            raise DeliveryUnavailable("no answer to C-ECHO")
        if status.Status != 0:
            raise DeliveryRefused(f"C-ECHO was answered with status 0x{status.Status:04X}")


def wait_after(attempts: int) -> timedelta:
    """How long to wait before the next attempt: twice as long each time, up to an hour, never in step with others."""
    wait: timedelta = min(FIRST_WAIT * 2 ** min(attempts - 1, 20), LONGEST_WAIT)
    return wait * random.uniform(0.8, 1.2)


def _deliver_one(association: Association, addendum: AddendumOnFile, to: DestinationSettings) -> DeliveryProblem | None:
    try:
        _store(association, addendum)
        if to.proof == "find":
            _prove(association, addendum)
    except DeliveryProblem as problem:
        return problem
    return None


def _store(association: Association, addendum: AddendumOnFile) -> None:
    if not association.is_established:
        raise DeliveryUnavailable("the association ended")
    data_set = _as_kept(addendum)
    try:
        status = association.send_c_store(data_set)
    except ValueError:
        raise DeliveryRefused("the archive does not take this SOP class in Explicit VR Little Endian") from None
    except RuntimeError:
        raise DeliveryUnavailable("the association ended") from None
    if "Status" not in status:
        raise DeliveryUnavailable("no answer to C-STORE")
    # PS3.4 B.2.3: 0xB000, 0xB006 and 0xB007 are warnings with which the instance is stored.
    if status.Status not in (0x0000, DUPLICATE, 0xB000, 0xB006, 0xB007):
        raise DeliveryRefused(f"C-STORE was answered with status 0x{status.Status:04X}")


def _ask_for_commitment(association: Association, stored: Sequence[AddendumOnFile], attempt: int) -> DeliveryProblem:
    try:
        status = request_commitment(association, stored, attempt)
    except (ValueError, RuntimeError):
        return DeliveryRefused("stored, but the archive does not offer storage commitment")
    if status is None:
        return DeliveryUnavailable("stored, but no answer to the request for storage commitment")
    if status != 0x0000:
        return DeliveryRefused(f"stored, but the request for storage commitment got status 0x{status:04X}")
    return CommitmentAwaited("stored; storage commitment was requested")


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
                raise DeliveryUnavailable("no answer to C-FIND")
            found = found or (match is not None and match.get("SOPInstanceUID") == addendum.sop_instance_uid)
    except (ValueError, RuntimeError):
        raise DeliveryRefused("the archive does not answer C-FIND at instance level") from None
    if not found:
        raise DeliveryUnavailable("stored, but not found by C-FIND yet")


def _as_kept(addendum: AddendumOnFile) -> Dataset:
    data_set = read_instance(addendum.data_set, ExplicitVRLittleEndian)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return data_set


def _send_without_delay(event: evt.Event) -> None:
    # Waiting to fill a packet costs 40 ms per addendum.
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextmanager
def _associate(to: DestinationSettings, calling_ae_title: str, sop_classes: Sequence[str]) -> Iterator[Association]:
    ae = AE(ae_title=calling_ae_title)
    ae.connection_timeout = CONNECTION_SECONDS
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_SECONDS
    ae.add_requested_context(Verification)  # so that an archive that takes nothing else can say so
    for sop_class in sop_classes:
        ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = ae.associate(
        to.host, to.port, ae_title=to.ae_title, evt_handlers=[(evt.EVT_CONN_OPEN, _send_without_delay)]
    )
    if association.is_rejected:
        raise DeliveryUnavailable("the archive rejected the association; does it know our AE title?")
    if not association.is_established:
        raise DeliveryUnavailable("no association")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
