"""Recognise the scan of a phantom, which measures the stability of the scanner and no patient."""

from collections.abc import Sequence

from pipeline.sr.dialects.model import Dialect, Texts
from pipeline.sr.dicom.content_item import Item
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.extract.known_phantoms import KnownPhantom, PhantomScan


class PhantomReportError(UnreadableReportError):
    """The report is of a phantom: it counts for the scanner's quality control, never for a patient's history."""

    def __init__(self, scan: PhantomScan) -> None:
        regions = ", ".join(f"{measurement.region}" for measurement in scan.measurements)
        super().__init__(Reason.PHANTOM, regions)
        self.scan = scan


def is_phantom(report: Elements, root: Item, dialect: Dialect, phantoms: Sequence[KnownPhantom] = ()) -> bool:
    """Whether a report is of a phantom, by Quality Control Subject (0010,0200), by the department or by the dialect."""
    if header_text(report, "QualityControlSubject").strip().upper() == "YES":
        return True
    named = (header_text(report, "PatientID"), header_text(report, "PatientName"))
    if any(known.names_it(*named) for known in phantoms):
        return True
    signs = dialect.phantom
    return (
        signs.patient_id.names_it(header_text(report, "PatientID"))
        or signs.patient_name.names_it(header_text(report, "PatientName").replace("^", " "))
        or any(Texts(root).satisfy((condition,), root) for condition in signs.texts)
    )
