"""Write the result of an exam as a FHIR R4 transaction: a DiagnosticReport, its Observations and the Device.

Every resource is put under an id that derives from what it is about, so that sending a result again, or its correction,
replaces what was there. Nobody has interpreted it: the report is preliminary and names no interpreter.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pipeline.messages.exam_result import ExamResult, short_id
from pipeline.messages.fhir.datatypes import UID_SYSTEM, coded_value, concept, day, study_reference
from pipeline.messages.fhir.json_text import Json, to_json
from pipeline.messages.fhir.observations import observations
from pipeline.sr import codes
from pipeline.sr.dicom.content_item import Code

RADIOLOGY = (
    {"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD", "display": "Radiology"},
    {"system": "http://loinc.org", "code": "LP29684-5", "display": "Radiology"},
)
DENSITOMETER = Code("BMD", "DCM", "Bone Mineral Densitometry")
ACCESSION = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN", "display": "Accession ID"}

VALUES = ("valueQuantity", "valueCodeableConcept", "component", "interpretation", "derivedFrom", "note")
"""What an observation entered in error has no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Systems:
    """The URIs under which the receiver knows patient ids and accession numbers; empty where it told none."""

    patient: str = ""
    accession: str = ""


def write_bundle(
    result: ExamResult,
    *,
    systems: Systems = Systems(),
    earlier: Sequence[ExamResult] = (),
    pdf: bytes | None = None,
) -> tuple[bytes, int]:
    """Return the transaction of a result as JSON, and how many entries it has.

    Args:
        result: What the addendum states.
        systems: The receiver's identifier systems.
        earlier: The earlier versions; their observations that are no more are marked as entered in error.
        pdf: The addendum's pages, for ``presentedForm``.
    """
    device = _device(result)
    shared = _shared(result, systems, device)
    found = list(observations(result, shared))
    if result.withdrawn:
        found = [_in_error(one) for one in found]
    known = {one["id"] for one in found}
    gone = {
        str(one["id"]): _in_error(one)
        for version in earlier
        for one in observations(version, _shared(version, systems, _device(version)))
        if one["id"] not in known
    }
    report = _report(result, systems, [one for one in found if not result.withdrawn], device, pdf)
    resources = [*([device] if device else []), *found, *gone.values(), report]
    bundle: Json = {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(one) for one in resources]}
    return to_json(bundle).encode("utf-8"), len(resources)


def _entry(resource: Mapping[str, Json]) -> Json:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def _shared(result: ExamResult, systems: Systems, device: Mapping[str, Json] | None) -> dict[str, Json]:
    """Return the elements that every observation of a result has."""
    return {
        "status": "preliminary" if result.preliminary else "amended" if result.supersedes else "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "imaging",
                        "display": "Imaging",
                    }
                ]
            }
        ],
        "subject": _subject(result, systems),
        "effectiveDateTime": day(result.performed_at),
        "issued": result.authored_at.isoformat(timespec="seconds"),
        "method": concept(codes.DXA),
        "device": {"reference": f"Device/{device['id']}"} if device else None,
    }


def _subject(result: ExamResult, systems: Systems) -> Json:
    header = result.header
    identifier: Json = {
        "system": systems.patient,
        "value": header.patient_id,
        "assigner": {"display": header.issuer},
    }
    name = next((group for group in header.patient_name.split("=") if group.strip("^ ")), "")
    return {"type": "Patient", "identifier": identifier, "display": " ".join(name.replace("^", " ").split())}


def _device(result: ExamResult) -> dict[str, Json] | None:
    """Return the scanner; one without a serial number is this exam's alone, as it might be any of its model."""
    scanner = result.equipment
    if not scanner.manufacturer:
        return None
    whose = "" if scanner.serial_number else result.order
    return {
        "resourceType": "Device",
        "id": short_id("device", scanner.manufacturer, scanner.model, scanner.serial_number, whose),
        "manufacturer": scanner.manufacturer,
        "serialNumber": scanner.serial_number,
        "deviceName": [{"name": scanner.model, "type": "model-name"}] if scanner.model else [],
        "type": concept(DENSITOMETER),
    }


def _report(
    result: ExamResult,
    systems: Systems,
    found: Iterable[Mapping[str, Json]],
    device: Mapping[str, Json] | None,
    pdf: bytes | None,
) -> dict[str, Json]:
    header = result.header
    sentences = (*result.sections.get("status", ()), *result.sections.get("impression", ())) or result.sentences
    accession: Json = {"type": {"coding": [ACCESSION]}, "system": systems.accession, "value": header.accession_number}
    shared = _shared(result, systems, device)
    return {
        "resourceType": "DiagnosticReport",
        "id": short_id("report", result.order),
        "text": {"status": "generated", "div": _narrative(result)},
        "identifier": [{"system": UID_SYSTEM, "value": f"urn:oid:{result.sop_instance_uid}"}],
        "basedOn": [{"type": "ServiceRequest", "identifier": accession}] if header.accession_number else [],
        "status": _status(result),
        "category": [{"coding": [one]} for one in RADIOLOGY],
        "code": concept(codes.DXA_STUDY_REPORT),
        "subject": shared["subject"],
        "effectiveDateTime": shared["effectiveDateTime"],
        "issued": shared["issued"],
        "result": [{"reference": f"Observation/{one['id']}"} for one in found],
        "imagingStudy": [study_reference(header.study_instance_uid)],
        "conclusion": "\n".join(sentences),
        "conclusionCode": [coded_value(value) for value in _conclusions(result)],
        "presentedForm": [_pages(result, pdf)] if pdf else [],
    }


def _status(result: ExamResult) -> str:
    """Return the status of the report (FHIR R4 DiagnosticReportStatus): it is preliminary until somebody signs it."""
    if result.withdrawn:
        return "entered-in-error"
    if result.preliminary:
        return "preliminary"
    return "corrected" if result.supersedes else "final"


def _conclusions(result: ExamResult) -> list[str]:
    return [value for value in (result.overall, result.first("CATEGORY")) if value]


def _narrative(result: ExamResult) -> str:
    notes = (result.note,) if result.note else ()
    paragraphs = "".join(f"<p>{escape(text, quote=False)}</p>" for text in (*notes, *result.sentences))
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs or "<p>DXA follow-up</p>"}</div>'


def _pages(result: ExamResult, pdf: bytes) -> Json:
    return {
        "contentType": "application/pdf",
        "language": "en",
        "data": base64.b64encode(pdf).decode("ascii"),
        "size": len(pdf),
        "hash": base64.b64encode(hashlib.sha1(pdf, usedforsecurity=False).digest()).decode("ascii"),  # FHIR says SHA-1
        "title": "DXA follow-up",
        "creation": result.authored_at.isoformat(timespec="seconds"),
    }


def _in_error(observation: Mapping[str, Json]) -> dict[str, Json]:
    """Return an observation that is no more: it keeps its id, and says nothing."""
    kept = {name: value for name, value in observation.items() if name not in VALUES}
    return {**kept, "status": "entered-in-error"}
