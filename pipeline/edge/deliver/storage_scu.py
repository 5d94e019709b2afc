"""Send addenda to a destination by C-STORE, and get the configured proof that it has them (Storage SCU).

An addendum is delivered when the destination says so. Status codes of failure are a refusal; without a response the
outcome is unknown. Either way the same bytes under the same SOP Instance UID are sent again later. What concerns the
destination as a whole and not one addendum (no association, no presentation context) is ``PeerUnavailableError``.
"""

from collections.abc import Generator, Sequence
from functools import partial

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StudyRootQueryRetrieveInformationModelFind

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.deliver.batch import deliver_each
from pipeline.edge.deliver.sender import (
    CommitmentAwaitedError,
    DeliveryError,
    DeliveryRefusedError,
    DeliveryUnavailableError,
    DeliveryUnconfirmedError,
)
from pipeline.edge.dicom_net.client import associate, echo, require_contexts
from pipeline.edge.dicom_net.statuses import (
    DUPLICATE_SOP_INSTANCE,
    NOT_AUTHORISED,
    OUT_OF_RESOURCES,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
)
from pipeline.edge.dicom_net.storage_commitment import request_commitment
from pipeline.edge.errors import describe_error, require_fault_of_one
from pipeline.edge.peer_problems import PeerUnavailableError, Problem
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.sr.dicom.content_tree import read_instance

STORED = (SUCCESS, DUPLICATE_SOP_INSTANCE, 0xB000, 0xB006, 0xB007)
"""Statuses of a C-STORE that was kept, three of them with a warning (PS3.4 B.2.3), or that was there before."""

PROOF_CONTEXTS = {
    "commitment": (StorageCommitmentPushModel,),
    "find": (StudyRootQueryRetrieveInformationModelFind,),
    "none": (),
}
"""The SOP classes that an association needs beside those of the addenda, by kind of proof."""


PROOF_NAMES = {"commitment": "commitment", "find": "C-FIND", "none": "answer to C-STORE"}
"""The names of the kinds of proof in the audit trail."""


class DicomSender:
    """Sends to a PACS over DICOM."""

    def __init__(self, to: DicomDestination, calling_ae_title: str) -> None:
        self._to, self._calling_ae_title = to, calling_ae_title

    @property
    def proof(self) -> str:
        """The kind of proof that the settings ask for."""
        return PROOF_NAMES[self._to.proof]

    def deliver(self, addenda: Sequence[AddendumOnFile], *, attempt: int) -> Generator[DeliveryError | None]:
        """Send addenda by C-STORE over one association."""
        return deliver(addenda, self._to, self._calling_ae_title, attempt=attempt)

    def check(self) -> None:
        """Verify by C-ECHO that the PACS answers."""
        echo(self._to, self._calling_ae_title)


def deliver(
    addenda: Sequence[AddendumOnFile], to: DicomDestination, calling_ae_title: str, *, attempt: int = 1
) -> Generator[DeliveryError | None]:
    """Send addenda to a destination over one association, and get the proof that its settings ask for.

    Yields for each addendum, in order and as soon as it is known, ``None`` when the destination has it, else the
    problem. When the destination gives no response, asks to try later or takes too long, nothing is yielded for the
    rest: they were not tried.

    Raises:
        PeerUnavailableError: this and the following addenda need not be tried.
    """
    sop_classes = sorted({addendum.sop_class_uid for addendum in addenda})
    with associate(to, calling_ae_title, [*sop_classes, *PROOF_CONTEXTS[to.proof]]) as association:
        require_contexts(association, sop_classes, ours=calling_ae_title)
        send = partial(_send, association, to=to)
        sent = deliver_each(addenda, send, is_open=lambda: association.is_established)
        if to.proof != "commitment":
            yield from sent
            return
        problems = list(sent)
        stored = [addendum for addendum, problem in zip(addenda, problems, strict=False) if problem is None]
        awaited = _request_commitment(association, stored, attempt, calling_ae_title) if stored else None
        yield from (problem or awaited for problem in problems)


def _send(association: Association, addendum: AddendumOnFile, to: DicomDestination) -> None:
    _store(association, addendum)
    if to.proof == "find":
        _confirm_by_query(association, addendum)


def _store(association: Association, addendum: AddendumOnFile) -> None:
    try:
        status = association.send_c_store(_data_set(addendum))
    except RuntimeError:
        raise DeliveryUnavailableError(Problem.ASSOCIATION_ENDED) from None
    if "Status" not in status:
        raise DeliveryUnavailableError(Problem.NO_RESPONSE, request="C-STORE")
    if status.Status in STORED:
        return
    facts = {"request": "C-STORE", "status": f"0x{status.Status:04X}"}
    if status.Status == NOT_AUTHORISED:
        raise PeerUnavailableError(Problem.NOT_AUTHORISED, **facts)
    if status.Status == SOP_CLASS_NOT_SUPPORTED:
        raise PeerUnavailableError(Problem.CLASS_REFUSED, **facts)
    if status.Status & 0xFF00 == OUT_OF_RESOURCES:  # any of 0xA700 to 0xA7FF
        raise DeliveryUnavailableError(Problem.FULL, **facts)
    raise DeliveryRefusedError(Problem.OBJECT_REFUSED, **facts)


def _request_commitment(
    association: Association, stored: Sequence[AddendumOnFile], attempt: int, ours: str
) -> DeliveryUnconfirmedError:
    try:
        status = request_commitment(association, stored, attempt)
    except (ValueError, RuntimeError):
        return _unproven("it does not offer storage commitment")
    except Exception as error:  # noqa: BLE001 - what was stored is stored, whatever it responds
        require_fault_of_one(error)
        return _unproven(f"to ask for storage commitment failed, {describe_error(error)}")
    if status is None:
        return _unproven("no answer to the request for storage commitment")
    if status != SUCCESS:
        return _unproven(f"the request for storage commitment was answered with 0x{status:04X}")
    return CommitmentAwaitedError(Problem.COMMITMENT_AWAITED, ours=ours)


def _unproven(error: str) -> DeliveryUnconfirmedError:
    return DeliveryUnconfirmedError(Problem.PROOF_MISSING, error=error)


def _confirm_by_query(association: Association, addendum: AddendumOnFile) -> None:
    """Query the destination for the addendum by its UIDs at instance level (C-FIND)."""
    header = _data_set(addendum)
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = header.StudyInstanceUID
    query.SeriesInstanceUID = header.SeriesInstanceUID
    query.SOPInstanceUID = header.SOPInstanceUID
    found = False
    try:
        for status, match in association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind):
            if "Status" not in status:
                raise _unproven("no answer to C-FIND")
            found = found or (match is not None and match.get("SOPInstanceUID") == addendum.sop_instance_uid)
    except (ValueError, RuntimeError):
        raise _unproven("it does not answer C-FIND at instance level") from None
    if not found:
        raise DeliveryUnconfirmedError(Problem.NOT_FOUND_YET, request="C-FIND")


def _data_set(addendum: AddendumOnFile) -> Dataset:
    data_set = read_instance(addendum.data_set, ExplicitVRLittleEndian)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return data_set
