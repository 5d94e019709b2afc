"""What is wanted of an archive: the instances of one patient that may be reports, or images with results."""

from dataclasses import dataclass

from pipeline.clinical.model import Patient
from pipeline.edge.dicom_net.sop_classes import IMAGE_STORAGE_CLASSES, SR_STORAGE_CLASSES

MODALITIES = ("SR", "BMD", "BD", "OT")
"""The modalities of series in which densitometers put reports and images with results."""

TAKEN = tuple(map(str, (*SR_STORAGE_CLASSES, *IMAGE_STORAGE_CLASSES)))
"""The SOP classes of what is retrieved."""


@dataclass(frozen=True, slots=True)
class ArchivedInstance:
    """The UIDs of an instance in an archive."""

    study: str
    series: str
    instance: str


def is_of(who: Patient, patient_id: str, issuer: str) -> bool:
    """Return whether an archive's Patient ID and issuer are those of the patient asked for."""
    return patient_id.strip() == who.patient_id and (not who.issuer or issuer.strip() in ("", who.issuer))
