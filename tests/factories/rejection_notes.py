"""Rejection notes of IHE IOCM, and Key Object Selection documents that reject nothing: as an archive sends them."""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EnhancedSRStorage, KeyObjectSelectionDocumentStorage

from tests.factories.reports import container, put

QUALITY = ("113001", "DCM", "Rejected for Quality Reasons")
PATIENT_SAFETY = ("113037", "DCM", "Rejected for Patient Safety Reasons")
WORKLIST = ("113038", "DCM", "Incorrect Modality Worklist Entry")
RETENTION = ("113039", "DCM", "Data Retention Policy Expired")
OF_INTEREST = ("113000", "DCM", "Of Interest")


def rejection_note(uids: Sequence[str], *, title: tuple[str, str, str] = WORKLIST, **header: str) -> Dataset:
    """A Key Object Selection document with this title that names these instances."""
    note = container(title, *map(_named, uids), relationship="")
    told = {
        "SOPClassUID": KeyObjectSelectionDocumentStorage,
        "SOPInstanceUID": "2.25.900",
        "StudyInstanceUID": "2.25.10",
        "SeriesInstanceUID": "2.25.901",
        "StudyDate": "20240301",
        "StudyTime": "101112",
        "ContentDate": "20240302",
        "ContentTime": "080000",
        "Modality": "KO",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
        "Manufacturer": "ARCHIVE",
        "PatientID": "P1",
        "PatientName": "Marked^Patient",
    }
    for keyword, value in (told | header).items():
        put(note, keyword, value)
    return note


def _named(uid: str) -> Dataset:
    """A COMPOSITE content item (PS3.16 TID 2010 row 5)."""
    referenced = Dataset()
    referenced.ReferencedSOPClassUID = EnhancedSRStorage
    referenced.ReferencedSOPInstanceUID = uid
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "COMPOSITE"
    item.ReferencedSOPSequence = DicomSequence([referenced])
    return item
