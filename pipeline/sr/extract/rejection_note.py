"""Read rejection notes: Key Object Selection documents that reject instances sent before (IHE IOCM).

PS3.3 A.35.4, PS3.16 TID 2010, IHE RAD TF-2 4.66. The document title is the reason. The instances are those that the
content tree refers to; the evidence sequences list the same ones again. "Data Retention Policy Expired" only says that
an archive no longer keeps an instance: such a note takes no exam out of any comparison.
"""

from dataclasses import dataclass

from pipeline.sr.dicom.content_item import Code
from pipeline.sr.dicom.content_tree import header_text, read_tree
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"

REJECTED_FOR_QUALITY = Code("113001", "DCM", "Rejected for Quality Reasons")
REJECTED_FOR_PATIENT_SAFETY = Code("113037", "DCM", "Rejected for Patient Safety Reasons")
INCORRECT_WORKLIST_ENTRY = Code("113038", "DCM", "Incorrect Modality Worklist Entry")
RETENTION_EXPIRED = Code("113039", "DCM", "Data Retention Policy Expired")

_TITLES = {
    code.identity: code for code in (REJECTED_FOR_QUALITY, REJECTED_FOR_PATIENT_SAFETY, INCORRECT_WORKLIST_ENTRY)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The reason for which instances are rejected, in the words of the standard, and their SOP Instance UIDs."""

    title: str
    sop_instance_uids: tuple[str, ...]


class RejectionNoteError(UnreadableReportError):
    """The object is no report: it rejects some that were sent before."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(Reason.REJECTION_NOTE, f"{rejection.title}: {len(rejection.sop_instance_uids)} instances")
        self.rejection = rejection


def is_key_object_selection(report: Elements) -> bool:
    """Whether an object is a Key Object Selection document."""
    return header_text(report, "SOPClassUID") == KEY_OBJECT_SELECTION


def read_key_objects(report: Elements) -> Rejection:
    """Return what a Key Object Selection document rejects.

    Raises:
        UnreadableReportError: it rejects nothing, or names nothing to reject.
    """
    root = read_tree(report)
    if root.has_concept(RETENTION_EXPIRED):
        raise UnreadableReportError(Reason.RETENTION_EXPIRED)
    title = _TITLES.get(root.concept.identity) if root.concept is not None else None
    if title is None:
        raise UnreadableReportError(Reason.KEY_OBJECTS)
    if any(item.problems for item in root.walk()):
        raise UnreadableReportError(Reason.NAMES_NOTHING, "an item of its content cannot be read")
    named = dict.fromkeys(uid for item in root.walk() for _, uid in item.references if uid)
    if not named:
        raise UnreadableReportError(Reason.NAMES_NOTHING)
    return Rejection(title=f"{title.meaning} ({title.value}, {title.scheme})", sop_instance_uids=tuple(named))
