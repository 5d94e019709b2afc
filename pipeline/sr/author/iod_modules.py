"""Which attributes does everything that we author have, whatever it is? Patient, study, dates and densitometer."""

from datetime import datetime

from pipeline.clinical.model import Exam
from pipeline.sr import codes
from pipeline.sr.dicom.header import Header, dicom_date, words
from pipeline.sr.dicom.writer import Attributes, coded


def patient_and_study(header: Header) -> Attributes:
    """The Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1): empty where nothing is known, if they may be."""
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
    """When it was made: nothing that we author takes longer than a moment."""
    day, time = dicom_date(moment.date()), f"{moment:%H%M%S}"
    kinds = ("Content", "Series", "InstanceCreation")
    return {f"{kind}Date": day for kind in kinds} | {f"{kind}Time": time for kind in kinds}


def contributing_equipment(exam: Exam) -> Attributes:
    """The scanner, where readers look for the machine that measured (PS3.3 C.12.1.1.5)."""
    scanner = exam.scanner
    told = {
        "Manufacturer": words(scanner.manufacturer),
        "ManufacturerModelName": words(scanner.model),
        "DeviceSerialNumber": words(scanner.serial_number),
        "SoftwareVersions": words(exam.software),
    }
    if not told["Manufacturer"]:  # it may not be empty
        return {}
    item: Attributes = {
        **{keyword: value for keyword, value in told.items() if value},
        "ContributionDateTime": f"{dicom_date(exam.performed_on)}{exam.performed_at:%H%M%S}",
        "PurposeOfReferenceCodeSequence": [coded(codes.ACQUISITION_EQUIPMENT)],
    }
    return {"ContributingEquipmentSequence": [item]}
