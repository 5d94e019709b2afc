"""Ask an archive to commit itself to what we stored, and read what either side says (PS3.4 Annex J, Push Model).

We ask on the association on which we stored; the archive answers when it is ready, mostly on an association of its own
to our listener. What comes over the wire is read within the limits of reports (``pipeline.sr.dicom.reader``), and what
it names is kept once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from pipeline.edge.store.commitment_requests import Reference
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.errors import DxatrendError
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.uids import derived_uid
from pipeline.sr.dicom.unreadable import UnreadableReportError

REQUEST = 1
"""Action Type ID of a request (PS3.4 Table J.3.2-1)."""

ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Type IDs of a result (PS3.4 Table J.3.3-1)."""


LONGEST_UID = 64

_TRANSACTION_UID = 0x00081195
_REFERENCED_SOP_SEQUENCE, _FAILED_SOP_SEQUENCE = 0x00081199, 0x00081198
_REFERENCED_SOP_CLASS_UID, _REFERENCED_SOP_INSTANCE_UID = 0x00081150, 0x00081155


class CommitmentMessageError(DxatrendError):
    """A request or a result cannot be read; the text says what is missing or wrong, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a scanner wants us to commit ourselves to, each object once, under its own Transaction UID."""

    transaction_uid: str
    asked_for: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """Which instances an archive has committed itself to, and which it has not, by SOP Instance UID."""

    committed: tuple[str, ...]
    failed: tuple[str, ...]


def request_commitment(association: Association, addenda: Sequence[AddendumOnFile], attempt: int) -> int | None:
    """Ask for the commitment; the status of the answer to the asking, ``None`` when there was none."""
    question = Dataset()
    uids = [addendum.sop_instance_uid for addendum in addenda]
    question.TransactionUID = derived_uid("commitment", str(attempt), *uids)
    question.ReferencedSOPSequence = [_reference(addendum) for addendum in addenda]
    status, _ = association.send_n_action(
        question, REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    answer: int | None = status.get("Status")
    return answer


def read_request(data_set: bytes, transfer_syntax_uid: str) -> Request:
    """Read the data set of an N-ACTION (PS3.4 Table J.3-1).

    Raises:
        CommitmentMessageError: it cannot be read, or lacks something.
    """
    told = _read(data_set, transfer_syntax_uid)
    transaction_uid = _uid(told, _TRANSACTION_UID, "Transaction UID (0008,1195)")
    asked_for = _references(told, _REFERENCED_SOP_SEQUENCE)
    if not asked_for:
        raise CommitmentMessageError("no Referenced SOP Sequence (0008,1199)")
    return Request(transaction_uid, asked_for)


def read_result(event_type: int, data_set: bytes, transfer_syntax_uid: str) -> Result:
    """Read the data set of an N-EVENT-REPORT (PS3.4 Table J.3-2).

    Raises:
        CommitmentMessageError: it cannot be read, or lacks something.
    """
    told = _read(data_set, transfer_syntax_uid)
    failed = _references(told, _FAILED_SOP_SEQUENCE) if event_type == SOME_FAILED else ()
    committed = _references(told, _REFERENCED_SOP_SEQUENCE)
    return Result(committed=tuple(uid for _, uid in committed), failed=tuple(uid for _, uid in failed))


def _read(data_set: bytes, transfer_syntax_uid: str) -> Elements:
    try:
        return read_elements(data_set, transfer_syntax_uid)
    except UnreadableReportError as unreadable:
        raise CommitmentMessageError(f"its data set cannot be read: {unreadable}") from None


def _references(told: Elements, sequence: int) -> tuple[Reference, ...]:
    """The objects that a sequence names, each once, in its order."""
    items = told.get(sequence, ())
    if isinstance(items, (bytes, str)):
        raise CommitmentMessageError("a sequence of references is none")
    named = (
        (
            _uid(item, _REFERENCED_SOP_CLASS_UID, "Referenced SOP Class UID (0008,1150)"),
            _uid(item, _REFERENCED_SOP_INSTANCE_UID, "Referenced SOP Instance UID (0008,1155)"),
        )
        for item in items
    )
    return tuple(dict.fromkeys(named))


def _uid(told: Elements, tag: int, name: str) -> str:
    value = told.get(tag, b"")
    if not isinstance(value, bytes):
        raise CommitmentMessageError(f"{name} is no UID")
    uid = value.strip(b"\0 ").decode("ascii", "replace")
    if not uid:
        raise CommitmentMessageError(f"no {name}")
    if len(uid) > LONGEST_UID or not uid.isascii() or not uid.isprintable():
        raise CommitmentMessageError(f"{name} is no UID")
    return uid


def _reference(addendum: AddendumOnFile) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = addendum.sop_class_uid
    item.ReferencedSOPInstanceUID = addendum.sop_instance_uid
    return item
