"""Attributes of the DICOM modules that addenda and their renderings share: patient, study, dates, scanner."""

from datetime import datetime

from pipeline.clinical.model import Exam
from pipeline.sr import codes
from pipeline.sr.dicom.header import Header, dicom_date, words
from pipeline.sr.dicom.writer import Attributes, coded


def patient_and_study(header: Header) -> Attributes:
    """Return the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1); unknown Type 2 attributes are empty."""
    attributes = {
        "PatientName": header.patient_name,
        "PatientID": header.patient_id,
        "PatientBirthDate": header.birth_date,
        "PatientSex": header.sex,
        "StudyInstanceUID": header.study_instance_uid,
        "StudyDate": header.study_date,
        "StudyTime": header.study_time,
        "StudyID": header.study_id,
        "AccessionNumber": header.accession_number,
        "ReferringPhysicianName": header.referring_physician,
    }
    optional = {"IssuerOfPatientID": header.issuer, "StudyDescription": header.study_description}
    return attributes | {keyword: value for keyword, value in optional.items() if value}


def dates(moment: datetime) -> Attributes:
    """Return one moment as the dates and times of content, series and instance creation."""
    day, time = dicom_date(moment.date()), f"{moment:%H%M%S}"
    kinds = ("Content", "Series", "InstanceCreation")
    return {f"{kind}Date": day for kind in kinds} | {f"{kind}Time": time for kind in kinds}


def contributing_equipment(exam: Exam) -> Attributes:
    """Return the scanner of an exam as contributing equipment (PS3.3 C.12.1.1.5)."""
    scanner = exam.scanner
    identity = {
        "Manufacturer": words(scanner.manufacturer),
        "ManufacturerModelName": words(scanner.model),
        "DeviceSerialNumber": words(scanner.serial_number),
        "SoftwareVersions": words(exam.software),
    }
    if not identity["Manufacturer"]:  # Type 1 in this sequence
        return {}
    item: Attributes = {
        **{keyword: value for keyword, value in identity.items() if value},
        "ContributionDateTime": f"{dicom_date(exam.performed_on)}{exam.performed_at:%H%M%S}",
        "PurposeOfReferenceCodeSequence": [coded(codes.ACQUISITION_EQUIPMENT)],
    }
    return {"ContributingEquipmentSequence": [item]}
