"""Carry out what the hospital's patient administration tells: ADT^A40 merges two patient ids, and nothing else is done.

A merge is the same as ``dxatrend merge``: it is audited under the name of the sender, and can be undone. It is carried
out where one of the two ids is on file. The same message again changes nothing.
"""

import logging

from pipeline.clinical.model import Patient
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.audit.events import Operator
from pipeline.edge.errors import describe_error
from pipeline.edge.operations.patient_merge import PatientMergeError, merge_as_told
from pipeline.edge.store.database import StoreError
from pipeline.messages.hl7.adt import MERGE, UPDATE, AdtMessage, UnusableMessageError, answer, read_adt

log = logging.getLogger(__name__)

ACCEPTED, ERROR, REJECTED = "AA", "AE", "AR"


def answer_message(app: App, message: bytes, host: str) -> bytes:
    """Do what a message tells, and return its acknowledgement: AR asks for it again later, AE for a person."""
    settings = app.settings.service.adt
    unread = AdtMessage(application="", control_id="", type="", event="")
    try:
        unread = _header_of(message)
        told = read_adt(message, authority=settings.assigning_authority or "")
        code, text = _do(app, told, host)
    except UnusableMessageError as unusable:
        log.error("an HL7 message from %s cannot be used: %s", host, unusable)
        return answer(unread, ERROR, str(unusable).translate(_NO_DELIMITERS))
    except PatientMergeError as problem:
        log.error("a merge told by %s cannot be carried out: %s", host, problem)
        return answer(told, ERROR, str(problem))
    except StoreError as failure:
        log.error("a message from %s could not be carried out: %s", host, describe_error(failure))
        return answer(unread, REJECTED, "the database cannot be reached")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one message, the sender hears of it
        log.error("a message from %s could not be carried out: %s", host, describe_error(error))
        return answer(unread, ERROR, "unexpected error")
    return answer(told, code, text)


_NO_DELIMITERS = str.maketrans(dict.fromkeys("|^~\\&", " "))


def _header_of(message: bytes) -> AdtMessage:
    """Return type and control id even of a message whose ids cannot be used, so that it can be answered."""
    line = message.decode("latin-1").replace("\n", "\r").split("\r")[0]
    fields = [*line.split("|"), *[""] * 12]
    return AdtMessage(application="", control_id=fields[9], type="", event="")


def _do(app: App, told: AdtMessage, host: str) -> tuple[str, str]:
    """Return the acknowledgement code of a message, and what was done; one merge that cannot be hinders no other.

    Raises:
        PatientMergeError: a merge contradicts one that is on file, or one that a person has undone.
    """
    if told.type != "ADT":
        return REJECTED, "only ADT is taken here"
    if told.event != MERGE:
        if told.event == UPDATE:
            log.info("an update of a patient's data was told by %s; it changes nothing by itself", host)
        return ACCEPTED, "nothing is done for this event"
    issuer = app.settings.service.adt.issuer
    merged, problems = 0, []
    with events.acting(Operator(name=f"HL7 {told.application}".strip(), host=host)):
        for pair in told.merges:
            old = Patient(patient_id=pair.old, issuer=issuer)
            try:
                merged += merge_as_told(app.database, old, Patient(patient_id=pair.new, issuer=issuer))
            except PatientMergeError as problem:
                problems.append(str(problem))
    log.info("a merge of patient ids was told by %s: %d of %d concern us", host, merged, len(told.merges))
    if problems:
        raise PatientMergeError("; ".join(dict.fromkeys(problems)))
    return ACCEPTED, f"{merged} merged"
