"""Which exam does a scanner's report describe?

When an exam was performed: Acquisition DateTime (0008,002A), else Acquisition Date and Time (0008,0022 and 0032), else
Study Date and Time (0008,0020 and 0030). Content Date is when the report was written, perhaps years after the scan,
and never counts. Without a time the exam stands at midnight; without a date the report is held.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time

from pydicom.dataset import Dataset

from pipeline.clinical.model import Exam, Patient, Scanner, Sex
from pipeline.sr.aliases import Alias, supply_serial_number
from pipeline.sr.codes import SCHEME
from pipeline.sr.dialect import Concept, Dialect, normal_manufacturer
from pipeline.sr.measurements import quoted, read_measurements
from pipeline.sr.reasons import Reason, UnreadableReport
from pipeline.sr.tree import Item, folded, header_text, read_tree
from pipeline.sr.uids import DEVICE_UID
from pipeline.sr.values import read_date, read_datetime, read_time

__all__ = ["Reason", "Report", "UnreadableReport", "extract"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one report says, by which dialect, and what in it was not read as it stands.

    ``remarks`` name regions and fields, never a patient's data.
    """

    exam: Exam
    dialect: str
    sop_class_uid: str
    sop_instance_uid: str
    remarks: tuple[str, ...]


def extract(report: Dataset, dialects: Sequence[Dialect], aliases: Sequence[Alias] = ()) -> Report:
    """Read a scanner's report in the first dialect that knows it; an alias may supply a missing serial number.

    Raises:
        UnreadableReport: with the reason why a person must look.
    """
    root = read_tree(report)
    sop_class_uid, sop_instance_uid = header_text(report, "SOPClassUID"), header_text(report, "SOPInstanceUID")
    if not (_UID.fullmatch(sop_class_uid) and _UID.fullmatch(sop_instance_uid)):
        raise UnreadableReport(Reason.NO_INSTANCE_UID)
    if _is_our_own(report, root):
        raise UnreadableReport(Reason.OWN_ADDENDUM)
    dialect = _choose(root, report, dialects)
    study_instance_uid = header_text(report, "StudyInstanceUID")
    if not _UID.fullmatch(study_instance_uid):
        raise UnreadableReport(Reason.NO_STUDY_UID)
    remarks: list[str] = []
    patient = _patient(report, remarks)
    performed_at = _performed_at(report, remarks)
    told = _scanner(report, root, dialect, dialects, remarks)
    scanner = supply_serial_number(told, report, performed_at.date(), aliases)
    if scanner.serial_number != told.serial_number:
        remarks.append("the serial number of the scanner is the configuration's word, not the report's")
    exam = Exam(
        study_instance_uid=study_instance_uid,
        patient=patient,
        scanner=scanner,
        performed_at=performed_at,
        measurements=read_measurements(root, dialect, remarks),
        software=_plain(report, "SoftwareVersions").replace("\\", ", "),
        accession_number=_plain(report, "AccessionNumber"),
        institution=_plain(report, "InstitutionName"),
    )
    return Report(
        exam=exam,
        dialect=str(dialect),
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        remarks=tuple(dict.fromkeys(remarks))[:_MOST_REMARKS],
    )


_MOST_REMARKS = 200
"""A report with more is broken throughout, and nobody reads on."""

_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*")


def _plain(report: Dataset, keyword: str) -> str:
    """A text of the header as a database and a terminal take it."""
    return _printable(header_text(report, keyword))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def _is_our_own(report: Dataset, root: Item) -> bool:
    """Whether we wrote it: by its header, by its device observer, or by our private codes in it."""
    if folded(header_text(report, "ManufacturerModelName")) == "dxatrend":
        return True
    return any(
        item.value == DEVICE_UID or (item.concept is not None and item.concept.scheme == SCHEME) for item in root.walk()
    )


def _choose(root: Item, report: Dataset, dialects: Sequence[Dialect]) -> Dialect:
    manufacturer = normal_manufacturer(_plain(report, "Manufacturer"), dialects)
    for dialect in dialects:
        if dialect.reads(root, manufacturer):
            return dialect
    raise UnreadableReport(Reason.UNKNOWN_DIALECT, f"its root is {quoted(root)}")


def _patient(report: Dataset, remarks: list[str]) -> Patient:
    patient_id = header_text(report, "PatientID").strip()
    if not patient_id or not patient_id.isprintable() or "\ufffd" in patient_id:  # half decoded is half an id
        raise UnreadableReport(Reason.NO_PATIENT_ID)
    birth_date = header_text(report, "PatientBirthDate").strip()
    if birth_date and read_date(birth_date) is None:
        remarks.append("Patient's Birth Date (0010,0030) is no date and was not used")
    sex = header_text(report, "PatientSex").strip().upper()
    if sex not in set(Sex):
        remarks.append("Patient's Sex (0010,0040) is none of F, M and O and was not used")
        sex = Sex.UNKNOWN
    return Patient(
        patient_id=patient_id,
        issuer=_plain(report, "IssuerOfPatientID"),
        birth_date=read_date(birth_date),
        sex=Sex(sex),
    )


def _performed_at(report: Dataset, remarks: list[str]) -> datetime:
    acquired = read_datetime(header_text(report, "AcquisitionDateTime"))
    if acquired is not None:
        return acquired
    for event in ("Acquisition", "Study"):
        day = read_date(header_text(report, f"{event}Date"))
        if day is not None:
            return datetime.combine(day, _time_of(report, event, remarks))
    raise UnreadableReport(Reason.NO_STUDY_DATE)


def _time_of(report: Dataset, event: str, remarks: list[str]) -> time:
    moment = read_time(header_text(report, f"{event}Time"))
    if moment is None:
        remarks.append(f"{event} Time is absent or no time; the exam stands at midnight")
    return moment or time()


def _scanner(report: Dataset, root: Item, dialect: Dialect, dialects: Sequence[Dialect], remarks: list[str]) -> Scanner:
    """Header first; but a device the content tree names with its serial number is the acquiring one.

    A report that another system wrote carries that system in its header, the same for every scanner it serves.
    """
    header = Scanner(
        normal_manufacturer(_plain(report, "Manufacturer"), dialects),
        _plain(report, "ManufacturerModelName"),
        _plain(report, "DeviceSerialNumber"),
    )
    if dialect.device is None:
        return header
    serials = _texts(root, dialect.device.serial_number)
    if not serials:
        return header
    if len(serials) > 1:
        remarks.append("the report names several devices with a serial number; which one scanned is not told")
        return replace(header, serial_number="")
    manufacturers, models = _texts(root, dialect.device.manufacturer), _texts(root, dialect.device.model)
    named = Scanner(
        normal_manufacturer(manufacturers[0], dialects) if manufacturers else header.manufacturer,
        models[0] if models else header.model,
        serials[0],
    )
    if header.serial_number and header != named:
        remarks.append("the header names another device than the one the report says has scanned")
    return named


def _texts(root: Item, concept: Concept) -> list[str]:
    """The different texts under one concept name anywhere in the report."""
    items = (item for item in root.walk() if item.value_type == "TEXT" and concept.matches(item.concept))
    return list(dict.fromkeys(text for item in items if (text := _printable(item.value))))
