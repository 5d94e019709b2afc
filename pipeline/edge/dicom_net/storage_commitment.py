"""Messages of the Storage Commitment Push Model, sent and read as either side (PS3.4 Annex J).

As SCU we request commitment on the association on which we stored; the result comes when the archive is ready, mostly
on an association of its own to our listener. As SCP we read requests and send results. Data sets are read by the strict
reader of reports (``pipeline.sr.dicom.reader``), within its limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from pipeline.edge.dicom_net.statuses import SUCCESS
from pipeline.edge.store.commitment_requests import Reference
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.errors import DxatrendError
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.tags import REFERENCED_SOP_CLASS, REFERENCED_SOP_INSTANCE, REFERENCED_SOPS
from pipeline.sr.dicom.uids import derived_uid
from pipeline.sr.dicom.unreadable import UnreadableReportError

REQUEST = 1
"""Action Type ID of a request (PS3.4 Table J.3.2-1)."""

ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Type IDs of a result (PS3.4 Table J.3.3-1)."""

LONGEST_UID = 64

_TRANSACTION_UID = 0x00081195
_FAILED_SOP_SEQUENCE = 0x00081198


class CommitmentMessageError(DxatrendError):
    """A request or a result cannot be read; the text says what is missing or wrong, and quotes nothing."""


class CommitmentNotReportedError(DxatrendError):
    """A result did not reach its scanner, as far as we know."""


@dataclass(frozen=True, slots=True)
class Request:
    """The objects to which a scanner wants us to commit ourselves, each once, under its own Transaction UID."""

    transaction_uid: str
    requested: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """The instances to which an archive has committed itself, and those it has not, by SOP Instance UID."""

    committed: tuple[str, ...]
    failed: tuple[str, ...]


def request_commitment(association: Association, addenda: Sequence[AddendumOnFile], attempt: int) -> int | None:
    """Request the commitment of an archive; return the status of its response, ``None`` when there was none."""
    request = Dataset()
    uids = [addendum.sop_instance_uid for addendum in addenda]
    request.TransactionUID = derived_uid("commitment", str(attempt), *uids)
    request.ReferencedSOPSequence = [_item(one.sop_class_uid, one.sop_instance_uid) for one in addenda]
    response, _ = association.send_n_action(
        request, REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    status: int | None = response.get("Status")
    return status


def send_result(
    association: Association,
    transaction_uid: str,
    *,
    committed: Sequence[Reference],
    failed: Sequence[tuple[Reference, int]],
) -> None:
    """Report a result of ours to a scanner (N-EVENT-REPORT); each failed object has its Failure Reason.

    Raises:
        CommitmentNotReportedError: the scanner did not confirm it.
    """
    if not association.is_established:
        raise CommitmentNotReportedError("the association has ended")
    result = Dataset()
    result.TransactionUID = transaction_uid
    if committed:
        result.ReferencedSOPSequence = [_item(*reference) for reference in committed]
    if failed:
        result.FailedSOPSequence = [_item(*reference, reason) for reference, reason in failed]
    event_type = SOME_FAILED if failed else ALL_COMMITTED
    try:
        response, _ = association.send_n_event_report(
            result, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
    except ValueError:
        raise CommitmentNotReportedError("the scanner does not take storage commitment in the role of SCU") from None
    except RuntimeError:
        raise CommitmentNotReportedError("the association has ended") from None
    if "Status" not in response:
        raise CommitmentNotReportedError("no answer to the N-EVENT-REPORT")
    if response.Status != SUCCESS:
        raise CommitmentNotReportedError(f"the N-EVENT-REPORT was answered with status 0x{response.Status:04X}")


def read_request(data_set: bytes, transfer_syntax_uid: str) -> Request:
    """Read the data set of an N-ACTION (PS3.4 Table J.3-1).

    Raises:
        CommitmentMessageError: it cannot be read, or lacks something.
    """
    elements = _read(data_set, transfer_syntax_uid)
    transaction_uid = _uid(elements, _TRANSACTION_UID, "Transaction UID (0008,1195)")
    requested = _references(elements, REFERENCED_SOPS)
    if not requested:
        raise CommitmentMessageError("no Referenced SOP Sequence (0008,1199)")
    return Request(transaction_uid, requested)


def read_result(event_type: int, data_set: bytes, transfer_syntax_uid: str) -> Result:
    """Read the data set of an N-EVENT-REPORT (PS3.4 Table J.3-2).

    Raises:
        CommitmentMessageError: it cannot be read, or lacks something.
    """
    elements = _read(data_set, transfer_syntax_uid)
    failed = _references(elements, _FAILED_SOP_SEQUENCE) if event_type == SOME_FAILED else ()
    committed = _references(elements, REFERENCED_SOPS)
    return Result(committed=tuple(uid for _, uid in committed), failed=tuple(uid for _, uid in failed))


def _read(data_set: bytes, transfer_syntax_uid: str) -> Elements:
    try:
        return read_elements(data_set, transfer_syntax_uid)
    except UnreadableReportError as unreadable:
        raise CommitmentMessageError(f"its data set cannot be read: {unreadable}") from None


def _references(elements: Elements, sequence: int) -> tuple[Reference, ...]:
    """Return the objects that a sequence names, each once, in its order."""
    items = elements.get(sequence, ())
    if isinstance(items, (bytes, str)):
        raise CommitmentMessageError("a sequence of references is none")
    references = (
        (
            _uid(item, REFERENCED_SOP_CLASS, "Referenced SOP Class UID (0008,1150)"),
            _uid(item, REFERENCED_SOP_INSTANCE, "Referenced SOP Instance UID (0008,1155)"),
        )
        for item in items
    )
    return tuple(dict.fromkeys(references))


def _uid(elements: Elements, tag: int, name: str) -> str:
    value = elements.get(tag, b"")
    if not isinstance(value, bytes):
        raise CommitmentMessageError(f"{name} is no UID")
    uid = value.strip(b"\0 ").decode("ascii", "replace")
    if not uid:
        raise CommitmentMessageError(f"no {name}")
    if len(uid) > LONGEST_UID or not uid.isascii() or not uid.isprintable():
        raise CommitmentMessageError(f"{name} is no UID")
    return uid


def _item(sop_class_uid: str, sop_instance_uid: str, failure_reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    if failure_reason is not None:
        item.FailureReason = failure_reason
    return item
