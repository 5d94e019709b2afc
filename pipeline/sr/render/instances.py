"""Author the renderings of an addendum as DICOM instances: Secondary Capture images and an Encapsulated PDF.

There is one image for each page. Images and PDF have a series each, in the addendum's study, with its dates and header,
and name it as their source. Their UIDs derive from the addendum's and from what is drawn, so that no two instances that
differ share a UID.
"""

import hashlib
from collections.abc import Iterable

from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

import pipeline
from pipeline.clinical.model import Exam, Interpretation
from pipeline.sr import codes
from pipeline.sr.author.content import DEVICE
from pipeline.sr.author.iod_modules import contributing_equipment, dates, patient_and_study
from pipeline.sr.dicom.content_tree import header_text, read_tree
from pipeline.sr.dicom.header import tidy_header, written_at
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.uids import derived_uid
from pipeline.sr.dicom.writer import Attributes, Authored, coded, elements, encode
from pipeline.sr.render import drawing
from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.page_content import page_content
from pipeline.sr.render.page_layout import lay_out
from pipeline.sr.render.plots import PlotContext
from pipeline.sr.render.rasterising import COLUMNS, ROWS, images

TITLE = "DXA follow-up"

IMAGE_SERIES, PDF_SERIES = 1000, 2000
"""Added to the addendum's series number for the series of images and of the PDF."""


def author_renderings(
    addendum: Authored,
    interpretation: Interpretation,
    history: Iterable[Exam],
    forms: Iterable[str],
    fonts: Fonts,
    plot_context: PlotContext | None = None,
) -> tuple[Authored, ...]:
    """Return the renderings of an addendum in these forms, of ``image`` and ``pdf``.

    The plots show ``history``, the patient's exams in any order, and ``plot_context`` what lies between them.
    """
    data_set = read_elements(addendum.data_set, ExplicitVRLittleEndian)
    content = page_content(data_set, read_tree(data_set), interpretation, history, plot_context)
    pages = lay_out(content, fonts.patient_name(content.patient_name), fonts.width)
    document = drawing.pdf(pages, fonts, title=TITLE)
    wanted = set(forms)
    return (
        *(_images(data_set, interpretation.exam, document) if "image" in wanted else ()),
        *([_pdf(data_set, interpretation.exam, document)] if "pdf" in wanted else []),
    )


def _images(addendum: Elements, exam: Exam, document: bytes) -> Iterable[Authored]:
    """Yield a grey Secondary Capture image of each page of a PDF (PS3.3 A.8.1)."""
    for number, pixels in enumerate(images(document), 1):
        attributes: Attributes = {
            **_shared_attributes(addendum, exam, "image"),
            "Modality": "OT",
            "SeriesNumber": IMAGE_SERIES + int(header_text(addendum, "SeriesNumber")),
            "InstanceNumber": number,
            "ImageType": "DERIVED\\SECONDARY",
            "PatientOrientation": "",
            "Laterality": "",
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": ROWS,
            "Columns": COLUMNS,
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


def _pdf(addendum: Elements, exam: Exam, document: bytes) -> Authored:
    """Return an Encapsulated PDF of all pages (PS3.3 A.45.1)."""
    attributes: Attributes = {
        **_shared_attributes(addendum, exam, "pdf"),
        "Modality": "DOC",
        "SeriesNumber": PDF_SERIES + int(header_text(addendum, "SeriesNumber")),
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


def _authored(sop_class_uid: str, addendum: Elements, attributes: Attributes, kind: str, drawn: bytes) -> Authored:
    sop_instance_uid = derived_uid(kind, header_text(addendum, "SOPInstanceUID"), hashlib.sha256(drawn).hexdigest())
    identity = {"SOPClassUID": sop_class_uid, "SOPInstanceUID": sop_instance_uid}
    return Authored(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        data_set=encode(elements({**attributes, **identity})),
    )


def _shared_attributes(addendum: Elements, exam: Exam, kind: str) -> Attributes:
    """Return the attributes that image and PDF have in common: patient, study, dates, equipment, source addendum."""
    moment = written_at(addendum)
    assert moment is not None, "an addendum has a date"
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        **patient_and_study(tidy_header([addendum], exam.study_instance_uid)),
        **dates(moment),
        **contributing_equipment(exam),
        "SeriesInstanceUID": derived_uid(f"series of {kind}", header_text(addendum, "SOPInstanceUID")),
        "SeriesDescription": f"{TITLE} ({kind})",
        "Manufacturer": DEVICE,
        "ManufacturerModelName": DEVICE,
        "SoftwareVersions": pipeline.__version__,
        "ConversionType": "WSD",
        "BurnedInAnnotation": "YES",
        "SourceInstanceSequence": [
            {
                "ReferencedSOPClassUID": header_text(addendum, "SOPClassUID"),
                "ReferencedSOPInstanceUID": header_text(addendum, "SOPInstanceUID"),
                "PurposeOfReferenceCodeSequence": [coded(codes.SOURCE_REPORT)],
            }
        ],
    }
