"""How does an interpretation become a DICOM object that any archive takes?

highdicom makes every content item, and once what is the same in every addendum. Patient, study, identity and dates
are put in here from tidied reports: highdicom would refuse the untidy ones and write the patient's name into a log.

The same input gives the same bytes on any day and any machine. So no date is read from a clock: the addendum is dated
with the last report it rests on, and at the earliest one second after the addendum it supersedes, so that the newest
sorts last.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from functools import cache

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
    NumContentItem,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ComprehensiveSRStorage, ExplicitVRLittleEndian

import pipeline
from pipeline.clinical.model import Exam, Interpretation
from pipeline.sr import codes
from pipeline.sr.content import DEVICE, digest, document
from pipeline.sr.header import (
    Header,
    Reference,
    check_same_patient,
    dicom_date,
    reference,
    tidy_header,
    words,
    written_at,
)
from pipeline.sr.superseded import what_changed
from pipeline.sr.tree import Code, Item
from pipeline.sr.uids import DEVICE_UID, IMPLEMENTATION_CLASS_UID, derived_uid

FIRST_SERIES_NUMBER = 900
"""Above any number a densitometer uses in a study; each superseding addendum takes the next."""


def content_digest(interpretation: Interpretation, sources: Sequence[Dataset]) -> str:
    """A hexadecimal digest of what the addendum says and of the reports it rests on.

    Two interpretations with the same digest need no second addendum.

    Raises:
        UnusableEvidence: a source has no UIDs.
    """
    return digest(interpretation, (reference(source).sop_instance_uid for source in sources))


def author(
    interpretation: Interpretation,
    *,
    sources: Sequence[Dataset],
    priors: Sequence[Dataset] = (),
    predecessor: Dataset | None = None,
    preliminary: bool = True,
) -> Dataset:
    """The addendum: a Comprehensive SR after PS3.16 TID 1500, in a series of its own in the exam's study.

    ``sources`` are the reports of the exam, ``priors`` those of the exams it was compared with, ``predecessor`` the
    addendum that this one replaces. None of them is altered, and the order of the reports does not matter.

    Raises:
        UnusableEvidence: there is no source, a source belongs to another study, anything belongs to another patient,
            or lacks what an addendum cannot do without.
        UnreadableReport: the predecessor has no content tree.
    """
    exam = interpretation.exam
    older = () if predecessor is None else (predecessor,)
    check_same_patient((*sources, *priors, *older), exam.patient)
    reports = sorted(sources, key=_chronology)
    header = tidy_header(reports, exam.study_instance_uid)
    replaced = [reference(earlier) for earlier in older]
    identity = (
        exam.study_instance_uid,
        content_digest(interpretation, reports),
        *(earlier.sop_instance_uid for earlier in replaced),
    )

    addendum = deepcopy(_skeleton())
    _put_header(addendum, header)
    _put_identity(addendum, identity, version=1 + max(map(_version, older), default=0))
    _put_moment(addendum, _moment(reports, older) or exam.performed_at)
    addendum.PreliminaryFlag = "PRELIMINARY" if preliminary else "FINAL"
    addendum.ContributingEquipmentSequence.extend(_densitometer(exam))
    evidence = [reference(report) for report in (*reports, *sorted(priors, key=_chronology))]
    _put_evidence(addendum, evidence)
    if replaced:
        addendum.PredecessorDocumentsSequence = _references(replaced, purpose=codes.REPLACED_REPORT)
    note = "".join(what_changed(interpretation, earlier) for earlier in older)
    addendum.update(_content_item(document(interpretation, note=note)))
    addendum.file_meta = file_meta(addendum)
    return addendum


def encode(addendum: Dataset) -> bytes:
    """The data set alone, in Explicit VR Little Endian, as it travels and as the store keeps it."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, addendum)
    return stream.getvalue()


def encode_file(addendum: Dataset) -> bytes:
    """The addendum as a DICOM file (PS3.10 section 7)."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    stream.write(bytes(128) + b"DICM")
    write_file_meta_info(stream, file_meta(addendum))
    return stream.getvalue() + encode(addendum)


def file_meta(addendum: Dataset) -> FileMetaDataset:
    """The file meta information of an addendum in Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = addendum.SOPClassUID
    meta.MediaStorageSOPInstanceUID = addendum.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"DXATREND_{pipeline.__version__}"[:16]
    return meta


