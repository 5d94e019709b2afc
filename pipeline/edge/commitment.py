"""Has an archive taken responsibility for what we stored in it? (PS3.4 Annex J, Storage Commitment Push Model)

We ask on the association on which we stored; the archive answers when it is ready, mostly on an association of its own
to our listener.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.sr.uids import derived_uid

REQUEST = 1
"""Action Type ID of a request (PS3.4 Table J.3.2-1)."""

ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Type IDs of a result (PS3.4 Table J.3.3-1)."""


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


def read_result(event_type: int, told: Dataset) -> Result:
    """What an archive's N-EVENT-REPORT tells."""
    failed = _uids(told, "FailedSOPSequence") if event_type == SOME_FAILED else ()
    return Result(committed=_uids(told, "ReferencedSOPSequence"), failed=failed)


def _reference(addendum: AddendumOnFile) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = addendum.sop_class_uid
    item.ReferencedSOPInstanceUID = addendum.sop_instance_uid
    return item


def _uids(told: Dataset, sequence: str) -> tuple[str, ...]:
    items = told.get(sequence) or ()
    return tuple(str(item.ReferencedSOPInstanceUID) for item in items if "ReferencedSOPInstanceUID" in item)
