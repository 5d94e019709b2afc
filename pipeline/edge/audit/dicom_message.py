"""How does one entry of the audit trail read as a DICOM audit message? (PS3.15 A.5)

Entries of ours that the standard has no message for are not sent: they stand in the trail alone.
"""

import base64
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from pipeline import __version__
from pipeline.edge.ip_address import is_ip_address
from pipeline.edge.store.audit_trail import Entry, Event


class Code(NamedTuple):
    """A code of PS3.16, or of RFC 3881."""

    value: str
    meaning: str
    scheme: str = "DCM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an entry is about, as the messages ask for it; empty where nobody knows."""

    patient_id: str = ""
    study_instance_uid: str = ""
    accession_number: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who we are: our AE title, and the machine we run on."""

    ae_title: str
    host: str


class _Kind(NamedTuple):
    """Event ID, its type, and what was done: C, R, U, D or E."""

    event: Code
    action: str
    type: Code | None = None


_ACTIVITY = Code("110100", "Application Activity")
_INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
_INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
_QUERY = Code("110112", "Query")
_PATIENT_RECORD = Code("110110", "Patient Record")

_KINDS = {
    Event.RECEIVED: _Kind(_INSTANCES_TRANSFERRED, "C"),
    Event.DELIVERED: _Kind(_INSTANCES_TRANSFERRED, "R"),
    Event.COMPARED: _Kind(_INSTANCES_ACCESSED, "R"),
    Event.AUTHORED: _Kind(_INSTANCES_ACCESSED, "C"),
    Event.QUERIED: _Kind(_QUERY, "E"),
    Event.CONTEXT_LOADED: _Kind(_PATIENT_RECORD, "U"),
    Event.MERGED: _Kind(_PATIENT_RECORD, "U"),
    Event.WITHDRAWN: _Kind(_INSTANCES_ACCESSED, "U"),
    Event.REFUSED_CALLER: _Kind(Code("110113", "Security Alert"), "E", Code("110126", "Node Authentication")),
    Event.EXPORTED: _Kind(Code("110101", "Audit Log Used"), "R"),
    Event.STARTED: _Kind(_ACTIVITY, "E", Code("110120", "Application Start")),
    Event.STOPPED: _Kind(_ACTIVITY, "E", Code("110121", "Application Stop")),
}

_APPLICATION = Code("110150", "Application")
_LAUNCHER = Code("110151", "Application Launcher")
_DESTINATION = Code("110152", "Destination Role ID")
_SOURCE = Code("110153", "Source Role ID")

_SOP_CLASS_UID = Code("110181", "SOP Class UID")
_STUDY_INSTANCE_UID = Code("110180", "Study Instance UID")
_NODE_ID = Code("110182", "Node ID")
_SERVER_PROCESS = Code("4", "Application Server Process or Thread", "RFC-3881")
_PATIENT_NUMBER = Code("2", "Patient Number", "RFC-3881")
_URI = Code("12", "URI", "RFC-3881")

_MACHINE_NAME, _IP_ADDRESS = "1", "2"
_PERSON, _SYSTEM = "1", "2"
_PATIENT, _REPORT, _SECURITY_RESOURCE = "1", "3", "13"


def has_message(event: Event) -> bool:
    """Whether the standard has a message for it."""
    return event in _KINDS


def message(entry: Entry, subject: Subject, source: Source) -> bytes:
    """The message in UTF-8."""
    kind = _KINDS[entry.event]
    root = Element("AuditMessage")
    event = SubElement(
        root,
        "EventIdentification",
        EventActionCode=kind.action,
        EventDateTime=entry.at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(entry.outcome.value),
    )
    _code(event, "EventID", kind.event)
    if kind.type:
        _code(event, "EventTypeCode", kind.type)
    _participants(root, entry, source)
    identification = SubElement(root, "AuditSourceIdentification", AuditSourceID=source.ae_title)
    _code(identification, "AuditSourceTypeCode", _SERVER_PROCESS)
    _objects(root, entry, kind, subject)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _participants(root: Element, entry: Entry, source: Source) -> None:
    def ours(role: Code, *, asked: bool) -> None:
        _participant(root, source.ae_title, source.host, role, asked=asked)

    def theirs(role: Code | None, *, asked: bool) -> None:
        _participant(root, entry.actor, entry.host, role, asked=asked)

    match entry.event:
        case Event.RECEIVED:
            theirs(_SOURCE, asked=True)
            ours(_DESTINATION, asked=False)
        case Event.DELIVERED | Event.QUERIED:
            ours(_SOURCE, asked=True)
            theirs(_DESTINATION, asked=False)
        case Event.STARTED | Event.STOPPED:
            ours(_APPLICATION, asked=False)
            theirs(_LAUNCHER, asked=True)
        case Event.REFUSED_CALLER:
            ours(_APPLICATION, asked=False)
            theirs(None, asked=True)
        case Event.COMPARED | Event.AUTHORED:
            ours(_APPLICATION, asked=True)
        case _:
            theirs(None, asked=True)


def _objects(root: Element, entry: Entry, kind: _Kind, subject: Subject) -> None:
    match kind.event:
        case code if code in (_INSTANCES_TRANSFERRED, _INSTANCES_ACCESSED):
            _study(root, subject)
            _patient(root, subject)
        case code if code == _PATIENT_RECORD:
            _patient(root, subject)
        case code if code == _QUERY:
            _query(root, entry)
        case _ if entry.event is Event.REFUSED_CALLER:
            alert = _object(root, entry.host or entry.actor, _SYSTEM, _SECURITY_RESOURCE, _NODE_ID, entry.actor)
            told = f"{entry.detail.get('reason', '')} ({entry.detail.get('times', 1)} times)"
            value = base64.b64encode(told.encode()).decode()
            SubElement(alert, "ParticipantObjectDetail", type="Alert Description", value=value)
        case _ if entry.event is Event.EXPORTED:
            _object(root, "dxatrend:audit", _SYSTEM, _SECURITY_RESOURCE, _URI, "Security Audit Log")


def _study(root: Element, subject: Subject) -> None:
    study = _object(root, subject.study_instance_uid, _SYSTEM, _REPORT, _STUDY_INSTANCE_UID, "")
    if subject.accession_number:
        SubElement(study, "Accession", Number=_clean(subject.accession_number))
    if subject.sop_class_uid:
        instances = SubElement(study, "SOPClass", UID=subject.sop_class_uid, NumberOfInstances="1")
        SubElement(instances, "Instance", UID=subject.sop_instance_uid)


def _query(root: Element, entry: Entry) -> None:
    asked = _object(root, str(entry.detail.get("sop_class_uid", "")), _SYSTEM, _REPORT, _SOP_CLASS_UID, None)
    SubElement(asked, "ParticipantObjectQuery").text = str(entry.detail.get("query", ""))
    syntax = base64.b64encode(str(entry.detail.get("transfer_syntax_uid", "")).encode()).decode()
    SubElement(asked, "ParticipantObjectDetail", type="TransferSyntax", value=syntax)


def _patient(root: Element, subject: Subject) -> None:
    _object(root, subject.patient_id, _PERSON, _PATIENT, _PATIENT_NUMBER, "")


def _object(root: Element, identifier: str, kind: str, role: str, id_type: Code, name: str | None) -> Element:
    made = SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_clean(identifier) or "unknown",
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _code(made, "ParticipantObjectIDTypeCode", id_type)
    if name is not None:
        SubElement(made, "ParticipantObjectName").text = _clean(name)  # never a patient's
    return made


def _participant(root: Element, who: str, host: str, role: Code | None, *, asked: bool) -> None:
    made = SubElement(root, "ActiveParticipant", UserID=_clean(who) or "unknown", UserIsRequestor=str(asked).lower())
    if role == _APPLICATION:
        made.set("AlternativeUserID", f"dxatrend {__version__}")
    if host:
        made.set("NetworkAccessPointID", _clean(host))
        made.set("NetworkAccessPointTypeCode", _IP_ADDRESS if is_ip_address(host) else _MACHINE_NAME)
    if role:
        _code(made, "RoleIDCode", role)


def _code(parent: Element, name: str, code: Code) -> None:
    SubElement(parent, name, {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning})


def _clean(text: str) -> str:
    """What a caller named itself may hold characters that XML has no way to write."""
    return "".join(character if character.isprintable() else "?" for character in text)
