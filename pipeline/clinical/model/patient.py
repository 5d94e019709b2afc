"""Patient identity: id, issuer, birth date and sex, as a report states them."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Sex(StrEnum):
    """Patient's Sex (0010,0040); ``UNKNOWN`` where the report states none."""

    FEMALE = "F"
    MALE = "M"
    OTHER = "O"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The patient who was scanned. Two exams belong to one patient when id and issuer agree (R2.19).

    Ids are trimmed here; the store keeps the bytes as they were sent.
    """

    patient_id: str
    issuer: str = ""
    birth_date: date | None = None
    sex: Sex = Sex.UNKNOWN

    def differing_fields(self, other: "Patient") -> tuple[str, ...]:
        """Return the DICOM keywords of the fields in which both differ; empty if they may be one person."""
        pairs = {
            "PatientID": (self.patient_id, other.patient_id),
            "IssuerOfPatientID": (self.issuer, other.issuer),
            "PatientBirthDate": (self.birth_date, other.birth_date),
            "PatientSex": (self.sex, other.sex),
        }
        return tuple(name for name, (own, others) in pairs.items() if own and others and own != others)
