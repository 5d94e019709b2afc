"""FHIR data types of what a result is made of: codings, quantities, references and identifiers."""

from decimal import Decimal

from pipeline.clinical.regions import Region
from pipeline.messages.fhir.json_text import Json
from pipeline.messages.quantities import Quantity, own_code, word_for
from pipeline.sr import codes
from pipeline.sr.dicom.content_item import Code
from pipeline.sr.dicom.uids import derived_uid

OWN_SYSTEM = f"urn:oid:{derived_uid('coding scheme', codes.SCHEME)}"
"""The URI of the private scheme 99DXATREND."""

SYSTEMS = {
    "LN": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    codes.SCHEME: OWN_SYSTEM,
}
"""The URI of each coding scheme."""

UCUM = "http://unitsofmeasure.org"
UID_SYSTEM = "urn:dicom:uid"

INTERPRETATIONS = {"GAIN": ("U", "Significant change up"), "LOSS": ("D", "Significant change down")}
"""Observation.interpretation beside a result of comparison (v3 ObservationInterpretation); no other code is true."""


def coding(code: Code) -> Json:
    """Return a code as a Coding."""
    return {"system": SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}


def concept(*found: Code, text: str = "") -> Json:
    """Return codes of one concept as a CodeableConcept."""
    return {"coding": [coding(code) for code in found], "text": text}


def concept_of(quantity: Quantity, region: Region, label: str) -> Json:
    """Return what a quantity of a region is: a standard code, if there is one, and ours, which names the region."""
    standard, own = quantity.code(region), own_code(quantity, region, label)
    found = (own,) if standard.scheme == codes.SCHEME else (standard, own)
    return concept(*found, text=own.meaning)


def coded_value(value: str) -> Json:
    """Return a code value of the private scheme as a CodeableConcept."""
    return concept(Code(value, codes.SCHEME, word_for(value, {})))


def quantity(number: str, unit: str) -> Json:
    """Return a number with the digits of the addendum, and its UCUM unit; without one it is a pure number."""
    return {"value": Decimal(number), "unit": unit or "1", "system": UCUM, "code": unit or "1"}


def interpretation(result: str) -> list[Json]:
    """Return the interpretation of a significant change; none otherwise."""
    if result not in INTERPRETATIONS:
        return []
    value, display = INTERPRETATIONS[result]
    system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    return [{"coding": [{"system": system, "code": value, "display": display}]}]


def day(text: str) -> str:
    """Return a DICOM date (PS3.5 6.2 DA) as a FHIR date; empty where there is none."""
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) >= 8 else ""


def study_reference(study_instance_uid: str) -> Json:
    """Return a reference to an imaging study by its UID: which resource that is, only the server knows."""
    if not study_instance_uid:
        return None
    return {"type": "ImagingStudy", "identifier": {"system": UID_SYSTEM, "value": f"urn:oid:{study_instance_uid}"}}
