"""Erase patients: delete every row that is linked to them, and leave of each receipt a row without data.

The rows of receipts stay, so that what was received can still be counted and the audit trail still points at
something. They are ignored for the reason ``erased``; their UIDs, digests and bytes are gone.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, String, cast, delete, func, insert, literal, select, update

from pipeline.edge.store import (
    audit_chain,
    erased_objects,
    patient_identity,
    receipt_contents,
    shared_scans,
    work_queue,
)
from pipeline.edge.store.audit_schema import audit, audit_erasure, audit_seal
from pipeline.edge.store.audit_trail import Entry
from pipeline.edge.store.desk_schema import desk_session
from pipeline.edge.store.erasure_schema import erasure
from pipeline.edge.store.patient_rows import LINKS, QUEUES_OF_PATIENTS, PatientRows
from pipeline.edge.store.qc_schema import phantom_scan, phantom_value
from pipeline.edge.store.receipts import ERASED
from pipeline.edge.store.reprocessing_schema import reprocessing_run
from pipeline.edge.store.schema import (
    addendum,
    commitment_request,
    delivery,
    exam,
    history_query,
    linked_patients,
    patient,
    reading,
    receipt,
    receipt_content,
    set_aside,
)
from pipeline.edge.store.schema_base import State, metadata

_KEPT = (
    *(audit, audit_seal, audit_erasure),  # emptied of the details that name the patient
    *(receipt, receipt_content, commitment_request, phantom_scan, phantom_value),  # emptied below
    *(linked_patients, reprocessing_run),  # numbers of ours alone
    set_aside,  # deleted below, once nothing refers to it
)
"""Tables of which no row is deleted."""


def under_way(connection: Connection, of: PatientRows) -> list[str]:
    """Return what is still to be done for patients, in words; while there is anything, they are not erased."""
    waiting = {
        receipt: "received and not read yet",
        exam: "to be compared",
        delivery: "to be delivered",
        history_query: "asked of an archive, without an answer",
        commitment_request: "a scanner's question whether its reports are kept, to be answered",
    }
    found = []
    for queue in QUEUES_OF_PATIENTS:
        numbers = select(queue.c.id).where(LINKS[queue](of), queue.c.state == State.WAITING)
        if count := len(connection.scalars(numbers).all()):
            found.append(f"{count} {waiting[queue]}")
    unfinished = select(reprocessing_run.c.id).where(reprocessing_run.c.finished_at.is_(None))
    if connection.scalar(unfinished.limit(1)) is not None:
        found.append("exams are being examined again (reprocessing)")
    return found


def lock(connection: Connection, of: PatientRows) -> None:
    """Let no other transaction add an exam to these patients, or a report to theirs, until this one has ended."""
    if connection.dialect.name == "postgresql":  # on SQLite a writer excludes others already
        connection.execute(select(patient.c.id).where(patient.c.id.in_(of.patients)).with_for_update())
        theirs = select(exam.c.id).where(exam.c.patient_id.in_(of.patients)).order_by(exam.c.id)
        connection.execute(theirs.with_for_update())


def erase(connection: Connection, of: PatientRows, entry: Entry, phantoms: Mapping[int, str], *, at: datetime) -> None:
    """Delete or empty every row of patients, and record it by an audit entry.

    ``phantoms`` names the phantom of each phantom scan among them, whose values stay. Exams of others that were held
    because of an erased one are released.
    """
    _tell_apart(connection, of, at=at)
    erased_objects.record(connection, _uids(connection, of))
    commitments = _without_objects(connection, of)
    for table in reversed(metadata.sorted_tables):
        if table in LINKS and table not in _KEPT:
            connection.execute(delete(table).where(LINKS[table](of)))
    for number, requested in commitments.items():
        this = update(commitment_request).where(commitment_request.c.id == number)
        connection.execute(this.values(requested=requested))
    for scan in connection.scalars(select(phantom_scan.c.id).where(LINKS[phantom_scan](of))).all():
        emptied = {"receipt_id": None, "patient_id": "", "patient_name": "", "phantom": phantoms.get(scan, "")}
        connection.execute(update(phantom_scan).where(phantom_scan.c.id == scan).values(**emptied))
    _empty_receipts(connection, of)
    _delete_set_aside(connection, of)
    connection.execute(update(desk_session).values(message=None))  # one may name a patient
    connection.execute(
        insert(erasure).values(
            at=at,
            patients=len(of.patients),
            receipts=len(of.receipts),
            exams=len(of.exams),
            addenda=len(of.addenda),
        )
    )
    audit_chain.record_erasure(connection, entry, of.audit)


def _tell_apart(connection: Connection, of: PatientRows, *, at: datetime) -> None:
    """Release what is held because of exams that are about to go, as when they are withdrawn."""
    connection.execute(update(exam).where(exam.c.id.in_(of.exams)).values(withdrawn=ERASED))
    for number in sorted(of.exams):
        patient_identity.release_settled(connection, number, at=at)
    shared_scans.release_settled(connection, at=at)


def _uids(connection: Connection, of: PatientRows) -> dict[str, int]:
    """Return the SOP Instance UIDs of objects and addenda, each with its receipt, or one of its exam."""
    received = select(receipt.c.sop_instance_uid, receipt.c.id).where(receipt.c.id.in_(of.receipts))
    sent = (
        select(addendum.c.sop_instance_uid, func.min(reading.c.receipt_id).label("id"))
        .join(reading, reading.c.exam_id == addendum.c.exam_id)
        .where(addendum.c.id.in_(of.addenda))
        .group_by(addendum.c.sop_instance_uid)
    )
    return {row.sop_instance_uid: row.id for query in (sent, received) for row in connection.execute(query)}


def _without_objects(connection: Connection, of: PatientRows) -> dict[int, str]:
    """Return the requests for storage commitment that name objects of patients, with what else they name."""
    query = select(commitment_request.c.id, commitment_request.c.requested).where(LINKS[commitment_request](of))
    return {
        row.id: json.dumps([pair for pair in json.loads(row.requested) if of.uids.isdisjoint(pair)])
        for row in connection.execute(query)
    }


def _empty_receipts(connection: Connection, of: PatientRows) -> None:
    name = literal(f"{ERASED} ").concat(cast(receipt.c.id, String))
    connection.execute(
        update(receipt)
        .where(receipt.c.id.in_(of.receipts))
        .values(
            sop_instance_uid=name,
            digest="",
            pixel_bytes=0,
            state=State.IGNORED,
            reason=ERASED,
            detail=None,
            released_from=None,
            set_aside_id=None,
            lease_owner=None,
            leased_until=None,
        )
    )
    receipt_contents.replace(connection, LINKS[receipt_content](of), b"")
    gone = select(receipt.c.id).where(receipt.c.id.in_(of.receipts)).outerjoin(receipt_content)
    for number in connection.scalars(gone.where(receipt_content.c.receipt_id.is_(None))).all():
        receipt_contents.mend(connection, number, receipt_contents.compress(b""))  # else every backup misses its bytes


def _delete_set_aside(connection: Connection, of: PatientRows) -> None:
    connection.execute(update(commitment_request).where(LINKS[commitment_request](of)).values(set_aside_id=None))
    unused: ColumnElement[bool] = set_aside.c.id.in_(of.set_aside)
    for queue in work_queue.QUEUES:
        unused &= ~select(queue.c.id).where(queue.c.set_aside_id == set_aside.c.id).exists()
    connection.execute(delete(set_aside).where(unused))
