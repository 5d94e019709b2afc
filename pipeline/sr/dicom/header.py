"""Read the patient and study attributes of reports, and tidy them for the header of the addendum.

Scanners leave out required attributes, exceed lengths, and misspell dates and sexes. What DICOM cannot hold is left
empty in the addendum's header; the reports stay as they are. What would join the wrong records is refused.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time

from pipeline.clinical.model import Patient
from pipeline.errors import DxatrendError
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements, elements, inflate, transfer_syntax
from pipeline.sr.dicom.text import printable
from pipeline.sr.dicom.values import read_date, read_time


class UnusableEvidenceError(DxatrendError, ValueError):
    """Reports that no addendum can refer to; the text names the DICOM fields, never their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The UIDs of one instance, as the sequences of evidence and of predecessors need them."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The patient and study attributes of the addendum, fit to be written; empty where nothing usable was sent."""

    patient_name: str
    patient_id: str
    issuer: str
    birth_date: str
    sex: str
    study_instance_uid: str
    study_date: str
    study_time: str
    study_id: str
    accession_number: str
    referring_physician: str
    study_description: str


def read_header(data_set: bytes, transfer_syntax_uid: str) -> Elements:
    """Read the attributes up to Study ID (0020,0010); what follows is not looked at.

    Raises:
        UnreadableReportError: the bytes are no data set in this transfer syntax, or end within these attributes.
    """
    syntax = transfer_syntax(transfer_syntax_uid)
    data = inflate(data_set) if syntax.deflated else data_set
    header: Elements = {}
    for element in elements(data, implicit=syntax.implicit, little_endian=syntax.little_endian):
        if element.tag > _STUDY_ID:
            break
        header[element.tag] = element.value
    return header


def tidy_header(reports: Sequence[Elements], study_instance_uid: str) -> Header:
    """Return the header that these reports of one study share, each attribute from the first report that has it.

    Raises:
        UnusableEvidenceError: there is no report, one belongs to another study, or the patient id cannot be written.
    """
    if not reports:
        raise UnusableEvidenceError("an addendum needs the report it adds to")
    if any(reference(report).study_instance_uid != study_instance_uid for report in reports):
        raise UnusableEvidenceError("StudyInstanceUID (0020,000D) of a source is not the exam's")
    return Header(
        patient_name=_first(reports, "PatientName", _name),
        patient_id=_patient_id(reports[0]),
        issuer=_first(reports, "IssuerOfPatientID", words),
        birth_date=_first(reports, "PatientBirthDate", _date),
        sex=_first(reports, "PatientSex", _sex),
        study_instance_uid=study_instance_uid,
        study_date=_first(reports, "StudyDate", _date),
        study_time=_first(reports, "StudyTime", _time),
        study_id=_first(reports, "StudyID", _short),
        accession_number=_first(reports, "AccessionNumber", _short),
        referring_physician=_first(reports, "ReferringPhysicianName", _name),
        study_description=_first(reports, "StudyDescription", words),
    )


def corrections(now: Header, before: Header) -> tuple[str, ...]:
    """Return the names of the attributes that differ from an earlier header; one that is now empty corrects nothing."""
    pairs = ((field.name, getattr(now, field.name), getattr(before, field.name)) for field in fields(Header))
    return tuple(name.replace("_", " ") for name, value, earlier in pairs if value and value != earlier)


def reference(instance: Elements) -> Reference:
    """Return the reference to an instance.

    Raises:
        UnusableEvidenceError: one of its four UIDs is missing or is none.
    """
    return Reference(
        sop_class_uid=_uid(instance, "SOPClassUID"),
        sop_instance_uid=_uid(instance, "SOPInstanceUID"),
        study_instance_uid=_uid(instance, "StudyInstanceUID"),
        series_instance_uid=_uid(instance, "SeriesInstanceUID"),
    )


def written_at(report: Elements) -> datetime | None:
    """Return Content Date and Time, when the report was written, in the scanner's local time."""
    day = read_date(_text(report, "ContentDate"))
    return datetime.combine(day, read_time(_text(report, "ContentTime")) or time()) if day else None


def check_same_patient(instances: Iterable[Elements], patient: Patient) -> None:
    """Check that every instance is this patient's: id and issuer agree, and birth date where known (R2.19).

    Raises:
        UnusableEvidenceError: one is not.
    """
    for instance in instances:
        found = Patient(
            patient_id=_patient_id(instance),
            issuer=printable(header_text(instance, "IssuerOfPatientID")),
            birth_date=read_date(_text(instance, "PatientBirthDate")),
        )
        if contradictions := patient.differing_fields(found):
            raise UnusableEvidenceError(f"evidence of another patient: {', '.join(contradictions)} differ")


def words(text: str) -> str:
    """Cut a text to what fits into a Long String (PS3.5 6.2 LO)."""
    return _CONTROLS.sub("", text).replace("\\", " ").strip()[:64].strip()


def dicom_date(day: date) -> str:
    """Format a date as eight digits (PS3.5 6.2 DA)."""
    return day.isoformat().replace("-", "")


_STUDY_ID = 0x00200010

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UID = re.compile(r"[0-9.]{1,64}")


def _text(instance: Elements, keyword: str) -> str:
    return _CONTROLS.sub("", header_text(instance, keyword)).strip()


def _first(reports: Sequence[Elements], keyword: str, tidy: Callable[[str], str]) -> str:
    return next((text for report in reports if (text := tidy(_text(report, keyword)))), "")


def _patient_id(report: Elements) -> str:
    """Return the patient id as it was sent: cut or emptied, it would name someone else or no one."""
    text = _text(report, "PatientID")
    if not text or len(text) > 64 or "\\" in text:
        raise UnusableEvidenceError("PatientID (0010,0020) is missing, longer than 64 characters, or more than one")
    return text


def _uid(instance: Elements, keyword: str) -> str:
    text = _text(instance, keyword)
    if not _UID.fullmatch(text):
        raise UnusableEvidenceError(f"{keyword} is missing or no UID")
    return text


def _name(text: str) -> str:
    """Cut a person name to three groups of 64 characters, each of up to five components (PS3.5 6.2)."""
    groups = text.replace("\\", " ").split("=")[:3]
    name = "=".join("^".join(group.split("^")[:5])[:64].strip() for group in groups).rstrip("=")
    return name if name.strip("^=") else ""


def _short(text: str) -> str:
    """Return a key of up to 16 characters; empty for a longer one, as half a key finds the wrong record."""
    return text if len(text) <= 16 and "\\" not in text else ""


def _sex(text: str) -> str:
    letter = text.upper()
    return letter if letter in ("F", "M", "O") else ""


def _date(text: str) -> str:
    day = read_date(text)
    return dicom_date(day) if day else ""


def _time(text: str) -> str:
    return text.replace(":", "") if read_time(text) else ""