_REQUIRED_BY_HIGHDICOM = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
)


@cache
def _skeleton() -> Dataset:
    """What every addendum has in common; nothing in it is about a patient."""
    nobody = Dataset()
    nobody.SOPClassUID = ComprehensiveSRStorage
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(nobody, keyword, derived_uid("nobody"))
    for keyword in _REQUIRED_BY_HIGHDICOM:
        setattr(nobody, keyword, "")
    root = ContainerContentItem(_concept(codes.IMAGING_MEASUREMENT_REPORT))
    root.ContentSequence = ContentSequence()  # highdicom looks for evidence in it
    made = ComprehensiveSR(
        evidence=[nobody],
        content=root,
        series_instance_uid=nobody.SeriesInstanceUID,
        series_number=FIRST_SERIES_NUMBER,
        sop_instance_uid=nobody.SOPInstanceUID,
        instance_number=1,
        manufacturer=DEVICE,
        manufacturer_model_name=DEVICE,
        software_versions=pipeline.__version__,
        series_description="DXA follow-up",
        is_complete=True,
        performed_procedure_codes=[_concept(codes.DXA)],
        specific_character_set="ISO_IR 192",
        coding_schemes=[_private_scheme()],
    )
    skeleton = Dataset()
    skeleton.update({element.tag: element for element in made})
    for equipment in skeleton.ContributingEquipmentSequence:
        del equipment.ContributionDateTime
    skeleton.AuthorObserverSequence = [_author_observer()]
    return skeleton


def _private_scheme() -> CodingSchemeIdentificationItem:
    return CodingSchemeIdentificationItem(
        designator=codes.SCHEME, name="dxatrend serial bone densitometry", responsible_organization="dxatrend"
    )


def _author_observer() -> Dataset:
    """We are a device, and accountable to the radiologist who reads us (PS3.3 C.17.2)."""
    item = Dataset()
    item.ObserverType = "DEV"
    item.StationName = ""
    item.DeviceUID = DEVICE_UID
    item.Manufacturer = DEVICE
    item.ManufacturerModelName = f"{DEVICE} {pipeline.__version__}"
    item.InstitutionName = ""
    item.InstitutionCodeSequence = []
    return item


def _densitometer(exam: Exam) -> Iterable[Dataset]:
    """The scanner, where readers look for the machine that measured (PS3.3 C.12.1.1.5)."""
    scanner = exam.scanner
    if words(scanner.manufacturer):
        yield ContributingEquipment(
            manufacturer=words(scanner.manufacturer),
            purpose_of_reference=_concept(codes.ACQUISITION_EQUIPMENT),
            manufacturer_model_name=words(scanner.model) or None,
            device_serial_number=words(scanner.serial_number) or None,
            software_versions=words(exam.software) or None,
            contribution_datetime=exam.performed_at,
        )


def _put_header(addendum: Dataset, header: Header) -> None:
    addendum.PatientName = header.patient_name
    addendum.PatientID = header.patient_id
    if header.issuer:
        addendum.IssuerOfPatientID = header.issuer
    addendum.PatientBirthDate = header.birth_date
    addendum.PatientSex = header.sex
    _put_uid(addendum, "StudyInstanceUID", header.study_instance_uid)
    addendum.StudyDate = header.study_date
    addendum.StudyTime = header.study_time
    addendum.StudyID = header.study_id
    addendum.AccessionNumber = header.accession_number
    addendum.ReferringPhysicianName = header.referring_physician
    if header.study_description:
        addendum.StudyDescription = header.study_description


def _put_identity(addendum: Dataset, identity: tuple[str, ...], version: int) -> None:
    addendum.SOPInstanceUID = derived_uid("instance", *identity)
    addendum.SeriesInstanceUID = derived_uid("series", *identity)
    addendum.SeriesNumber = FIRST_SERIES_NUMBER + version - 1
    addendum.InstanceNumber = version


