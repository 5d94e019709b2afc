"""Phantoms of the department, and which of them a scan is of, by the patient id or name it came under."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pipeline.clinical.model import Measurement, Phantom, Scanner
from pipeline.sr.dialects.concepts import Concept


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPhantom:
    """A phantom of the department, and the patient ids and names under which it is scanned."""

    phantom: Phantom
    patient_ids: Concept
    patient_names: Concept

    def names_it(self, patient_id: str, patient_name: str) -> bool:
        """Whether a report with this Patient ID and Patient's Name is of this phantom, whatever the day."""
        return self.patient_ids.names_it(patient_id) or self.patient_names.names_it(patient_name.replace("^", " "))


def phantom_of(phantoms: Sequence[KnownPhantom], *, patient_id: str, patient_name: str, on: date) -> Phantom | None:
    """Return the one phantom that was scanned under this id and name on a day; ``None`` if there is none, or two."""
    found = [
        known.phantom
        for known in phantoms
        if known.phantom.since <= on <= known.phantom.until and known.names_it(patient_id, patient_name)
    ]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomScan:
    """One scan of a phantom: scanner, time, and the measurement of each region.

    ``patient_id`` and ``patient_name`` are what its report says there, by which the configuration tells phantoms apart.
    """

    scanner: Scanner
    patient_id: str
    patient_name: str
    station_name: str
    institution: str
    performed_at: datetime
    software: str
    measurements: tuple[Measurement, ...]
