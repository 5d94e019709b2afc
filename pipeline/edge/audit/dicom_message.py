"""Render an entry of the audit trail as a DICOM audit message in XML (PS3.15 A.5).

Entries for which the standard has no message are not sent: they stay in the audit trail alone.
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
    """What an entry is about, in the fields of the messages; empty where it is unknown."""

    patient_id: str = ""
    study_instance_uid: str = ""
    accession_number: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The sender of audit messages: our AE title, and the name of the machine we run on."""

    ae_title: str
    host: str


class _Kind(NamedTuple):
    """Event ID, Event Action Code (C, R, U, D or E) and Event Type Code."""

    event: Code
    action: str
    type: Code | None = None


_ACTIVITY = Code("110100", "Application Activity")
_INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
_INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
_QUERY = Code("110112", "Query")
_PATIENT_RECORD = Code("110110", "Patient Record")
_SECURITY_ALERT = Code("110113", "Security Alert")
_USER_AUTHENTICATION = Code("110114", "User Authentication")

_KINDS = {
    Event.RECEIVED: _Kind(_INSTANCES_TRANSFERRED, "C"),
    Event.DELIVERED: _Kind(_INSTANCES_TRANSFERRED, "R"),
    Event.COMPARED: _Kind(_INSTANCES_ACCESSED, "R"),
    Event.AUTHORED: _Kind(_INSTANCES_ACCESSED, "C"),
    Event.QUERIED: _Kind(_QUERY, "E"),
    Event.CONTEXT_LOADED: _Kind(_PATIENT_RECORD, "U"),
    Event.MERGED: _Kind(_PATIENT_RECORD, "U"),
    Event.WITHDRAWN: _Kind(_INSTANCES_ACCESSED, "U"),
    Event.VIEWED: _Kind(_PATIENT_RECORD, "R"),
    Event.PATIENT_EXPORTED: _Kind(_PATIENT_RECORD, "R"),
    Event.ANONYMISED: _Kind(_INSTANCES_ACCESSED, "R"),
    Event.ERASED: _Kind(_PATIENT_RECORD, "D"),
    Event.REFUSED_CALLER: _Kind(_SECURITY_ALERT, "E", Code("110126", "Node Authentication")),
    Event.LOGGED_IN: _Kind(_USER_AUTHENTICATION, "E", Code("110122", "Login")),
    Event.LOG_IN_REFUSED: _Kind(_USER_AUTHENTICATION, "E", Code("110122", "Login")),
    Event.LOGGED_OUT: _Kind(_USER_AUTHENTICATION, "E", Code("110123", "Logout")),
    Event.ACCOUNT_CHANGED: _Kind(_SECURITY_ALERT, "E", Code("110137", "User Security Attributes Changed")),
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
_USER_ID = Code("11", "User Identifier", "RFC-3881")

_MACHINE_NAME, _IP_ADDRESS = "1", "2"
_PERSON, _SYSTEM = "1", "2"
_PATIENT, _REPORT, _SECURITY_USER, _SECURITY_RESOURCE = "1", "3", "11", "13"


def has_message(event: Event) -> bool:
    """Return whether the standard has a message for an event."""
    return event in _KINDS


def message(entry: Entry, subject: Subject, source: Source) -> bytes:
    """Return the audit message of an entry, in UTF-8."""
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
    encoded: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return encoded


def _participants(root: Element, entry: Entry, source: Source) -> None:
    def ourselves(role: Code, *, is_requestor: bool) -> None:
        _participant(root, source.ae_title, source.host, role, is_requestor=is_requestor)

    def peer(role: Code | None, *, is_requestor: bool) -> None:
        _participant(root, entry.actor, entry.host, role, is_requestor=is_requestor)

    match entry.event:
        case Event.RECEIVED:
            peer(_SOURCE, is_requestor=True)
            ourselves(_DESTINATION, is_requestor=False)
        case Event.DELIVERED | Event.QUERIED:
            ourselves(_SOURCE, is_requestor=True)
            peer(_DESTINATION, is_requestor=False)
        case Event.STARTED | Event.STOPPED:
            ourselves(_APPLICATION, is_requestor=False)
            peer(_LAUNCHER, is_requestor=True)
        case Event.REFUSED_CALLER:
            ourselves(_APPLICATION, is_requestor=False)
            peer(None, is_requestor=True)
        case Event.COMPARED | Event.AUTHORED:
            ourselves(_APPLICATION, is_requestor=True)
        case _:
            peer(None, is_requestor=True)


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
            alert_text = f"{entry.detail.get('reason', '')} ({entry.detail.get('times', 1)} times)"
            value = base64.b64encode(alert_text.encode()).decode()
            SubElement(alert, "ParticipantObjectDetail", type="Alert Description", value=value)
        case _ if entry.event is Event.ACCOUNT_CHANGED:
            account = str(entry.detail.get("account", ""))
            _object(root, account, _PERSON, _SECURITY_USER, _USER_ID, account)
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
    query = _object(root, str(entry.detail.get("sop_class_uid", "")), _SYSTEM, _REPORT, _SOP_CLASS_UID, None)
    SubElement(query, "ParticipantObjectQuery").text = str(entry.detail.get("query", ""))
    syntax = base64.b64encode(str(entry.detail.get("transfer_syntax_uid", "")).encode()).decode()
    SubElement(query, "ParticipantObjectDetail", type="TransferSyntax", value=syntax)


def _patient(root: Element, subject: Subject) -> None:
    _object(root, subject.patient_id, _PERSON, _PATIENT, _PATIENT_NUMBER, "")


def _object(root: Element, identifier: str, kind: str, role: str, id_type: Code, name: str | None) -> Element:
    element = SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_clean(identifier) or "unknown",
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _code(element, "ParticipantObjectIDTypeCode", id_type)
    if name is not None:
        SubElement(element, "ParticipantObjectName").text = _clean(name)  # never a patient's
    return element


def _participant(root: Element, who: str, host: str, role: Code | None, *, is_requestor: bool) -> None:
    element = SubElement(
        root, "ActiveParticipant", UserID=_clean(who) or "unknown", UserIsRequestor=str(is_requestor).lower()
    )
    if role == _APPLICATION:
        element.set("AlternativeUserID", f"dxatrend {__version__}")
    if host:
        element.set("NetworkAccessPointID", _clean(host))
        element.set("NetworkAccessPointTypeCode", _IP_ADDRESS if is_ip_address(host) else _MACHINE_NAME)
    if role:
        _code(element, "RoleIDCode", role)


def _code(parent: Element, name: str, code: Code) -> None:
    SubElement(parent, name, {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning})


def _clean(text: str) -> str:
    """Replace the characters that XML cannot hold; an AE title may have any."""
    return "".join(character if character.isprintable() else "?" for character in text)
