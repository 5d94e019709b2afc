"""How do the pages become DICOM objects beside the addendum?

Secondary Capture images, one for each sheet, and one Encapsulated PDF: each kind in a series of its own in the
addendum's study, under its date and header, naming it as their source. Their UIDs derive from the addendum's and from
what is drawn, so that two that differ never share one.
"""

import hashlib
from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

import pipeline
from pipeline.clinical.model import Exam, Interpretation
from pipeline.sr import codes
from pipeline.sr.author.content import DEVICE
from pipeline.sr.author.iod_modules import contributing_equipment, dates, patient_and_study
from pipeline.sr.dicom.content_tree import read_instance, read_tree
from pipeline.sr.dicom.header import tidy_header, written_at
from pipeline.sr.dicom.uids import derived_uid
from pipeline.sr.dicom.writer import Attributes, Authored, coded, elements, encode
from pipeline.sr.render import drawing
from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.page_content import page
from pipeline.sr.render.page_layout import Sheet, lay_out
from pipeline.sr.render.plots import PlotContext

TITLE = "DXA follow-up"

IMAGE_SERIES, PDF_SERIES = 1000, 2000
"""What the numbers of their series have above that of the addendum's."""


def author_renderings(
    addendum: Authored,
    interpretation: Interpretation,
    history: Iterable[Exam],
    forms: Iterable[str],
    fonts: Fonts,
    beside: PlotContext | None = None,
) -> tuple[Authored, ...]:
    """The faces of an addendum in these forms, of ``image`` and ``pdf``.

    ``history`` is what the plots show beside the exam: the patient's exams, in any order; ``beside`` is what lies
    between them.
    """
    told = read_instance(addendum.data_set, ExplicitVRLittleEndian)
    shown = page(told, read_tree(told), interpretation, history, beside)
    sheets = lay_out(shown, fonts.name(shown.patient_name), fonts.width)
    wanted = set(forms)
    return (
        *(_images(told, interpretation.exam, sheets, fonts) if "image" in wanted else ()),
        *([_pdf(told, interpretation.exam, sheets, fonts)] if "pdf" in wanted else []),
    )


def _images(addendum: Dataset, exam: Exam, sheets: Iterable[Sheet], fonts: Fonts) -> Iterable[Authored]:
    """The Secondary Capture Image IOD (PS3.3 A.8.1), of grey pixels, as every viewer shows them."""
    for number, pixels in enumerate(drawing.pictures(tuple(sheets), fonts), 1):
        attributes: Attributes = {
            **_of_both(addendum, exam, "image"),
            "Modality": "OT",
            "SeriesNumber": IMAGE_SERIES + int(addendum.SeriesNumber),
            "InstanceNumber": number,
            "ImageType": "DERIVED\\SECONDARY",
            "PatientOrientation": "",
            "Laterality": "",
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": drawing.ROWS,
            "Columns": drawing.COLUMNS,
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
            "PixelRepresentation": 0,
            "WindowCenter": "128",
            "WindowWidth": "256",
            "LossyImageCompression": "00",
            "PixelData": pixels,
        }
        yield _authored(SecondaryCaptureImageStorage, addendum, attributes, f"image {number}", pixels)


def _pdf(addendum: Dataset, exam: Exam, sheets: Iterable[Sheet], fonts: Fonts) -> Authored:
    """The Encapsulated PDF IOD (PS3.3 A.45.1)."""
    document = drawing.pdf(tuple(sheets), fonts, title=TITLE)
    attributes: Attributes = {
        **_of_both(addendum, exam, "pdf"),
        "Modality": "DOC",
        "SeriesNumber": PDF_SERIES + int(addendum.SeriesNumber),
        "InstanceNumber": 1,
        "AcquisitionDateTime": "",
        "DocumentTitle": TITLE,
        "ConceptNameCodeSequence": [coded(codes.DXA_STUDY_REPORT)],
        "VerificationFlag": "UNVERIFIED",
        "MIMETypeOfEncapsulatedDocument": "application/pdf",
        "EncapsulatedDocument": document,
        "EncapsulatedDocumentLength": len(document),
    }
    return _authored(EncapsulatedPDFStorage, addendum, attributes, "pdf", document)


def _authored(sop_class_uid: str, addendum: Dataset, attributes: Attributes, kind: str, drawn: bytes) -> Authored:
    sop_instance_uid = derived_uid(kind, addendum.SOPInstanceUID, hashlib.sha256(drawn).hexdigest())
    identity = {"SOPClassUID": sop_class_uid, "SOPInstanceUID": sop_instance_uid}
    return Authored(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        data_set=encode(elements({**attributes, **identity})),
    )


def _of_both(addendum: Dataset, exam: Exam, kind: str) -> Attributes:
    """Whose it is, when and by whom it was made, and of which addendum."""
    moment = written_at(addendum)
    assert moment is not None, "an addendum has a date"
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        **patient_and_study(tidy_header([addendum], exam.study_instance_uid)),
        **dates(moment),
        **contributing_equipment(exam),
        "SeriesInstanceUID": derived_uid(f"series of {kind}", addendum.SOPInstanceUID),
        "SeriesDescription": f"{TITLE} ({kind})",
        "Manufacturer": DEVICE,
        "ManufacturerModelName": DEVICE,
        "SoftwareVersions": pipeline.__version__,
        "ConversionType": "WSD",
        "BurnedInAnnotation": "YES",
        "SourceInstanceSequence": [
            {
                "ReferencedSOPClassUID": addendum.SOPClassUID,
                "ReferencedSOPInstanceUID": addendum.SOPInstanceUID,
                "PurposeOfReferenceCodeSequence": [coded(codes.SOURCE_REPORT)],
            }
        ],
    }
