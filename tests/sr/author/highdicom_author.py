"""Author the same addendum with highdicom, to compare its bytes with ours.

Everything goes through highdicom's constructors: patient and study, evidence, predecessors, every content item. It is
given identity and dates. What it cannot write is put in with pydicom: numbers as printed (it takes floats), UIDs that
break a rule, the author, and why a predecessor is named.
"""

from collections.abc import Sequence
from copy import deepcopy

from highdicom import ContributingEquipment
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ComprehensiveSR,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DateContentItem,
    EnhancedSR,
    NumContentItem,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage

import pipeline
from pipeline.clinical.model import Exam
from pipeline.sr import codes
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.header import words, written_at
from pipeline.sr.dicom.uids import DEVICE_UID
from tests.factories.elements import elements_of

HEADER = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
    *("ReferringPhysicianName", "StudyDescription"),
)
SOP_CLASSES = {ComprehensiveSRStorage: ComprehensiveSR, EnhancedSRStorage: EnhancedSR}
TEMPLATES = {codes.IMAGING_MEASUREMENT_REPORT: "1500", codes.MEASUREMENT_GROUP: "1501"}


def data_set(
    ours: Dataset,
    tree: Item,
    exam: Exam,
    *,
    sources: Sequence[Dataset],
    priors: Sequence[Dataset] = (),
    predecessor: Dataset | None = None,
) -> bytes:
    """The encoded data set of an addendum with this content, and with the identity, dates and patient of ours."""
    made = SOP_CLASSES[ours.SOPClassUID](
        evidence=[*(_tidied(report, ours) for report in _by_date(sources)), *_by_date(priors)],
        content=content_item(tree),
        series_instance_uid=ours.SeriesInstanceUID,
        series_number=ours.SeriesNumber,
        sop_instance_uid=ours.SOPInstanceUID,
        instance_number=ours.InstanceNumber,
        manufacturer="dxatrend",
        manufacturer_model_name="dxatrend",
        software_versions=pipeline.__version__,
        series_description="DXA follow-up",
        content_date=ours.ContentDate,
        content_time=ours.ContentTime,
        series_date=ours.SeriesDate,
        series_time=ours.SeriesTime,
        is_complete=True,
        is_final=ours.PreliminaryFlag == "FINAL",
        performed_procedure_codes=[_concept(codes.DXA)],
        previous_versions=[predecessor] if predecessor else None,
        specific_character_set="ISO_IR 192",
        contributing_equipment=_densitometer(exam),
        coding_schemes=[
            CodingSchemeIdentificationItem(
                designator="99DXATREND",
                name="dxatrend serial bone densitometry",
                responsible_organization="dxatrend",
            )
        ],
    )
    plain = Dataset()
    plain.update({element.tag: element for element in made})
    _depart_from_highdicom(plain, ours)
    return encoded(plain)


def content_item(item: Item) -> ContentItem:
    """A content item and all below it."""
    made = _bare_content_item(item)
    if item.children or item.concept == codes.IMAGING_MEASUREMENT_REPORT:
        made.ContentSequence = ContentSequence([content_item(child) for child in item.children])
    return made


def encoded(data_set: Dataset) -> bytes:
    """A data set in Explicit VR Little Endian, as pydicom writes it."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, data_set)
    return stream.getvalue()


def _by_date(reports: Sequence[Dataset]) -> list[Dataset]:
    return sorted(reports, key=lambda report: (str(written_at(elements_of(report)) or ""), report.SOPInstanceUID))


def _tidied(report: Dataset, ours: Dataset) -> Dataset:
    """The report with our header: highdicom cannot take an untidy one."""
    tidied = deepcopy(report)
    for keyword in HEADER:
        if keyword in tidied:
            del tidied[keyword]
        if keyword in ours:
            tidied[keyword] = deepcopy(ours[keyword])
    tidied.PatientName = ""  # it warns of a name of one part, and quotes it
    return tidied


def _depart_from_highdicom(made: Dataset, ours: Dataset) -> None:
    """Where we write something else on purpose."""
    made.PatientName = ours.PatientName
    made.ContributingEquipmentSequence.pop()  # itself
    if not made.ContributingEquipmentSequence:
        del made.ContributingEquipmentSequence
    made.InstanceCreationDate, made.InstanceCreationTime = ours.InstanceCreationDate, ours.InstanceCreationTime
    observer = Dataset()
    observer.ObserverType = "DEV"
    observer.StationName = observer.InstitutionName = ""
    observer.DeviceUID = DEVICE_UID
    observer.Manufacturer = "dxatrend"
    observer.ManufacturerModelName = f"dxatrend {pipeline.__version__}"
    observer.InstitutionCodeSequence = []
    made.AuthorObserverSequence = [observer]
    for study in made.get("PredecessorDocumentsSequence", ()):
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                instance.PurposeOfReferenceCodeSequence = [_concept(codes.REPLACED_REPORT)]


def _densitometer(exam: Exam) -> list[ContributingEquipment]:
    scanner = exam.scanner
    return [
        ContributingEquipment(
            manufacturer=words(scanner.manufacturer),
            purpose_of_reference=_concept(codes.ACQUISITION_EQUIPMENT),
            manufacturer_model_name=words(scanner.model) or None,
            device_serial_number=words(scanner.serial_number) or None,
            software_versions=words(exam.software) or None,
            contribution_datetime=exam.performed_at.replace(microsecond=0),
        )
    ]


def _bare_content_item(item: Item) -> ContentItem:
    assert item.concept is not None, item.value_type
    name, relation = _concept(item.concept), item.relationship or None
    match item:
        case Item(value_type="CONTAINER"):
            return ContainerContentItem(name, False, TEMPLATES.get(item.concept), relation)
        case Item(value_type="CODE", code=Code() as code):
            return CodeContentItem(name, _concept(code), relation)
        case Item(value_type="NUM", value=number, unit=Code() as unit):
            num = NumContentItem(name, 0, _concept(unit), relationship_type=relation)
            num.MeasuredValueSequence[0].NumericValue = number
            return num
        case Item(value_type="DATE", value=day):
            return DateContentItem(name, day, relation)
        case Item(value_type="TEXT", value=text):
            return TextContentItem(name, text, relation)
        case Item(value_type="UIDREF", value=uid):
            uidref = UIDRefContentItem(name, DEVICE_UID, relation)
            _put_uid(uidref, "UID", uid)
            return uidref
    raise NotImplementedError(f"a content item of value type {item.value_type}")


def _put_uid(dataset: Dataset, keyword: str, uid: str) -> None:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    dataset.add(DataElement(tag, "UI", uid, validation_mode=config.IGNORE))


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, code.meaning)
