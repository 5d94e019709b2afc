"""Every row of the database that is linked to patients: one list, for what is exported and for what is erased."""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, func, or_, select

from pipeline.edge.store.audit_schema import audit, audit_erasure, audit_seal
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.qc_schema import phantom_scan, phantom_value
from pipeline.edge.store.reprocessing_schema import reprocessing_difference, reprocessing_run
from pipeline.edge.store.schema import (
    addendum,
    clinical_context,
    commitment_request,
    delivery,
    exam,
    history_query,
    linked_patients,
    patient,
    patient_merge,
    provenance,
    reading,
    receipt,
    receipt_content,
    rejection,
    set_aside,
)
from pipeline.edge.store.schema_base import metadata
from pipeline.edge.store.unread_receipts import names_patient

QUEUES_OF_PATIENTS = (receipt, exam, delivery, history_query, commitment_request)
"""Queues whose rows are of patients, each row of one but a commitment request, which may name objects of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRows:
    """Which rows are linked to some patients, by their numbers; what the patients are called is here too.

    ``uids`` are those of their studies and objects. ``links`` are the linked patients that nobody else belongs to.
    """

    patients: frozenset[int]
    identities: frozenset[tuple[str, str]]
    links: frozenset[int]
    exams: frozenset[int]
    receipts: frozenset[int]
    addenda: frozenset[int]
    commitments: frozenset[int]
    set_aside: frozenset[int]
    audit: frozenset[int]
    uids: frozenset[str]
    last_entry: int
    last_receipt: int
    """The last entry of the audit trail, and the last receipt, that were looked at."""
    damaged: frozenset[int] = frozenset()
    """Receipts without readable bytes, which belong to no exam: whose they are cannot be told."""


LINKS: Mapping[Table, Callable[[PatientRows], ColumnElement[bool]]] = {
    linked_patients: lambda of: linked_patients.c.id.in_(of.links),
    patient: lambda of: patient.c.id.in_(of.patients),
    patient_merge: lambda of: patient_merge.c.old_id.in_(of.patients) | patient_merge.c.new_id.in_(of.patients),
    clinical_context: lambda of: clinical_context.c.patient_id.in_(of.patients),
    exam: lambda of: exam.c.id.in_(of.exams),
    receipt: lambda of: receipt.c.id.in_(of.receipts),
    receipt_content: lambda of: receipt_content.c.receipt_id.in_(of.receipts),
    reading: lambda of: reading.c.exam_id.in_(of.exams),
    rejection: lambda of: rejection.c.receipt_id.in_(of.receipts) | rejection.c.sop_instance_uid.in_(of.uids),
    phantom_scan: lambda of: phantom_scan.c.receipt_id.in_(of.receipts),
    phantom_value: lambda of: phantom_value.c.phantom_scan_id.in_(
        select(phantom_scan.c.id).where(phantom_scan.c.receipt_id.in_(of.receipts))
    ),
    addendum: lambda of: addendum.c.id.in_(of.addenda),
    provenance: lambda of: provenance.c.exam_id.in_(of.exams),
    reprocessing_run: lambda of: reprocessing_run.c.linked_patients_id.in_(of.links),
    reprocessing_difference: lambda of: reprocessing_difference.c.exam_id.in_(of.exams),
    history_query: lambda of: history_query.c.patient_id.in_(of.patients) | history_query.c.exam_id.in_(of.exams),
    delivery: lambda of: delivery.c.addendum_id.in_(of.addenda),
    commitment_request: lambda of: commitment_request.c.id.in_(of.commitments),
    set_aside: lambda of: set_aside.c.id.in_(of.set_aside),
    audit: lambda of: audit.c.id.in_(of.audit),
    audit_seal: lambda of: audit_seal.c.audit_id.in_(of.audit),
    audit_erasure: lambda of: audit_erasure.c.audit_id.in_(of.audit),
}
"""The tables that are linked to patients, and how their rows are found."""


def patient_rows(
    connection: Connection,
    patients: Collection[int],
    identities: Collection[tuple[str, str]],
    unread: Collection[int],
    *,
    known: PatientRows | None = None,
) -> PatientRows:
    """Return which rows are linked to patients; ``unread`` are the receipts without an exam that are theirs.

    An entry of the audit trail is linked by what it is about, or by a UID, a delivery or a query to an archive in its
    text. For that the trail is read whole, or from the end of what was ``known`` a moment ago.
    """
    linked = _numbers(connection, patient.c.linked_patients_id, patient.c.id.in_(patients))
    others = patient.c.linked_patients_id.in_(linked) & patient.c.id.not_in(patients)
    exams = _numbers(connection, exam.c.id, exam.c.patient_id.in_(patients))
    receipts = _numbers(connection, reading.c.receipt_id, reading.c.exam_id.in_(exams)) | frozenset(unread)
    addenda = _numbers(connection, addendum.c.id, addendum.c.exam_id.in_(exams))
    uids = uids_of(connection, exams, receipts)
    commitments = _naming(connection, select(commitment_request.c.id, commitment_request.c.requested), uids)
    queries = history_query.c.patient_id.in_(patients) | history_query.c.exam_id.in_(exams)
    printed = {
        *(f"D{number}" for number in _numbers(connection, delivery.c.id, delivery.c.addendum_id.in_(addenda))),
        *(f"Q{number}" for number in _numbers(connection, history_query.c.id, queries)),
        *(f"C{number}" for number in commitments),
    }
    about = or_(
        audit.c.patient_id.in_(patients),
        audit.c.exam_id.in_(exams),
        audit.c.receipt_id.in_(receipts),
        audit.c.addendum_id.in_(addenda),
    )
    trail = select(audit.c.id, audit.c.detail).where(audit.c.id > (known.last_entry if known else 0))
    unnumbered = (audit.c.event == Event.QUERIED.value) & audit.c.patient_id.is_(None)
    rows = PatientRows(
        patients=frozenset(patients),
        identities=frozenset(identities),
        links=linked - _numbers(connection, patient.c.linked_patients_id, others),
        exams=exams,
        receipts=receipts,
        addenda=addenda,
        commitments=commitments,
        set_aside=frozenset(),
        audit=_numbers(connection, audit.c.id, about)
        | _naming(connection, trail, uids | printed)
        | _asking_for(connection, trail.where(unnumbered), {patient_id for patient_id, _ in identities})
        | (known.audit if known else frozenset()),
        uids=uids,
        last_entry=connection.scalar(select(func.max(audit.c.id))) or 0,
        last_receipt=connection.scalar(select(func.max(receipt.c.id))) or 0,
    )
    return _with_set_aside(connection, rows)


def uids_of(connection: Connection, exams: Collection[int], receipts: Collection[int]) -> frozenset[str]:
    """Return the UIDs of the studies and objects of exams, their addenda among them, and of receipts."""
    return frozenset(
        uid
        for column, which in (
            (exam.c.study_instance_uid, exam.c.id.in_(exams)),
            (receipt.c.sop_instance_uid, receipt.c.id.in_(receipts)),
            (addendum.c.sop_instance_uid, addendum.c.exam_id.in_(exams)),
        )
        for uid in connection.scalars(select(column).where(which))
    )


def rows_of(connection: Connection, of: PatientRows) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """Yield every table that is linked to patients, with its rows that are."""
    for table in metadata.sorted_tables:
        if table in LINKS:
            query = select(table).where(LINKS[table](of)).order_by(*table.primary_key.columns)
            yield table, [dict(row) for row in connection.execute(query).mappings()]


def _with_set_aside(connection: Connection, of: PatientRows) -> PatientRows:
    found: set[int] = set()
    for queue in QUEUES_OF_PATIENTS:
        found |= _numbers(connection, queue.c.set_aside_id, LINKS[queue](of) & queue.c.set_aside_id.is_not(None))
    return replace(of, set_aside=frozenset(found))


def _naming(connection: Connection, numbered: Select[tuple[int, str]], names: Collection[str]) -> frozenset[int]:
    """Return the numbers of JSON texts that have one of these names as a text of its own."""
    quoted = {json.dumps(name)[1:-1] for name in names}
    rows = connection.execute(numbered.execution_options(yield_per=1000))
    return frozenset(number for number, text in rows if not quoted.isdisjoint(_TEXTS.findall(text)))


def _asking_for(
    connection: Connection, numbered: Select[tuple[int, str]], patient_ids: Collection[str]
) -> frozenset[int]:
    """Return those of some entries that are queries to an archive for one of these ids (C-FIND, as Base64)."""
    found = set()
    for number, text in connection.execute(numbered):
        try:
            query = b64decode(json.loads(text).get("query", ""))
        except (ValueError, binascii.Error):
            continue
        if any(names_patient(query, one) for one in patient_ids):
            found.add(number)
    return frozenset(found)


_TEXTS = re.compile(r'(?s)"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)')
"""A text in JSON; one without an end is taken to the last letter, so that its quotes are not tried one by one."""


def _numbers(connection: Connection, column: ColumnElement[int], which: ColumnElement[bool]) -> frozenset[int]:
    return frozenset(connection.scalars(select(column).where(which)))