def _version(addendum: Dataset) -> int:
    """Which of an exam's addenda this is, counted from one."""
    return int(addendum.InstanceNumber)


def _put_moment(addendum: Dataset, moment: datetime) -> None:
    for kind in ("Content", "Series", "InstanceCreation"):
        setattr(addendum, f"{kind}Date", dicom_date(moment.date()))
        setattr(addendum, f"{kind}Time", f"{moment:%H%M%S}")


def _moment(reports: Iterable[Dataset], older: Iterable[Dataset]) -> datetime | None:
    """When the last report was written, or just after the addendum that is replaced."""
    moments = [moment for report in reports if (moment := written_at(report))]
    moments += [moment + timedelta(seconds=1) for addendum in older if (moment := written_at(addendum))]
    return max(moments, default=None)


def _chronology(report: Dataset) -> tuple[str, str]:
    return str(written_at(report) or ""), reference(report).sop_instance_uid


def _put_evidence(addendum: Dataset, evidence: Sequence[Reference]) -> None:
    """What was made for the current study, and what an earlier one was for (PS3.3 C.17.2)."""
    current = [instance for instance in evidence if instance.study_instance_uid == addendum.StudyInstanceUID]
    other = [instance for instance in evidence if instance.study_instance_uid != addendum.StudyInstanceUID]
    addendum.CurrentRequestedProcedureEvidenceSequence = _references(current)
    if other:
        addendum.PertinentOtherEvidenceSequence = _references(other)


def _references(instances: Iterable[Reference], purpose: Code | None = None) -> list[Dataset]:
    """Items of the Hierarchical SOP Instance Reference Macro (PS3.3 table C.17-3), each instance once."""
    studies: dict[str, dict[str, dict[str, Dataset]]] = {}
    for instance in instances:
        item = Dataset()
        _put_uid(item, "ReferencedSOPClassUID", instance.sop_class_uid)
        _put_uid(item, "ReferencedSOPInstanceUID", instance.sop_instance_uid)
        if purpose:
            item.PurposeOfReferenceCodeSequence = [_concept(purpose)]
        series = studies.setdefault(instance.study_instance_uid, {})
        series.setdefault(instance.series_instance_uid, {})[instance.sop_instance_uid] = item
    return [_study_item(study, series) for study, series in studies.items()]


def _study_item(study: str, series: dict[str, dict[str, Dataset]]) -> Dataset:
    item = Dataset()
    _put_uid(item, "StudyInstanceUID", study)
    item.ReferencedSeriesSequence = []
    for uid, instances in series.items():
        series_item = Dataset()
        _put_uid(series_item, "SeriesInstanceUID", uid)
        series_item.ReferencedSOPSequence = list(instances.values())
        item.ReferencedSeriesSequence.append(series_item)
    return item


def _put_uid(dataset: Dataset, keyword: str, uid: str) -> None:
    """Refer to others by the UID they have, even where it breaks a rule such as leading zeros."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    dataset.add(DataElement(tag, "UI", uid, validation_mode=config.IGNORE))


_TEMPLATES = {codes.IMAGING_MEASUREMENT_REPORT: "1500", codes.MEASUREMENT_GROUP: "1501"}


def _content_item(item: Item) -> ContentItem:
    made = _bare_content_item(item)
    if item.children:
        made.ContentSequence = ContentSequence([_content_item(child) for child in item.children])
    return made


def _bare_content_item(item: Item) -> ContentItem:
    assert item.concept is not None, item.value_type  # only by-reference items have none, and we write no such
    name, relation = _concept(item.concept), item.relationship or None
    match item:
        case Item(value_type="CONTAINER"):
            return ContainerContentItem(name, False, _TEMPLATES.get(item.concept), relation)
        case Item(value_type="CODE", code=Code() as code):
            return CodeContentItem(name, _concept(code), relation)
        case Item(value_type="NUM", value=number, unit=Code() as unit):
            num = NumContentItem(name, 0, _concept(unit), relationship_type=relation)
            num.MeasuredValueSequence[0].NumericValue = number  # highdicom knows floats only, and rounds them
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


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, code.meaning)
